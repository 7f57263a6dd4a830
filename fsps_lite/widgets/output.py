"""A live figure, as a notebook and a page show it: one piece of HTML that needs nothing else."""

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fsps_lite.widgets.frames import Drawn, drawn

STILL = 80  # dots per inch of the still picture

# The numbers are inside the figure, and the script looks for figures that it has not started. There
# are no ids, so that a page may hold the same figure twice.
FRAME = """<style>
{css}</style>
<div class="fsps-live" data-live="{kind}" role="group" aria-label="{alt}">
<img alt="{alt}: {shown}" src="data:image/png;base64,{still}" style="max-width:100%">
<script type="application/json">{spec}</script>
</div>
<script>
{script}</script>
"""


@dataclass(frozen=True)
class LiveFigure:
    """A figure that moves in the reader's browser, with no kernel and no network.

    ``kind`` names its script. ``spec`` holds what the script draws, as JSON. ``still`` is a PNG in
    base64, shown where scripts do not run, and ``shown`` says for which values. ``values`` are the
    numbers that are drawn; tests compare them.
    """

    kind: str
    spec: str
    still: str
    alt: str
    shown: str

    @property
    def values(self) -> Mapping[str, Any]:
        """The numbers that the script draws."""
        values: Mapping[str, Any] = json.loads(self.spec)
        return values

    @property
    def html(self) -> str:
        """The figure for a page: style, still picture, numbers and script."""
        return FRAME.format(
            css=text("live.css"),
            script=text(f"{self.kind}.js"),
            kind=self.kind,
            spec=self.spec,
            still=self.still,
            alt=html.escape(self.alt),
            shown=html.escape(self.shown),
        )

    def drawn(self, *places: int) -> list[Drawn]:
        """What is shown with the sliders at ``places``; see :func:`frames.drawn`."""
        values, at = self.values, 0
        for control, place in zip(values["controls"], places, strict=True):
            at = at * len(control["labels"]) + place
        return drawn(values, at)

    def __repr__(self) -> str:
        return f"A live figure: {self.alt}; here {self.shown}"

    def _repr_html_(self) -> str:
        return self.html


def written(spec: Mapping[str, Any]) -> str:
    """JSON for a page: short, and without the letter that could end a script."""
    return json.dumps(spec, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def picture(figure: Figure) -> str:
    """A PNG in base64, with the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=STILL, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()


@cache
def text(name: str) -> str:
    """The text of a file in the folder of this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
