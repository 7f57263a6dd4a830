"""Figures that the reader moves.

``player``, ``live`` and ``cover`` need no kernel: they move in the built page, in a notebook, and
wherever else a browser runs their script. ``explore`` asks a running kernel.
"""

from fsps_lite.widgets.covers import cover
from fsps_lite.widgets.output import LiveFigure
from fsps_lite.widgets.players import live, player
from fsps_lite.widgets.widgets import explore
