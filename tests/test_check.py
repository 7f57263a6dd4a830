"""`make test` runs every part, counts, and fails when anything does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import check

ROOT = Path(__file__).resolve().parent.parent
REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"/>
<testcase name="c"><failure/><error/></testcase>
<testcase name="d"><error/></testcase>
<testcase name="e"><skipped/></testcase>
</testsuite></testsuites>"""


def command(status, report_text=None):
    """A part that writes this report, if any, and ends with this status."""

    def part(notebooks, report):
        if report_text:
            report.write_text(report_text)
        return [sys.executable, "-c", f"raise SystemExit({status})"]

    return part


def test_a_report_is_counted(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert check.count(report) == (2, 2, 1)


@pytest.mark.parametrize(
    ("part", "passed", "failed"),
    [
        (command(0), 1, 0),
        (command(1), 0, 1),
        (command(1, REPORT), 2, 2),
        (command(0, "<testsuite><testcase/></testsuite>"), 1, 0),
        # It crashed after a test that passed; and it passed without any test.
        (command(3, "<testsuite><testcase/></testsuite>"), 1, 1),
        (command(0, "<testsuite/>"), 0, 1),
    ],
)
def test_a_part_is_counted(monkeypatch, part, passed, failed):
    monkeypatch.setattr(check, "PARTS", {"part": part})
    result = check.run("part", [])
    assert (result.passed, result.failed) == (passed, failed)


def test_all_parts_run_and_the_last_line_counts(monkeypatch, capsys):
    parts = {"one": command(1), "two": command(0), "three": command(1, REPORT)}
    monkeypatch.setattr(check, "PARTS", parts)
    assert check.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 passed, 3 failed"
    assert [line.split()[0] for line in lines[-5:-1]] == ["one", "two", "three", "all"]


def test_all_good_is_status_zero(monkeypatch, capsys):
    monkeypatch.setattr(check, "PARTS", {"one": command(0), "two": command(0)})
    assert check.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


def test_a_book_without_notebooks_fails(monkeypatch, capsys):
    monkeypatch.setattr(check, "stored_notebooks", list)
    assert check.main(["notebooks"]) == 1
    assert "make notebooks" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["everything", "missing.ipynb"])
def test_an_unknown_part_or_notebook_is_refused(word):
    with pytest.raises(SystemExit, match="Call it like this"):
        check.choose([word])


def test_the_parts_come_in_their_order():
    assert check.choose(["pages", "lint"]) == (["lint", "pages"], [])


def test_the_parts_are_told_to_contributors():
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert all(f"`{part}`" in told for part in check.PARTS)


def test_what_is_long_is_told_to_contributors():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = text.partition("What is long stands here")[2].partition("\n## ")[0]
    paths = [path for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__)]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    marked = {n for n, text in texts.items() if "mark.long" in text or "at_length(" in text}
    assert {name for name in texts if f"`tests/{name}`" in told} == marked


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_ci_is_make_test_and_nothing_more():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec make test"
    assert "python tools/check.py" in subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace(".venv/bin/", "")


def test_every_target_of_make_is_listed():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    listed = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    assert sorted(phony) == sorted(listed)
    assert {"setup", "book", "test", "notebooks", "lab", "clean"} < set(phony)


@pytest.mark.usefixtures("unchecked")
def test_a_notebook_elsewhere_is_held_to_our_settings(tmp_path):
    """An unrun cell passed where the settings, and the plugin that they name, were not found."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    path = tmp_path / "mine.ipynb"
    nbformat.write(book, path)
    found = check.run("notebooks", [path])
    assert (found.passed, found.failed) == (0, 1)
