"""The pages of the built book, in its order, as trees that may be changed for paper."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup, Tag

from tools.notebooks.book import ROOT, listed

SITE = ROOT / "_build" / "html"
CALL = "Call it like this: make pdf"


@dataclass(frozen=True)
class Leaf:
    """A page: its place as `_toc.yml` writes it, its part of the book, and what one reads there."""

    place: str
    part: str
    body: Tag

    @property
    def name(self) -> str:
        """What its ids begin with, and what leads to it."""
        return named(self.place)

    @property
    def title(self) -> Tag:
        found = self.body.h1
        if found is None:
            raise ValueError(f"{self.place} has no title: its first heading is like `# Title`")
        return found


def named(place: str, anchor: str = "") -> str:
    """The id of a place in the whole book: pages may use the same anchor, the book may not."""
    name = place.replace("/", "-")
    return f"{name}--{anchor}" if anchor else name


def places(contents: Any) -> Iterator[tuple[str, str]]:
    """(place, caption of its part) of each page that `_toc.yml` lists."""
    yield contents["root"], ""
    for part in contents["parts"]:
        for place, _ in listed(part, lettered=False):
            yield place, part["caption"]


def leaves(site: Path = SITE, book: Path = ROOT / "book") -> list[Leaf]:
    """Every page of the book, from its built pages."""
    contents = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    return [leaf(site, place, part) for place, part in places(contents)]


def leaf(site: Path, place: str, part: str = "") -> Leaf:
    path = site / f"{place}.html"
    if not path.exists():
        raise SystemExit(f"The book is not built: {path} is missing. {CALL}")
    body = parsed(path.read_text(encoding="utf-8")).select_one("article.bd-article")
    if body is None:
        raise SystemExit(f"{path} has no article: the theme has changed. {CALL}")
    return Leaf(place, part, body)


def parsed(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def made(text: str) -> Tag:
    """One element, from its HTML."""
    found = parsed(text).find(True)
    if not isinstance(found, Tag):
        raise ValueError(f"this holds no element: {text!r}. Call it like this: made('<p>A</p>')")
    return found


def value(tag: Tag, name: str) -> str:
    """An attribute as text; empty where there is none."""
    found = tag.get(name) or ""
    return found if isinstance(found, str) else " ".join(found)
