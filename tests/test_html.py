"""The built pages load nothing from outside, and can be read by those who do not see them.

`tools/check.py` runs this after the build and sets FSPS_PAGES=required; elsewhere it may skip.
"""

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parent.parent / "_build" / "html"
REQUIRED = os.environ.get("FSPS_PAGES") == "required"
# Not written by us: search and index hold no content.
FOUND = sorted(
    path
    for path in PAGES.rglob("*.html")
    if "_static" not in path.parts and path.name not in ("search.html", "genindex.html")
)
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".svg", ".gif")


class Page(HTMLParser):
    """What the checks look at: (tag, attributes) in order."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, {name: value or "" for name, value in attributes}))


def external(page):
    """What the page loads from another host; a link that the reader follows is no load."""
    found = [a.get(LOADS[tag], "") for tag, a in page.tags if tag in LOADS]
    return [url for url in found if url.startswith(("http:", "https:", "//"))]


def unseen(page):
    """Pictures without a text, or with a file's name for one."""
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    return [p.get("src", "")[:80] for p in pictures if not readable(p.get("alt", ""))]


def readable(alt):
    return bool(alt.strip()) and not alt.lower().endswith(PICTURE_ENDINGS) and "_images" not in alt


def skipped_headings(page):
    """Headings that are more than one level below the one before."""
    levels = [int(tag[1]) for tag, _ in page.tags if len(tag) == 2 and tag[1] in "123456"]
    return [pair for pair in zip([0, *levels], levels, strict=False) if pair[1] > pair[0] + 1]


@pytest.fixture(params=FOUND, ids=lambda path: path.relative_to(PAGES).as_posix())
def page(request):
    return Page(request.param.read_text(encoding="utf-8"))


@pytest.mark.skipif(not FOUND and not REQUIRED, reason="no pages: run `make book`")
def test_there_are_pages():
    assert (PAGES / "index.html").exists()
    assert list((PAGES / "chapters").glob("*.html")), "no chapter was built"


def test_nothing_is_loaded_from_outside(page):
    assert not external(page)


def test_every_picture_has_a_text(page):
    assert not unseen(page)


def test_headings_are_in_order(page):
    assert not skipped_headings(page)


# These checks notice what they are for.


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        '<img alt="a" src="http://example.org/x.png">',
        '<iframe src="https://example.org"></iframe>',
    ],
)
def test_an_outside_load_is_noticed(text):
    assert external(Page(text))


def test_a_link_to_follow_is_no_load():
    assert not external(Page('<a href="https://example.org">a</a><script src="x.js"></script>'))


@pytest.mark.parametrize("alt", ["", 'alt=""', 'alt=" "', 'alt="../_images/a1b2.png"'])
def test_a_picture_without_text_is_noticed(alt):
    assert unseen(Page(f'<img {alt} src="x.png">'))
    assert not unseen(Page('<img alt="A line." src="x.png">'))


def test_a_skipped_heading_is_noticed():
    assert skipped_headings(Page("<h1>a</h1><h3>b</h3>"))
    assert skipped_headings(Page("<h2>a</h2>"))
    assert not skipped_headings(Page("<h1>a</h1><h2>b</h2><h3>c</h3><h2>d</h2>"))
