"""The tables of results in a real browser: by keys alone, and from a file."""

import pytest

from tools import browser
from tools.pages.stored import GALLERY
from tools.pages.text import table

MISSING = browser.missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "it runs")
SCRIPT = GALLERY.parent / "_static" / "results.js"
HEAD = ["method", "TV", "calls"]
ROWS = [
    ("published", ["TMPD", "0.200", "100"]),
    ("tuned", ["DPS, tuned", "–", "1000"]),
    ("published", ["DPS", "\u22120.500", "∞"]),
    ("package", ["azula DPS", "0.010", "20.5"]),
]
REPORT = '<p id="{0}">{0}</p><details class="report"><summary>{0}</summary>Numbers.</details>'
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Results</title></head><body>'
    "<main><h1>Results</h1><div>{table}</div>{reports}</main>"
    '<script src="{script}"></script></body></html>'
)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "results.html"
    reports = "".join(REPORT.format(name) for name in ("first", "second"))
    told = {"table": table("All of it", HEAD, ROWS), "script": SCRIPT.as_uri()}
    path.write_text(PAGE.format(**told, reports=reports), encoding="utf-8")
    return browser.drive("tables.mjs", {"url": path.as_uri()})


def test_the_table_is_whole_before_anything_is_pressed(said):
    assert said["errors"] == []
    assert said["before"]["rows"] == [row[0] for _, row in ROWS]
    assert said["before"]["sorted"] == [None] * 3


@pytest.mark.parametrize(
    ("head", "up", "down"),
    [
        (
            "method",
            ["azula DPS", "DPS", "DPS, tuned", "TMPD"],
            ["TMPD", "DPS, tuned", "DPS", "azula DPS"],
        ),
        (
            "TV",
            ["DPS", "azula DPS", "TMPD", "DPS, tuned"],
            ["TMPD", "azula DPS", "DPS", "DPS, tuned"],
        ),
        (
            "calls",
            ["azula DPS", "TMPD", "DPS, tuned", "DPS"],
            ["DPS", "DPS, tuned", "TMPD", "azula DPS"],
        ),
    ],
)
def test_a_key_on_a_head_sorts_and_says_so(said, head, up, down):
    """Numbers as numbers, with what has none at the end both ways; the focus stays."""
    first, second = said["presses"][head]
    assert first["rows"] == up
    assert second["rows"] == down
    place = HEAD.index(head)
    for state, word in ((first, "ascending"), (second, "descending")):
        assert state["sorted"] == [word if k == place else None for k in range(3)]
        assert state["focus"] == head


def test_a_box_hides_its_rows_and_brings_them_back(said):
    rows = {row[0] for _, row in ROWS}
    assert set(said["boxes"]) == {"as published", "tuned", "published packages"}
    assert rows - set(said["boxes"]["as published"]) == {"TMPD", "DPS"}
    assert rows - set(said["boxes"]["tuned"]) == {"DPS, tuned"}
    assert rows - set(said["boxes"]["published packages"]) == {"azula DPS"}
    assert set(said["after"]["rows"]) == rows


def test_a_link_to_a_report_opens_it_and_no_other(said):
    assert said["open"] == [False, True]
