"""What Matplotlib drew, as marks: lines, points, bands, bars, rules, maps, words."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PathCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.contour import ContourSet
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from fsps_lite.widgets.canvas import Canvas
from fsps_lite.widgets.maps import map_mark
from fsps_lite.widgets.shelf import Mark, rounded, thinned
from fsps_lite.widgets.words import plain

POINTS = 4 / 3  # pixels per point
DASHES = {"-": "", "--": "7 4", "-.": "9 3 2 3", ":": "2 3.5"}
MOST, DOTS = 201, 1000  # the most places of a curve, and dots of a cloud


def marks(axes: Axes, canvas: Canvas) -> list[int]:
    """The numbers of all marks on these axes; the first is drawn first."""
    artists = [a for a in axes.get_children() if a.get_visible() and a is not axes.patch]
    artists = [a for a in artists if isinstance(a, Line2D | Collection | Rectangle | AxesImage)]
    artists.sort(key=lambda a: a.get_zorder())
    drawn = [mark for artist in artists for mark in _read(artist, axes, canvas)]
    words = [mark for text in axes.texts for mark in _word(text, axes, canvas)]
    return [canvas.marks.put(mark) for mark in drawn + words]


def _read(artist: Artist, axes: Axes, canvas: Canvas) -> Iterator[Mark]:
    """The marks of an artist, by the function for its kind."""
    match artist:
        case Line2D():
            yield from _line(artist, axes, canvas)
        case QuadMesh() | AxesImage():
            yield map_mark(artist, named(artist), canvas)
        case Rectangle():
            yield _bar(artist, axes, canvas)
        case PathCollection():
            yield _scatter(artist, canvas)
        case LineCollection() | ContourSet():
            yield _contour(artist, canvas)
        case Collection():
            yield _band(artist, canvas)


def named(artist: Artist) -> str:
    """The label of an artist; empty if Matplotlib made it up."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else plain(label)


def look(colour: Any, alpha: float | None = None, width: float = 1.5, dash: str = "") -> Mark:
    """How a mark is drawn; widths are in pixels."""
    alpha = to_rgba(colour)[3] if alpha is None else alpha
    return {
        "colour": to_hex(colour),
        "alpha": round(alpha, 3),
        "width": round(width * POINTS, 2),
        "dash": dash,
    }


def line_look(line: Line2D) -> Mark:
    dash = DASHES.get(str(line.get_linestyle()), "7 4")
    return look(line.get_color(), line.get_alpha(), line.get_linewidth(), dash)


def _line(line: Line2D, axes: Axes, canvas: Canvas) -> Iterator[Mark]:
    """A curve, its dots, or a straight line across the whole panel."""
    x, y = (np.asarray(v, float) for v in line.get_data(orig=False))
    if line.get_transform() in (axes.get_yaxis_transform("grid"), axes.get_xaxis_transform("grid")):
        level = line.get_transform() == axes.get_yaxis_transform("grid")
        at = rounded(y[:1] if level else x[:1], canvas.y if level else canvas.x, False)[0]
        yield {"kind": "rule", "across": level, "at": at, **line_look(line)}
    elif len(x):
        keep = thinned(len(x), DOTS if line.get_linestyle() == "None" else MOST)
        place = {"name": named(line), "x": canvas.across(x[keep]), "y": canvas.up(y[keep])}
        if line.get_linestyle() != "None":
            yield {"kind": "line", **place, **line_look(line)}
        if line.get_marker() not in ("", " ", "None", None):
            yield {"kind": "points", **place, **_dots(line.get_color(), line)}


def _dots(colour: Any, line: Line2D) -> Mark:
    size = line.get_markersize() / (2 if line.get_marker() == "." else 1)
    return look(colour, line.get_alpha(), max(size, 1.5))


def _scatter(points: PathCollection, canvas: Canvas) -> Mark:
    x, y = np.ma.getdata(points.get_offsets()).T
    size = math.sqrt(float(np.asarray(points.get_sizes()).mean()))
    shown = look(points.get_facecolor()[0], points.get_alpha(), size)
    return {
        "kind": "points",
        "name": named(points),
        "x": canvas.across(x),
        "y": canvas.up(y),
        **shown,
    }


def _band(area: Collection, canvas: Canvas) -> Mark:
    """An area of ``fill_between``: its outline runs along the low side, then back."""
    outline = np.asarray(area.get_paths()[0].vertices)
    count = (len(outline) - 3) // 2
    keep = thinned(count, MOST)
    there, back = outline[1 : count + 1], outline[count + 2 : 2 * count + 2][::-1]
    return {
        "kind": "band",
        "name": named(area),
        "x": canvas.across(there[keep, 0]),
        "low": canvas.up(there[keep, 1]),
        "high": canvas.up(back[keep, 1]),
        **look(area.get_facecolor()[0], area.get_alpha()),
    }


def _bar(bar: Rectangle, axes: Axes, canvas: Canvas) -> Mark:
    """One bar of a chart, or an area across the whole panel."""
    (left, low), (right, high) = bar.get_corners()[[0, 2]]
    if bar.get_data_transform() != axes.transData:
        left, right = sorted(canvas.x)
    return {
        "kind": "bars",
        "name": named(bar),
        "left": canvas.across(np.array([left])),
        "right": canvas.across(np.array([right])),
        "low": canvas.up(np.array([low])),
        "high": canvas.up(np.array([high])),
        **look(bar.get_facecolor(), bar.get_alpha()),
    }


def _contour(lines: Collection, canvas: Canvas) -> Mark:
    """A contour in pieces; NaN separates two pieces."""
    gap = np.full((1, 2), math.nan)
    pieces = [piece for path in lines.get_paths() for piece in path.to_polygons(closed_only=False)]
    x, y = np.concatenate([part for piece in pieces for part in (piece, gap)] or [gap]).T
    styles: Any = lines.get_linestyle()
    colour, width = np.asarray(lines.get_edgecolor())[0], float(np.ravel(lines.get_linewidth())[0])
    shown = look(colour, lines.get_alpha(), width, "7 4" if styles[0][1] else "")
    return {"kind": "line", "name": "", "x": canvas.across(x), "y": canvas.up(y), **shown}


def _word(text: Text, axes: Axes, canvas: Canvas) -> Iterator[Mark]:
    """A word at a place of the data."""
    if text.get_text() and text.get_transform() == axes.transData:
        x, y = text.get_position()
        place = {
            "x": rounded(np.array([x]), canvas.x, canvas.logs[0])[0],
            "y": rounded(np.array([y]), canvas.y, canvas.logs[1])[0],
        }
        anchor = {"left": "start", "center": "middle", "right": "end"}[
            text.get_horizontalalignment()
        ]
        yield {"kind": "text", "text": plain(text.get_text()), "anchor": anchor, **place}
