"""An assignment as its author wrote it: a text notebook in nbgrader's format, read cell by cell."""

import ast
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from tools.notebooks import Book, Numbers, book_numbers, local_numbers, plain_text

FOLDER = Path(__file__).resolve().parents[2] / "book" / "assignments"
SECONDS, MEGABYTES = 10, 1000  # for a question: of computing, and above what the imports take
QUESTION = re.compile(r"(q\d+)(-|$)")
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
TEXT_STUB = "YOUR ANSWER HERE"
MYST = re.compile(r"\{[\w:-]+\}`|^```\{|^:::", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A cell of the master with its role: set-up, answer, tests or written (nbgrader's words)."""

    name: str
    source: str
    code: bool
    role: str
    points: float

    @property
    def question(self) -> str | None:
        """q1 of `q1-tests-logits`; None for what belongs to all questions."""
        found = QUESTION.match(self.name)
        return found.group(1) if found else None


@dataclass(frozen=True)
class Question:
    """What the head of the master says about a question, with its cells."""

    name: str
    objective: str
    chapters: list[str]
    asks: list[str]
    cells: list[Cell]
    needs: Sequence[str] = ()
    seconds: int = SECONDS
    megabytes: int = MEGABYTES
    rubric: str = ""

    def of(self, role: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.role == role]

    @property
    def tests(self) -> list[Cell]:
        return self.of("tests")

    @property
    def written(self) -> list[Cell]:
        """The cells that a person marks."""
        return self.of("written")

    @property
    def points(self) -> float:
        """Points that the tests give."""
        return sum(cell.points for cell in self.tests)

    @property
    def written_points(self) -> float:
        return sum(cell.points for cell in self.written)


@dataclass(frozen=True)
class Master:
    """An assignment: its notebook, its cells with a role, and its questions."""

    name: str
    notebook: nbformat.NotebookNode

    @functools.cached_property
    def cells(self) -> list[Cell]:
        return [role_of(cell) for cell in self.notebook.cells if "nbgrader" in cell.metadata]

    def seen_by(self, question: Question) -> list[Cell]:
        """The cells that exist while a question is graded: common, its own, and what it needs."""
        wanted = (None, question.name, *question.needs)
        return [cell for cell in self.cells if cell.question in wanted]

    @functools.cached_property
    def questions(self) -> list[Question]:
        cells = self.cells
        return [
            Question(name=name, cells=[c for c in cells if c.question == name], **told)
            for name, told in self.notebook.metadata["fsps"]["questions"].items()
        ]

    @functools.cached_property
    def imports(self) -> list[str]:
        """Modules that the locked cells import: the child loads them while it may still read."""
        locked = "\n".join(c.source for c in self.cells if c.role == "set-up")
        found = set()
        for node in ast.walk(ast.parse(locked)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
        return sorted(found)


def read(path: str | Path) -> Master:
    """The master in a file. Raises a ValueError that names the cell that breaks the format."""
    notebook = jupytext.read(path, fmt="md:myst")
    read_plainly(notebook, Path(path).stem)
    master = Master(Path(path).stem, notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "nbgrader" not in cell.metadata:
            raise ValueError(f"{path}: a code cell has no nbgrader metadata:\n{cell.source}")
    names = [cell.name for cell in master.cells]
    twice = {name for name in names if names.count(name) > 1}
    unknown = {cell.question for cell in master.cells} - {None}
    unknown ^= {question.name for question in master.questions}
    if twice or unknown:
        raise ValueError(f"{path}: cells named twice {twice}, questions that differ {unknown}")
    return master


def read_plainly(notebook: nbformat.NotebookNode, name: str) -> None:
    """Turn the text between the cells into what every notebook shows well: no MyST, no labels."""
    texts = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "markdown" and "nbgrader" not in cell.metadata
    ]
    if any(MYST.search(cell.source) for cell in texts):
        home, sources = f"assignments/{name}", [cell.source for cell in texts]
        numbers = local_numbers(of_the_book(), home, sources)
        for cell in texts:
            cell.source = plain_text(cell.source, numbers)


@functools.cache
def of_the_book() -> Numbers:
    """The numbers of the book's chapters and equations, of which assignments speak."""
    return book_numbers(Book())


def masters(folder: Path = FOLDER, chosen: str = "") -> list[Master]:
    """Every master in the folder whose name begins with `chosen`, in order."""
    found = [read(path) for path in sorted(folder.glob("[0-9][0-9]-*.md"))]
    found = [master for master in found if master.name.startswith(chosen)]
    if not found:
        raise SystemExit(f"{folder} has no assignment whose name begins with {chosen!r}")
    return found


def role_of(cell: nbformat.NotebookNode) -> Cell:
    """The cell as ours: what may be done with it follows from three of nbgrader's flags."""
    told = cell.metadata["nbgrader"]
    roles = {
        (False, False, True): "set-up",
        (False, True, False): "answer",
        (True, False, True): "tests",
        (True, True, False): "written",
    }
    flags = (told["grade"], told["solution"], told["locked"])
    if flags not in roles or told["schema_version"] != 3:
        raise ValueError(f"cell {told['grade_id']}: (grade, solution, locked) cannot be {flags}")
    points = told["points"] if told["grade"] else 0
    code = cell.cell_type == "code"
    return Cell(told["grade_id"], cell.source, code, roles[flags], points)


def without(source: str, kind: str, stub: str = "") -> str:
    """The source with each region `### BEGIN kind` to `### END kind` replaced by the stub."""

    def indented(match: re.Match[str]) -> str:
        lines = stub.splitlines()
        return "".join(f"{match.group(1)}{line}\n" for line in lines)

    region = rf"^([ \t]*)### BEGIN {kind}\n(?:.*\n)*?[ \t]*### END {kind}(?:\n|\Z)"
    left = re.sub(region, indented, source, flags=re.MULTILINE).rstrip("\n")
    if re.search(rf"### (BEGIN|END) {kind}", left):
        raise ValueError(f"### BEGIN {kind} and ### END {kind} do not pair up in:\n{source}")
    return left


def student_version(master: Master) -> nbformat.NotebookNode:
    """The notebook that students get: no solution, no hidden test, and cells that name themselves.

    Answer and test cells may raise while they are not filled in: the tag lets Jupyter go on.
    """
    notebook: nbformat.NotebookNode = nbformat.v4.new_notebook()
    notebook.metadata = {
        "kernelspec": master.notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
        "fsps": {"assignment": master.name},
    }
    for number, cell in enumerate(master.notebook.cells):
        source, name = cell.source, f"text-{number}"
        metadata: dict[str, Any] = {}
        if "nbgrader" in cell.metadata:
            ours = role_of(cell)
            source, name = student_source(ours), ours.name
            metadata = {"nbgrader": dict(cell.metadata["nbgrader"])}
            if ours.code and ours.role != "set-up":
                metadata["tags"] = ["raises-exception"]
        new: Callable[..., nbformat.NotebookNode] = (
            nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        )
        notebook.cells.append(new(source, id=name, metadata=metadata))
    nbformat.validate(notebook)
    return notebook


def student_source(cell: Cell) -> str:
    """What a student sees of a cell of the master."""
    if cell.role == "written":
        return TEXT_STUB
    if cell.role == "answer":
        return without(cell.source, "SOLUTION", CODE_STUB)
    return without(cell.source, "HIDDEN TESTS")
