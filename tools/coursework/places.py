"""Which cell is which, when a notebook lost the names of its cells on its way.

Colab, converters, and a copy into a new notebook lose them. What was handed out is known by its
text then. An answer is known by the names that it defines, or as the only cell that stands where an
answer is missing. Cells that still have their name are left as they are, wherever they stand.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tools.coursework.master import Cell, Master, role_of, student_source
from tools.coursework.notebook import Kind, Notebook, RawCell

ALIKE = 0.6  # of the lines: a cell that was handed out and changed a little since
ENOUGH = 0.3  # of the signs of one kind: assignments have a few in common
LONGEST = 10_000  # characters of a line that are looked at for a definition
MOST = 200_000  # characters of a cell that are
ENOUGH_TEXT = 1_000_000  # characters of a notebook that are looked at to tell its assignment
TARGETS = re.compile(r"\*?(\w+)\s*(?::.*)?")
DEFINITION = re.compile(r"(?:async +def|def|class) +(\w+)")
EQUALS = re.compile(r"(?<![=!<>+\-*/%@&|^:])=(?!=)")
SENTENCE = re.compile(r"\W*\w+(?:[ ,;:.'’-]+\w+){2}")


class StudentCell(NamedTuple):
    """A cell of a student: `name` is the master's cell that it is, or None.

    `given` marks the texts between the master's cells: no name, but no student wrote them.
    """

    name: str | None
    kind: Kind
    source: str
    given: bool = False

    @property
    def added(self) -> bool:
        """Whether the student made this cell, and wrote something into it."""
        return self.name is None and not self.given and bool(self.source.strip())


@dataclass(frozen=True)
class Slot:
    """A cell as it was handed out; `cell` is None for the texts between the master's cells."""

    name: str
    kind: Kind
    source: str
    cell: Cell | None
    defines: frozenset[str] = frozenset()

    @property
    def role(self) -> str:
        return self.cell.role if self.cell else "given"


def slots(master: Master) -> list[Slot]:
    """The cells of the student version, under the names that they have there, in order."""
    found = []
    for number, cell in enumerate(master.notebook.cells):
        kind: Kind = "code" if cell.cell_type == "code" else "text"
        if "nbgrader" not in cell.metadata:
            found.append(Slot(f"text-{number}", kind, cell.source, None))
            continue
        ours = role_of(cell)
        source = student_source(ours)
        names = defined(source) or defined(ours.source) if ours.role == "answer" else frozenset()
        found.append(Slot(ours.name, kind, source, ours, names))
    return found


def place(cells: Sequence[RawCell], master: Master) -> tuple[list[StudentCell], int]:
    """The student's cells, each with its name, and how many names were found by text or place."""
    table = slots(master)
    places = Places(cells, table)
    named = places.named()
    if len(set(places.at) - {None}) < len(table):
        places.by_text()
        places.by_likeness()
        places.by_definition(near=True)
        places.by_definition(near=False)
        places.alone()
        places.written()
    student = []
    for cell, number in zip(cells, places.at, strict=True):
        student += as_student(cell, None if number is None else table[number])
    return student, places.named() - named


def as_student(cell: RawCell, slot: Slot | None) -> list[StudentCell]:
    """The student's cell that stands for this slot, or for none.

    What a student wrote into a text that was handed out becomes a cell of its own, below it.
    """
    if slot is None:
        return [StudentCell(None, cell.kind, cell.source)]
    if slot.cell:
        return [StudentCell(slot.cell.name, cell.kind, cell.source)]
    ours, text = lines(slot.source), cell.source.split("\n")
    mine = "\n".join(line for line in text if plain(line) and plain(line) not in ours)
    given = StudentCell(None, cell.kind, slot.source, given=True)
    return [given, StudentCell(None, "text", mine)] if mine else [given]


class Places:
    """Finds the slot of each cell, step by step: `at` holds its number, or None."""

    def __init__(self, cells: Sequence[RawCell], table: Sequence[Slot]) -> None:
        self.cells, self.table = cells, table
        self.numbers = {slot.name: number for number, slot in enumerate(table)}
        self.at = [self.by_name(cell) for cell in cells]

    def by_name(self, cell: RawCell) -> int | None:
        """The slot that the cell names; a text that became code is not that text any more."""
        for name in cell.names:
            number = self.numbers.get(name)
            if number is not None and (self.table[number].cell or cell.kind == "text"):
                return number
        return None

    def named(self) -> int:
        """How many cells have a name of the master."""
        return sum(number is not None and self.table[number].cell is not None for number in self.at)

    def missing(self, *roles: str) -> list[int]:
        """The slots of these roles that no cell has taken."""
        taken = set(self.at)
        slots = enumerate(self.table)
        return [number for number, slot in slots if slot.role in roles and number not in taken]

    def unknown(self, kind: Kind) -> list[int]:
        """The cells of a kind that have something in them and no slot."""
        cells = enumerate(self.cells)
        found = [place for place, cell in cells if cell.kind == kind and self.at[place] is None]
        return [place for place in found if self.cells[place].source.strip()]

    def by_text(self) -> None:
        """Take cells that stand as they were handed out."""
        texts = defaultdict(list)
        for number in reversed(self.missing("given", "set-up", "tests", "answer", "written")):
            slot = self.table[number]
            texts[slot.kind, plain(slot.source)].append(number)
        for place in [*self.unknown("code"), *self.unknown("text")]:
            cell = self.cells[place]
            numbers = texts.get((cell.kind, plain(cell.source)))
            if numbers:
                self.at[place] = numbers.pop()

    def by_likeness(self) -> None:
        """Take cells that were handed out and have most of their lines still."""
        sizes, holders = {}, defaultdict(list)
        for number in self.missing("given", "set-up", "tests"):
            slot = self.table[number]
            sizes[number] = len(lines(slot.source))
            for line in lines(slot.source):
                holders[slot.kind, line].append(number)
        for place in [*self.unknown("code"), *self.unknown("text")]:
            own = lines(self.cells[place].source)
            kind = self.cells[place].kind
            shared = Counter(n for line in own for n in holders.get((kind, line), ()) if n in sizes)
            best = max(shared, key=lambda n: shared[n] / max(sizes[n], len(own)), default=None)
            if best is not None and shared[best] >= ALIKE * max(sizes[best], len(own)):
                self.at[place] = best
                del sizes[best]

    def by_definition(self, near: bool) -> None:
        """Take the cells that define most of the names of a missing answer, the first of equals."""
        makers = defaultdict(list)
        for place in self.unknown("code"):
            for name in defined(self.cells[place].source):
                makers[name].append(place)
        for number in self.missing("answer"):
            close = self.close([number], "code")[number] if near else self.unknown("code")
            allowed = set(close)
            places = (p for name in self.table[number].defines for p in makers[name])
            shared = Counter(place for place in places if place in allowed)
            if shared:
                self.at[min(shared, key=lambda place: (-shared[place], place))] = number

    def alone(self) -> None:
        """Take a cell that is the only one where one answer is missing."""
        close = self.close(self.missing("answer"), "code")
        claims = Counter(place for places in close.values() for place in places)
        for number, places in close.items():
            if len(places) == 1 and claims[places[0]] == 1:
                self.at[places[0]] = number

    def written(self) -> None:
        """Take the first text where a written answer is missing, or prose in a code cell."""
        for number in self.missing("written"):
            texts = self.close([number], "text")[number]
            code = self.close([number], "code")[number]
            texts += [place for place in code if prose(self.cells[place].source)]
            if texts:
                self.at[texts[0]] = number

    def close(self, numbers: Sequence[int], kind: Kind) -> Mapping[int, list[int]]:
        """The unknown cells that stand where each slot should: nothing known lies in between."""
        taken = sorted({number for number in self.at if number is not None})
        known = [-1, *taken, len(self.table)]
        sides = {
            n: (max(k for k in known if k < n), min(k for k in known if k > n)) for n in numbers
        }
        before, after = self.neighbours(), self.neighbours(backwards=True)
        return {
            n: [p for p in self.unknown(kind) if before[p] == left or after[p] == right]
            for n, (left, right) in sides.items()
        }

    def neighbours(self, backwards: bool = False) -> list[int]:
        """The slot of the last known cell before each cell, or of the first one after it."""
        known, found = len(self.table) if backwards else -1, []
        for number in reversed(self.at) if backwards else self.at:
            found.append(known)
            known = known if number is None else number
        return found[::-1] if backwards else found


def defined(source: str) -> frozenset[str]:
    """The names that a cell defines at its top level, also where it does not parse.

    By regular expressions: Python's parser can be made to crash by what it reads, and this is the
    grader's process.
    """
    names = set()
    for line in (line[:LONGEST] for line in source[:MOST].split("\n")):
        if match := DEFINITION.match(line):
            names.add(match.group(1))
        for target in EQUALS.split(line)[:-1] if line[:1] not in (" ", "\t", "#") else ():
            parts = [part.strip() for part in target.strip(" ()[]").rstrip(",").split(",")]
            found = [TARGETS.fullmatch(part) for part in parts]
            if not all(found):
                break
            names |= {match.group(1) for match in found if match}
    return frozenset(names)


def prose(source: str) -> bool:
    """Whether a code cell holds sentences, plain or as comments, and no code."""
    written = [line for line in source.split("\n") if line.strip()]
    sentences = sum(bool(SENTENCE.match(line)) for line in written)
    code = any(re.match(r"\s*(import|from|return|print)\b", line) for line in written)
    return not code and not defined(source) and sentences >= 0.8 * len(written) > 0


def plain(source: str) -> str:
    """The text without what editors change: white space."""
    return " ".join(source.split())


def lines(source: str) -> set[str]:
    """The lines that say something."""
    return {plain(line) for line in source.split("\n")} - {""}


def signs(masters: Iterable[Master]) -> dict[str, frozenset[str]]:
    """What tells each assignment from the others: texts, names of cells, and definitions."""
    found = {master.name: frozenset(signs_of_slots(slots(master))) for master in masters}
    often = Counter(sign for each in found.values() for sign in each)
    return {
        name: frozenset(sign for sign in each if often[sign] == 1) for name, each in found.items()
    }


def signs_of_slots(table: Iterable[Slot]) -> set[str]:
    told = set()
    for slot in table:
        told |= {f"text {plain(slot.source)}", *(f"defines {name}" for name in slot.defines)}
        told |= {f"name {slot.name}"} if slot.name.count("-") > 1 else set()  # q1-tests is any's
    return told


def assignment_of(notebook: Notebook, known: Callable[[], Mapping[str, frozenset[str]]]) -> str:
    """The assignment that a notebook says it is, or whose `signs` it bears; empty if none."""
    if notebook.assignment is not None:
        return notebook.assignment
    told, read = set(), 0
    for cell in notebook.cells:
        read += len(cell.source)
        if read > ENOUGH_TEXT:  # a file that nobody wrote, in the process that serves all
            break
        told |= {f"text {plain(cell.source)}", *(f"name {name}" for name in cell.names)}
        told |= (
            {f"defines {name}" for name in defined(cell.source)} if cell.kind == "code" else set()
        )
    scores = {name: score(told, each) for name, each in known().items()}
    best = max(scores.values(), default=0)
    first = [name for name, its in scores.items() if its == best]
    return first[0] if best >= ENOUGH and len(first) == 1 else ""


def score(told: Collection[str], signs: Collection[str]) -> float:
    """The part of an assignment's signs that a notebook bears, of the kind that fits best."""
    parts = [0.0]
    for kind in ("text", "name", "defines"):
        each = [sign for sign in signs if sign.startswith(kind)]
        held = sum(sign in told for sign in each)
        parts.append(held / len(each) if held > 1 else 0)  # one may be a coincidence
    return max(parts)
