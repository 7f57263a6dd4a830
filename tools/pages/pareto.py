"""Error against denoiser calls: one panel for each kind of problem, and the front of each."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes

from fsps_lite import Linear, Problem, plots
from fsps_lite.looks import COLOURS
from fsps_lite.problems import GALLERY
from tools.pages.facts import known
from tools.pages.stored import Cell, grouped
from tools.pages.text import listed
from tools.pages.words import words

FAMILIES = {  # of a method: its colour, and a sign for those who do not see colours
    "guidance": (COLOURS[0], "o"),
    "projection": (COLOURS[1], "s"),
    "decoupled": (COLOURS[2], "^"),
    "particles": (COLOURS[3], "D"),
    "optimisation": (COLOURS[4], "v"),
    "package": (COLOURS[5], "X"),
}
SMALL = 3  # dimensions: what has more is an image
LOWEST = 1e-4  # an error below it is drawn there
CAPTION = (
    "Error against denoiser calls, as published, averaged over the problems of each kind. A method "
    "is on the front if no other is both cheaper and better. A method that does not take all "
    "problems of a kind is not in its panel. An error below that of exact draws is drawn as theirs."
)


class Spot(NamedTuple):
    """One method in one panel: denoiser calls a particle, and the expected error.

    ``null`` is the error of as many exact draws.
    """

    method: str
    family: str
    calls: float
    error: float
    null: float = 0.0


def kind(problem: Problem) -> str:
    """The panel in which a problem counts."""
    straight = "linear" if isinstance(known(problem).operator, Linear) else "nonlinear"
    dim = problem.prior.dim
    where = "a line" if dim == 1 else "digits" if dim > SMALL else "two and three dimensions"
    return f"{where}, {straight}"


@functools.cache
def kinds() -> dict[str, str]:
    """{name of a problem: its kind}."""
    return {problem.name: kind(problem) for problem in (make() for make in GALLERY)}


def family(cell: Cell) -> str:
    if not cell.ours:
        return "package"
    return words()[cell.made].family if cell.made in words() else ""


def spots(found: Sequence[Cell]) -> dict[str, list[Spot]]:
    """{kind: a spot for each method that takes all problems of the kind, as published}."""
    kind_of = kinds()
    judged = [c for c in found if not c.refused and not c.tuned and not c.partless and family(c)]
    panels = {}
    for name, cells in grouped(judged, lambda cell: kind_of[cell.problem]).items():
        problems = {cell.problem for cell in cells}
        by_method = grouped(cells, lambda cell: cell.method).values()
        made = [_spot(own) for own in by_method if len(own) == len(problems)]
        panels[name] = [spot for spot in made if not math.isnan(spot.error)]
    return {name: panels[name] for name in sorted(panels) if panels[name]}


def _spot(cells: Sequence[Cell]) -> Spot:
    calls, error, null = (
        float(torch.tensor([cell.mean(name).value for cell in cells]).mean())
        for name in ("calls", "total_variation", "total_variation_null")
    )
    return Spot(cells[0].method, family(cells[0]), calls, error, null)


def front(found: Sequence[Spot]) -> list[Spot]:
    """Those that no other beats in both, from the cheapest on; none is better than exact draws."""
    kept: list[Spot] = []
    for spot in sorted(found, key=lambda s: (s.calls, _height(s), s.error)):
        if not kept or _height(spot) < _height(kept[-1]):
            kept.append(spot)
    return kept


def figure(panels: Mapping[str, Sequence[Spot]]) -> plots.Figure:
    """The panels, on the same scales, and in a last one what the signs mean."""
    drawn, axes = plots.panels(len(panels) + 1, width=3.8, height=3.1, columns=2)
    everything = [spot for found in panels.values() for spot in found]
    x, y = (_decades([value(spot) for spot in everything]) for value in (_calls, _height))
    for axis, (name, found) in zip(axes, panels.items(), strict=False):
        _panel(axis, found)
        axis.set(xscale="log", yscale="log", xlim=x, ylim=y, title=name)
        axis.set(xlabel="denoiser calls a particle", ylabel="expected total variation")
    _legend(axes[-1])
    return drawn


def _calls(spot: Spot) -> float:
    return max(1.0, spot.calls)


def _height(spot: Spot) -> float:
    """Where it is drawn: what exact draws have too is no error."""
    return max(LOWEST, spot.null, spot.error)


def _legend(axis: Axes) -> None:
    for name, (colour, sign) in FAMILIES.items():
        axis.scatter([], [], color=colour, marker=sign, label=name)
    axis.plot([], [], color="0.5", label="front")
    axis.plot([], [], color="0.3", linestyle=":", label="exact draws")
    axis.legend(frameon=False, loc="center left")
    axis.set_axis_off()


def _panel(axis: Axes, found: Sequence[Spot]) -> None:
    for spot in found:
        colour, sign = FAMILIES[spot.family]
        axis.scatter(_calls(spot), _height(spot), color=colour, marker=sign, zorder=2, s=26)
    floor = sum(spot.null for spot in found) / max(1, len(found))
    axis.axhline(max(LOWEST, floor), color="0.3", linestyle=":", linewidth=1, zorder=0)
    best = front(found)
    line = list(map(_calls, best)), list(map(_height, best))
    axis.step(*line, where="post", color="0.5", linewidth=1, zorder=1)
    for k, spot in enumerate(best):
        place, name = (_calls(spot), _height(spot)), spot.method.replace(", ", ",\n")
        offset, side = ((5, 3), "bottom") if k == 0 else ((5, -3), "top")
        axis.annotate(name, place, offset, textcoords="offset points", fontsize=7, va=side)


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """From below to above the powers of ten that hold all values."""
    logs = [math.log10(value) for value in values]
    return 0.7 * 10 ** math.floor(min(logs)), 1.4 * 10 ** math.ceil(max(logs))


def alt(panels: Mapping[str, Sequence[Spot]]) -> str:
    """What one would see."""
    fronts = [
        f"{name}: {listed([spot.method for spot in front(found)])}"
        for name, found in panels.items()
    ]
    return (
        "Panels of expected total variation over denoiser calls a particle, both on logarithmic "
        f"scales, one for each kind of problem. On the front, from the cheapest on, are "
        f"{'; '.join(fronts)}."
    )
