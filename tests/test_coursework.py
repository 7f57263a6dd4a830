"""The grader: what is handed in ends with a grade or a named failure, for that student alone."""

import csv
import ctypes
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.coursework import __main__ as tool
from tools.coursework import examples, grade, report, sandbox, submission
from tools.coursework.child import wire
from tools.coursework.master import FOLDER, masters, without

EXAMPLES = FOLDER / "01-tweedie-and-the-mixture-denoiser.examples.yaml"
LITTER = "coursework-was-here"
# What a system without kernel guards and without bubblewrap cannot hold; make grade says so.
UNHELD = {"reads-the-solution", "uses-the-network", "writes-files", "overwrites-the-checker"}
# Of the real assignment, whose children import torch, every day these; all of them in the long run.
EVERY_DAY = ["untouched", "overwrites-the-checker"]

# An assignment that needs no torch, for the attacks and mishaps of the real one, word for word.
SMALL = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
fsps:
  minutes: 60
  chapters: [1]
  questions:
    q1: {objective: give back, chapters: [1], asks: [responsibilities]}
    q2: {objective: be quick, chapters: [1], asks: [responsibilities], seconds: 1}
    q3: {objective: copy, chapters: [1], asks: [even_at, std_there, slope_there, even_at_doubled]}
    q4: {objective: write, chapters: [1], asks: [], rubric: a word}
---

# Small

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: set-up, locked: true, schema_version: 3, solution: false, task: false}
---
SEED = 0
```

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: q1, locked: false, schema_version: 3, solution: true, task: false}
---
def responsibilities(x):
    ### BEGIN SOLUTION
    return x
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q1-tests, locked: true, points: 2, schema_version: 3, solution: false, task: false}
---
for given in (0.5, [1, "two"]):
    answer = responsibilities(given)
    assert answer == given, f"the answer is {answer!r}"
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q1-tests-again, locked: true, points: 1, schema_version: 3, solution: false, task: false}
---
assert responsibilities(None) is None, "None is None"
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q1-tests-length, locked: true, points: 1, schema_version: 3, solution: false, task: false}
---
assert len(responsibilities([0])) == 1, "one is one"
```

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: q2, locked: false, schema_version: 3, solution: true, task: false}
---
def responsibilities(*given):
    ### BEGIN SOLUTION
    return 2
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q2-tests, locked: true, points: 1, schema_version: 3, solution: false, task: false}
---
assert responsibilities() == 2, "two is right"
```

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: q3, locked: false, schema_version: 3, solution: true, task: false}
---
even_at = std_there = slope_there = even_at_doubled = None
### BEGIN SOLUTION
even_at, std_there, slope_there, even_at_doubled = 0.494, 1.0, 2.222, 0.989
### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q3-tests, locked: true, points: 4, schema_version: 3, solution: false, task: false}
---
assert [even_at, std_there, slope_there, even_at_doubled] == [0.494, 1.0, 2.222, 0.989], "copy"
```

+++ {"nbgrader": {"grade": true, "grade_id": "q4", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}}

A word.
"""  # noqa: E501
SLOW = ["fork-bomb", "loop", "sleeps"]  # they get the question that must be quick
REAL = ["half-right", "overwrites-the-checker"]  # they answer what only the real one asks
STOPPED = "your notebook was stopped: "
TOO_LONG = "it took more than 1 s of computing, or 2 s of waiting: is there a loop without an end?"
NO_LENGTH = "your answer cannot be checked (TypeError: object of type 'NoneType' has no len())"
MUST_SAY = {  # student: points and remark of the question that was attacked; 4 points for q3
    "allocates-10-GB": (0, "your `responsibilities` raised MemoryError"),
    "answers-100-MB": (
        0,
        f"{STOPPED}it sent something that is no answer (an answer of more than 8 MB)",
    ),
    "crashes": (0, f"{STOPPED}it ended by itself (exit status 0) before it answered"),
    "exits": (0, "the cell q1 raised SystemExit: 0"),
    "fork-bomb": (0, STOPPED + TOO_LONG),
    "forged-answers": (
        0,
        "your `responsibilities` answered with a tensor whose numbers do not fit its shape",
    ),
    "forged-metadata": (0, "not answered yet"),
    "kills-the-grader": (1, f"the answer is None | {NO_LENGTH}"),
    "loop": (0, STOPPED + TOO_LONG),
    "prints-100-MB": (0, "not answered yet"),
    "reads-the-solution": (0, "your notebook does not define `responsibilities`"),
    "renamed": (
        0,
        "your notebook does not define `responsibilities`; there is `responsibility`: "
        "was it renamed?",
    ),
    "sleeps": (0, STOPPED + TOO_LONG),
    "uses-the-network": (0, "the answer is 'there is no network' | None is None | one is one"),
    "writes-files": (1, f"the answer is None | {NO_LENGTH}"),
}


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
    with sandbox.Child([], [], room, seconds=5, megabytes=500) as child:
        return child.guards + ["bubblewrap"] * bool(sandbox.bubblewrap(room))


def grade_folder(folder, name, *places):
    """Make the examples of an assignment and grade those that are not left out, as make does."""
    submissions, out = folder / "examples", folder / "grades"
    told = ["--submissions", str(submissions), "--out", str(out), "--jobs", "2"]
    assert tool.main(["grade", "--seed", "0", "--only", name[:2], *told, *places]) == 0
    return SimpleNamespace(name=name, submissions=submissions, out=out)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The small assignment, graded for all whose deeds fit it."""
    skip_on_windows()
    folder = tmp_path_factory.mktemp("small")
    deeds = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    deeds = {student: told for student, told in deeds.items() if student not in REAL}
    for student in SLOW:
        deeds[student]["write"] = {"q2": deeds[student]["write"]["q1"]}
    (folder / "09-small.md").write_text(SMALL, encoding="utf-8")
    (folder / "09-small.examples.yaml").write_text(yaml.safe_dump(deeds), encoding="utf-8")
    assert littered() == [], "left by an earlier run: delete it"
    places = ["--masters", str(folder)]
    assert tool.main(["release", "--out", str(folder / "assignments"), *places]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "announce", lambda room: None)  # it imports torch; once is enough
        return grade_folder(folder, "09-small", *places)


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.long)])
def real(request, tmp_path_factory):
    """The first assignment, graded for a few of its examples or for all, and the wanted rows."""
    skip_on_windows()
    folder = tmp_path_factory.mktemp("coursework")
    assert littered() == [], "left by an earlier run: delete it"
    name = EXAMPLES.name.removesuffix(".examples.yaml")
    release = ["release", "--out", str(folder / "assignments"), "--only", name[:2]]
    assert tool.main(release) == 0
    if request.param == "some":
        for path in (folder / "examples").iterdir():
            if path.name not in EVERY_DAY:
                shutil.rmtree(path)
    wanted = rows(FOLDER / f"{name}.examples.csv")
    chosen = EVERY_DAY if request.param == "some" else list(wanted)
    return grade_folder(folder, name), {student: wanted[student] for student in chosen}


def test_the_examples_get_the_grades_that_they_must(real, guards):
    course, wanted = real
    found = rows(course.out / f"{course.name}.csv")
    unheld = set() if tool.protected(guards) else UNHELD
    assert set(found) == set(wanted)
    assert {s: r for s, r in found.items() if s not in unheld} == {
        s: r for s, r in wanted.items() if s not in unheld
    }
    assert littered() == [] or not tool.protected(guards)


def test_attacks_and_mishaps_cost_their_question_and_no_other(small, guards):
    found = rows(small.out / "09-small.csv")
    unheld = set() if tool.protected(guards) else UNHELD
    for student in set(MUST_SAY) - unheld:
        attacked, other = ("q2", "q1") if student in SLOW else ("q1", "q2")
        points, remark = MUST_SAY[student]
        row = found.pop(student)
        assert row[f"feedback {attacked}"] == remark, student
        assert row[attacked] == str(points), student
        assert (row[other], row[f"feedback {other}"]) == ("0", "not answered yet"), student
        assert (row["q3"], row["feedback q3"]) == ("4", "right"), student
        assert (row["total"], row["of"], row["status"]) == (str(4 + points), "12", "ok"), student


def test_who_hands_in_less_gets_what_is_there(small):
    found = rows(small.out / "09-small.csv")
    lacks = "your notebook lacks the cell {}: was it deleted, or its type changed?".format
    points = {
        student: [found[student][q] for q in ("q1", "q2", "q3", "total")] for student in found
    }
    assert points["correct"] == ["4", "1", "4", "9"]
    assert points["untouched"] == points["not-even-cells"] == ["0", "0", "0", "0"]
    assert points["lost-cells"] == ["0", "0", "4", "4"]
    assert found["correct"]["status"] == found["lost-cells"]["status"] == "to mark: q4"
    assert found["untouched"]["feedback q1"] == "not answered yet"
    for student in ("lost-cells", "not-even-cells"):
        assert found[student]["feedback q1"] == lacks("q1")
        assert found[student]["feedback q2"] == lacks("q2")
    for student in ("empty-file", "no-notebook"):
        assert found[student]["status"] == "failed: it is not a notebook (JSONDecodeError)"
        assert points[student] == ["0", "0", "0", "0"]


def test_each_example_is_looked_at(small):
    told = set(yaml.safe_load(EXAMPLES.read_text(encoding="utf-8")))
    others = {"correct", "untouched", "lost-cells", "not-even-cells", "empty-file", "no-notebook"}
    assert told == set(MUST_SAY) | others | set(REAL)
    assert set(rows(small.out / "09-small.csv")) == told - set(REAL)


def test_no_submission_writes_anywhere(small, guards):
    if not tool.protected(guards):
        pytest.skip("neither bubblewrap nor Landlock holds files here")
    assert littered() == []


def test_each_student_gets_a_page_and_marks_survive_a_second_run(small):
    name, out = small.name, small.out
    (master,) = masters(small.submissions.parent)
    pages = {path.stem for path in (out / name).glob("*.md")}
    assert pages == {path.name for path in small.submissions.iterdir()}
    assert "q1: 4 of 4" in (out / name / "correct.md").read_text()
    table = out / f"{name}.to_mark.csv"
    written = table.read_text(encoding="utf-8").replace("correct,q4,3,,", "correct,q4,3,2.5,")
    table.write_text(written, encoding="utf-8")
    students = [small.submissions / "correct", small.submissions / "lost-cells"]
    names = {cell.name for cell in master.cells}
    handed = [(s.name, submission.read(s / f"{name}.ipynb", names)) for s in students]
    results = [((student, {}, ""), sub) for student, sub in handed]
    tool.conclude(master, results, out)
    assert rows(table)["correct"]["points"] == "2.5"
    assert rows(table)["lost-cells"]["points"] == ""
    changed = submission.Submission(text={"q4": ["another answer"]})
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
    (tmp_path / "notebook.ipynb").symlink_to(EXAMPLES)
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


def test_who_sleeps_is_not_waited_for_long(tmp_path_factory):
    skip_on_windows()
    room, sleep = str(tmp_path_factory.mktemp("room")), [("q1", "import time; time.sleep(1000)")]
    begun = time.monotonic()
    with pytest.raises(sandbox.Ended, match="2 s of waiting"):
        sandbox.Child(sleep, [], room, seconds=1, megabytes=500).ask({"name": "x"})
    assert 2 < time.monotonic() - begun < 40  # on a busy machine


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
