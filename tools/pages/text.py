"""Pieces of a page: tables as HTML, which Sphinx need not read cell by cell; numbers as text."""

import html
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

NONE = "–"  # where there is no number
TEMPLATES = Path(__file__).with_name("templates")
BOX = (
    '<div class="pst-scrollable-table-container" role="region" tabindex="0" aria-label="{label}">\n'
    '<table class="table results"><thead><tr>{heads}</tr></thead>\n'
    "<tbody>\n{body}\n</tbody></table></div>\n"
)


def template(name: str) -> str:
    """A page with names in braces."""
    return (TEMPLATES / f"{name}.md").read_text(encoding="utf-8")


def number(value: float, digits: int = 3) -> str:
    """With ``digits`` decimals below 10, one below 1,000; none above, or where it is whole."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞"
    if value == 0 or (value == int(value) and abs(value) >= 10) or abs(value) >= 1000:
        return f"{value:.0f}"
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"
    return text.replace("-", "\u2212")


def slug(*parts: str) -> str:
    """An anchor: lower case, and a dash for each other sign."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def words_of(name: str) -> str:
    """A name of the library that may break between lines: `rank_deficient` as `rank deficient`."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def link(text: str, href: str) -> str:
    return f'<a class="reference internal" href="{html.escape(href)}">{html.escape(text)}</a>'


def table(label: str, head: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table in a box that scrolls.

    Each row has a class and cells of HTML, of which the first names it. ``label`` is read to those
    who do not see the table.
    """
    heads = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "\n".join(_row(kind, cells) for kind, cells in rows)
    return BOX.format(label=html.escape(label), heads=heads, body=body)


def _row(kind: str, cells: Sequence[str]) -> str:
    first, *others = cells
    held = "".join(f"<td>{cell}</td>" for cell in others)
    told = f' class="{kind}"' if kind else ""
    return f'<tr{told}><th scope="row">{first}</th>{held}</tr>'


def raw(text: str) -> str:
    """HTML as a block of MyST."""
    return f"```{{raw}} html\n{text.strip()}\n```\n"
