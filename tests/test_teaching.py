"""What the pages for teachers and students tell people to run works as it is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import contents
from tools.coursework import examples, report
from tools.coursework.master import masters

ROOT = Path(__file__).resolve().parent.parent
TEACHING = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
STUDYING = (ROOT / "book" / "studying.md").read_text(encoding="utf-8")
PARTS = ["Makefile", "pyproject.toml", "constraints.txt", "book", "tools", "fsps_lite"]
MASTERS = {master.name[:2]: master for master in masters()}


def commands(text, program):
    """The lines of a page's code blocks that call this target of make."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.split()[:2] == ["make", program]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what make needs, with this environment, so that nothing here is written to."""
    if sys.platform == "win32" or not (ROOT / ".venv" / ".stamp-test").exists():
        pytest.skip("make is not what runs these tests")
    folder = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2  # times as they are
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, folder / part)
    for listed in ("pyproject.toml", "constraints.txt"):  # older than what is installed: make would
        os.utime(folder / listed, (0, 0))  # install from here into the environment of all
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def run(command, folder):
    """Run a line in a shell, as a reader would; what it printed."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")  # of the make that runs the tests
    told = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(command, shell=True, cwd=folder, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hand_in(folder, student, number, **deeds):
    path = folder / "submissions" / student / f"{MASTERS[number].name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(examples.submission_text(MASTERS[number], **deeds), encoding="utf-8")


def test_the_commands_on_the_page_of_teachers_do_what_it_says(clone):
    (hand_out, *_), (grade, lms), (rank,) = (
        commands(TEACHING, program) for program in ("assignments", "grade", "rank")
    )
    assert "SEED=a-phrase-that-you-tell-nobody" in grade
    run(hand_out, clone)
    assert len(list((clone / "build" / "assignments").glob("*.ipynb"))) == len(MASTERS)
    assert len(list((clone / "build" / "examples").iterdir())) == 8
    hand_in(clone, "ada", "01", solve=["q1"])
    said = run(lms, clone)  # as the plain command, and one table more
    assert lms == f"{grade} LMS=canvas"
    assert "A submission is held by:" in said
    name = MASTERS["01"].name
    for ending in (".csv", ".to_mark.csv", ".canvas.csv", "/ada.html"):
        assert (clone / "build" / "grades" / f"{name}{ending}").exists()
    head, row = report.read_csv((clone / "build/grades" / f"{name}.csv").read_bytes(), ["student"])
    assert dict(zip(head, row, strict=True))["q1"] == "5"
    hand_in(clone, "ada", "06", solve="all")
    run(rank, clone)
    league = (clone / "build" / "grades" / f"{MASTERS['06'].name}.league.csv").read_bytes()
    head, row = report.read_csv(league, ["rank"])
    assert row[:2] == ["1", "ada"]


def test_a_secret_may_hold_what_means_something_to_make_and_to_the_shell(clone):
    told = "import os; print(ascii(os.environ['COURSEWORK_SEED']))"
    shutil.copy2(clone / "Makefile", clone / "Makefile.before")
    with (clone / "Makefile").open("a") as file:
        file.write(f'\nsecret:\n\t@python3 -c "{told}"\n')
    try:
        phrase = 'a $phrase with $(signs), "quotes", # and ünïcode'
        assert run(f"make secret SEED='{phrase}'", clone).strip() == ascii(phrase)
    finally:
        shutil.move(clone / "Makefile.before", clone / "Makefile")


def test_the_assignments_are_listed_with_their_chapters_and_minutes():
    rows = re.findall(r"^\| (\d) \| (.*?) \| (.*?) \| (.*?) \| (\d+) \|$", STUDYING, re.MULTILINE)
    assert len(rows) == len(MASTERS)
    for number, title, trains, chapters, minutes in rows:
        master = MASTERS[f"{int(number):02}"]
        told = master.notebook.metadata["fsps"]
        assert report.title(master).lower() == f"assignment {number}: {title}".lower()
        assert chapters == ", ".join(f"{{number}}`{name}`" for name in told["chapters"])
        assert set(told["chapters"]) <= {chapter.name for chapter in contents.chapters()}
        assert int(minutes) == told["minutes"]
        assert trains
