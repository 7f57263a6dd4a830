"""The book on paper: nothing hidden, nothing cut, and every number of the contents is right.

What makes the file is tested on small pages. The printed files are long tests: they need Chromium
(`make browser`) and the built pages (`make book`).
"""

import re
from pathlib import Path

import pytest
from pypdf import PdfReader

from tools import browser
from tools.paper import answers, contents, document, leaves, plain, press
from tools.paper.__main__ import BOOK, CHEAT_SHEET, SHEET, main, write
from tools.paper.leaves import ROOT, SITE, Leaf, made

MISSING = browser.missing() or ("" if SITE.exists() else "there are no pages: run `make book`")
PRINTED = pytest.mark.skipif(bool(MISSING), reason=MISSING or "it runs")
A4 = (595, 842)  # points
LEAST, MOST = 150, 400  # pages
RAW = re.compile(r"\\(?:mathcal|mathbb|frac|sigma|alpha|begin|mid)\b|\$\$|\{(?:eq|cite|numref)[:}]")

CHAPTER = """<article><section id="one">
<h1><span class="section-number">1. </span>One<a class="headerlink" href="#one">#</a></h1>
<section id="exercises"><h2>Exercises</h2>
<p>See <a href="two.html#exercises">there</a>, <a href="../notation.html">here</a>,
<a href="https://example.org">outside</a> and <a href="lost.html">nowhere</a>.</p>
<details><summary>Show code</summary><pre>x = 1</pre></details>
<img alt="A line." src="../_images/a.png">
<div class="exercise admonition" id="ex-one"><p class="admonition-title">Exercise 1.1</p></div>
<div class="solution admonition" id="sol-one"><p class="admonition-title">Solution to
<a href="#ex-one">Exercise 1.1</a></p><p>Because.</p></div>
<fieldset class="quiz"><legend>Which?</legend><ul>
<li class="right"><label><input type="radio"> This</label><p role="status">Right.</p></li>
<li class="wrong"><label><input type="radio"> That</label><p role="status">No.</p></li>
</ul></fieldset>
</section></section></article>"""
LIVE = """<div class="fsps-live">
<img alt="A law: of two atoms: y = 0.3" src="data:image/png;base64,AA">
<script type="application/json">{}</script></div>"""


@pytest.fixture
def chapter():
    return Leaf("chapters/one", "A part", made(CHAPTER))


@pytest.fixture
def flat(chapter):
    """The chapter, made for paper."""
    plain.plain(chapter, "../html")
    plain.rename(chapter)
    return chapter


def test_reports_at_each_measurement_are_no_paper(chapter):
    report = '<h2>Reports</h2><section><details class="report">1</details></section>'
    chapter.body.append(made(f'<section id="reports">{report}</section>'))
    chapter.body.append(made('<section id="reports"><p>A chapter on reports.</p></section>'))
    plain.plain(chapter, "../html")
    assert "Reports" not in chapter.body.get_text()
    assert "A chapter on reports." in chapter.body.get_text()


def test_what_folds_is_open_and_what_is_pressed_is_gone(flat):
    assert flat.body.pre.get_text() == "x = 1"
    assert not flat.body.select("details, summary, input, .headerlink")


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("two.html#exercises", "#chapters-two--exercises"),
        ("../notation.html", "#notation"),
        ("#ex-one", "#chapters-one--ex-one"),
        ("https://example.org/a#b", "https://example.org/a#b"),
        ("mailto:a@example.org", "mailto:a@example.org"),
    ],
)
def test_a_link_leads_to_the_same_place_of_the_book(link, leads):
    assert plain.target("chapters/one", link) == leads


def test_two_pages_may_use_the_same_anchor(flat):
    assert flat.body.select_one("h2").parent["id"] == "chapters-one--exercises"


def test_pictures_are_found_from_the_printed_file(flat):
    assert flat.body.img["src"] == "../html/_images/a.png"


def test_a_figure_that_moves_is_its_still_picture_and_says_what_it_shows():
    leaf = Leaf("intro", "", made(f"<article>{LIVE}</article>"))
    plain.plain(leaf, "../html")
    assert leaf.body.img["src"] == "data:image/png;base64,AA"
    assert "A law: of two atoms. Here: y = 0.3." in leaf.body.figcaption.get_text()
    assert not leaf.body.select("script")


def test_long_listings_may_break_and_short_ones_may_not():
    code = "\n".join("x" for _ in range(40))
    leaf = Leaf("a", "", made(f"<article><pre>x</pre><pre>{code}</pre></article>"))
    plain.plain(leaf, "../html")
    assert [listing.get("class") for listing in leaf.body.select("pre")] == [None, "long"]


def test_solutions_and_replies_move_to_the_end_and_links_lead_both_ways(flat):
    end = answers.answers([flat])
    assert "Because." in end.body.get_text()
    assert "Because." not in flat.body.get_text()
    assert "Right." not in flat.body.get_text()
    name = "chapters-one--sol-one"
    assert flat.body.select_one(f'.led a[href="#{name}"] .page-number[data-of="{name}"]')
    assert end.body.select_one(f"#{name} .page-number")["data-of"] == "chapters-one--ex-one"


def test_a_question_does_not_show_its_answer(flat):
    end = answers.answers([flat])
    asked, told = flat.body.select(".quiz li"), end.body.select(".replies li")
    assert [item.get("class") for item in asked] == [None, None]
    assert [item["class"] for item in told] == ["right", "wrong"]
    assert [item.get_text().strip() for item in asked] == ["This", "That"]


def test_a_page_without_exercises_has_no_place_at_the_end():
    assert not answers.answers([Leaf("a", "", made("<article><h1>A</h1></article>"))]).body.h2


def test_the_contents_list_parts_pages_and_sections(flat):
    lines = contents.contents([flat])
    assert [line["class"] for line in lines.select("p")] == [["part"], ["leaf"], ["section"]]
    assert lines.get_text() == "ContentsA part1. OneExercises"
    assert [n["data-of"] for n in lines.select(".page-number")] == [
        "chapters-one",
        "chapters-one--exercises",
    ]


def test_a_link_that_leads_nowhere_is_text_and_ids_are_not_given_twice():
    tree = leaves.parsed('<a href="#a">A</a><a href="#b">B</a><p id="a"></p><p id="a"></p>')
    plain.tidy(tree)
    assert str(tree) == '<a href="#a">A</a>B<p id="a"></p><p></p>'


def test_the_order_is_that_of_the_contents_of_the_site():
    toc = {"root": "intro", "parts": [{"caption": "P", "chapters": [{"file": "a"}, {"file": "b"}]}]}
    assert list(leaves.places(toc)) == [("intro", ""), ("a", "P"), ("b", "P")]


def test_a_running_head_may_hold_quotes_and_formulas():
    assert document.quoted('The "law" of\n \\(x\\)') == '"The \\"law\\" of x"'


def test_every_typeface_is_there():
    for face in document.letters():
        assert Path(re.search(r"file://([^\"]+)", face)[1]).exists(), face


def test_a_book_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="make pdf"):
        leaves.leaf(tmp_path, "intro")


def test_without_a_browser_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(browser, "chromium", lambda: None)
    with pytest.raises(SystemExit, match="make browser"):
        main(["ready"])


@pytest.mark.usefixtures("unchecked")
def test_the_calls_of_the_cheat_sheet_run(capsys):
    text = (ROOT / "book" / f"{CHEAT_SHEET}.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], {})
    assert "TMPD on two_atoms" in capsys.readouterr().out


# What is printed.


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The folder with both files, and what was seen while they were printed."""
    folder = tmp_path_factory.mktemp("paper")
    seen = {}
    with pytest.MonkeyPatch.context() as patch:

        def noted(page, out, pages, *, width=press.WIDTH, tagged=True):
            seen[page.stem] = pressed(page, out, pages, width=width, tagged=tagged)
            return seen[page.stem]

        pressed = press.press
        patch.setattr(press, "press", noted)
        patch.setattr("tools.paper.__main__.press", noted)
        write(folder)
    return folder, seen


@pytest.fixture(scope="module")
def book(printed):
    return PdfReader(printed[0] / f"{BOOK}.pdf")


@pytest.fixture(scope="module")
def words(book):
    """The text of each page."""
    return [page.extract_text() for page in book.pages]


@pytest.fixture(scope="module")
def titles():
    return [
        (leaf.name, " ".join(leaf.title.get_text().strip("#\n ").split()))
        for leaf in leaves.leaves()
    ]


def places_of(page):
    """Where each piece of text of a page begins, in points from the lower left corner."""
    found = []

    def visit(text, matrix, line, font, size):
        if text.strip():
            x = line[4] * matrix[0] + line[5] * matrix[2] + matrix[4]
            y = line[4] * matrix[1] + line[5] * matrix[3] + matrix[5]
            found.append((x, y, text))

    page.extract_text(visitor_text=visit)
    return found


def outside(page, margin):
    width, height = page.mediabox.width, page.mediabox.height
    return [
        (x, y, text)
        for x, y, text in places_of(page)
        if not (margin <= x <= width - margin and margin <= y <= height - margin)
    ]


@pytest.mark.long
@PRINTED
def test_it_is_a_book_of_a_few_hundred_pages_of_paper(book):
    assert LEAST <= len(book.pages) <= MOST
    sizes = {(round(page.mediabox.width), round(page.mediabox.height)) for page in book.pages}
    assert sizes == {A4}


@pytest.mark.long
@PRINTED
def test_every_page_but_the_first_has_its_number(words):
    wrong = [
        i for i, text in enumerate(words[1:], 2) if not re.search(rf"(?<!\d){i}\s*(?:\n|$)", text)
    ]
    assert not wrong


@pytest.mark.long
@PRINTED
def test_no_page_is_empty(words):
    assert not [i for i, text in enumerate(words[1:], 2) if len(text.split()) < 12]


@pytest.mark.long
@PRINTED
def test_every_page_of_the_site_begins_where_the_contents_say(book, words, titles):
    pages = press.numbers(book)
    said = " ".join(" ".join(words[1:6]).split())
    for name, title in titles[1:]:
        assert f"{title} {pages[name]}" in said, f"the contents lack {title} on page {pages[name]}"
        assert title in " ".join(words[pages[name] - 1].split()), title


@pytest.mark.long
@PRINTED
def test_chapters_stand_in_the_bookmarks(book, titles):
    marks = {" ".join(mark.title.split()) for mark in book.outline if not isinstance(mark, list)}
    missing = [title for _, title in titles[1:] if title not in marks]
    assert not missing


@pytest.mark.long
@PRINTED
def test_no_raw_formula_shows(words, printed):
    listed = {i: RAW.findall(text) for i, text in enumerate(words, 1) if RAW.search(text)}
    assert not listed
    for name, seen in printed[1].items():
        wrong = {kind: seen["maths"][kind] for kind in ("raw", "unset", "errors")}
        assert not any(wrong.values()), (name, wrong)
        assert seen["maths"]["count"] > 20


@pytest.mark.long
@PRINTED
def test_nothing_reaches_over_the_margin(book, printed):
    for name, seen in printed[1].items():
        assert not seen["beyond"], name
        assert not seen["failed"], name
    assert not {i: found for i, page in enumerate(book.pages, 1) if (found := outside(page, 20))}


@pytest.mark.long
@PRINTED
def test_every_picture_of_the_pages_is_printed(printed):
    made = leaves.parsed((printed[0] / f"{BOOK}.html").read_text(encoding="utf-8"))
    files = [leaves.value(picture, "src") for picture in made.select("img")]
    assert len(files) >= 40
    assert all(f.startswith("data:") or (printed[0] / f).exists() for f in files)


@pytest.mark.long
@PRINTED
def test_the_cheat_sheet_is_one_page(printed):
    (page,) = PdfReader(printed[0] / f"{SHEET}.pdf").pages
    assert (round(page.mediabox.width), round(page.mediabox.height)) == A4
    assert not outside(page, 20)
    text = page.extract_text()
    source = (ROOT / "book" / f"{CHEAT_SHEET}.md").read_text(encoding="utf-8")
    for heading in re.findall(r"^#+ (.+)$", source.replace("```python", ""), re.MULTILINE):
        assert heading in text, heading
