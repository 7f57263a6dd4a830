"""A text of MyST in blocks: prose, listings and directives, nested to any depth."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

OPEN = re.compile(r"(?P<indent> *)(?P<fence>`{3,}(?=[^`]*$)|~{3,}|:{3,})(?P<info>.*)")
NAMED = re.compile(r"\s*\{(?P<name>[\w:.-]+)\}\s*(?P<title>.*?)\s*")
OPTION = re.compile(r":(?P<key>[\w-]+):(?:\s+(?P<value>.*?))?\s*")


class Malformed(ValueError):
    """A fence has no end, or no name; `line` says where in the text."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True)
class Prose:
    """Lines between the fences; `line` is the first of them, counted in the whole text."""

    text: str
    line: int


@dataclass(frozen=True)
class Listing:
    """A fence that names no directive: it stays as it is."""

    text: str
    line: int


@dataclass(frozen=True)
class Directive:
    """A directive: its name, title and options, and its body, which begins on `body_line`."""

    name: str
    title: str
    options: Mapping[str, str]
    body: str
    line: int
    body_line: int
    indent: str


Block = Prose | Listing | Directive


def blocks(text: str, line: int = 1) -> Iterator[Block]:
    """The blocks of a text whose first line has this number. Raises Malformed."""
    lines, prose, at = text.split("\n"), 0, 0
    while at < len(lines):
        found = OPEN.fullmatch(lines[at])
        if found:
            if at > prose:
                yield Prose("\n".join(lines[prose:at]), line + prose)
            end = closing(lines, at, found["fence"], line)
            yield fenced(found, lines[at : end + 1], line + at)
            prose = at = end + 1
        else:
            at += 1
    if at > prose:
        yield Prose("\n".join(lines[prose:]), line + prose)


def closing(lines: list[str], start: int, fence: str, line: int) -> int:
    """The line that closes a fence: its sign, at least as often, and nothing else."""
    end = re.compile(rf" *{re.escape(fence[0])}{{{len(fence)},}} *")
    for at in range(start + 1, len(lines)):
        if end.fullmatch(lines[at]):
            return at
    raise Malformed(line + start, f"`{lines[start].strip()}` is never closed: add `{fence}`")


def fenced(found: re.Match[str], lines: list[str], line: int) -> Listing | Directive:
    """The block of a fence with all its lines."""
    named = NAMED.fullmatch(found["info"])
    if named is None and found["fence"].startswith(":"):
        why = f"`{lines[0].strip()}` names no directive: write for example `:::{{note}}`"
        raise Malformed(line, why)
    if named is None:
        return Listing("\n".join(lines), line)
    body = textwrap.dedent("\n".join(lines[1:-1])).split("\n")
    options, skipped = options_of(body)
    text = "\n".join(body[skipped:])
    begin = line + 1 + skipped
    return Directive(named["name"], named["title"], options, text, line, begin, found["indent"])


def options_of(body: list[str]) -> tuple[dict[str, str], int]:
    """The options at the head of a body, and the number of lines that they take."""
    options: dict[str, str] = {}
    for at, text in enumerate(body):
        found = OPTION.fullmatch(text)
        if found is None:
            return options, at
        options[found["key"]] = found["value"] or ""
    return options, len(body)
