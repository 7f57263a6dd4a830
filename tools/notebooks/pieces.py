"""A twin in pieces: texts, code cells, and the gates of exercises and solutions between them."""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import nbformat

from tools.notebooks.blocks import Block, Directive, Prose
from tools.notebooks.directives import folded, is_folded, label_of, solved
from tools.notebooks.errors import Unreadable
from tools.notebooks.inline import inline
from tools.notebooks.labels import Numbers
from tools.notebooks.markdown import blocks_of, joined, plain_block

Kind = Literal["text", "code", "exercise", "exercise-end", "solution", "solution-end", "answer"]
HEADING = re.compile(r"^(?=#{1,6} )", re.MULTILINE)
GATES = ("exercise", "solution")
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


@dataclass(frozen=True)
class Piece:
    """A cell to be, or a gate. `text` is plain Markdown; of a gate it says which exercise."""

    kind: Kind
    text: str = ""
    keys: tuple[str, ...] = ()  # of the works that the text cites
    cell: nbformat.NotebookNode | None = None


def pieces(twin: nbformat.NotebookNode, numbers: Numbers) -> Iterator[Piece]:
    """The pieces of a page's twin, in order. Raises Unreadable."""
    for cell, line in placed(twin.cells, numbers):
        if cell.cell_type == "code":
            yield Piece("code", cell=cell)
            yield from caption(cell, numbers)
        elif cell.cell_type == "markdown":
            yield from parts(blocks_of(cell.source, numbers, line), numbers)
        else:
            raise Unreadable(numbers.path, line, f"a {cell.cell_type} cell has no plain Markdown")


def placed(
    cells: Iterable[nbformat.NotebookNode], numbers: Numbers
) -> Iterator[tuple[nbformat.NotebookNode, int]]:
    """Each cell, and the line of the page's source on which it begins."""
    source, at = numbers.book.source(numbers.home), 0
    for cell in cells:
        at = max(source.find(cell.source, at), at)
        yield cell, source.count("\n", 0, at) + 1


def caption(cell: nbformat.NotebookNode, numbers: Numbers) -> Iterator[Piece]:
    """The caption of a cell's figure, and the picture in words: JupyterLab shows no alt text."""
    told = cell.metadata.get("mystnb", {})
    figure, alt = told.get("figure"), told.get("image", {}).get("alt")
    said = []
    if figure:
        name = figure.get("name")
        label = numbers.labels[name] if name else numbers.own(cell.id)
        assert label is not None  # every figure was counted
        said.append(f"**{label.spoken}.** {inline(figure.get('caption', ''), numbers)}".strip())
    if alt:
        said.append(folded("The picture in words", html.escape(alt, quote=False)))
    if said:
        yield Piece("text", "\n\n".join(said), keys_in((figure or {}).get("caption", "")))


def parts(found: Iterable[Block], numbers: Numbers) -> Iterator[Piece]:
    """The pieces of a text cell: one ends where a heading or a gate stands."""
    pending: list[Block] = []
    for block in at_headings(found):
        gate = block if isinstance(block, Directive) and block.name.startswith(GATES) else None
        if gate or begins(block, pending):
            yield from text_of(pending, numbers)
            pending = []
        if gate:
            yield from gated(gate, numbers)
        if gate is None or gate.name == "exercise-start":  # its heading begins the text
            pending.append(block)
    yield from text_of(pending, numbers)


def begins(block: Block, pending: list[Block]) -> bool:
    """Whether a new cell begins here: at a heading, and below a fold, which has no margin."""
    if not isinstance(block, Prose) or not block.text.strip():
        return False
    before = [known for known in pending if not isinstance(known, Prose) or known.text.strip()]
    below = bool(before) and isinstance(before[-1], Directive) and is_folded(before[-1])
    return below or bool(HEADING.match(block.text))


def at_headings(found: Iterable[Block]) -> Iterator[Block]:
    """The blocks, with prose cut before each of its headings."""
    for block in found:
        if not isinstance(block, Prose):
            yield block
            continue
        line = block.line
        for text in HEADING.split(block.text):
            yield Prose(text, line)
            line += text.count("\n")


def text_of(found: Iterable[Block], numbers: Numbers) -> Iterator[Piece]:
    """The blocks as one text, if there is anything in them."""
    found = list(found)
    text = joined(plain_block(block, numbers) for block in found)
    if text.strip():
        yield Piece("text", text, keys_in("\n".join(raw(block) for block in found)))


def raw(block: Block) -> str:
    return f"{block.title}\n{block.body}" if isinstance(block, Directive) else block.text


def keys_in(text: str) -> tuple[str, ...]:
    """The works that a text cites."""
    return tuple(key.strip() for said in CITED.findall(text) for key in said.split(","))


def gated(block: Directive, numbers: Numbers) -> Iterator[Piece]:
    """A gate, or an exercise or solution with its text inside."""
    inside = blocks_of(block.body, numbers, block.body_line)
    if block.name in ("exercise", "exercise-start"):
        label = label_of(block, numbers)
        yield Piece("exercise", f"exercise {label.number}" if label else "the exercise")
        yield from text_of([] if block.name.endswith("-start") else [block], numbers)
    elif block.name in ("solution", "solution-start"):
        yield Piece("solution", which(block, numbers))
        yield from text_of(inside, numbers)
    if not block.name.endswith("-start"):
        yield Piece("exercise-end" if block.name.startswith("exercise") else "solution-end")


def which(block: Directive, numbers: Numbers) -> str:
    """The exercise that a solution solves. Raises Unreadable."""
    try:
        return solved(block, numbers)
    except LookupError as error:
        raise Unreadable(numbers.path, block.line, str(error.args[0])) from None
