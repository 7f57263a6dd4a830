"""The page of a student: all that was said, nothing that runs, and a name of its own."""

import html.parser
import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.test_marks import MASTER, result
from tools.coursework import page, report
from tools.coursework.result import Outcome, Result

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "section",
    "div",
    "h1",
    "h2",
    "h3",
}
TAGS |= {"p", "ul", "li", "table", "caption", "tr", "th", "td", "a", "pre"}
VOID = {"meta"}


class Reader(html.parser.HTMLParser):
    """What a browser would make of a page; fails on tags that do not pair up."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append([tag, ""])
            self.texts.append(self.open[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1][1] += data

    def of(self, tag):
        return [text for name, text in self.texts if name == tag]


def full(text):
    outcomes = {"q1": Outcome(1, [text, "second"]), "q4": Outcome(), "q5": Outcome(1)}
    answers = {"q4": text, "q5": ""}
    return Result(text, outcomes, notes=[text], code={"q1": text}, written=answers)


@given(st.text(st.characters(), min_size=1).filter(str.strip))
@example("</pre><script>alert(1)</script>")
@example('"><img src=x onerror=y>&lt;')
@example("\n\nfirst lines\r\rare\0 kept\ud800 ")
@example("<!--")
def test_what_a_student_wrote_is_text_and_stays_as_it_was(text):
    told = page.page(MASTER, full(text), {})
    assert told.encode("utf-8").decode() == told
    read = Reader(told)
    assert {tag for tag, _ in read.tags} <= TAGS
    names = {name for _, attributes in read.tags for name in attributes}
    assert names <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "href", "id"),
        *("scope", "aria-labelledby"),
    }
    assert read.of("pre") == [f"\n{report.printable(text)}"] * 2
    assert read.of("li") == [report.printable(text), report.printable(text), "second"]


def test_nothing_is_fetched_and_nothing_runs():
    told = page.page(MASTER, full("x"), {})
    assert "default-src 'none'" in told
    assert not re.search(r"https?:|url\(|@import|<script|src=", told)
    links = [attributes["href"] for tag, attributes in Reader(told).tags if tag == "a"]
    assert links == ["#q1", "#q4", "#q5"]


def test_the_page_says_all_there_is_to_say():
    ada = result("ada", "words", "more", notes=["a BOM was removed"], code={"q1": "x = 1"})
    told = page.page(MASTER, ada, {("ada", "q4"): 2.5})
    read = Reader(told)
    assert read.of("h1") == ["Small <things> & others"]
    assert read.of("title") == ["Small <things> & others: ada"]
    assert [text.split(": ")[1] for text in read.of("h2")] == [
        *("2 of 2", "2.5 of 3"),
        "to be marked, out of 3.5",
    ]
    assert read.of("td") == ["2", "2", "2.5", "3", "to be marked", "3.5", "4.5", "8.5"]
    texts = " ".join(text for _, text in read.texts)
    for wanted in [
        *("The aim: you can do <this>.", "All tests passed.", "x = 1", "words"),
        *("1 point: a <word>; 2 points: more", "Mark of a person: 2.5, of 3."),
        *("Mark of a person: to be marked, of 2.5.", "Without q5, which a person still has"),
    ]:
        assert wanted in texts
    assert texts.index("a BOM was removed") < texts.index("Your points")


def test_a_failure_comes_first():
    told = page.page(MASTER, Result("bob", failure="it is <empty>"), {})
    read = Reader(told)
    assert read.of("p")[:2] == ["bob", "Your submission could not be graded: it is <empty>."]
    assert "Mark of a person" not in told
    missing = page.page(MASTER, Result("bob", failure=report.NOT_HANDED_IN), {})
    assert "You have not handed in this assignment." in missing


def test_headings_descend_one_by_one_and_tables_say_what_is_a_head():
    read = Reader(page.page(MASTER, full("x"), {}))
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(told.get("scope") in ("col", "row") for tag, told in read.tags if tag == "th")
    ids = [told["id"] for _, told in read.tags if "id" in told]
    assert len(set(ids)) == len(ids)
    assert read.tags[0] == ("html", {"lang": "en"})


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [page.LIGHT, page.DARK], ids=["light", "dark"])
def test_letters_stand_out_from_their_paper(scheme):
    paper, ink, quiet, _, warning = map(luminance, scheme)
    for one, other in itertools.product((ink, quiet), (paper, warning)):
        low, high = sorted((one, other))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_long_answer_is_cut_and_says_so():
    (shown,) = Reader(page.page(MASTER, result("ada", "w" * 30_000), {})).of("pre")
    assert len(shown) < 20_100
    assert shown.endswith("[Cut here: 10,000 more characters stand in the notebook.]")


LABELS = st.text(min_size=1) | st.sampled_from(
    ["CON", "nul", "com1.txt", ".", "..", "a/b", "é" * 125]
)
LABELS |= st.from_regex(r"[a-zA-Z0-9._ -]{1,9}", fullmatch=True)


@given(LABELS, LABELS)
def test_file_names_are_safe_and_differ(one, other):
    first, second = page.file_name(one), page.file_name(other)
    assert (first.lower() == second.lower()) == (one == other)
    stem = first.removesuffix(".html")
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]{0,99}", stem)
    assert not re.fullmatch(r"con|nul|aux|prn|com\d|lpt\d", stem.split(".")[0])


def test_file_names_that_could_be_mistaken_get_a_hash():
    assert page.file_name("ada_l.1") == "ada_l.1.html"
    accents = ["é", "e\u0301"]  # macOS takes the two for one name
    labels = ["ada", "Ada", "ADA", "ada ", *accents, "e"]
    assert len({page.file_name(label) for label in labels}) == len(labels)
    taken = page.file_name("Ada").removesuffix(".html")
    assert page.file_name(taken) != page.file_name("Ada")
    assert page.file_name("Ada Lovelace").startswith("ada-lovelace-")
    assert page.file_name("李").startswith("student-")
