"""The report of a method on a problem: a heading to which the leaderboard leads, and all its y."""

import html
import math
from collections.abc import Sequence
from typing import Any

from tools.pages.stored import Cell, grouped
from tools.pages.text import listed, number, raw, slug, table

EACH = {  # column: the entry of a cell
    "TV": "total_variation",
    "TV, null": "total_variation_null",
    "W1": "w1",
    "W1, null": "w1_null",
    "weight": "weight",
    "spread": "spread",
    "at t": "spread_time",
    "outside": "hallucinated",
    "lost": "diverged",
}


def anchor(cell: Cell) -> str:
    """Where the report stands in its page."""
    return slug("report", cell.method, cell.problem)


def reports(found: Sequence[Cell]) -> str:
    """All reports of a page, by problems."""
    taken = grouped((cell for cell in found if not cell.refused), lambda cell: cell.problem)
    parts = ["## Reports\n", ABOUT if taken else "No run is stored.\n"]
    for problem, own in taken.items():
        parts += [f"### {problem}\n", *map(report, own)]
    return "\n".join([*parts, refusals(found)])


ABOUT = """All methods have the same measurements $y$ of a problem. The null is what as many exact
draws have. The [leaderboard](../leaderboard.md) says what the columns mean.
"""


def report(cell: Cell) -> str:
    """One method, or one setting of it."""
    settings = cell.data["settings"]
    told = [
        f"**{cell.method}**, {cell.package}: {settings['n']} particles, {settings['steps']} steps, "
        f"{settings['measurements']} measurements. {expected(cell)}",
        chosen(cell.data["tuned"]),
    ]
    rows = [("", [cell.place(k), *_numbers(cell, k)]) for k in range(len(cell.values("w1")))]
    label = f"{cell.method} on {cell.problem}, at each measurement"
    inner = table(label, ["y", *EACH, "weights of the parts: method, exact"], rows)
    fold = f'<details class="report"><summary>{html.escape(label)}</summary>\n{inner}</details>'
    return "\n".join([f"({anchor(cell)})=", *filter(None, told), "", raw(fold)])


def expected(cell: Cell) -> str:
    """The error that ranks it, as a sentence."""
    name = "W1" if cell.partless else "total variation between the weights of the parts"
    null = cell.mean(f"{cell.error}_null")
    return f"Expected {name}: {cell.mean(cell.error)}, where exact draws have {null}."


def _numbers(cell: Cell, k: int) -> list[str]:
    found = [number(cell.values(name)[k]) for name in EACH.values()]
    return [*found, f"{_shares(cell.data['shares'][k])}; {_shares(cell.data['truth'][k])}"]


def _shares(values: Sequence[float | None]) -> str:
    return ", ".join(number(math.nan if v is None else v, 2) for v in values)


def chosen(tuned: dict[str, Any] | None) -> str:
    """How the parameters of a tuned row were found."""
    if tuned is None:
        return ""
    tried = [
        f"{point} ({number(math.nan if error[0] is None else error[0])})"
        for point, error in zip(tuned["grid"], tuned["errors"], strict=True)
    ]
    return (
        f"Tried at {tuned['measurements']} other measurements, with the error there: "
        f"{listed(tried)}. Chosen: {tuned['grid'][tuned['chosen']]}."
    )


def refusals(found: Sequence[Cell]) -> str:
    """Which problems it does not take, and why."""
    lines = []
    for reason, cells in grouped((c for c in found if c.refused), lambda c: c.refused).items():
        problems = list(dict.fromkeys(f"`{cell.problem}`" for cell in cells))
        lines.append(f"- {listed(problems)}: {reason}.")
    return "\n".join(["### Problems that it refuses\n", *lines, ""]) if lines else ""
