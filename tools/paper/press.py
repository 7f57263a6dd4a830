"""Chromium prints a file, and pypdf says on which page each name stands."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pypdf import PdfReader

from tools import browser
from tools.browser import Finding

WIDTH = 643  # pixels between the margins of print.css: equations break their lines at it
SHEET_WIDTH = 718  # the same of the cheat sheet


def press(
    page: Path, out: Path, pages: Mapping[str, int], *, width: int = WIDTH, tagged: bool = True
) -> Finding:
    """Print a file with these page numbers; what was seen to go wrong on it.

    A tagged file can be read aloud and has bookmarks; it takes three times as long to write.
    """
    plan = {"url": page.as_uri(), "out": str(out), "width": width}
    (found,) = browser.drive("print.mjs", {**plan, "pages": dict(pages), "tagged": tagged})
    return found


def numbered(page: Path, out: Path) -> Finding:
    """Print twice: the first print says what the page numbers of the second are."""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first.pdf"
        press(page, first, {}, tagged=False)
        pages = numbers(PdfReader(first))
    found = press(page, out, pages)
    moved = {name for name, number in numbers(PdfReader(out)).items() if pages.get(name) != number}
    if moved:
        raise SystemExit(
            "The pages of the second print must be those that the contents name, got others for "
            f"{len(moved)} places, as {min(moved)}: give `.page-number` more room in print.css, "
            "then call: make pdf"
        )
    return found


def numbers(printed: PdfReader) -> dict[str, int]:
    """{name: page}, counted from 1, of every place to which a link leads."""
    found = {}
    for name, place in printed.named_destinations.items():
        number = printed.get_destination_page_number(place)
        if number is not None:
            found[name.removeprefix("/")] = number + 1
    return found
