"""The law of honest students: a test that passes when a notebook is run gives its points.

Each variant is run in Jupyter, and the same file is graded. What passed there must pass in the
grader, cell by cell. With its hidden tests as well, unless the variant says that those ask for more
than the student gives.
"""

from collections import Counter

import pytest

from tests.coursework_unlucky import law, play, ways
from tests.coursework_unlucky.deeds import MASTERS, variants
from tools.coursework import sandbox

pytest.importorskip("resource", reason="the grader needs Linux, macOS or WSL")
VARIANTS = {f"{v.assignment}-{v.kind}-{v.name}": v for v in variants()}
DAILY = {name: variant for name, variant in VARIANTS.items() if variant.day}
FEWEST = 60


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder for all children, with what they need to draw."""
    folder = str(tmp_path_factory.mktemp("room"))
    sandbox.warm(folder)
    return folder


def judge(variant, questions, errors, folder, room):
    """Compare what passed when the notebook ran with what the grader gives for the file."""
    tests = {cell.name for question in questions for cell in question.tests}
    assert set(errors) == set(variant.fails), (errors, "this variant does not do what it says")
    honest = {name for name in tests if variant.ran_as(name) not in errors}
    ways.lay(variant.files(), folder)
    handed = law.handed_in(folder, list(MASTERS.values()), variant.master)
    for question, piece in variant.written.items():
        (found,) = [q for q in variant.master.questions if q.name == question]
        assert piece in handed.written(found)
    master = law.counted(variant.master, questions, public=variant.public)
    graded, remarks = law.passed(master, handed, room)
    assert honest <= graded, (sorted(honest - graded), remarks)


@pytest.mark.long
@pytest.mark.parametrize("name", VARIANTS)
def test_what_passes_in_jupyter_passes_in_the_grader(name, tmp_path, room):
    variant = VARIANTS[name]
    (tmp_path / "kernel").mkdir()
    errors = play.in_kernel(variant.ran(), tmp_path / "kernel")
    judge(variant, variant.questions(), errors, tmp_path / "submissions", room)


@pytest.fixture(scope="module")
def errors_here():
    """What raises in the notebooks of every day."""
    return play.in_one_process({name: variant.ran() for name, variant in DAILY.items()})


@pytest.mark.parametrize("name", DAILY)
def test_what_passes_in_one_process_passes_in_the_grader(name, errors_here, tmp_path, room):
    variant = DAILY[name]
    last = variant.questions()[-1:]  # each costs a second
    judge(variant, last, errors_here[name], tmp_path / "submissions", room)


def test_there_are_enough_unlucky_students():
    assert len(VARIANTS) - len(MASTERS) >= FEWEST
    assert set(Counter(v.assignment for v in VARIANTS.values())) == set(MASTERS)
    assert {v.kind for v in DAILY.values()} | {"plain"} == {v.kind for v in VARIANTS.values()}
    assert all(v.why for v in VARIANTS.values())
