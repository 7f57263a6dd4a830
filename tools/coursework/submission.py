"""What a student handed in, read as text and nothing more: nothing here runs a cell."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.coursework.master import Master, Question, student_source

Sources = defaultdict[str | None, list[str]]  # of a cell's name, or of what stands before any
LARGEST = 20_000_000  # bytes: a notebook with figures has one or two million


class Unreadable(Exception):
    """The file is no submission; the message says why, in words for the student."""


@dataclass
class Submission:
    """The sources of a notebook: of each named cell, and of the cells added after it."""

    code: Sources = field(default_factory=lambda: defaultdict(list))
    text: Sources = field(default_factory=lambda: defaultdict(list))
    added: Sources = field(default_factory=lambda: defaultdict(list))

    def cells(self, master: Master, question: Question) -> tuple[list[tuple[str, str]], list[str]]:
        """What the child runs for a question, [(name, source), ...], and the cells that it lacks.

        Locked cells come from the master, answers from the student, and tests from neither.
        """
        run, lacking = self._extra(None), []
        for cell in master.seen_by(question):
            if cell.code and cell.role == "set-up":
                run.append((cell.name, cell.source))
            elif cell.code and cell.role == "answer" and cell.name in self.code:
                run.append((cell.name, "\n".join(self.code[cell.name])))
            elif cell.code and cell.role == "answer":
                lacking.append(cell.name)
            run += self._extra(cell.name)
        return run, lacking

    def left_out(self, question: Question) -> bool:
        """Whether all cells of the question stand as they were given out, so nothing need run."""
        answers = question.of("answer")
        same = [self.code.get(cell.name) == [student_source(cell)] for cell in answers]
        return all(same) and not any(cell.name in self.added for cell in question.cells)

    def _extra(self, name: str | None) -> list[tuple[str, str]]:
        return [(f"a cell added after {name}", source) for source in self.added.get(name, [])]

    def answer(self, name: str) -> str:
        """The text of a written answer."""
        return "\n\n".join(self.text.get(name, [])).strip()


def read(path: str | Path, names: Collection[str]) -> Submission:
    """The submission in a file, of an assignment with cells of these names."""
    submission = Submission()
    last: str | None = None
    for cell in notebook_cells(Path(path)):
        kind, source, name = parts(cell)
        if name in names:
            last = name
            (submission.code if kind == "code" else submission.text)[name].append(source)
        elif kind == "code":
            submission.added[last].append(source)
    return submission


def notebook_cells(path: Path) -> list[Any]:
    """The list of cells in a file. Raises Unreadable."""
    if path.is_symlink() or not path.is_file():
        raise Unreadable("there is no such file" if not path.is_symlink() else "it is a link")
    if path.stat().st_size > LARGEST:
        raise Unreadable(f"it has more than {LARGEST // 1_000_000} MB: clear its outputs")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"it is not a notebook ({type(error).__name__})") from None
    if not isinstance(cells, list):
        raise Unreadable("it is not a notebook (its cells are no list)")
    return cells


def parts(cell: Any) -> tuple[object, str, str]:
    """Kind, source and name of a cell, whatever else may stand in its place."""
    cell = cell if isinstance(cell, dict) else {}
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = cell.get("metadata")
    told = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = told.get("grade_id") if isinstance(told, dict) else None
    name = name if isinstance(name, str) else cell.get("id")  # the release gives both
    return cell.get("cell_type"), source if isinstance(source, str) else "", str(name)
