"""Reading what a student handed in: whatever the file holds, cells or a sentence come out."""

import contextlib
import json
import os
import random
import re

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.coursework import examples, submission
from tools.coursework.master import TEXT_STUB, masters, student_source
from tools.coursework.notebook import LARGEST
from tools.coursework.places import StudentCell, defined, prose
from tools.coursework.submission import Submission, Unreadable, read

MASTERS = masters()
FIRST = MASTERS[0]
Q1, Q2, Q3, Q4, Q5, Q6 = FIRST.questions
every_master = pytest.mark.parametrize("master", MASTERS, ids=[m.name[:2] for m in MASTERS])
HELPER = {"cell_type": "code", "metadata": {}, "source": "helper = 1", "outputs": []}
REMARK = {"cell_type": "markdown", "metadata": {}, "source": "I tried."}


def solved(master=FIRST):
    """The notebook of a student who solved all, as JSON."""
    return made(master, solve="all")


def untouched(**deeds):
    return made(FIRST, **deeds)


def made(master, **deeds):
    """The notebook as JSON, each source in one text."""
    notebook = json.loads(examples.submission_text(master, **deeds))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def stripped(notebook):
    """The notebook without metadata and ids, as a converter leaves it."""
    cells = [{**cell, "metadata": {}} for cell in notebook["cells"]]
    for cell in cells:
        cell.pop("id", None)
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 2}


def name_of(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def place_of(notebook, name):
    return [cell.get("id") for cell in notebook["cells"]].index(name)


def insert(notebook, name, *cells, after=0):
    """Put cells before the named one, or behind it."""
    place = place_of(notebook, name) + after
    notebook["cells"][place:place] = cells
    return notebook


@pytest.fixture
def reads(tmp_path):
    """Read a notebook, given as JSON or bytes, as the submission of a master."""

    def read_it(notebook, master=FIRST):
        path = tmp_path / "x.ipynb"
        data = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
        path.write_bytes(data)
        return read(path, master)

    return read_it


def answers(sub, master):
    """{name of an answer or written cell: its source}, of the named cells."""
    names = {cell.name for cell in master.cells if cell.role in ("answer", "written")}
    return {cell.name: cell.source for cell in sub.cells if cell.name in names}


# What comes as bytes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_every_encoding_gives_the_same_cells(reads, encoding):
    told = untouched(write={"q6": "naïve é"})
    data = json.dumps(told, ensure_ascii=False)
    if encoding == "cp1252":  # which lacks the formulas' letters
        data = json.dumps(told).replace("na\\u00efve \\u00e9", "naïve é")
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    found = reads((mark + data).encode(encoding))
    assert found.cells == reads(told).cells
    assert found.written(Q6) == "naïve é"
    assert found.notes
    assert not reads(told).notes


@pytest.mark.parametrize("version", [(3, 0), (4, 0), (4, 4), (4, 5)])
def test_every_format_gives_the_same_answers(reads, version):
    notebook = nbformat.from_dict(solved())
    if version[0] == 3:
        notebook = nbformat.convert(notebook, 3)
    elif version[1] < 5:
        for cell in notebook.cells:
            del cell["id"]
        notebook.nbformat_minor = version[1]
    found = reads(json.loads(json.dumps(notebook)))
    assert answers(found, FIRST) == examples.reference(FIRST)
    assert bool(found.notes) == (version[0] == 3)


def test_lists_of_lines_and_windows_line_ends_are_the_same_text(reads):
    notebook = solved()
    for cell in notebook["cells"]:
        lines = cell["source"].split("\n")
        cell["source"] = [line + "\r\n" for line in lines[:-1]] + lines[-1:]
    assert reads(notebook) == reads(solved())
    for cell in notebook["cells"]:
        cell["source"] = [line.removesuffix("\r\n") for line in cell["source"]]
    assert reads(notebook) == reads(solved())


def test_colab_and_vs_code(reads):
    notebook = solved()
    for cell in notebook["cells"]:
        name = cell.pop("id")
        cell["metadata"] = {"id": name, "vscode": {"languageId": "python"}}
    assert reads(notebook) == reads(solved())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"PK\x03\x04...word/document.xml", "a Word file"),
        (b"PK\x03\x04...", "zip archive: unpack it"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"# mine\nimport torch\n", r"Python script \(.py\)"),
        (b"Dear teacher", r"no JSON \(JSONDecodeError\)"),
        (b'{"cells": [{"cell_type"', "damaged or cut short"),
        (b"[" * 100_000, "not a notebook"),
        (b'{"cells": ' + b"9" * 10_000 + b"}", "not a notebook"),
        (b"[1]", "JSON, but has no cells"),
        (b'{"cells": 7}', "no list of cells"),
        (b"{}", "no list of cells"),
        (b" " * (LARGEST + 1), "more than 20 MB: clear its outputs"),
    ],
)
def test_what_is_no_notebook_is_refused_in_words(reads, data, says):
    with pytest.raises(Unreadable, match=says):
        reads(data)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are Unix's")
def test_only_an_ordinary_file_is_opened(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    told = {"link": "a link", "pipe": "a device or a pipe", "folder": "a folder"}
    told |= {"none": "there is no such file", "x" * 300: "name is too long", "\0": "ValueError"}
    for name, says in told.items():
        with pytest.raises(Unreadable, match=says):
            read(tmp_path / name, FIRST)
    (tmp_path / "closed").touch()
    monkeypatch.setattr(os, "open", lambda *given: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(Unreadable, match=r"cannot be read \(PermissionError\): no"):
        read(tmp_path / "closed", FIRST)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("q1"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
keys = st.sampled_from(
    ["cell_type", "source", "metadata", "id", "input", "level", "nbgrader", "grade_id", "fsps"]
)
kinds = st.sampled_from(["code", "markdown", "raw", "heading", "q1", "q6", "text-0", "def f"])
cells = st.dictionaries(keys, kinds | json_values | st.dictionaries(keys, kinds | json_values))
notebooks = st.fixed_dictionaries(
    {}, optional={"cells": st.lists(cells | json_values), "metadata": json_values | cells}
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "x.ipynb"


def survives(path, data):
    """Reading ends in Unreadable or in a submission that every question can be asked of."""
    path.write_bytes(data)
    with contextlib.suppress(Unreadable):
        ask_all(read(path, FIRST))


def ask_all(found):
    for question in FIRST.questions:
        told = [found.runs(FIRST, question), found.whole(FIRST, question), found.left_out(question)]
        told += [found.written(question), found.code(question)]
        json.dumps(told, ensure_ascii=False).encode()  # no lone surrogate is left


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_survived(place, data):
    survives(place, data)


@settings(deadline=None)
@given(json_values | notebooks | st.lists(cells).map(lambda c: {"worksheets": [{"cells": c}]}))
def test_any_json_is_survived(place, value):
    survives(place, json.dumps(value).encode())


def test_a_damaged_notebook_is_survived(place):
    data, dice = json.dumps(solved()).encode(), random.Random(0)
    for _ in range(60):
        start, length = dice.randrange(len(data)), dice.randrange(40)
        survives(place, data[:start] + dice.randbytes(length) + data[start + length :])
    survives(place, b'{"cells": [{"source": "' + b"-" * 300_000 + b'1", "cell_type": "code"}]}')


def test_many_cells_take_no_time_to_speak_of(place):
    many = [{"cell_type": "code", "source": "x = 1\ny"}] * 20_000
    place.write_text(json.dumps({"cells": many}))
    found = read(place, FIRST)
    assert len(found.runs(FIRST, Q1)[0]) > 20_000


# What runs


def test_the_reference_runs_in_the_order_of_the_master(reads):
    run, lacking = reads(solved()).runs(FIRST, Q4)
    assert [name for name, _ in run] == ["set-up", "q4", "q4-harness"]
    assert not lacking


def test_copies_run_apart(reads):
    notebook = solved()
    copy = dict(notebook["cells"][place_of(notebook, "q1")], source="raise ValueError", id="new")
    run, _ = reads(insert(notebook, "q1", copy)).runs(FIRST, Q1)
    assert [name for name, _ in run] == ["set-up", "q1", "q1 (copy 2)"]
    assert run[1][1] == "raise ValueError"


def test_a_changed_set_up_runs_before_the_one_of_the_master(reads):
    notebook = solved()
    cell = notebook["cells"][place_of(notebook, "set-up")]
    cell["source"] += "\nimport numpy as np"
    run, _ = reads(notebook).runs(FIRST, Q1)
    assert [name for name, _ in run] == ["set-up, as you changed it", "set-up", "q1"]
    assert (run[0][1], run[1][1]) == (cell["source"], FIRST.cells[0].source)


@pytest.mark.parametrize(
    ("spot", "after", "sees"),
    [
        ("text-0", 0, "q3 q4"),
        ("set-up", 1, "q3 q4"),
        ("q1", 0, "q3 q4"),  # as after the set-up, which is common
        ("q3", 0, "q3"),  # below the heading of question 3
        ("q3", 1, "q3"),
        ("q3-tests-doubled", 1, "q3"),
        ("q4", 0, "q4"),
        ("q4-tests", 1, "q4"),
    ],
)
def test_an_added_cell_runs_with_its_question(reads, spot, after, sees):
    found = reads(insert(solved(), spot, HELPER, after=after))
    seen = [
        q.name for q in (Q3, Q4) if "helper = 1" in [code for _, code in found.runs(FIRST, q)[0]]
    ]
    assert seen == sees.split()
    assert all("helper = 1" in [code for _, code in found.whole(FIRST, q)] for q in (Q4, Q5))


def test_an_answer_turned_into_text_is_not_run(reads):
    for kind in ("markdown", "raw"):
        notebook = solved()
        notebook["cells"][place_of(notebook, "q1")]["cell_type"] = kind
        run, lacking = reads(notebook).runs(FIRST, Q1)
        assert [name for name, _ in run] == ["set-up"]
        assert lacking == ["q1"]


def test_whole_is_the_notebook_down_to_the_question(reads):
    run = reads(insert(solved(), "q1-tests", HELPER, after=1)).whole(FIRST, Q2)
    wanted = ["set-up", "q1", "q1-tests", "an added cell (4)", "q1-tests-logits", "q2"]
    assert [name for name, _ in run] == [*wanted, "q2-tests", "q2-tests-flat"]
    sources = dict(run)
    assert sources["q2"] == examples.reference(FIRST)["q2"]
    assert "BEGIN HIDDEN TESTS" not in "".join(sources.values())


def test_whole_keeps_the_order_of_the_student_and_brings_lost_cells_back(reads):
    notebook = untouched(solve="all", drop=["set-up", "q4-harness"])
    cells = notebook["cells"]
    cells.insert(0, cells.pop(place_of(notebook, "q4")))
    run = [name for name, _ in reads(notebook).whole(FIRST, Q4)]
    assert run[:3] == ["set-up", "q4", "q1"]
    assert run[-1] == "q4-harness"


def test_left_out_means_that_nothing_was_touched(reads):
    found = reads(untouched(solve=["q1"]))
    assert [found.left_out(q) for q in (Q1, Q2)] == [False, True]
    assert not reads(untouched(drop=["q1"])).left_out(Q1)
    assert not reads(insert(untouched(), "q1", HELPER, after=1)).left_out(Q1)
    assert reads(insert(untouched(), "q1", {**HELPER, "source": " \n"}, after=1)).left_out(Q1)
    crlf = student_source(Q1.of("answer")[0]).replace("\n", "\r\n")
    assert reads(untouched(write={"q1": crlf})).left_out(Q1)


def test_code_is_the_answer_with_what_was_added_to_it(reads):
    found = reads(insert(solved(), "q1", HELPER, after=1))
    assert found.code(Q1) == examples.reference(FIRST)["q1"] + "\n\nhelper = 1"
    assert "helper" not in found.code(Q2)


# What is written


def test_a_written_answer_wherever_it_was_typed(reads):
    mine = {**REMARK, "source": "Mine."}
    assert reads(untouched()).written(Q6) == ""
    assert reads(untouched(write={"q6": f"{TEXT_STUB}\n\nMine."})).written(Q6) == "Mine."
    assert reads(insert(untouched(), "q6", mine, after=1)).written(Q6) == "Mine."
    assert reads(insert(untouched(), "q6", mine)).written(Q6) == "Mine."
    assert reads(insert(untouched(), "q6", {**mine, "cell_type": "raw"}, after=1)).written(Q6)
    typed = {**HELPER, "source": "# The mean of two modes\n# lies between them both."}
    assert reads(insert(untouched(), "q6", typed, after=1)).written(Q6) == typed["source"]
    assert reads(insert(untouched(), "q6", HELPER, after=1)).written(Q6) == ""
    replaced = untouched(drop=["q6"])
    replaced["cells"].insert(place_of(untouched(), "q6"), mine)
    assert reads(replaced).written(Q6) == "Mine."
    below = untouched()
    below["cells"][place_of(below, "q6") - 1]["source"] += "\n\nMine."
    assert reads(below).written(Q6) == "Mine."


@pytest.mark.parametrize("kind", ["code", "raw"])
def test_a_written_answer_in_a_cell_of_another_kind_counts_and_is_not_run(reads, kind):
    notebook = untouched(write={"q6": "It's a mean."})
    notebook["cells"][place_of(notebook, "q6")]["cell_type"] = kind
    found = reads(notebook)
    assert found.written(Q6) == "It's a mean."
    assert "q6" not in [name for name, _ in found.runs(FIRST, Q6)[0] + found.whole(FIRST, Q6)]


def test_the_prompt_of_the_next_question_is_no_answer():
    told = [("q6", "text", "Mine."), (None, "text", "## Next", True), (None, "text", "no")]
    assert Submission([StudentCell(*cell) for cell in told]).written(Q6) == "Mine."


# Which cell is which


@every_master
def test_all_names_are_found_again(reads, master):
    found = reads(stripped(solved(master)), master)
    assert answers(found, master) == examples.reference(master)
    assert [c[:3] for c in found.cells] == [c[:3] for c in reads(solved(master), master).cells]
    assert re.fullmatch(r"\d+ cells were known by their place: .* lost", found.notes[-1])
    for question in master.questions:
        assert found.runs(master, question) == reads(solved(master), master).runs(master, question)


@every_master
def test_a_notebook_whose_names_stand_is_not_touched(reads, master):
    found = reads(insert(solved(master), "q1", HELPER, dict(HELPER, source="x = 1")), master)
    assert not found.notes
    assert sum(cell.added for cell in found.cells) == 2


def without_roles(notebook, *drop):
    """The notebook without cells of these kinds: tests, set-up, text."""
    kept = {**notebook, "cells": []}
    for cell in notebook["cells"]:
        told = cell["metadata"].get("nbgrader")
        role = "text" if not told else ("tests" if told["locked"] and told["grade"] else "other")
        role = "set-up" if told and told["locked"] and not told["grade"] else role
        if role not in drop:
            kept["cells"].append(cell)
    return kept


@every_master
@pytest.mark.parametrize("drop", [["tests"], ["text"], ["tests", "set-up", "text"]])
def test_answers_are_found_when_other_cells_were_deleted_too(reads, master, drop):
    found = reads(stripped(without_roles(solved(master), *drop)), master)
    assert answers(found, master) == examples.reference(master)


@every_master
def test_answers_are_found_between_added_cells(reads, master):
    notebook = solved(master)
    for name in examples.reference(master):
        insert(notebook, name, HELPER)
        insert(notebook, name, HELPER, REMARK, after=1)
    found = reads(stripped(notebook), master)
    wanted = examples.reference(master)
    for question in master.questions:
        for cell in question.of("answer"):
            assert answers(found, master)[cell.name] == wanted[cell.name]
        for cell in question.written:
            assert wanted[cell.name].strip() in found.written(question)
    assert sum(cell.source == "helper = 1" for cell in found.cells if cell.added) == 2 * len(wanted)


@every_master
def test_answers_are_found_in_another_order(reads, master):
    notebook, groups = solved(master), [[]]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and cell["source"].startswith("## Question"):
            groups.append([])
        groups[-1].append(cell)
    notebook["cells"] = [*groups[0], *[cell for group in groups[:0:-1] for cell in group]]
    assert answers(reads(stripped(notebook), master), master) == examples.reference(master)
    names = [cell.name for cell in reads(notebook, master).cells]
    held = {cell.name for cell in master.cells}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert names == [name if name in held else None for name in ids]


@every_master
def test_answers_are_found_with_windows_line_ends_and_changed_tests(reads, master):
    notebook = solved(master)
    for cell in notebook["cells"]:
        if name_of(cell).startswith(("set-up", "q3-tests")):
            cell["source"] += "\nprint('mine')"
        cell["source"] = cell["source"].replace("\n", "\r\n")
    found = reads(stripped(notebook), master)
    assert answers(found, master) == examples.reference(master)


def test_an_answer_without_its_names_is_known_as_the_only_cell_there(reads):
    notebook = untouched(write={"q1": "result = 1"})
    found = reads(stripped(notebook))
    assert answers(found, FIRST)["q1"] == "result = 1"
    two = reads(stripped(insert(untouched(write={"q1": "a = 1"}), "q1", HELPER)))
    assert "q1" not in answers(two, FIRST)
    assert two.runs(FIRST, Q1)[1] == ["q1"]


def test_a_cell_made_anew_is_the_one_that_was_deleted(reads):
    notebook = untouched(solve="all")
    cell = notebook["cells"][place_of(notebook, "q1")]
    cell["metadata"], cell["id"] = {}, "f00"
    found = reads(notebook)
    assert answers(found, FIRST) == examples.reference(FIRST)
    assert found.notes == ("1 cell was known by its place: its name was lost",)


def test_names_of_a_cell_are_not_trusted(reads):
    notebook = solved()
    told = notebook["cells"][place_of(notebook, "q1")]
    told["metadata"] = {"nbgrader": {"grade_id": ["q1"]}}
    assert answers(reads(notebook), FIRST) == examples.reference(FIRST)
    for cell in notebook["cells"]:
        cell["metadata"], cell["id"] = {"nbgrader": ["no"]}, {}
    assert answers(reads(notebook), FIRST) == examples.reference(FIRST)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x):\n    y = 1\nasync def g(): pass\nclass H: pass", "f g H"),
        ("a, *b = (c) = 1, 2\nd: int = 3", "a b c d"),
        ("a == 1\nf(x, y=2)\nif x <= 3: pass\na += 1\n# e = 1\na.b = 1", ""),
        ("f = lambda x=1: x\n(a, b) = 1, 2\n%time x\nbroken = (", "f a b broken"),
    ],
)
def test_definitions_are_seen_without_running_or_parsing(source, names):
    assert defined(source) == set(names.split())


def test_prose_is_no_code():
    assert prose("The picture is a mean of two modes.\nIt need not be probable.")
    assert prose("# The picture is a mean")
    for code in ("x = 1", "plt.plot(x)", "import torch", "", "# a long comment first\nprint(x)"):
        assert not prose(code)


def test_read_is_where_it_always_was():
    assert submission.Unreadable is Unreadable
    assert submission.LARGEST == LARGEST
