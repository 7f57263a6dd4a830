"""The page of one method: from its class, its words and its stored results, by one template."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.pages.facts import facts
from tools.pages.reports import anchor, reports
from tools.pages.stored import Cell, grouped
from tools.pages.text import link, listed, number, raw, slug, table, template
from tools.pages.words import Words

FIGURE = """```{{figure}} {place}
:alt: {alt}

{caption}
```"""
NO_MAP = "There is no map of it."


@dataclass(frozen=True)
class Drawn:
    """A figure: where it lies, seen from its page, what is seen in it, and what it says."""

    place: str
    alt: str
    caption: str

    def __str__(self) -> str:
        return FIGURE.format(place=self.place, alt=self.alt, caption=self.caption)


@dataclass(frozen=True)
class Results:
    """What is stored of a method: its cells, the figures of its maps, or why there are none."""

    cells: Sequence[Cell]
    path: Drawn | str = NO_MAP
    failure: Drawn | str = NO_MAP


def page(told: Words, found: Results, stored: Mapping[str, str]) -> str:
    """The text of a page; `stored` are the numbers of all cells, by :func:`numbers`."""
    file, shown = told.shown
    return template("sampler").format(
        anchor=slug(told.name),
        heading=told.heading,
        idea=told.idea,
        source=told.source,
        update=told.update,
        where=told.where,
        file=file,
        shown=shown,
        assumes=told.assumes,
        broken=broken(told, stored),
        use=told.use,
        path=found.path,
        failure=found.failure,
        cost=told.cost,
        costs=costs(told, found.cells),
        reports=reports(found.cells),
        name=told.name,
    )


def numbers(found: Sequence[Cell]) -> dict[str, str]:
    """{name in the braces of words.yaml: text}, as `tv_daps_two_atoms`: expected errors."""
    told = {}
    for cell in found:
        if not cell.refused and not cell.partless:
            name = slug(cell.method, cell.problem).replace("-", "_")
            told[f"tv_{name}"] = str(cell.mean("total_variation"))
            told[f"null_{name}"] = str(cell.mean("total_variation_null"))
    return told


def broken(told: Words, stored: Mapping[str, str]) -> str:
    """What is wrong with the algorithm as published, with its numbers."""
    if not told.broken:
        return ""
    known = defaultdict(lambda: "(not stored)", {**facts(), **stored})
    return f"## What is wrong as published\n\n{told.broken.format_map(known)}\n\n"


def costs(told: Words, found: Sequence[Cell]) -> str:
    """Denoiser calls and seconds, for each problem and setting."""
    taken = [cell for cell in found if not cell.refused]
    if not taken:
        return "No run is stored."
    methods = grouped(taken, lambda cell: cell.method)
    head = ["method", "problem", "denoiser calls a particle", "seconds a run"]
    rows = [("", _cost(cell)) for own in methods.values() for cell in own]
    return raw(table(f"What {told.heading} costs", head, rows))


def _cost(cell: Cell) -> list[str]:
    calls, seconds = (number(cell.mean(name).value, 2) for name in ("calls", "seconds"))
    return [link(cell.method, f"#{anchor(cell)}"), cell.problem, calls, seconds]


def path_of(heading: str, found: Mapping[str, Any], truth: Mapping[str, Any], place: str) -> Drawn:
    """The map over (t, x) with its words."""
    own, exact = ([c / sum(one["counts"][-1]) for c in one["counts"][-1]] for one in (found, truth))
    apart = sum(abs(a - b) for a, b in zip(own, exact, strict=True)) / 2
    y = ", ".join(f"{value:.3g}" for value in found["y"])
    return Drawn(
        place,
        "Two maps of density over time, from noise at the left to data at the right. The first is "
        f"the exact law on {found['problem']}, the second that of the particles of {heading}.",
        f"The particles of {heading} on `{found['problem']}`, $y$ = {y}, beside the exact law. At "
        f"the last time the total variation between the two, in these bins, is {apart:.3f}.",
    )


HOW = {
    "law": "The law is followed on a grid, without particles.",
    "cloud": "The error is that of particles in bins; the dashed line is what exact draws have.",
}


def failure_of(heading: str, found: Mapping[str, Any], place: str) -> Drawn:
    """The error over y with its words."""
    each = [f"{one['expected']:.3f} on `{problem}`" for problem, one in found.items()]
    worst = [f"{_worst(one)} on {problem}" for problem, one in found.items()]
    by = dict.fromkeys(HOW[one["by"]] for one in found.values())
    return Drawn(
        place,
        f"Total variation between {heading} and the posterior over the measurement, one panel a "
        "problem, over a shade where measurements are common. The largest is "
        f"{listed(worst)}.",
        f"The error of {heading} at each measurement; the shade is $p(y)$. Averaged over $y$ it is "
        f"{listed(each)}. {' '.join(by)} The reports below compare the weights of the parts alone.",
    )


def _worst(one: Mapping[str, Any]) -> str:
    """The largest total variation, and where."""
    top = max(one["tv"])
    return f"{top:.2f} at y = {one['y'][one['tv'].index(top)]:.2f}"
