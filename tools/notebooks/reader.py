"""A chapter's notebook for readers, made from its executed twin, with solutions or without."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import nbformat

from tools.notebooks.addresses import FOLDERS, requirement
from tools.notebooks.book import Book, Page
from tools.notebooks.directives import folded
from tools.notebooks.labels import Numbers, book_numbers
from tools.notebooks.pieces import Piece, pieces
from tools.notebooks.works import listed, works

HIDDEN = {  # how JupyterLab calls what the page's tags fold
    "source_hidden": {"hide-input", "hide-cell", "remove-input", "remove-cell"},
    "outputs_hidden": {"hide-output", "hide-cell", "remove-output", "remove-cell"},
}
ENDS_SOLUTION = re.compile(r"#{1,4} ")
KEPT = ("kernelspec", "language_info", "widgets")  # of the twin's metadata
Cell = nbformat.NotebookNode


def reader_notebooks(
    solutions: bool, book: Book | None = None, repository: str = ""
) -> dict[str, str]:
    """{file name: text} of the chapters' notebooks. Raises Unreadable.

    With the repository's address, each begins with a cell that installs the library where it is
    missing, as on Colab.
    """
    book = book or Book()
    numbers = book_numbers(book)
    found = {}
    for page in book.chapters:
        notebook = made(page, numbers.on(page.place), solutions)
        if repository:
            notebook.cells.insert(1, installation(repository))
        found[page.notebook] = nbformat.writes(notebook) + "\n"
    return found


def installation(repository: str) -> Cell:
    """The cell that installs the library where the kernel has none."""
    made: Cell = nbformat.v4.new_code_cell(
        "# Installs the library where it is missing, as on Colab.\n"
        "import importlib.util\n\n"
        'if importlib.util.find_spec("fsps_lite") is None:\n'
        f'    %pip install --quiet "{requirement(repository)}"',
        id="installation",
    )
    return made


def made(page: Page, numbers: Numbers, solutions: bool) -> Cell:
    """The notebook of one chapter."""
    twin = numbers.book.twin(page.place)
    shown = list(pieces(twin, numbers))
    if not solutions:
        shown = list(unsolved(shown, page))
    cells = [*cells_of(shown), *last_cells(shown, numbers, page)]
    cells[0].source = re.sub(r"\A# ", f"# {page.number}. ", cells[0].source)
    for place, cell in enumerate(cells):
        cell.id = f"{page.number}-{place:03}"
    notebook: Cell = nbformat.v4.new_notebook(cells=cells, metadata=head(twin, cells))
    nbformat.validate(notebook)
    return notebook


def head(twin: Cell, cells: Iterable[Cell]) -> dict[str, Any]:
    """What the notebook says of itself; Colab folds sections by a list of its own."""
    collapsed = [cell for cell in cells if "jp-MarkdownHeadingCollapsed" in cell.metadata]
    for cell in collapsed:
        cell.metadata["id"] = cell.id
    metadata = {key: twin.metadata[key] for key in KEPT if key in twin.metadata}
    return {**metadata, "colab": {"collapsed_sections": [cell.id for cell in collapsed]}}


def unsolved(found: Iterable[Piece], page: Page) -> Iterator[Piece]:
    """The pieces without the solutions, and with a place for an answer after each exercise."""
    found = list(found)
    solved = {piece.text for piece in found if piece.kind == "solution"}
    asked, solving = "", False
    for piece in found:
        asked = piece.text if piece.kind == "exercise" else asked
        solving = (solving or piece.kind == "solution") and piece.kind != "solution-end"
        if piece.kind == "exercise-end" and asked in solved:
            heading = f"Solution-of-{asked.replace(' ', '-')}"  # as JupyterLab names its place
            path = f"../{FOLDERS[True]}/{page.notebook}#{heading}"
            yield Piece("text", f"*When you have tried: [the solution of {asked}]({path}).*")
        if piece.kind == "exercise-end":
            yield Piece("answer", asked)
        elif not solving and piece.kind != "solution-end":
            yield piece


def cells_of(found: Iterable[Piece]) -> Iterator[Cell]:
    """The cells of the pieces: a solution is a collapsed section, and its text opens by a click."""
    solving, title = False, ""
    for piece in ended(found):
        solving = (solving or piece.kind == "solution") and piece.kind != "solution-end"
        if piece.kind == "solution":
            yield text_cell(f"#### Solution of {piece.text}", collapsed=True)
            title = "In words"
        elif piece.kind == "text":
            yield text_cell(folded(title, piece.text) if solving else piece.text)
            title = "After the code"
        elif piece.kind == "answer":
            yield nbformat.v4.new_code_cell(f"# Your answer to {piece.text}\n")
        elif piece.cell is not None:
            yield code_cell(piece.cell)


def ended(found: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, with a heading after a solution, or its section would swallow what follows."""
    after = False
    for piece in found:
        if after and piece.kind in ("text", "code") and not ENDS_SOLUTION.match(piece.text):
            yield Piece("text", "#### After the exercise")
        after = piece.kind == "solution-end"
        yield piece


def text_cell(text: str, *, collapsed: bool = False) -> Cell:
    metadata = {"jp-MarkdownHeadingCollapsed": True} if collapsed else {}
    made: Cell = nbformat.v4.new_markdown_cell(text, metadata=metadata)
    return made


def code_cell(cell: Cell) -> Cell:
    """The twin's cell with its outputs; what the page folds is folded."""
    tags = set(cell.metadata.get("tags", ()))
    hidden = {name: True for name, folding in HIDDEN.items() if tags & folding}
    metadata = {"jupyter": hidden} if hidden else {}
    made: Cell = nbformat.v4.new_code_cell(
        cell.source,
        execution_count=cell.execution_count,
        outputs=[with_alt(output, cell.metadata) for output in cell.outputs],
        metadata=metadata,
    )
    return made


def with_alt(output: Cell, told: Mapping[str, Any]) -> Cell:
    """An output whose picture says what is to be seen, as the page says it."""
    alt = told.get("mystnb", {}).get("image", {}).get("alt")
    pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
    if alt and pictures:
        metadata = {**output.metadata, **{kind: {"alt": alt} for kind in pictures}}
        output = nbformat.from_dict({**output, "metadata": metadata})
    return output


def last_cells(shown: Iterable[Piece], numbers: Numbers, page: Page) -> Iterator[Cell]:
    """The works that the chapter cites, and the way to its neighbours."""
    known = works(numbers.book.folder / "references.bib")
    keys = {key for piece in shown for key in piece.keys}
    if keys:
        yield text_cell(f"## Works cited\n\n{listed(known[key] for key in keys)}")
    chapters = numbers.book.chapters
    at = chapters.index(page)
    links = [f"Before: {link(chapters[at - 1])}"] if at else []
    links += [f"Next: {link(chapters[at + 1])}"] if at + 1 < len(chapters) else []
    if links:
        yield text_cell("\n\n".join(links))


def link(page: Page) -> str:
    return f"[{page.number}. {page.title}]({page.notebook})"
