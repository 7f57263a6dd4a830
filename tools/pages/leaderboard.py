"""The page *Leaderboard*: all methods on all problems, one table a problem, and what they say."""

import html
from collections.abc import Mapping, Sequence

from tools.pages.findings import findings
from tools.pages.reports import anchor
from tools.pages.sampler import Drawn
from tools.pages.stored import Cell, grouped
from tools.pages.text import NONE, link, listed, number, raw, slug, table, template, words_of

COLUMNS: tuple[str, ...] = (
    "TV",
    "±",
    "null",
    "W1",
    "±",
    "null",
    "worst",
    "at y",
    "weight",
    "spread",
    "at t",
)
COLUMNS += ("outside", "coupled", "lost", "calls", "s")


def page(found: Sequence[Cell], places: Mapping[str, str], pareto: Drawn | None) -> str:
    """The text; `places` says in which page each method has its reports."""
    taken = [cell for cell in found if not cell.refused]
    if not taken:
        return "# Leaderboard\n\nNo results are stored: call `make gallery`.\n"
    by_problem = grouped(taken, lambda cell: cell.problem)
    refused = grouped((c for c in found if c.refused), lambda cell: cell.problem)
    tables = [
        section(problem, own, refused.get(problem, []), places)
        for problem, own in by_problem.items()
    ]
    return template("leaderboard").format(
        sizes=sizes(taken),
        jumps=listed([f"[{name}](#{slug('leaderboard', name)})" for name in by_problem]),
        overview=overview(by_problem, places),
        **findings(found),
        pareto=pareto or "",
        problems="\n".join(tables),
    )


def sizes(found: Sequence[Cell]) -> str:
    """How many of what, and in which versions."""
    methods, problems = ({getattr(c, name) for c in found} for name in ("method", "problem"))
    packages = sorted({cell.package for cell in found})
    return (
        f"{len(methods)} rows on {len(problems)} problems: the methods of the library as "
        "published, tuned ones beside them, and published packages, unmodified. Versions: "
        f"{listed(packages)}."
    )


def href(cell: Cell, places: Mapping[str, str]) -> str:
    """The report of a cell, seen from the leaderboard."""
    return f"{places[cell.method]}.html#{anchor(cell)}"


def name(cell: Cell) -> str:
    """The method, with the package of others."""
    return cell.method if cell.ours else f"{cell.method} ({cell.package})"


def group(cell: Cell) -> str:
    """By what rows are shown and hidden."""
    return "tuned" if cell.tuned else "published" if cell.ours else "package"


def overview(by_problem: Mapping[str, Sequence[Cell]], places: Mapping[str, str]) -> str:
    """One row a method, one column a problem; the order is that of the mean rank."""
    ranks: dict[str, list[float]] = {}
    for own in by_problem.values():
        for cell in own:
            ranks.setdefault(cell.method, []).append(_rank(cell, own) / max(1, len(own) - 1))
    order = sorted(ranks, key=lambda method: sum(ranks[method]) / len(ranks[method]))
    cells = {(c.method, c.problem): c for own in by_problem.values() for c in own}
    rows = []
    for method in order:
        found = [cells.get((method, problem)) for problem in by_problem]
        first = next(cell for cell in found if cell)
        shown = [_error(cell, places) if cell else NONE for cell in found]
        rows.append((group(first), [link(name(first), f"{places[method]}.html"), *shown]))
    heads = [_head(problem, own[0]) for problem, own in by_problem.items()]
    return raw(table("Expected error of each method on each problem", ["method", *heads], rows))


def _rank(cell: Cell, own: Sequence[Cell]) -> float:
    """The place of a row; those with the same number share the mean of their places."""
    error = cell.mean(cell.error).value
    same = [k for k, other in enumerate(own) if other.mean(other.error).value == error]
    return sum(same) / len(same) if same else float(own.index(cell))


def _head(problem: str, cell: Cell) -> str:
    return f"{words_of(problem)}{' (W1)' if cell.partless else ''}"


def _error(cell: Cell, places: Mapping[str, str]) -> str:
    return link(number(cell.mean(cell.error).value), href(cell, places))


def section(
    problem: str, found: Sequence[Cell], refused: Sequence[Cell], places: Mapping[str, str]
) -> str:
    """The table of one problem, best first, and who does not take it."""
    settings = found[0].data["settings"]
    rows = [(group(cell), row(cell, places)) for cell in found]
    label = f"Methods on {problem}, best first"
    return "\n".join(
        [
            f"({slug('leaderboard', problem)})=",
            f"## {problem}\n",
            f"{settings['n']} particles, {settings['steps']} steps, "
            f"{settings['measurements']} measurements.\n",
            raw(table(label, ["method", *COLUMNS], rows)),
            _refusals(refused),
        ]
    )


def row(cell: Cell, places: Mapping[str, str]) -> list[str]:
    """The cells of one method, as HTML."""
    tv, w1, outside = (cell.mean(name) for name in ("total_variation", "w1", "hallucinated"))
    nulls = [number(cell.mean(f"{one}_null").value) for one in ("total_variation", "w1")]
    worst = number(cell.values(cell.error)[cell.worst])
    rest = [number(value, 2) for value in (*cell.spread, outside.value, cell.coupling)]
    costs = [number(cell.mean(one).value, 2) for one in ("diverged", "calls", "seconds")]
    return [
        link(name(cell), href(cell, places)),
        *(number(tv.value), number(tv.error), nulls[0]),
        *(number(w1.value), number(w1.error), nulls[1]),
        *(worst, html.escape(cell.place(cell.worst)), number(cell.weight)),
        *(*rest, *costs),
    ]


def _refusals(refused: Sequence[Cell]) -> str:
    reasons = grouped(refused, lambda cell: cell.refused)
    lines = [
        f"- {listed([name(cell) for cell in own])}: {reason}." for reason, own in reasons.items()
    ]
    return "\n".join(["Not here:\n", *lines, ""]) if lines else ""
