"""The built pages in a real browser: on a telephone, on a wide screen, in both themes.

`tools/check.py` runs this after the build. It is skipped where there is no browser (`make browser`)
or no page (`make book`). All pages are opened once, in one browser; the tests read what was found.
"""

import json
import re
from importlib.util import find_spec

import pytest

from tests.browser import faults, findings, looks
from tests.browser.jupyterlab import jupyterlab
from tools import browser
from tools.browser import PAGES, Look

MISSING = browser.missing()
SKIPPED = pytest.mark.skipif(bool(MISSING), reason=MISSING or "it runs")
DAILY = looks.daily(PAGES)
EVERY = looks.every(PAGES)
MOST_THAT_SCROLL = 5  # equations of the whole book, on a telephone
# How a reader of a telephone who opens the files goes through the book.
PHONE = [look for look in DAILY if look == Look(look.page)]


def at_length(look):
    marks = () if look in DAILY else pytest.mark.long
    return pytest.param(look, id=str(look), marks=marks)


on_every_page = pytest.mark.parametrize("look", [at_length(look) for look in EVERY])


@pytest.fixture(scope="session")
def report(request):
    """{look: what was found}, of the looks that the chosen tests ask for."""
    chosen = {
        getattr(item, "callspec", None) and item.callspec.params.get("look")
        for item in request.session.items
    }
    if any("phone" in item.fixturenames for item in request.session.items):
        chosen |= set(PHONE)
    return browser.look(PAGES, [look for look in EVERY if look in chosen])


@pytest.fixture
def found(report, look):
    return report[look]


@pytest.fixture
def phone(report):
    return {look.page: report[look] for look in PHONE}


def none_of(lines):
    assert not lines, "\n".join(["", *lines])


@SKIPPED
@on_every_page
def test_nothing_goes_wrong_and_nothing_is_loaded_from_outside(found):
    none_of(findings.goes_wrong(found))


@SKIPPED
@on_every_page
def test_the_theme_is_the_one_that_was_asked_for(found, look):
    assert found["theme"] == look.theme


@SKIPPED
@on_every_page
def test_nothing_is_wider_than_the_screen(found):
    none_of(findings.too_wide(found))


@SKIPPED
@on_every_page
def test_equations_stay_in_their_column(found, look):
    wide = [] if look.width < 1280 else findings.equations_that_scroll(found)
    none_of(findings.equations_that_leave(found) + wide)


@SKIPPED
@pytest.mark.parametrize("look", [at_length(look) for look in EVERY if look.width >= 1280])
def test_no_block_scrolls_on_a_wide_screen(found):
    none_of(findings.blocks_that_scroll(found))


@SKIPPED
@on_every_page
def test_every_slider_moves_its_picture(found):
    none_of(findings.stuck_sliders(found))


@SKIPPED
@on_every_page
def test_all_maths_is_set(found):
    none_of(findings.bad_maths(found))


@SKIPPED
@on_every_page
def test_axe_finds_nothing_critical_or_serious(found):
    none_of(findings.barriers(found))


@SKIPPED
@pytest.mark.skipif(not PHONE, reason="no pages: run `make book`")
def test_few_equations_of_the_book_scroll_on_a_telephone(phone):
    scroll = {page: findings.equations_that_scroll(found) for page, found in phone.items()}
    lines = [f"{page} {line}" for page, lines in scroll.items() for line in lines]
    assert len(lines) <= MOST_THAT_SCROLL, "\n".join(["", *lines])


@SKIPPED
@pytest.mark.skipif(not PHONE, reason="no pages: run `make book`")
def test_there_are_formulas_and_sliders_to_look_at(phone):
    """Else the tests above would be pleased with a book that shows none."""
    assert sum(found["maths"]["count"] for found in phone.values()) > 1000
    live = looks.most(looks.texts(PAGES), looks.LIVE)
    assert phone[live]["sliders"]["count"] > 0


# The looks notice what they are for.


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """{(page, by): what was found} on the pages with one fault each."""
    folder = tmp_path_factory.mktemp("pages")
    faults.write(folder)
    clean = [Look(f"{page}.html", by=by) for page in faults.CLEAN for by in ("file", "http")]
    bad = [Look(f"{page}.html") for page in faults.BAD]
    report = browser.look(folder, [*clean, *bad])
    return {(look.page.removesuffix(".html"), look.by): found for look, found in report.items()}


@SKIPPED
@pytest.mark.parametrize("by", ["file", "http"])
@pytest.mark.parametrize("page", faults.CLEAN)
def test_a_clean_page_passes(faulty, page, by):
    none_of([line for law in findings.LAWS for line in law(faulty[page, by])])


@SKIPPED
@pytest.mark.parametrize(("page", "law"), [(page, law) for page, (_, law) in faults.BAD.items()])
def test_a_fault_is_noticed(faulty, page, law):
    assert law(faulty[page, "file"])


# Which pages are opened.


@pytest.mark.skipif(not DAILY, reason="no pages: run `make book`")
def test_every_page_is_opened_each_day_and_three_on_all_screens():
    pages = set(looks.texts(PAGES))
    assert {look.page for look in PHONE} == pages
    assert {look.page for look in EVERY if (look.width, look.theme) == (1280, "dark")} == pages
    assert len({look.page for look in DAILY if look.by == "http"}) == 3
    assert len(DAILY) == len(pages) + 3 * (len(looks.SCREENS) - 1)


# What is installed.


def test_the_packages_are_exact_and_have_checksums():
    wanted = json.loads((browser.SCRIPTS / "package.json").read_text())["dependencies"]
    locked = json.loads((browser.SCRIPTS / "package-lock.json").read_text())["packages"]
    assert set(wanted) == {"axe-core", "playwright-core"}
    for name, version in wanted.items():
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")
    assert len(locked) == 1 + len(wanted)


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(browser, "chromium", lambda: None)
    assert re.search("no Chromium.*run `make browser`", browser.missing())
    with pytest.raises(SystemExit, match="No page can be opened: there is no Chromium"):
        browser.drive("look.mjs", {})


@pytest.mark.parametrize(
    ("user", "apt", "says"),
    [
        (1000, "/usr/bin/apt-get", "Only root may install chromium, got user 1000.*: sudo apt-get"),
        (0, None, "Debian's apt-get, which is not here.*Install chromium your own way"),
    ],
)
def test_who_may_not_install_is_told_what_to_do(monkeypatch, user, apt, says):
    monkeypatch.setattr(browser.os, "geteuid", lambda: user)
    monkeypatch.setattr(browser.shutil, "which", lambda name: apt)
    with pytest.raises(SystemExit, match=says):
        browser.install_by_apt(["chromium"])


def test_an_unknown_page_is_refused():
    with pytest.raises(SystemExit, match="'nowhere'. Call it like this"):
        browser.address("nowhere")
    assert browser.address("http://127.0.0.1/x") == "http://127.0.0.1/x"


# The notebooks that a reader opens.


@SKIPPED
@pytest.mark.long
@pytest.mark.skipif(not find_spec("jupyterlab"), reason="there is no JupyterLab: run `make lab`")
def test_notebooks_read_well_in_jupyterlab(tmp_path):
    notebooks = pytest.importorskip("tools.notebooks", reason="tools/notebooks.py is not there yet")
    chosen = {}
    for solutions in (False, True):
        texts = notebooks.reader_notebooks(solutions)
        name = sorted(texts, key=lambda name: texts[name].count("$$"))[-1 - solutions]
        chosen[f"{'with' if solutions else 'without'}-{name}"] = texts[name]
    for name, text in chosen.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with jupyterlab(tmp_path) as (base, token):
        plan = {"base": base, "token": token, "notebooks": list(chosen), "pictures": str(tmp_path)}
        report = browser.drive("lab.mjs", plan)
    for found in report:
        none_of([f"{found['notebook']} {line}" for line in findings.bad_maths(found)])
        assert found["maths"]["count"] > 20
        assert found["cells"]["rendered"] == found["cells"]["all"] > 10
