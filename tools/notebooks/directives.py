"""The directives of the book, each as plain Markdown. One that is not listed here is an error."""

import html
import os
import re
from collections.abc import Callable
from pathlib import Path

from tools.notebooks.blocks import Directive
from tools.notebooks.book import ROOT
from tools.notebooks.inline import inline
from tools.notebooks.labels import Label, Numbers
from tools.notebooks.listing import listing
from tools.notebooks.maths import displayed, on_one_line

Body = Callable[[], str]  # the body of the directive, in plain Markdown
FOLDED = ("dropdown", "hint", "toggle")
ANSWER = re.compile(r"- \[(?P<right>[ xX])\] +(?P<said>.+?)(?:\s+::\s+(?P<reply>.+))?", re.DOTALL)


def label_of(block: Directive, numbers: Numbers) -> Label | None:
    """The label that a directive gives itself."""
    name = block.options.get("label") or block.options.get("name")
    kind = block.name.removesuffix("-start")
    return numbers.labels.get(name) if name else numbers.own(f"{kind}-{block.line}")


# Shapes


def quoted(title: str, body: str) -> str:
    """A block quote with a bold title."""
    text = on_one_line(f"**{title}**\n\n{body}" if title else body).strip()
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def folded(title: str, body: str) -> str:
    """A text that opens by a click on its title."""
    return f"<details>\n<summary>{as_html(title)}</summary>\n\n{body}\n\n</details>"


def as_html(text: str) -> str:
    """Markdown of one line as HTML: a summary is not read as Markdown."""
    text = html.escape(text, quote=False)
    for sign, tag in (("`", "code"), ("**", "b"), ("*", "em")):
        mark = re.escape(sign)
        text = re.sub(rf"{mark}(?=\S)([^`*]+){mark}", rf"<{tag}>\1</{tag}>", text)
    return text


def code(text: str, language: str) -> str:
    """A listing, in a fence that nothing in it closes."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


# Directives


def math(block: Directive, numbers: Numbers, body: Body) -> str:
    label = label_of(block, numbers) if "label" in block.options else None
    return displayed(f"{block.title}\n{block.body}", label.number if label else "")


def admonition(block: Directive, numbers: Numbers, body: Body) -> str:
    """Any box: its title is its argument, or its name; the class `dropdown` folds it."""
    has_title = block.name in ("admonition", "dropdown")
    first = inline(block.title, numbers, block.line)
    title = first if has_title else block.name.replace("-", " ").capitalize()
    rest = body() if has_title or not first else f"{first}\n\n{body()}"
    return folded(title, rest) if is_folded(block) else quoted(title, rest)


def is_folded(block: Directive) -> bool:
    """Whether only the title is shown, until a click."""
    return block.name in FOLDED or "dropdown" in block.options.get("class", "").split()


def hint(block: Directive, numbers: Numbers, body: Body) -> str:
    return folded(inline(block.title, numbers, block.line) or "Hint", body())


def quote(block: Directive, numbers: Numbers, body: Body) -> str:
    return quoted(inline(block.title, numbers, block.line), body())


def titled(block: Directive, numbers: Numbers, body: Body) -> str:
    """A card or a tab: its title, bold, and its text."""
    title = inline(block.title, numbers, block.line)
    return f"**{title}**\n\n{body()}" if title else body()


def opened(block: Directive, numbers: Numbers, body: Body) -> str:
    """What only holds other blocks, or shows them in another place."""
    return body()


def dropped(block: Directive, numbers: Numbers, body: Body) -> str:
    """What a notebook has no place for: index entries, contents, ends of gates."""
    return ""


def table(block: Directive, numbers: Numbers, body: Body) -> str:
    return f"{captioned(block, numbers)}\n\n{body()}"


def captioned(block: Directive, numbers: Numbers) -> str:
    """**Table 8.1.** and the caption."""
    label, title = label_of(block, numbers), inline(block.title, numbers, block.line)
    return f"**{label.spoken}.** {title}".strip() if label else title


def figure(block: Directive, numbers: Numbers, body: Body) -> str:
    """A picture from a file lies beside the page, not in the notebook: it is told in words."""
    label = label_of(block, numbers)
    said = f"*(A picture on the page: {block.options.get('alt', 'without words')})*"
    return f"{said}\n\n**{label.spoken}.** {body()}".strip() if label else f"{said}\n\n{body()}"


def literal(block: Directive, numbers: Numbers, body: Body) -> str:
    return code(block.body, block.title or "text")


def include(block: Directive, numbers: Numbers, body: Body) -> str:
    """The library's own text, under the name of what is shown; a box around it may fold it."""
    unknown = set(block.options) - {"pyobject", "language", "class", "name"}
    if unknown:
        raise LookupError(f"a listing cannot obey :{min(unknown)}: in a notebook: leave it out")
    folder = (numbers.book.folder / numbers.home).parent
    path, name = Path(os.path.normpath(folder / block.title)), block.options.get("pyobject", "")
    if not path.exists():
        raise LookupError(f"there is no file {block.title}")
    shown = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    title = f"`{name}` in `{shown}`:" if name else f"`{shown}`:"
    return f"{title}\n\n{code(listing(path, name), block.options.get('language', 'python'))}"


def exercise(block: Directive, numbers: Numbers, body: Body) -> str:
    """A heading with number, title, stars and minutes, and the text, where it is not gated."""
    label, title = label_of(block, numbers), inline(block.title, numbers, block.line)
    spoken = label.spoken if label and label.kind == "exercise" else "Exercise"
    return f"### {spoken}. {title}".rstrip(". ") + f"\n\n{body()}"


def solution(block: Directive, numbers: Numbers, body: Body) -> str:
    return folded(f"Solution of {solved(block, numbers)}", body())


def solved(block: Directive, numbers: Numbers) -> str:
    """What a solution solves, in words: `exercise 8.1`."""
    label = numbers.labels.get(block.title)
    if label is None:
        raise LookupError(f"no exercise has the label {block.title!r}, which is solved here")
    return f"exercise {label.number}" if label.kind == "exercise" else "the exercise"


def quiz(block: Directive, numbers: Numbers, body: Body) -> str:
    """A question, and below each answer what it deserves, folded."""
    first, *items = re.split(r"^(?=- \[[ xX]\])", block.body, flags=re.MULTILINE)
    asked = inline("\n\n".join(p for p in (block.title, first.strip()) if p), numbers, block.line)
    if not items:
        raise LookupError("a quiz has no answers: write `- [x] an answer :: what it deserves`")
    return "\n\n".join(
        [f"**Check yourself.** {asked}", *(answer(i, numbers, block) for i in items)]
    )


def answer(text: str, numbers: Numbers, block: Directive) -> str:
    found = ANSWER.fullmatch(text.strip())
    if found is None:
        raise LookupError(f"an answer is `- [x] text :: reply`, and not {text.strip()!r}")
    said = inline(re.sub(r"\s*\n\s*", " ", found["said"]), numbers, block.line)
    reply = inline(re.sub(r"\s*\n\s*", " ", found["reply"] or ""), numbers, block.line)
    verdict = "Right." if found["right"] in "xX" else "No."
    if not reply.startswith(verdict):
        reply = f"{verdict} {reply}".strip()
    told = folded("Is it so?", reply)
    return f"- {said}\n\n" + "\n".join(f"  {line}".rstrip() for line in told.split("\n"))


def glossary(block: Directive, numbers: Numbers, body: Body) -> str:
    """Terms, each with the lines indented below it."""
    entries: list[str] = []
    for line in block.body.split("\n"):
        if line.strip() and not line.startswith((" ", ":")):
            entries.append(f"- **{line.strip()}**:")
        elif line.strip() and entries:
            entries[-1] += " " + line.removeprefix(":").strip()
    return inline("\n".join(entries), numbers, block.line)


def names(text: str, handler: "Handler") -> "dict[str, Handler]":
    return dict.fromkeys(text.split(), handler)


Handler = Callable[[Directive, Numbers, Body], str]
DIRECTIVES: dict[str, Handler] = {
    **names("math", math),
    **names("admonition attention caution danger dropdown error important note", admonition),
    **names("seealso tip warning versionadded versionchanged deprecated", admonition),
    **names("hint toggle", hint),
    **names("epigraph margin pull-quote sidebar topic", quote),
    **names("card grid-item-card tab-item", titled),
    **names("container div grid grid-item card-carousel tab-set", opened),
    **names("bibliography contents index only tableofcontents toctree", dropped),
    **names("exercise-end solution-start solution-end", dropped),
    **names("exercise exercise-start", exercise),
    **names("solution", solution),
    **names("code code-block", literal),
    **names("literalinclude", include),
    **names("figure image", figure),
    **names("table", table),
    **names("quiz", quiz),
    **names("glossary", glossary),
}
