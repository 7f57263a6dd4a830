"""What a student handed in, read as text and nothing more: nothing here runs a cell."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.coursework.master import QUESTION, TEXT_STUB, Cell, Master, Question, student_source
from tools.coursework.notebook import LARGEST, Unreadable, load
from tools.coursework.places import StudentCell, place, plain, prose

__all__ = ["LARGEST", "StudentCell", "Submission", "Unreadable", "read"]
Runs = list[tuple[str, str]]  # (name, source) of what the child runs, in order
Side = tuple[str, str | None]  # ("before" or "after", a cell's name); None is the top


@dataclass(frozen=True)
class Submission:
    """The student's cells in the order of the notebook, and what was done to read them."""

    cells: Sequence[StudentCell] = ()
    notes: Sequence[str] = ()

    def runs(self, master: Master, question: Question) -> tuple[Runs, list[str]]:
        """What the child runs for a question alone, and the names of the answers that it lacks.

        Locked cells come from the master, answers from the student, and tests from neither.
        """
        added = self._added()
        run, lacking = labelled(("after", None), added), []
        for cell in master.seen_by(question):
            mine = self._copies(cell.name)
            run += labelled(("before", cell.name), added)
            if cell.code and cell.role == "set-up":
                run += with_changes(cell, mine)
            elif cell.code and cell.role == "answer":
                run += [(nth(cell.name, n), source) for n, source in enumerate(mine)]
                lacking += [] if mine else [cell.name]
            run += labelled(("after", cell.name), added)
        return run, lacking

    def whole(self, master: Master, question: Question) -> Runs:
        """The notebook as the student had it, down to the last cell of this question.

        Tests stand there as they were handed out. Locked cells that were deleted come from the
        master: the common ones first, and those of the question last.
        """
        known = {cell.name: cell for cell in master.cells}
        kept = [c for c in self.cells[: self._end(question)] if c.kind == "code" and not c.given]
        there = {cell.name for cell in kept}
        locked = [c for c in master.seen_by(question) if c.code and c.role == "set-up"]
        lost = [cell for cell in locked if cell.name not in there]
        run = [(cell.name, cell.source) for cell in lost if cell.question is None]
        for at, cell in enumerate(kept):
            ours = known.get(cell.name) if cell.name else None
            if cell.added:
                run.append((f"an added cell ({at + 1})", cell.source))
            elif ours and ours.code and ours.role == "answer":
                run.append((ours.name, cell.source))
            elif ours and ours.code:
                run += with_changes(ours, [cell.source])
        return run + [(cell.name, cell.source) for cell in lost if cell.question is not None]

    def left_out(self, question: Question) -> bool:
        """Whether all cells of the question stand as they were given out, so nothing need run."""
        names = {cell.name for cell in question.cells}
        for cell in question.of("answer"):
            copies, stub = self._copies(cell.name), student_source(cell).split()
            if not copies or any(source.split() != stub for source in copies):
                return False
        return not any(name in names for _, name in self._added())

    def code(self, question: Question) -> str:
        """The student's code for a question: the answers, and the cells added to them."""
        names = {cell.name for cell in question.cells}
        answers = {cell.name for cell in question.of("answer")}
        beside = {at for at, (_, name) in self._beside().items() if name in names}
        found = [
            cell.source
            for at, cell in enumerate(self.cells)
            if at in beside or (cell.kind == "code" and cell.name in answers)
        ]
        return "\n\n".join(source.strip("\n") for source in found)

    def written(self, question: Question) -> str:
        """The written answer: its cells, of any kind, and the texts added around them."""
        names = {cell.name for cell in question.written}
        own = [at for at, cell in enumerate(self.cells) if cell.name in names]
        around = [found for at in own for step in (1, -1) for found in self._texts(at + step, step)]
        sources = [self.cells[at].source for at in sorted({*own, *around})]
        return "\n\n".join(filter(None, (s.replace(TEXT_STUB, "").strip() for s in sources)))

    def _texts(self, at: int, step: int) -> Collection[int]:
        """The places from here on, without a gap, where the student added sentences."""
        found = []
        while 0 <= at < len(self.cells) and self.cells[at].name is None:
            cell = self.cells[at]
            if cell.given or (cell.kind == "code" and cell.added and not prose(cell.source)):
                break
            found.append(at)
            at += step
        return found

    def _copies(self, name: str) -> list[str]:
        """The code under this name, once for each copy of the cell."""
        return [cell.source for cell in self.cells if cell.name == name and cell.kind == "code"]

    def _end(self, question: Question) -> int:
        """Where the question ends in the notebook; the end of all if it has no cell there."""
        names = {cell.name for cell in question.cells}
        last = [at for at, cell in enumerate(self.cells) if cell.name in names]
        end = last[-1] + 1 if last else len(self.cells)
        while end < len(self.cells) and self.cells[end].name is None and not self.cells[end].given:
            end += 1
        return end

    def _beside(self) -> dict[int, Side]:
        """Where each added code cell belongs: after the named cell above it, as a rule.

        Below the heading of the next question, it belongs before that one's first cell.
        """
        found: dict[int, Side] = {}
        last, headed, waiting = None, False, list[int]()
        for at, cell in enumerate(self.cells):
            if cell.name is not None:
                found |= dict.fromkeys(waiting, ("before", cell.name))
                last, headed, waiting = cell.name, False, []
            elif cell.given:
                headed = last is not None and QUESTION.match(last) is not None
            elif cell.kind == "code" and cell.added and headed:
                waiting.append(at)
            elif cell.kind == "code" and cell.added:
                found[at] = ("after", last)
        return found | dict.fromkeys(waiting, ("after", last))

    def _added(self) -> dict[Side, list[str]]:
        """The sources of the added code cells, by where they belong."""
        added = defaultdict(list)
        for at, side in sorted(self._beside().items()):
            added[side].append(self.cells[at].source)
        return dict(added)


def labelled(side: Side, added: dict[Side, list[str]]) -> Runs:
    """The cells that were added on one side of a cell."""
    where = f"{side[0]} {side[1]}" if side[1] else "at the top"
    return [(f"a cell added {where}", source) for source in added.get(side, [])]


def with_changes(cell: Cell, mine: Sequence[str]) -> Runs:
    """A locked cell as the student changed it, if so, and then as it was handed out.

    A test cell too: who adds an import there leans on it, and what else it holds cannot harm.
    """
    ours = cell.source if cell.role == "set-up" else student_source(cell)
    changed = [source for source in mine if plain(source) not in ("", plain(ours))]
    runs = [(f"{cell.name}, as you changed it", source) for source in changed]
    return [*runs, (cell.name, ours)]


def nth(name: str, number: int) -> str:
    """The name of a cell, and of its copies."""
    return name if number == 0 else f"{name} (copy {number + 1})"


def read(path: str | Path, master: Master) -> Submission:
    """The submission in a file. Raises Unreadable, and nothing else."""
    notebook = load(Path(path))
    cells, moved = place(notebook.cells, master)
    one = "1 cell was known by its place: its name was lost"
    several = f"{moved} cells were known by their place: their names were lost"
    found = [] if moved == 0 else [one if moved == 1 else several]
    return Submission(tuple(cells), tuple(notebook.notes + found))
