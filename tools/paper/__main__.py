"""make pdf: the built book, and its cheat sheet, as files to print and to hand out.

python -m tools.paper          from the built pages, into _build/pdf
python -m tools.paper ready    only say what is missing here
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pypdf import PdfReader

from tools import browser
from tools.paper.document import book, cheat_sheet
from tools.paper.leaves import SITE, leaf, leaves
from tools.paper.press import SHEET_WIDTH, numbered, press

OUT = SITE.parent / "pdf"
BOOK, SHEET = "fsps_lite-book", "fsps_lite-cheat-sheet"
CHEAT_SHEET = "cheat-sheet"  # the page of the book


def ready() -> None:
    """Before anything is built: can a page be printed here?"""
    if reason := browser.missing():
        raise SystemExit(f"No page can be printed: {reason}, then make pdf.")


def write(out: Path = OUT, site: Path = SITE) -> list[str]:
    """Both files, and in a line each what they are."""
    out.mkdir(parents=True, exist_ok=True)
    lead = Path(os.path.relpath(site, out)).as_posix()
    whole, sheet = out / f"{BOOK}.html", out / f"{SHEET}.html"
    whole.write_text(book(leaves(site), lead), encoding="utf-8")
    sheet.write_text(cheat_sheet(leaf(site, CHEAT_SHEET), lead), encoding="utf-8")
    numbered(whole, whole.with_suffix(".pdf"))
    press(sheet, sheet.with_suffix(".pdf"), {}, width=SHEET_WIDTH)
    return [line(page.with_suffix(".pdf")) for page in (whole, sheet)]


def line(printed: Path) -> str:
    pages, size = len(PdfReader(printed).pages), printed.stat().st_size / 1e6
    return f"{printed}: {pages} page{'s' * (pages > 1)}, {size:.1f} MB"


def main(words: Sequence[str]) -> int:
    ready()
    if list(words) != ["ready"]:
        print("\n".join(write()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
