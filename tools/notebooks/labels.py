"""The numbers that the book gives to equations, figures, tables and exercises, by their labels."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import nbformat

from tools.notebooks.blocks import Block, Directive, Malformed, Prose, blocks
from tools.notebooks.book import Book, Page

TARGET = re.compile(r"^\((?P<label>[^()\s]+)\)=[ \t]*\n+(?:#+ +(?P<title>.+?) *$)?", re.MULTILINE)
DOLLARS = re.compile(r"^\$\$(?P<body>(?:(?!\$\$).)+)\$\$ *\((?P<label>[\w:.-]+)\) *$", re.M | re.S)
NOTE = re.compile(r"^\[\^(?P<label>[\w-]+)\]: *", re.MULTILINE)
SPOKEN = {"equation": "({})", "figure": "Fig. {}", "table": "Table {}", "exercise": "Exercise {}"}


@dataclass(frozen=True)
class Label:
    """What a label points at: its kind, its number and title, and the place of its page."""

    name: str
    kind: str
    number: str
    title: str
    place: str

    @property
    def spoken(self) -> str:
        """`(8.3)`, `Fig. 8.2`, `Exercise 8.1`, or the title of a section."""
        return SPOKEN[self.kind].format(self.number) if self.kind in SPOKEN else self.title


@dataclass(frozen=True)
class Numbers:
    """All that a reference may name, and `home`, the page on which the reference stands."""

    book: Book
    labels: Mapping[str, Label]
    home: str

    @property
    def path(self) -> str:
        """The file of the text, for messages."""
        return f"book/{self.home}.md"

    @property
    def page(self) -> Page | None:
        """The page of the text, unless it is no page of the book."""
        return self.book.pages.get(self.home)

    def on(self, home: str) -> "Numbers":
        return replace(self, home=home)

    def own(self, name: str) -> Label | None:
        """What belongs to a page alone: its footnotes, and its figures without a name."""
        return self.labels.get(f"{self.home}#{name}")


def book_numbers(book: Book) -> Numbers:
    """The labels of all pages, numbered as on the built pages: chapter, point, counter."""
    found: dict[str, Label] = {}
    for page in book.pages.values():
        prefix = f"{page.number}." if page.number else ""
        cells = book.twin(page.place).cells
        found |= {label.name: label for label in counted(cells, page.place, prefix)}
    return Numbers(book, found, next(iter(book.pages)))


def local_numbers(numbers: Numbers, home: str, texts: Iterable[str]) -> Numbers:
    """The book's labels, and those of texts that are no page of it: they count from 1."""
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    own = {label.name: label for label in counted(cells, home, "")}
    return replace(numbers, labels={**numbers.labels, **own}, home=home)


def counted(cells: Iterable[nbformat.NotebookNode], place: str, prefix: str) -> Iterator[Label]:
    """Each label of a page, in order."""
    counts: Counter[str] = Counter()
    for kind, name, title in labelled(cells):
        counts[kind] += 1
        number = f"{counts[kind]}" if kind == "note" else f"{prefix}{counts[kind]}"
        own = kind == "note" or name.startswith("#")
        yield Label(f"{place}#{name.lstrip('#')}" if own else name, kind, number, title, place)


def labelled(cells: Iterable[nbformat.NotebookNode]) -> Iterator[tuple[str, str, str]]:
    """(kind, label, title) of all that counts on a page. A label that is its page's own has a #."""
    for cell in cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure and cell.cell_type == "code":
            yield "figure", figure.get("name") or f"#{cell.id}", figure.get("caption", "")
        elif cell.cell_type == "markdown":
            yield from labels_in_text(cell.source)


def labels_in_text(text: str) -> Iterator[tuple[str, str, str]]:
    """(kind, label, title) of what counts in a text. Whoever converts it says what is malformed."""
    with contextlib.suppress(Malformed):
        for block in blocks(text):
            yield from labels_in(block)


def labels_in(block: Block) -> Iterator[tuple[str, str, str]]:
    """(kind, label, title) of what counts in a block and in the blocks inside it."""
    if isinstance(block, Prose):
        found = [("section", m) for m in TARGET.finditer(block.text)]
        found += [("equation", m) for m in DOLLARS.finditer(block.text)]
        found += [("note", m) for m in NOTE.finditer(block.text)]
        for kind, match in found:
            yield kind, match["label"], match.groupdict().get("title") or ""
    elif isinstance(block, Directive):
        yield from labels_of(block)


def labels_of(block: Directive) -> Iterator[tuple[str, str, str]]:
    """The same for a directive."""
    name = block.options.get("label") or block.options.get("name") or ""
    kind = block.name.removesuffix("-start")
    if kind == "math" and name:
        yield "equation", name, ""
    elif kind in ("figure", "table") and (name or block.title):
        yield kind, name or f"#{kind}-{block.line}", block.title
    elif kind == "exercise":
        kind = "unnumbered" if "nonumber" in block.options else "exercise"
        yield kind, name or f"#exercise-{block.line}", block.title
    elif kind == "solution":
        yield "solution", name or f"#solution-{block.line}", block.title
    if kind not in VERBATIM:
        yield from labels_in_text(block.body)


VERBATIM = frozenset({"math", "code", "code-block", "code-cell", "literalinclude", "raw", "figure"})
