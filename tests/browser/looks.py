"""Which pages of the book are opened, and how: every day, and at length."""

import re

from tools.browser import Look

# index.html holds nothing but the way to the cover.
LEADS_ON = re.compile(r'http-equiv="refresh" content="[^"]*url=([^"]*)"', re.IGNORECASE)
DISPLAYED = re.compile(r'<div class="(?:amsmath )?math ')
LIVE = re.compile(r'class="fsps-live|widget-view\+json')
SCREENS = [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]


def texts(root):
    """{page: its text}, of all pages that hold something to read."""
    paths = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]
    found = {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in paths}
    return {page: text for page, text in found.items() if not LEADS_ON.search(text)}


def cover(root):
    """The page to which index.html leads."""
    index = root / "index.html"
    text = index.read_text(encoding="utf-8") if index.exists() else ""
    led = LEADS_ON.search(text)
    return led.group(1) if led else "index.html"


def most(pages, pattern):
    """The page in which this stands most often."""
    return max(pages, key=lambda page: len(pattern.findall(pages[page])))


def three(root, pages):
    """The cover, the page with most equations, and another with most live figures."""
    rest = {page: text for page, text in pages.items() if page != cover(root)}
    equations = most(rest, DISPLAYED)
    del rest[equations]
    return [cover(root), equations, most(rest, LIVE)]


def daily(root):
    """Every page on a telephone, from its file; three pages on the other screens, by http."""
    pages = texts(root)
    chosen = three(root, pages) if pages else []
    first = [Look(page) for page in pages]
    return first + [Look(page, *screen, "http") for page in chosen for screen in SCREENS[1:]]


def every(root):
    """Every page on all screens; those of every day come first."""
    by_http = [Look(page, *screen, "http") for page in texts(root) for screen in SCREENS]
    return list(dict.fromkeys([*daily(root), *by_http]))
