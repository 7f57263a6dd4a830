"""What the table teaches, as sentences whose every number is read from the stored results."""

from collections.abc import Sequence
from operator import attrgetter

from tools.pages.stored import Cell, grouped
from tools.pages.text import number

BASES = ("exact score", "prior alone")  # no methods: what they beat, or lose to, is no rank
GOOD = 0.1  # the expected total variation below which a method looks right


def findings(found: Sequence[Cell]) -> dict[str, str]:
    """{name in the template: sentence}."""
    taken = [cell for cell in found if not cell.refused and cell.method not in BASES]
    own = [cell for cell in taken if cell.ours and not cell.tuned]
    return {"null": null(taken), "crown": crown(own), "worst": worst(own), "tuned": tuned(taken)}


def null(found: Sequence[Cell]) -> str:
    """How many rows are as near as exact draws."""
    parts = [cell for cell in found if not cell.partless]
    near = [cell for cell in parts if _excess(cell) <= 0]
    return (
        f"Of the {len(parts)} rows of methods on problems with parts, {len(near)} have an error "
        "that is less than two standard errors above it."
    )


def _excess(cell: Cell) -> float:
    told, floor = cell.mean("total_variation"), cell.mean("total_variation_null").value
    return told.value - floor - 2 * told.error


def crown(found: Sequence[Cell]) -> str:
    """The problem on which RED-diff loses most ranks by W1."""
    fallen = []
    for problem, own in grouped(found, attrgetter("problem")).items():
        for cell in (one for one in own if one.method == "REDDiff" and not one.partless):
            by_tv, by_w1 = (_rank(cell, own, name) for name in ("total_variation", "w1"))
            fallen.append((by_w1 - by_tv, problem, by_tv, by_w1, len(own), cell))
    if not fallen:
        return ""
    _, problem, by_tv, by_w1, count, cell = max(fallen, key=lambda one: one[:2])
    tv, w1, floor = (cell.mean(name) for name in ("total_variation", "w1", "w1_null"))
    return (
        f"So it is with RED-diff: on `{problem}` it has place {by_tv} of {count} by total "
        f"variation ({tv}), and place {by_w1} by W1 ({w1}, where exact draws have {floor})."
    )


def _rank(cell: Cell, among: Sequence[Cell], name: str) -> int:
    """The place of a cell, from 1; equal ones share the best place."""
    return 1 + sum(one.mean(name).value < cell.mean(name).value for one in among)


def worst(found: Sequence[Cell]) -> str:
    """The method whose mean is good and whose worst y is furthest above it."""
    good = [cell for cell in found if not cell.partless and cell.mean(cell.error).value < GOOD]
    if not good:
        return ""
    cell = max(good, key=lambda one: max(one.values(one.error)) - one.mean(one.error).value)
    there = number(max(cell.values(cell.error)))
    return (
        f"On `{cell.problem}`, the error of {cell.method} is {cell.mean(cell.error)} on average, "
        f"and {there} at $y$ = {cell.place(cell.worst)}."
    )


def tuned(found: Sequence[Cell]) -> str:
    """How often tuning helps, where it was not chosen."""
    published = {(c.problem, c.made): c for c in found if not c.tuned and c.method == c.made}
    rows = [cell for cell in found if cell.tuned and (cell.problem, cell.made) in published]
    if not rows:
        return ""
    known = [(cell, published[cell.problem, cell.made]) for cell in rows]
    moved = [pair for pair in known if pair[0].data["tuned"]["chosen"] != 0]
    better = [cell for cell, plain in moved if cell.mean(cell.error).value < _error(plain)]
    return (
        f"In {len(moved)} of {len(rows)} rows the choice is not the published one; in "
        f"{len(better)} of these {len(moved)} it is also better on the measurements of this page."
    )


def _error(cell: Cell) -> float:
    return cell.mean(cell.error).value
