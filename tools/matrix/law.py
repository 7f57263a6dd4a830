"""The law: a printed number is far from the edge between two roundings, on every machine.

At least ten times its spread over the rows, and a hundredth of a unit of its last digit. A number
that is nearer, and moves by less than one unit, is listed in tests/edges.json, which gives it that
one unit; one that the general tolerance covers (relative 1e-3) needs no place there.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from tools.comparison import EDGES, RTOL, decimals, edges_of
from tools.matrix.rows import KEPT
from tools.matrix.running import twins

WHOLE = re.compile(r"(?<![\w.])[-+]?\d+(?![\w.])")
SPREADS, SHARE = 10, 0.01  # the law's distances from an edge: spreads over the rows, units

Listed = dict[str, dict[str, dict[str, list[str]]]]  # {notebook: {cell: {line: [number]}}}


@dataclass(frozen=True)
class Printed:
    """A number that a cell printed, with what it was before rounding in every row."""

    notebook: str
    cell: int
    text: str  # as it is stored
    line: str  # of the stored output
    unit: float  # of the last digit; 0 where all are printed
    values: Mapping[str, float]  # {row: value before rounding}

    @property
    def spread(self) -> float:
        return max(self.values.values()) - min(self.values.values())

    @property
    def distance(self) -> float:
        """From the nearest edge between two roundings, in the row where it is nearest."""
        return min(abs(v / self.unit % 1 - 0.5) * self.unit for v in self.values.values())

    @property
    def is_near_an_edge(self) -> bool:
        if not self.unit:  # all digits are printed, so each row must have the same
            return self.spread > 0
        return self.distance < max(SPREADS * self.spread, SHARE * self.unit)

    @property
    def can_be_listed(self) -> bool:
        """One unit of its last digit covers all rows, and the comparison takes it for a decimal."""
        return bool(decimals(self.text)) and self.spread < self.unit


def cells_of(rows: Sequence[str], stem: str) -> dict[str, list[dict[str, Any]]]:
    """What every row found in the cells of a notebook, the plain row first; notes if printed."""
    found = {row: kept_cells(row, stem) for row in rows}
    for cell in (cell for cells in found.values() for cell in cells):
        cell["notes"] = printed_notes(cell)
    return found


def kept_cells(row: str, stem: str) -> list[dict[str, Any]]:
    """What a row found in the cells of a notebook, as it was kept."""
    text = (KEPT / row / f"{stem}.json").read_text("utf-8")
    cells: list[dict[str, Any]] = json.loads(text)["cells"]
    return cells


def printed_notes(cell: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """The notes of a cell, less those of figures, and of packages that print while imported."""
    places = places_of(cell)
    return [note for note in cell["notes"] if word_of(note[2]) in places]


def word_of(text: str) -> str:
    """The number in a formatted text, as it stands in a line."""
    return text.strip().rstrip("%")


def printed_numbers(rows: Sequence[str], stem: str) -> Iterator[Printed]:
    """Every number that stands in a printed text of a notebook, in its order; not in figures."""
    for number, cells in enumerate(zip(*cells_of(rows, stem).values(), strict=False), start=1):
        alike = [len(cell["notes"]) == len(cells[0]["notes"]) for cell in cells]
        places = places_of(cells[0])
        for place, (_, size, text) in enumerate(cells[0]["notes"]):
            word = word_of(text)
            if places[word]:
                line = places[word].pop(0) if len(places[word]) > 1 else places[word][0]
                found = zip(rows, cells, alike, strict=True)
                values = {row: cell["notes"][place][0] for row, cell, same in found if same}
                yield Printed(stem, number, word, line, size, values)


def places_of(cell: Mapping[str, Any]) -> defaultdict[str, list[str]]:
    """For each number that a cell prints, the lines where it stands, from the top."""
    places = defaultdict(list)
    for text in cell.get("printed", ()):
        for line in text.splitlines():
            for word in (*decimals(line), *WHOLE.findall(line)):
                places[word].append(line)
    return places


def unexplained(twin: Path) -> Iterator[str]:
    """Decimals that a notebook prints and that nobody noted: the law cannot speak of them.

    What stands in the source of the cell is as exact as it is written.
    """
    cells = [c for c in nbformat.read(twin, as_version=4).cells if c.cell_type == "code"]
    noted = kept_cells("plain", twin.stem)
    known: set[str] = set()
    for number, (cell, source) in enumerate(zip(noted, cells, strict=True), start=1):
        known |= {unsigned(text) for _, _, text in cell["notes"]}
        for word, lines in places_of(cell).items():
            written = word in source.source or lines[0].startswith("<Figure size")
            if decimals(word) and not written and unsigned(word) not in known:
                yield f"{twin.stem}, cell {number}: {word} in {lines[0].strip()!r}"


def unsigned(text: str) -> str:
    """A number as it is looked for: without spaces and sign, which -0.000 may have by chance."""
    return word_of(text).lstrip("+-")


def unlike(rows: Sequence[str], stem: str) -> Iterator[str]:
    """Cells that formatted another number of values in some row: their digits are not compared."""
    for number, cells in enumerate(zip(*cells_of(rows, stem).values(), strict=False), start=1):
        counts = {row: len(cell["notes"]) for row, cell in zip(rows, cells, strict=True)}
        if len(set(counts.values())) > 1:
            yield f"{stem}, cell {number}: the number of values differs: {counts}"


def near_edges(rows: Sequence[str]) -> list[Printed]:
    """The numbers that break the law and that the general tolerance does not cover."""
    found = [number for twin in twins() for number in printed_numbers(rows, twin.stem)]
    return [n for n in found if n.is_near_an_edge and not covered(n)]


def covered(number: Printed) -> bool:
    """Whether a flip of the last digit is less than what every decimal may move: relative 1e-3."""
    moved = max(number.unit, number.spread)
    return bool(decimals(number.text)) and moved < RTOL * abs(float(number.text))


def listed(numbers: Sequence[Printed]) -> Listed:
    """What tests/edges.json is to hold: {notebook: {cell: {line: [number, ...]}}}."""
    edges: Listed = {}
    for n in numbers:
        if n.can_be_listed:
            lines = edges.setdefault(n.notebook, {}).setdefault(str(n.cell), {})
            lines[n.line] = sorted({*lines.get(n.line, ()), n.text})
    return edges


def unlisted(numbers: Sequence[Printed]) -> list[str]:
    """The numbers that break the law, and have no place in tests/edges.json."""
    told = []
    for n in numbers:
        known = edges_of(n.notebook, n.cell).get(n.line, ())
        if n.text not in known or not n.can_be_listed:
            values = ", ".join(f"{row} {value!r}" for row, value in unlike_values(n).items())
            told.append(f"{n.notebook}, cell {n.cell}: {n.text} in {n.line.strip()!r}: {values}")
    return told


def unlike_values(number: Printed) -> dict[str, float]:
    """The values of a number, each with the first row that has it."""
    first: dict[float, str] = {}
    for row, value in number.values.items():
        first.setdefault(value, row)
    return {row: value for value, row in first.items()}


def store(numbers: Sequence[Printed]) -> None:
    """Write tests/edges.json."""
    text = json.dumps(listed(numbers), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    EDGES.write_text(text, encoding="utf-8", newline="\n")
