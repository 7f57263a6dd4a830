"""The README tells the truth: its lines run, print its numbers, and its figure is the book's."""

import contextlib
import functools
import io
import re
from pathlib import Path

import pytest

from tools.contents import chapters
from tools.readme_figure import FIGURE, stored_figure

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE, PRINTED = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", README, re.DOTALL).groups()


@functools.cache
def printed_shares():
    """{name: share} as its lines print them, but for more digits."""
    assert CODE.count(":.2f}") == 2
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(CODE.replace(":.2f}", ":.6f}"), {})
    return {name: float(share) for name, share in map(str.split, printed.getvalue().splitlines())}


@pytest.fixture
def shares(unchecked):
    return printed_shares()


def test_its_lines_print_its_numbers(shares):
    assert [f"{name} {share:.2f}" for name, share in shares.items()] == PRINTED.splitlines()
    for name, share in shares.items():  # five particles may change sides on another machine
        assert abs(100 * share - round(100 * share)) < 0.4, f"{name} {share} is nearly rounded off"


def test_its_standard_errors_are_those_of_its_particles(shares):
    n = int(re.search(r"schedule\.noise\((\d+), 1", CODE).group(1))
    error = {name: (share * (1 - share) / n) ** 0.5 for name, share in shares.items()}
    told = f"two numbers is {error['exact']:.3f} and {error['DPS']:.3f}."
    assert told in README
    assert abs(shares["exact"] - shares["truth"]) < error["exact"]
    assert abs(shares["DPS"] - shares["truth"]) > 4 * error["DPS"]


def test_it_shows_the_figure_of_the_first_chapter():
    assert FIGURE.read_bytes() == stored_figure(), "run: python tools/readme_figure.py"


def test_it_lists_every_chapter_by_its_title():
    for chapter in chapters():
        row = f"| {chapter.number} | {chapter.title} |"
        assert row in README, f"the README does not list {chapter.name}"


def test_its_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://arxiv.org/") or (ROOT / target).exists(), target


OWN = re.findall(r"```python\n(.*?)```", README.partition("## Bring your own")[2], re.DOTALL)


@pytest.fixture(scope="module")
def own_reports():
    """What each block prints, all in one namespace, with fewer particles and steps."""
    known, found = {}, []
    exec("import torch\nimport fsps_lite as fl\nproblem = fl.problems.trimodal()", known)
    for block in OWN:
        short = re.sub(
            r"(fl\.diagnose\(.*)\)\)$", r"\1, n=300, steps=20))", block, flags=re.MULTILINE
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(short, known)
        found.append(printed.getvalue())
    return found


def test_all_six_of_ones_own_are_diagnosed(own_reports):
    assert len(own_reports) == 6
    for report in own_reports:
        assert "this speaks of one y" in report
        assert "distance" in report


def test_the_wrong_ones_are_starred_and_the_right_ones_are_not(own_reports):
    score, sampler, samples, network, data, likelihood = own_reports
    for wrong in (score, network):
        assert re.search(r"\*$", wrong, re.MULTILINE)
    for right in (sampler, samples, likelihood):
        rows = [line for line in right.splitlines() if not line.startswith(("*", "-"))]
        assert not any(line.endswith("*") for line in rows)
