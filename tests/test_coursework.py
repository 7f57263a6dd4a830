"""The grader: what is handed in ends with a grade or a named failure, for that student alone."""

import csv
import ctypes
import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tools.coursework import __main__ as tool
from tools.coursework import examples, grade, report, sandbox, submission
from tools.coursework.child import wire
from tools.coursework.master import FOLDER, masters, without

TABLES = sorted(FOLDER.glob("*.examples.yaml"))
LITTER = "coursework-was-here"
# What a system without kernel guards and without bubblewrap cannot hold; make grade says so.
UNHELD = {"reads-the-solution", "uses-the-network", "writes-files", "overwrites-the-checker"}


def skip_on_windows():
    if sys.platform == "win32":
        pytest.skip("submissions run on Linux, macOS or WSL")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def littered():
    """The folders in which an example submission managed to leave its file."""
    folders = ["/tmp", "/var/tmp", "/dev/shm", *sys.path, sandbox.CHILD, sandbox.ROOT]
    return [str(folder) for folder in folders if os.path.exists(Path(folder) / LITTER)]


@pytest.fixture(scope="module")
def guards(tmp_path_factory):
    """The names of the guards that hold here."""
    skip_on_windows()
    room = str(tmp_path_factory.mktemp("room"))
    with sandbox.Child([], ["torch"], room, seconds=5, megabytes=500) as child:
        return child.guards + ["bubblewrap"] * bool(sandbox.bubblewrap(room))


@pytest.fixture(scope="module", params=[path.name.split(".")[0] for path in TABLES])
def graded(request, tmp_path_factory):
    """The example submissions of an assignment, made and graded as the two commands do."""
    skip_on_windows()
    folder = tmp_path_factory.mktemp("coursework")
    assert littered() == [], "left by an earlier run: delete it"
    only = ["--only", request.param[:2]]
    assert tool.main(["release", "--out", str(folder / "assignments"), *only]) == 0
    handed_in, out = folder / "examples", folder / "grades"
    places = ["--submissions", str(handed_in), "--out", str(out), "--jobs", "2"]
    assert tool.main(["grade", "--seed", "0", *places, *only]) == 0
    return request.param, out, handed_in


@pytest.mark.xdist_group("sandbox")
def test_the_examples_get_the_grades_that_they_must(graded, guards):
    name, out, _ = graded
    found = rows(out / f"{name}.csv")
    wanted = rows(FOLDER / f"{name}.examples.csv")
    unheld = set() if tool.protected(guards) else UNHELD
    assert set(found) == set(wanted)
    assert {s: r for s, r in found.items() if s not in unheld} == {
        s: r for s, r in wanted.items() if s not in unheld
    }


@pytest.mark.xdist_group("sandbox")
def test_no_submission_writes_anywhere(graded, guards):
    if not tool.protected(guards):
        pytest.skip("neither bubblewrap nor Landlock holds files here")
    assert littered() == []


@pytest.mark.xdist_group("sandbox")
def test_each_student_gets_a_page_and_marks_survive_a_second_run(graded, monkeypatch):
    name, out, handed_in = graded
    (master,) = masters(chosen=name)
    pages = {path.stem for path in (out / name).glob("*.md")}
    assert pages == {path.name for path in handed_in.iterdir()}
    assert "q1: 5 of 5" in (out / name / "correct.md").read_text()
    table = out / f"{name}.to_mark.csv"
    written = table.read_text(encoding="utf-8").replace("correct,q6,3,,", "correct,q6,3,2.5,")
    table.write_text(written, encoding="utf-8")
    students = [handed_in / "correct", handed_in / "half-right"]
    names = {cell.name for cell in master.cells}
    handed = [(s.name, submission.read(s / f"{name}.ipynb", names)) for s in students]
    results = [((student, {}, ""), sub) for student, sub in handed]
    tool.conclude(master, results, out)
    assert rows(table)["correct"]["points"] == "2.5"
    assert rows(table)["half-right"]["points"] == ""
    changed = submission.Submission(text={"q6": ["another answer"]})
    tool.conclude(master, [(("correct", {}, ""), changed)], out)
    assert rows(table)["correct"]["points"] == ""  # the mark was for another text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)


@given(values)
def test_data_crosses_unchanged(value):
    assert wire.decode(json.loads(json.dumps(wire.encode(value)))) == value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_tensors_cross_unchanged(dtype, shape):
    value = (3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(dtype)
    there = wire.decode(json.loads(json.dumps(wire.encode(value))))
    assert there.dtype == dtype
    torch.testing.assert_close(there, value)


@pytest.mark.parametrize(
    "forged",
    [
        {"dtype": "float64", "shape": [3], "tensor": [1.0, 2.0]},
        {"dtype": "float64", "shape": [-1], "tensor": [1.0]},
        {"dtype": "float64", "shape": [True], "tensor": [1.0]},
        {"dtype": "float64", "shape": [1], "tensor": ["1.0"]},
        {"dtype": "float64", "shape": 1, "tensor": [1.0]},
        {"dtype": "save", "shape": [1], "tensor": [1.0]},
        {"dtype": ["float64"], "shape": [1], "tensor": [1.0]},
        {"dict": [1]},
        {"value": 1},
        {},
    ],
)
def test_a_forged_answer_is_refused(forged):
    with pytest.raises(ValueError, match="answer|tensor"):
        wire.decode(forged)


def test_what_is_no_data_is_not_sent():
    with pytest.raises(TypeError, match="neither numbers, nor text, nor a tensor"):
        wire.encode([lambda x: x])


def test_a_line_without_end_is_not_read_to_its_end():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        buffer = bytearray(wire.LONGEST + 1)
        with pytest.raises(ValueError, match="more than 8 MB"):
            wire.receive(ours, buffer)


def test_regions_are_cut_with_their_indentation():
    source = "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"
    assert without(source, "SOLUTION", "# HERE\nraise X()") == "def f():\n    # HERE\n    raise X()"
    with pytest.raises(ValueError, match="do not pair up"):
        without("### BEGIN SOLUTION\nx = 1", "SOLUTION")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "notebook.ipynb").symlink_to(TABLES[0])
    with pytest.raises(submission.Unreadable, match="link"):
        submission.read(tmp_path / "notebook.ipynb", set())


def test_text_for_a_spreadsheet_is_no_formula():
    assert report.plain('=cmd|"/C calc"!A0').startswith("'=")


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_bubblewrap_is_used_where_it_runs(guards):
    assert "bubblewrap" in guards


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
def test_landlock_holds_where_the_kernel_has_it(guards):
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)
    assert ("files" in guards) == (version >= 1)
    assert ("no TCP" in guards) == (version >= 4)


def test_windows_is_told_where_to_grade(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(sandbox.StartFailed, match="on Windows, grade in WSL"):
        sandbox.Child([], [], str(tmp_path), seconds=1, megabytes=500)


def test_another_seed_asks_with_other_numbers():
    master = masters()[0]
    first, second = master.questions[:2]
    asked = [(first, "a"), (first, "b"), (second, "a")]
    seeds = [grade.own_names(master, question, seed)["SEED"] for question, seed in asked]
    assert len(set(seeds)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's guards are Linux's")
def test_limits_hold_everywhere(guards):
    assert {"time", "memory", "processes", "written files"} <= set(guards)


def test_a_planted_mistake_that_is_not_in_the_solution_is_refused():
    master = masters()[0]
    with pytest.raises(ValueError, match="exactly once"):
        examples.planted(master, master.questions[0], {"replace": "not there", "by": ""})
