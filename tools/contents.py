"""The chapters in the order of the book: `_toc.yml` alone says which there are."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools.notebooks.book import Book

BOOK = Path(__file__).resolve().parents[1] / "book"
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """A chapter: its number, from 0, its name, and where its source and its executed twin lie."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def twin(self) -> Path:
        return self.path.with_suffix(".ipynb")

    @cached_property
    def title(self) -> str:
        found = TITLE.search(self.path.read_text(encoding="utf-8"))
        if found is None:
            raise ValueError(f"{self.path} has no title: its first heading is like `# Title`")
        return found.group(1)


def chapters(book: Path = BOOK) -> list[Chapter]:
    """Every chapter that `_toc.yml` lists, in its order."""
    pages = Book(book).chapters
    return [Chapter(int(page.number), book / f"{page.place}.md") for page in pages]
