"""The contents: each part, each page, and the sections of the chapters, with their page numbers."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from bs4 import Tag

from tools.paper.answers import number
from tools.paper.leaves import Leaf, made, value


def contents(leaves: Iterable[Leaf]) -> Tag:
    """The list of the book, in its order."""
    nav = made('<nav class="contents"><h1>Contents</h1></nav>')
    for part, group in groupby(leaves, lambda leaf: leaf.part):
        if part:
            nav.append(made(f'<p class="part">{part}</p>'))
        for leaf in group:
            nav.append(entry(leaf.name, leaf.title, "section" if below(leaf) else "leaf"))
            nav.extend(sections(leaf))
    return nav


def below(leaf: Leaf) -> bool:
    """Whether a page belongs to one above it, as the rooms of the library do."""
    return (
        "/" in leaf.place and not leaf.place.startswith("chapters/") and "index" not in leaf.place
    )


def sections(leaf: Leaf) -> Iterator[Tag]:
    """The sections of a chapter; other pages are looked up, not read through."""
    for section in leaf.body.select("section > section[id]"):
        if section.h2 is not None and leaf.place.startswith("chapters/"):
            yield entry(value(section, "id"), section.h2, "section")


def entry(name: str, heading: Tag, kind: str) -> Tag:
    """A line: the words of the heading, and its page."""
    line = made(f'<p class="{kind}"><a href="#{name}"><span class="words"></span></a></p>')
    words = line.select_one(".words")
    if words is None or line.a is None:
        raise ValueError(f"the line of {name} came out without words: {line}")
    words.extend(made(f"<p>{heading.decode_contents()}</p>").contents[:])
    for link in words.select("a"):
        link.unwrap()
    line.a.append(number(name))
    return line
