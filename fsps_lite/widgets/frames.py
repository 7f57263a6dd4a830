"""The figures of a player as one small JSON: what ``player.js`` draws.

controls  the sliders: name, labels, start, and whether it is a menu of names
frames    one for each setting of the sliders, where the last slider changes fastest: the text
          above, and for each panel its title, the name of its row, and the numbers of its marks
panels    axes that all frames share: limits, ticks and labels; ``bare`` ones are small images
marks     lines, points, bands, bars, rules, maps, words; a mark refers to its arrays by number
arrays    the numbers, each array once
scales    the colour scales of maps: 256 colours, two limits, and the power of the steps
legend    names, and how they are drawn
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fsps_lite import checks
from fsps_lite.widgets.canvas import Canvas
from fsps_lite.widgets.maps import colours, gamma, numbers, unshaded
from fsps_lite.widgets.marks import marks
from fsps_lite.widgets.panels import columns, legend, panel, row
from fsps_lite.widgets.shelf import Mark, Shelf, filled
from fsps_lite.widgets.words import plain

CELLS = 120_000  # of all maps together
CALL = "player([plots.bayes(...) for y in ys], [f'{y}' for y in ys], name='y', alt='...')"
Drawn = dict[str, tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Stack:
    """The axes that stand at one place in all frames."""

    axes: Sequence[Axes]

    def share(self) -> None:
        """Give the axes of all frames the same limits, wide enough for each of them."""
        for side in ("xlim", "ylim"):
            ends = np.array([getattr(axes, f"get_{side}")() for axes in self.axes])
            falls = ends[0, 0] > ends[0, 1]
            wide = (ends.max(), ends.min()) if falls else (ends.min(), ends.max())
            for axes in self.axes:
                getattr(axes, f"set_{side}")(*map(float, wide))

    @property
    def pictures(self) -> list[QuadMesh | AxesImage]:
        children = [child for axes in self.axes for child in axes.get_children()]
        return [c for c in children if isinstance(c, QuadMesh | AxesImage)]

    @property
    def norm(self) -> PowerNorm | None:
        """One scale of shades for all frames."""
        if not self.pictures:
            return None
        ends = np.array([picture.get_clim() for picture in self.pictures], float)
        power = gamma(self.pictures[0])
        return PowerNorm(power, float(ends.min()), float(ends.max()), clip=True)


def spec(frames: Sequence[Figure], controls: Sequence[Mark]) -> Mark:
    """All that the script needs, as JSON."""
    stacks, shelves = _stacks(frames), (Shelf(), Shelf(), Shelf())
    cells = _cells(stacks)
    canvases = [_canvas(stack, shelves, cells) for stack in stacks]
    shown = [_frame(k, frame, stacks, canvases) for k, frame in enumerate(frames)]
    kept = zip(("arrays", "marks", "scales"), shelves, strict=True)
    return {
        "controls": controls,
        "columns": columns([stack.axes[0] for stack in stacks]),
        "titled": any(one["title"] for frame in shown for one in frame["panels"]),
        "panels": [panel(stack.axes) for stack in stacks],
        "frames": shown,
        "legend": legend(frames),
    } | {name: shelf.things for name, shelf in kept}


def drawn(values: Mark, frame: int) -> list[Drawn]:
    """What a frame shows, panel by panel: ``{name: (x, y)}``, read back from the JSON.

    A band is (x, low, high), bars are (left, right, low, high), and a map is (edges of the columns,
    edges of the rows, numbers). What has no name gets that of its kind: "line", "line 2".
    """
    return [_read_back(one["marks"], values) for one in values["frames"][frame]["panels"]]


def _read_back(places: Sequence[int], values: Mark) -> Drawn:
    found: Drawn = {}
    for mark in (values["marks"][place] for place in places):
        name = mark.get("name") or mark["kind"]
        same = sum(key == name or key.startswith(f"{name} ") for key in found)
        parts = [k for k in ("x", "y", "left", "right", "low", "high") if k in mark]
        if mark["kind"] in ("line", "points", "band", "bars", "map"):
            arrays = [filled(values["arrays"][mark[part]]) for part in parts]
            if mark["kind"] == "map":
                shape = len(arrays[1]) - 1, len(arrays[0]) - 1
                arrays.append(unshaded(mark["cells"], values["scales"][mark["scale"]], shape))
            found[f"{name} {same + 1}" if same else name] = tuple(arrays)
    return found


def _stacks(frames: Sequence[Figure]) -> list[Stack]:
    """The panels of all frames, without colour bars and unused axes, on common axes.

    Raises ValueError unless every frame has as many panels.
    """
    panels = [[a for a in frame.axes if not _is_bar(a) and _is_used(a)] for frame in frames]
    counts = sorted({len(axes) for axes in panels})
    if len(counts) != 1 or counts[0] == 0:
        what = "each of `frames` must have as many panels, and at least one"
        raise ValueError(checks.complaint(what, " and ".join(map(str, counts)), CALL))
    stacks = [Stack(axes) for axes in zip(*panels, strict=True)]
    for stack in stacks:
        stack.share()
    return stacks


def _is_bar(axes: Axes) -> bool:
    return axes.get_label() == "<colorbar>"


def _is_used(axes: Axes) -> bool:
    return axes.axison or axes.has_data()


def _cells(stacks: Sequence[Stack]) -> int:
    """How many cells each map may have, so that all maps together stay small."""
    different = {numbers(p).tobytes() for stack in stacks for p in stack.pictures}
    return CELLS // max(1, len(different))


def _canvas(stack: Stack, shelves: tuple[Shelf, Shelf, Shelf], cells: int) -> Canvas:
    """Where the marks of one stack are stored."""
    first, norm = stack.axes[0], stack.norm
    arrays, found, scales = shelves
    scale = scales.put(_scale(stack.pictures[0], norm)) if norm else 0
    logs = first.get_xscale() == "log", first.get_yscale() == "log"
    return Canvas(first.get_xlim(), first.get_ylim(), logs, arrays, found, scale, norm, cells)


def _scale(picture: QuadMesh | AxesImage, norm: PowerNorm) -> Mark:
    """The colour scale of a map; its label is that of the colour bar."""
    bar, ends = picture.colorbar, np.array([norm.vmin, norm.vmax], float)
    label = plain(bar.ax.get_ylabel() or bar.ax.get_xlabel()) if bar else ""
    return {
        "colours": colours(picture),
        "limits": [float(f"{v:.6g}") for v in ends],
        "ends": [f"{v:.2g}".replace("-", "−") for v in ends],
        "gamma": norm.gamma,
        "label": label,
    }


def _frame(k: int, frame: Figure, stacks: Sequence[Stack], canvases: Sequence[Canvas]) -> Mark:
    panels = [
        {
            "title": plain(stack.axes[k].get_title()),
            "row": row(stack.axes[k]),
            "marks": marks(stack.axes[k], canvas),
        }
        for stack, canvas in zip(stacks, canvases, strict=True)
    ]
    return {"say": plain(frame.get_suptitle()), "panels": panels}
