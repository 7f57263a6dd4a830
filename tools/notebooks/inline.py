"""The inside of a paragraph: roles, links and footnotes of MyST as plain Markdown."""

import os
import re
from collections.abc import Callable
from pathlib import PurePosixPath

from tools.notebooks.book import Page
from tools.notebooks.errors import Unreadable
from tools.notebooks.labels import Label, Numbers
from tools.notebooks.works import cited, works

TOKEN = re.compile(
    r"(?P<escaped>\\[\\`$\[\]{}])"
    r"|\{(?P<role>[A-Za-z][\w:+.-]*)\}(?P<ticks>`+)(?P<said>.+?)(?P=ticks)(?!`)"
    r"|(?P<code>(?P<code_ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=code_ticks)(?!`))"
    r"|(?P<display>\$\$.+?\$\$)"
    r"|(?P<maths>\$(?![\s$])(?:\\.|[^$\\\n]|\n(?!\s*\n))+?(?<!\s)\$)"
    r"|(?P<image>!)?\[(?P<text>(?:[^\[\]`]|`[^`]*`|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]*)\)"
    r"|\[\^(?P<note>[\w-]+)\](?P<defines>:)?"
    r"|(?P<substitution>\{\{.*?\}\})",
    re.DOTALL,
)
TITLED = re.compile(r"(?P<words>.+?)\s*<(?P<target>[^<>]+)>", re.DOTALL)
PYTHON = frozenset(["class", "func", "meth", "mod", "attr", "obj", "data", "exc"])


def inline(text: str, numbers: Numbers, line: int = 1) -> str:
    """Prose without blocks, in plain Markdown. Raises Unreadable at what it does not know."""

    def plain(match: re.Match[str]) -> str:
        try:
            return token(match, numbers)
        except LookupError as error:
            here = line + text.count("\n", 0, match.start())
            raise Unreadable(numbers.path, here, str(error.args[0])) from None

    return TOKEN.sub(plain, text)


def token(match: re.Match[str], numbers: Numbers) -> str:
    """What stands for one find in the text. Raises a LookupError that says what is unknown."""
    if match["role"]:
        return role(match["role"], match["said"], numbers)
    if match["maths"]:
        return flat(match["maths"])
    if match["text"] is not None:
        words = inline(match["text"], numbers)
        return image(words, match) if match["image"] else link(words, match["target"], numbers)
    if match["note"]:
        note = numbers.own(match["note"])
        if note is None:
            raise LookupError(
                f"there is no footnote [^{match['note']}]: add `[^{match['note']}]: `"
            )
        return f"<sup>{note.number}</sup>"
    if match["substitution"]:
        raise LookupError(f"no plain Markdown is known for {match['substitution']}: write it out")
    return match[0]


def flat(text: str) -> str:
    """On one line: a line break inside a formula would take up the signs of a quote."""
    return re.sub(r"\s*\n\s*", " ", text)


# Links


def link(words: str, target: str, numbers: Numbers) -> str:
    """[words](target), where the target is an address, a page, or a label of the book."""
    if re.match(r"[a-z]+:", target):
        return f"[{words}]({target})"
    place, _, label = target.partition("#")
    if place.endswith((".md", ".ipynb")):
        page = page_at(place, numbers)
        return linked(words or page.name, page, numbers)
    found = labelled(label or place, numbers)
    return linked(words or found.spoken, numbers.book.pages.get(found.place), numbers)


def page_at(path: str, numbers: Numbers) -> Page:
    """The page of a path that starts at the home page; its ending may be missing."""
    folder = PurePosixPath(numbers.home).parent
    base = PurePosixPath(path.lstrip("/")) if path.startswith("/") else folder / path
    place = os.path.normpath(base).replace(os.sep, "/")
    place = re.sub(r"\.(md|ipynb)$", "", place)
    if place not in numbers.book.pages:
        raise LookupError(f"{path} is no page of the book: _toc.yml lists no {place}")
    return numbers.book.pages[place]


def labelled(name: str, numbers: Numbers) -> Label:
    if name not in numbers.labels:
        raise LookupError(f"nothing in the book has the label {name!r}")
    return numbers.labels[name]


def linked(words: str, page: Page | None, numbers: Numbers) -> str:
    """Words that lead to a sibling notebook, where there is one; else they name the page."""
    here = numbers.page
    if page is None or page == here:
        return words
    if page.is_chapter:
        return f"[{words}]({page.notebook})" if here and here.is_chapter else words
    return words if page.title.casefold() in words.casefold() else f"{words}, {page.name}"


def image(words: str, match: re.Match[str]) -> str:
    """A picture from an address stays; one that lies beside the page is told in words."""
    is_address = re.match(r"[a-z]+:", match["target"])
    return match[0] if is_address else f"*(A picture on the page: {words})*"


# Roles


def role(name: str, said: str, numbers: Numbers) -> str:
    """A role in plain Markdown. Raises a LookupError for one that is not known."""
    if name not in ROLES and name.split(":")[-1] not in PYTHON:
        raise LookupError(f"no plain Markdown is known for the role {{{name}}}: teach it ROLES")
    said = re.sub(r"\s+", " ", said.strip())
    titled = TITLED.fullmatch(said)
    words, target = (titled["words"], titled["target"]) if titled else ("", said)
    return ROLES.get(name, as_code)(words, target, numbers)


def equation(words: str, target: str, numbers: Numbers) -> str:
    return labelled(target, numbers).spoken


def numbered(words: str, target: str, numbers: Numbers) -> str:
    """`Fig. 8.2`, or words in which %s or {number} stands for the number, {name} for the title."""
    label = labelled(target, numbers)
    said = label.spoken
    if words:
        said = words.replace("%s", label.number).replace("{number}", label.number)
        said = inline(said.replace("{name}", label.title), numbers)
    return linked(said, numbers.book.pages.get(label.place), numbers)


def reference(words: str, target: str, numbers: Numbers) -> str:
    """The words, with the number where they do not say it."""
    label = labelled(target, numbers)
    said, words = label.spoken, inline(words, numbers)
    if words and label.number and label.kind != "section":
        said = words if label.number in words else f"{words} ({label.spoken})"
    return linked(
        words if label.kind == "section" and words else said,
        numbers.book.pages.get(label.place),
        numbers,
    )


def document(words: str, target: str, numbers: Numbers) -> str:
    page = page_at(target, numbers)
    return linked(inline(words, numbers) or page.name, page, numbers)


def chapter(word: str) -> Callable[[str, str, Numbers], str]:
    """The role of a chapter's number; `word` stands before it unless the text says another."""

    def said(words: str, target: str, numbers: Numbers) -> str:
        page = page_at(f"/chapters/{target}", numbers)
        return linked(f"{words or word} {page.number}".strip(), page, numbers)

    return said


def citation(*, inside: bool) -> Callable[[str, str, Numbers], str]:
    def said(words: str, target: str, numbers: Numbers) -> str:
        known, keys = works(numbers.book.folder / "references.bib"), target.split(",")
        missing = [key.strip() for key in keys if key.strip() not in known]
        if missing:
            raise LookupError(f"references.bib has no work called {missing[0]!r}")
        return cited([known[key.strip()] for key in keys], inside=inside)

    return said


def as_text(words: str, target: str, numbers: Numbers) -> str:
    return inline(words or target, numbers)


def as_code(words: str, target: str, numbers: Numbers) -> str:
    """A name of the library; `~fsps_lite.law` shows its last part alone."""
    name = target.lstrip("!~")
    return f"`{words or (name.split('.')[-1] if target.startswith('~') else name)}`"


def within(before: str, after: str) -> Callable[[str, str, Numbers], str]:
    def said(words: str, target: str, numbers: Numbers) -> str:
        return f"{before}{f'{words} <{target}>' if words else target}{after}"

    return said


ROLES: dict[str, Callable[[str, str, Numbers], str]] = {
    "eq": equation,
    "numref": numbered,
    "ref": reference,
    "doc": document,
    "chapter": chapter("chapter"),
    "number": chapter(""),
    "cite:t": citation(inside=True),
    **dict.fromkeys(("cite", "cite:p"), citation(inside=False)),
    **dict.fromkeys(("term", "index", "abbr"), as_text),
    **dict.fromkeys(("code", "kbd", "download", "file", "command"), as_code),
    "math": within("$", "$"),
    "sub": within("<sub>", "</sub>"),
    "sup": within("<sup>", "</sup>"),
}
