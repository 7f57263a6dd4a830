"""A table of results: HTML in a notebook, aligned text everywhere else."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from fsps_lite import checks

CALL = 'table(["method", "weight"], [["DPS", 0.031], ["exact", 0.083]], digits=2)'


@dataclass(frozen=True)
class Table:
    """A heading and rows of text; a notebook shows it as HTML, ``print`` as aligned text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return "\n".join(aligned([self.head, *self.rows]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.head)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of as many cells each as lines of text, whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cells(row: Sequence[str]) -> str:
    """One row as HTML; its first cell is the heading of the row."""
    first, *others = map(html.escape, row)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, digits: int = 3) -> Table:
    """A table with the names ``head`` above its columns. A float gets ``digits`` decimals.

    A tensor of one number is printed as a float. An `Estimate` is printed with the digits that its
    error allows. Everything else is printed as it is. Raises ValueError where a row does not have
    one entry for each name in ``head``.
    """
    checks.kind("digits", digits, int, CALL)
    names = tuple(map(str, head))
    made = tuple(tuple(_text(entry, digits) for entry in row) for row in rows)
    for row in made:
        if len(row) != len(names):
            what = f"each row needs {len(names)} entries, one for each name in `head`"
            raise ValueError(checks.complaint(what, f"{len(row)} in {row}", CALL))
    return Table(names, made)


def _text(entry: object, digits: int) -> str:
    if isinstance(entry, Tensor) and entry.numel() == 1:
        entry = entry.item()
    if isinstance(entry, float):
        return f"{entry:.{digits}f}"
    return str(entry)
