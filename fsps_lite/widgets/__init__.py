"""Figures that the reader moves.

``player``, ``live`` and ``cover`` need no kernel: their script runs in the built page, in a
notebook, and in any other page of a browser. ``explore`` asks a running kernel.
"""

from fsps_lite.widgets.covers import cover
from fsps_lite.widgets.explorers import explore
from fsps_lite.widgets.output import LiveFigure
from fsps_lite.widgets.players import live, player
