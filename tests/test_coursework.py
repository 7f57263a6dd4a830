"""The grader: what is handed in ends with a grade or a named failure, for that student alone."""

import json
import re
import socket
import sys
import time
from collections import Counter

import nbformat
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tools.coursework import __main__ as tool
from tools.coursework import examples, grade, pool, report, sandbox, secret
from tools.coursework.child import wire
from tools.coursework.master import FOLDER, masters, without
from tools.handout import hand_out

MASTERS = masters()
# Of the examples, every day these: the sandbox with torch alone, and with the library.
EVERY_DAY = {"01": ["right", "untouched", "mistakes-1"], "06": ["right"]}
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")


def skip_on_windows():
    if sys.platform == "win32":
        pytest.skip("submissions run on Linux, macOS or WSL")


def rows(path):
    """{student: row} of a table, by the names of its columns."""
    head, *others = report.read_csv(path.read_bytes(), ["student"])
    return {row[0]: dict(zip(head, row, strict=True)) for row in others}


def told(row):
    """A row without the numbers in its remarks, whose last digits are the processor's."""
    return {
        name: NUMBER.sub("#", cell) if name.startswith("feedback") else cell
        for name, cell in row.items()
    }


def graded(tmp_path, master, chosen):
    """The table of an assignment for these example students, through the command."""
    for name, deeds in examples.students(master).items():
        if name in chosen:
            path = tmp_path / "class" / name / f"{master.name}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(examples.submission_text(master, **deeds), encoding="utf-8")
    places = ["--submissions", str(tmp_path / "class"), "--out", str(tmp_path / "out")]
    assert tool.main(["grade", "--only", master.name[:2], *places, "--jobs", "2"]) == 0
    return rows(tmp_path / "out" / f"{master.name}.csv")


@pytest.mark.parametrize(
    ("master", "chosen"),
    [
        *[(m, EVERY_DAY[m.name[:2]]) for m in MASTERS if m.name[:2] in EVERY_DAY],
        *[pytest.param(m, list(examples.students(m)), marks=pytest.mark.long) for m in MASTERS],
    ],
    ids=lambda value: getattr(value, "name", "")[:2] or str(len(value)),
)
def test_the_examples_get_the_grades_that_they_must(tmp_path, monkeypatch, master, chosen):
    skip_on_windows()
    monkeypatch.delenv("COURSEWORK_SEED", raising=False)
    found = graded(tmp_path, master, chosen)
    wanted = rows(FOLDER / f"{master.name}.examples.csv")
    assert set(wanted) == set(examples.students(master))
    assert {s: told(r) for s, r in found.items()} == {s: told(wanted[s]) for s in chosen}


@pytest.mark.parametrize("master", MASTERS, ids=lambda master: master.name[:2])
def test_the_expected_grades_are_those_of_the_planted_mistakes(master):
    """Points of a question that needs no other, by the list of mistakes and by the table."""
    wanted = rows(FOLDER / f"{master.name}.examples.csv")
    known = examples.mistakes(master)
    for question in master.questions:
        assert wanted["right"][question.name] in (report.tidy(question.points), "")
        for k in range(examples.MISTAKES if question.tests and not question.needs else 0):
            points = report.tidy(known[question.name][k]["points"])
            assert wanted[f"mistakes-{k + 1}"][question.name] == points, (question.name, k)


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


@pytest.mark.parametrize("value", [(1, (2, [3])), {1: 2, "a": (3,)}, {1, 2}, 1j, 10**30, True])
def test_a_value_keeps_its_type(value):
    there = wire.decode(json.loads(json.dumps(wire.encode(value))))
    assert (type(there), there) == (type(value), value)


FORGED = [
    {"dtype": "float64", "shape": [3], "data": "AAAAAAAAAAA="},
    {"dtype": "float64", "shape": [-1], "data": ""},
    {"dtype": "float64", "shape": [True], "data": "AAAAAAAAAAA="},
    {"dtype": "float64", "shape": [0, 2**40], "data": ""},
    {"dtype": "float64", "shape": [1], "data": ["AAAAAAAAAAA="]},
    {"dtype": "float64", "shape": [1], "data": "not base64!"},
    {"dtype": "float64", "shape": 1, "data": "AAAAAAAAAAA="},
    {"dtype": "save", "shape": [1], "data": "AAAAAAAAAAA="},
    {"dtype": ["float64"], "shape": [1], "data": "AAAAAAAAAAA="},
    {"dict": [1]},
    {"dict": [[[1], 2]]},
    {"set": list(range(wire.MOST + 1))},
    {"complex": [1.0]},
    {"tuple": 3},
    {"value": 1},
    {},
]


@pytest.mark.parametrize("forged", FORGED, ids=str)
def test_a_forged_answer_is_refused(forged):
    with pytest.raises(ValueError, match="answer|tensor|dict|base64|padding"):
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


def test_another_secret_asks_with_other_numbers():
    master = MASTERS[0]
    first, second = master.questions[:2]
    asked = [(first, "a"), (first, "b"), (second, "a")]
    seeds = [grade.own_names(master, question, phrase)["SEED"] for question, phrase in asked]
    assert len(set(seeds)) == 3


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_phrase_is_a_secret(phrase):
    try:
        seed = secret.seed(phrase, "01", "q1")
    except UnicodeEncodeError:  # no shell can pass it on
        return
    assert 0 <= seed < 2**62
    assert seed == secret.seed(phrase, "01", "q1")
    torch.Generator().manual_seed(seed + 2)  # the tests of a question count on from it


def test_a_phrase_that_can_be_guessed_is_told():
    assert "public seed" in secret.warning("")
    assert "can be guessed" in secret.warning("2024")
    assert secret.warning("a-phrase-that-you-tell-nobody") == ""


def test_a_planted_mistake_that_is_not_in_the_solution_is_refused():
    with pytest.raises(ValueError, match="exactly once"):
        examples.planted(MASTERS[0], MASTERS[0].questions[0], {"replace": "not there", "by": ""})


def test_nothing_to_grade_is_told_and_is_a_failure(tmp_path, capsys):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "holiday.jpg").write_bytes(b"picture")
    assert tool.main(["grade", "--submissions", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "Nothing was graded: no notebook here belongs to 01-" in capsys.readouterr().err


def test_marks_that_cannot_be_used_are_told_before_the_grading(tmp_path, capsys, monkeypatch):
    master = MASTERS[0]
    path = tmp_path / "ada" / f"{master.name}.ipynb"
    path.parent.mkdir()
    path.write_text(examples.submission_text(master, solve="all"), encoding="utf-8")
    table = tmp_path / f"{master.name}.to_mark.csv"
    table.write_text("student,question,points,id\nada,q6,30,\nbob,q6,nan,\n", encoding="utf-8")
    monkeypatch.setattr(sandbox, "Child", None)  # no process may be started
    told = ["grade", "--submissions", str(tmp_path), "--out", str(tmp_path)]
    assert tool.main(told) == 2
    error = capsys.readouterr().err
    assert "'ada', question 'q6'" in error
    assert "'bob', question 'q6'" in error


def fate(number):
    """Work that answers, raises, dies, hangs, or answers at length."""
    if number == 1:
        raise KeyError("x")
    if number == 2:
        sys.stdout.flush()
        import os

        os._exit(3)
    if number == 3:
        time.sleep(100)
    return "long " * 10**6 if number == 4 else number


def test_work_that_fails_costs_itself_alone():
    skip_on_windows()
    found = dict(pool.each(fate, lambda number, why: why, range(7), jobs=3, seconds=2))
    assert [found[n] for n in (0, 5, 6)] == [0, 5, 6]
    assert found[1] == "KeyError: 'x'"
    assert found[2] == "its process ended with the status 3"
    assert found[3] == "it took more than 2 s"
    assert len(found[4]) == 5 * 10**6


def test_a_notebook_in_which_somebody_worked_is_not_written_over(tmp_path):
    first = list(hand_out(tmp_path, {"a.ipynb": "1", "b.ipynb": "1"}))
    assert Counter(line.split()[0] for line in first) == {"written": 2}
    (tmp_path / "a.ipynb").write_text("my work")
    assert [line.split()[0] for line in hand_out(tmp_path, {"a.ipynb": "1", "b.ipynb": "2"})] == [
        "kept",
        "written",
    ]
    assert not (tmp_path / "a.new.ipynb").exists()
    (told,) = hand_out(tmp_path, {"a.ipynb": "3"})
    assert "the new one is a.new.ipynb" in told
    assert (tmp_path / "a.ipynb").read_text() == "my work"
    assert (tmp_path / "a.new.ipynb").read_text() == "3"
    assert (tmp_path / "b.ipynb").read_text() == "2"


def test_a_notebook_that_was_only_opened_and_saved_is_not_kept(tmp_path):
    """JupyterLab adds to the metadata of what it opens; the cells are what a reader writes."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    list(hand_out(tmp_path, {"a.ipynb": nbformat.writes(notebook)}))
    notebook.metadata["widgets"], notebook.cells[0].metadata["trusted"] = {}, True
    nbformat.write(notebook, tmp_path / "a.ipynb")
    newer = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 2")])
    (told,) = hand_out(tmp_path, {"a.ipynb": nbformat.writes(newer)})
    assert told.startswith("written")
    newer.cells[0].source += "  # my work"
    nbformat.write(newer, tmp_path / "a.ipynb")
    (told,) = hand_out(tmp_path, {"a.ipynb": nbformat.writes(notebook)})
    assert told.startswith("kept")
