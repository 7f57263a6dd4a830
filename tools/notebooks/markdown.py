"""A text of MyST as plain Markdown, which JupyterLab, VS Code, Colab and GitHub read alike."""

import re
from collections.abc import Iterable

from tools.notebooks.blocks import Block, Directive, Malformed, Prose, blocks
from tools.notebooks.directives import DIRECTIVES
from tools.notebooks.errors import Unreadable
from tools.notebooks.inline import inline
from tools.notebooks.labels import DOLLARS, NOTE, Numbers
from tools.notebooks.maths import displayed

DROPPED = re.compile(r"^(%.*|\([^()\s]+\)=[ \t]*|\+\+\+.*)$", re.MULTILINE)
GONE = "\x00"  # stands on a line that will be dropped, so that the others keep their numbers
TERM = re.compile(r"^(?P<term>[^\s:].*)\n(?P<said>: +.+(?:\n(?:: +|  +).+)*)", re.MULTILINE)
RAW = re.compile(r"^ *:{3,}|^ *`{3,} *\{|\{[a-z]+(?::[a-z]+)?\}`|^\([^()\s]+\)=$", re.MULTILINE)


def plain_text(text: str, numbers: Numbers, line: int = 1) -> str:
    """A text of MyST whose first line has this number, in plain Markdown. Raises Unreadable."""
    return joined(plain_block(block, numbers) for block in blocks_of(text, numbers, line))


def blocks_of(text: str, numbers: Numbers, line: int) -> list[Block]:
    """The blocks of a text. Raises Unreadable."""
    try:
        return list(blocks(text, line))
    except Malformed as error:
        raise Unreadable(numbers.path, error.line, str(error)) from None


def joined(parts: Iterable[str]) -> str:
    """The parts that hold something, with an empty line between two of them."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def plain_block(block: Block, numbers: Numbers) -> str:
    """One block in plain Markdown."""
    if isinstance(block, Prose):
        return prose(block.text, numbers, block.line)
    return directive(block, numbers) if isinstance(block, Directive) else block.text


def directive(block: Directive, numbers: Numbers) -> str:
    """A directive in plain Markdown, indented as it was."""
    if block.name not in DIRECTIVES:
        why = (
            f"no plain Markdown is known for {{{block.name}}}: teach it tools/notebooks/directives"
        )
        raise Unreadable(numbers.path, block.line, f"{why}.py")
    try:
        text = DIRECTIVES[block.name](
            block, numbers, lambda: plain_text(block.body, numbers, block.body_line)
        )
    except LookupError as error:
        raise Unreadable(numbers.path, block.line, str(error.args[0])) from None
    return "\n".join(f"{block.indent}{line}".rstrip() for line in text.split("\n"))


def prose(text: str, numbers: Numbers, line: int) -> str:
    """Text between the fences: what only Sphinx reads goes, the rest becomes plain."""
    text = DOLLARS.sub(lambda match: equation(match, numbers), DROPPED.sub(GONE, text))
    text = NOTE.sub(lambda match: f"[^{match['label']}] ", text)
    text = inline(text, numbers, line)
    text = "\n".join(part for part in text.split("\n") if part != GONE)
    text = re.sub(r"\n\s*\n(\s*\n)+", "\n\n", TERM.sub(definition, text))
    if left := RAW.search(re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)):
        raise Unreadable(numbers.path, line, f"{left[0]!r} in the text from here on is not plain")
    return text


def equation(match: re.Match[str], numbers: Numbers) -> str:
    """A labelled equation between dollars."""
    return displayed(match["body"], numbers.labels[match["label"]].number)


def definition(match: re.Match[str]) -> str:
    """A term and what is said of it, as an item of a list."""
    said = re.sub(r"\s*\n(: +|\s+)", " ", match["said"].removeprefix(":").strip())
    return f"- **{match['term']}**: {said}"
