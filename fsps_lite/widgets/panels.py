"""What all frames share: axes, ticks, rows and columns of panels, and the legend."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from fsps_lite.widgets.marks import line_look, look
from fsps_lite.widgets.shelf import Mark
from fsps_lite.widgets.words import plain


def row(axes: Axes) -> str:
    """The name of a row of images, which is written left of the first image."""
    beside = [t for t in axes.texts if t.get_transform() == axes.transAxes]
    return plain(beside[0].get_text()) if beside and not axes.axison else ""


def columns(axes: Sequence[Axes]) -> int:
    """How many panels are side by side."""
    spots = [one.get_subplotspec() for one in axes]
    return max(1, len({spot.colspan.start for spot in spots if spot is not None}))


def panel(axes: Sequence[Axes]) -> Mark:
    """The axes that all frames share; a small image has none and is ``bare``."""
    first = axes[0]
    box = first.get_position(original=True)
    figure = first.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches() * (box.width, box.height)
    image = first.get_aspect() == 1 and bool(first.get_images())
    if image:
        width, height = np.abs(np.diff([first.get_xlim(), first.get_ylim()], axis=1)).ravel()
    return {
        "bare": not first.axison,
        "row": any(row(one) for one in axes),
        "ratio": round(float(height / width), 3),
        "x": _axis(first.xaxis, first.get_xlim()),
        "y": _axis(first.yaxis, first.get_ylim()),
    }


def _axis(axis: Axis, ends: Sequence[float]) -> Mark:
    """The limits of an axis, and its ticks with the labels of Matplotlib."""
    places = [float(v) for v in axis.get_majorticklocs() if min(ends) <= v <= max(ends)]
    shape = axis.get_major_formatter()
    words = [plain(word) for word in shape.format_ticks(places)]
    offset = plain(shape.get_offset())
    return {
        "limits": [float(f"{v:.6g}") for v in ends],
        "log": axis.get_scale() == "log",
        "label": " ".join(filter(None, (plain(axis.get_label_text()), offset))),
        "ticks": [[float(f"{v:.6g}"), word] for v, word in zip(places, words, strict=True)],
    }


def legend(frames: Sequence[Figure]) -> list[Mark]:
    """All names of all frames, each name once."""
    items: dict[str, Mark] = {}
    for frame in frames:
        for legend in _legends(frame):
            for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
                items.setdefault(text.get_text(), _swatch(handle))
    return [{"name": plain(name), **shown} for name, shown in items.items()]


def _legends(frame: Figure) -> Iterator[Legend]:
    yield from frame.legends
    yield from filter(None, (axes.get_legend() for axes in frame.axes))


def _swatch(handle: Any) -> Mark:
    """A sample of a line, of a dot or of an area, for the legend."""
    if isinstance(handle, Line2D):
        dots = handle.get_linestyle() == "None"
        return {"kind": "points" if dots else "line", **line_look(handle)}
    colour = handle.get_facecolor()
    if isinstance(handle, PolyCollection | ScalarMappable):
        colour = colour[0]
    return {"kind": "area", **look(colour, handle.get_alpha())}
