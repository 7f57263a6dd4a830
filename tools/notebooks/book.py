"""The pages of the book in the order of `_toc.yml`, which alone numbers them."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[2]
HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
TITLE = re.compile(r"^# +(.+?) *$", re.MULTILINE)
NUMBER = re.compile(r"\A\d+-")


@dataclass(frozen=True)
class Page:
    """A page: its place as `_toc.yml` writes it, its title, and its number ("8", "A", "")."""

    place: str
    title: str
    number: str

    @property
    def is_chapter(self) -> bool:
        return self.place.startswith("chapters/")

    @property
    def name(self) -> str:
        """The page in words: `chapter 8, *One moment: DPS*`, or `page *C. Proofs*`."""
        if self.is_chapter:
            return f"chapter {self.number}, *{self.title}*"
        return f"page *{self.number}. {self.title}*" if self.number else f"page *{self.title}*"

    @property
    def notebook(self) -> str:
        """The file name of its notebook: the number comes first, so that names sort."""
        return f"{int(self.number):02}-{NUMBER.sub('', Path(self.place).name)}.ipynb"


@dataclass(frozen=True)
class Book:
    """A folder with `_toc.yml`, the pages that it lists, and `references.bib`."""

    folder: Path = ROOT / "book"

    @functools.cached_property
    def pages(self) -> dict[str, Page]:
        """{place: page}, in order."""
        contents = yaml.safe_load((self.folder / "_toc.yml").read_text(encoding="utf-8"))
        found: dict[str, Page] = {}
        for place, lettered in listed(contents, lettered=False):
            kind = [p for p in found.values() if p.is_chapter or p.number.isalpha()]
            before = sum(page.is_chapter != lettered for page in kind)
            number = chr(ord("A") + before) if lettered else str(before)
            is_numbered = lettered or place.startswith("chapters/")
            found[place] = Page(place, self.title(place), number if is_numbered else "")
        return found

    @property
    def chapters(self) -> list[Page]:
        return [page for page in self.pages.values() if page.is_chapter]

    def source(self, place: str) -> str:
        """The text of a page, with its head."""
        path = self.folder / f"{place}.md"
        if not path.exists():
            raise ValueError(
                f"_toc.yml lists {place}, but there is no {path.name}: rename it there"
            )
        return path.read_text(encoding="utf-8")

    def title(self, place: str) -> str:
        found = TITLE.search(HEAD.sub("", self.source(place)))
        return found[1] if found else Path(place).name

    def twin(self, place: str) -> nbformat.NotebookNode:
        """The executed notebook of a page; a page without one is one cell of text."""
        path = self.folder / f"{place}.ipynb"
        if path.exists():
            found: nbformat.NotebookNode = nbformat.read(path, as_version=4)
            return found
        text = nbformat.v4.new_markdown_cell(HEAD.sub("", self.source(place)), id="text")
        notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(cells=[text])
        return notebook


def listed(entry: Any, *, lettered: bool) -> Iterator[tuple[str, bool]]:
    """Each page below an entry of `_toc.yml`, and whether it has a letter for a number."""
    if "file" in entry or "root" in entry:
        yield entry.get("file") or entry["root"], lettered
    lettered = lettered or entry.get("style") == "alphaupper"
    for key in ("parts", "subtrees", "chapters", "sections", "entries"):
        for below in entry.get(key, ()):
            if "url" not in below:
                yield from listed(below, lettered=lettered)
