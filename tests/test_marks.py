"""to_mark.csv: what spreadsheets do to it costs no mark, and what is wrong is said at once."""

import csv
import io
import re

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.coursework import marks, report
from tools.coursework.master import TEXT_STUB, Master
from tools.coursework.result import Outcome, Result


def small_master():
    """Two points for code in q1, three for words in q4, and both kinds in q5."""
    told = [("q1-tests", 2, "code"), ("q4", 3, "markdown")]
    told += [("q5-tests", 1, "code"), ("q5", 2.5, "markdown")]
    cells = [nbformat.v4.new_markdown_cell("# Small <things> & others\n\nText.")]
    for name, points, kind in told:
        cell = nbformat.v4.new_code_cell() if kind == "code" else nbformat.v4.new_markdown_cell()
        flags = {"grade": True, "solution": kind != "code", "locked": kind == "code"}
        cell.metadata["nbgrader"] = {**flags, "grade_id": name, "points": points}
        cell.metadata["nbgrader"]["schema_version"] = 3
        cells.append(cell)
    rubric = "1 point: a <word>; 2 points: more"
    each = {
        "q1": {"objective": "do <this>", "chapters": [1], "asks": []},
        "q4": {"objective": "write", "chapters": [1], "asks": [], "rubric": rubric},
        "q5": {"objective": "do both", "chapters": [1], "asks": [], "rubric": rubric},
    }
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"fsps": {"questions": each}})
    return Master("09-small", notebook)


MASTER = small_master()


def result(student, q4="", q5="", **told):
    outcomes = {"q1": Outcome(2), "q4": Outcome(), "q5": Outcome(1)}
    return Result(student, outcomes, written={"q4": q4, "q5": q5}, **told)


def rows(path):
    return {(row["student"], row["question"]): row for row in read_back(path)}


def read_back(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def merged_from(path, results):
    return marks.merge(MASTER, results, marks.read(path, MASTER))


def written(path, results):
    """The path, after a run that graded these."""
    read = marks.read(path, MASTER)
    assert marks.write(path, marks.merge(MASTER, results, read), read) == path
    return path


def type_in(path, points, **changed):
    """A person types points, {(student, question): text}, and other columns with one value."""
    table = read_back(path)
    for row in table:
        row["points"] = points.get((row["student"], row["question"]), row["points"])
        row.update(changed)
    save_as(path, [list(table[0]), *(list(row.values()) for row in table)])


def save_as(path, table, separator=",", encoding="utf-8-sig", first=""):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(table)
    path.write_bytes((first + text.getvalue()).encode(encoding, "replace"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "09-small.to_mark.csv"


def test_what_is_to_mark_stands_in_the_file(path):
    written(path, [result("ada", "Words, é", TEXT_STUB)])
    first, second = read_back(path)
    assert list(first) == marks.COLUMNS
    assert (first["of"], first["points"], first["answer"]) == ("3", "", "Words, é")
    assert first["rubric"].startswith("1 point")
    assert (second["of"], second["points"]) == ("2.5", "0")  # nobody need look at it
    assert len(first["id"]) == 10
    assert first["id"].isalpha()
    data = path.read_bytes()
    assert data.startswith("\ufeffstudent".encode())
    assert data.count(b"\r\n") == data.count(b"\n") == 3


def test_a_missing_file_holds_no_marks(path):
    assert marks.read(path, MASTER) == marks.Marks()


@pytest.mark.parametrize(
    ("typed", "points"),
    [("2", 2), ("2.5", 2.5), ("2,5", 2.5), (" 2\u00a0", 2), ("'2", 2), (".5", 0.5), ("3.", 3)],
)
def test_marks_as_people_write_them(path, typed, points):
    type_in(written(path, [result("ada", "w")]), {("ada", "q4"): typed})
    assert merged_from(path, [result("ada", "w")]).points[("ada", "q4")] == points


BAD = [
    "nan",
    "inf",
    "-5",
    "30",
    "3.01",
    "two",
    "2.5 points",
    "1e0",
    "2/3",
    "1.234,5",
    "٣",
    "=1",
    "−1",
]
DATES = ["2. Mai", "02.05.2026", "2-May", "2026-05-02", "05/02/26", "Feb 5"]


@pytest.mark.parametrize("typed", [*BAD, *DATES])
def test_marks_that_are_none_are_refused(path, typed):
    type_in(written(path, [result("bob", "v"), result("ada", "w")]), {("ada", "q4"): typed})
    with pytest.raises(marks.BadMarks, match="a number from 0 to 3, like 2, 2.5 or 2,5") as refused:
        marks.read(path, MASTER)
    (problem,) = refused.value.problems
    assert f"{path}, row 4, student 'ada', question 'q4': " in problem
    assert f"got {typed!r}" in problem
    assert (typed in DATES) == ("a date of your number" in problem)


def test_the_limit_is_the_masters(path):
    type_in(written(path, [result("ada", "w")]), {("ada", "q4"): "9"}, of="10")
    with pytest.raises(marks.BadMarks, match="from 0 to 3.*more than the question gives"):
        marks.read(path, MASTER)


def test_all_problems_are_told_at_once(path):
    table = [
        ["student", "question", "points", "id", ""],
        ["ada", "q4", "nan"],
        [],
        ["ada", "q9", "1"],
        ["ada", "q1", "1"],
        ["", "q4", "1"],
        ["ada", "q4", "2", "5", "", ""],
        ["ada", "q4", "1", "", "stray"],
        ["ada", "q4", "2", ""],
        ["bob", "q4", "1", "12"],
    ]
    save_as(path, table)
    with pytest.raises(marks.BadMarks) as refused:
        marks.read(path, MASTER)
    told = refused.value.problems
    wanted = [
        "row 2,.*'nan'",
        "row 4,.*'q9'.*there is q4, q5",
        "row 5,.*'q1'",
        "row 6,.*no student",
    ]
    wanted += ["row 7,.*6 cells where the head has 5", "row 8,.*'stray'", "row 10,.*ten letters"]
    assert len(told) == len(wanted)
    for problem, pattern in zip(told, wanted, strict=True):
        assert re.search(pattern, problem), problem
    assert str(refused.value).count("\n") == len(told) - 1


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (["student", "question", "id"], "no column points"),
        (["student", "question", "points"], r"no column id \(or answer\)"),
        (["student", "question", "points", "Points ", "id"], "2 columns are named 'points'"),
        ([], "no column student, question, points, id"),
    ],
)
def test_a_head_that_does_not_do(path, head, says):
    save_as(path, [head])
    with pytest.raises(marks.BadMarks, match=says):
        marks.read(path, MASTER)


def test_two_marks_for_one_answer_are_refused(path):
    type_in(written(path, [result("ada", "w")]), {("ada", "q4"): "2"})
    line = path.read_bytes().split(b"\r\n")[1]
    path.write_bytes(path.read_bytes() + line + b"\r\n")
    assert merged_from(path, [result("ada", "w")]).points[("ada", "q4")] == 2  # twice the same
    path.write_bytes(path.read_bytes() + line.replace(b",2,", b",1,") + b"\r\n")
    with pytest.raises(marks.BadMarks, match="student 'ada', question 'q4'.* give 1 and 2 points"):
        marks.read(path, MASTER)


def test_quotes_that_do_not_pair_up_lose_no_rows(path):
    path.write_text('student,question,points,answer\nada,q4,2,"w\nbob,q4,1,v\n')
    with pytest.raises(marks.BadMarks, match="cannot be read: near line .* quote"):
        marks.read(path, MASTER)


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(marks.BadMarks, match="cannot be read"):
        marks.read(tmp_path, MASTER)


def test_a_number_that_a_spreadsheet_rewrote_keeps_its_mark(path):
    type_in(written(path, [result("0012", "1e5")]), {("0012", "q4"): "2"})
    spoilt = path.read_text(encoding="utf-8-sig").replace("1e5", "100000").replace("0012", "12")
    path.write_text(spoilt, encoding="utf-8")
    merged = merged_from(path, [result("0012", "1e5")])
    assert merged.points[("0012", "q4")] == 2
    assert merged.notes == []
    assert [row[0] for row in merged.rows[1:]] == ["0012", "0012"]


def test_long_numbers_that_became_one_are_told_apart(path):
    results = [result(f"20260000000000{n}", f"answer {n}", "x") for n in range(3)]
    type_in(written(path, results), {(r.student, "q4"): str(n) for n, r in enumerate(results)})
    type_in(path, {}, student="2.026E+15")
    found = merged_from(path, results).points
    assert [found[(r.student, "q4")] for r in results] == [0, 1, 2]


def test_without_ids_the_answer_tells(path):
    results = [result("ada", "some\n words", "old")]
    type_in(written(path, results), {("ada", "q4"): "2", ("ada", "q5"): "1"}, id="")
    merged = merged_from(path, [result("ada", "some words\n", "new")])
    assert merged.points == {("ada", "q4"): 2}


def test_a_student_who_was_renamed_in_the_file_keeps_the_mark(path):
    type_in(written(path, [result("ada", "w", "v")]), {("ada", "q4"): "2"}, student="Ada L")
    assert merged_from(path, [result("Ada L", "w", "v")]).points == {("Ada L", "q4"): 2}


def test_a_mark_for_another_answer_is_kept_and_does_not_count(path):
    for typed, answer in [("2.5", "first"), ("1", "second"), ("3", "third")]:
        type_in(written(path, [result("ada", answer)]), {("ada", "q4"): typed})
    for notes in (1, 0):  # a second run changes nothing
        read = marks.read(path, MASTER)
        merged = marks.merge(MASTER, [result("ada", "fourth")], read)
        assert ("ada", "q4") not in merged.points
        told = "ada, q4: 3 for an earlier answer does not count"
        assert merged.notes == [told] * notes
        assert marks.write(path, merged, read) == path
        row = rows(path)[("ada", "q4")]
        assert (row["points"], row["answer"]) == ("", "fourth")
        earlier = [f"{points} for an earlier answer" for points in ("3", "1", "2.5")]
        assert row["earlier"] == "; ".join(earlier)


def test_an_untouched_answer_gets_nothing_unless_a_person_says_otherwise(path):
    assert merged_from(path, [result("ada", TEXT_STUB, " ")]).points == {
        ("ada", "q4"): 0,
        ("ada", "q5"): 0,
    }
    type_in(written(path, [result("ada", TEXT_STUB)]), {("ada", "q4"): "1"})
    assert merged_from(path, [result("ada", "")]).points[("ada", "q4")] == 1
    written(path, [result("ada", "at last", "here too")])
    assert rows(path)[("ada", "q5")]["earlier"] == ""  # the 0 was nobody's
    assert rows(path)[("ada", "q4")]["earlier"] == "1 for an earlier answer"


def test_rows_of_others_and_columns_of_a_person_stay(path):
    both = [result("ada", "a", "aa"), result("=bob", "b", "bb")]
    type_in(written(path, both), {("'=bob", "q4"): "2"})
    type_in(path, {}, comment="=good", earlier="1 for an earlier answer")
    before = rows(path)
    for now in (
        [result("ada", "a", "aa")],
        [*both[:1], Result("=bob", failure="it is no notebook")],
    ):
        written(path, now)
        after = rows(path)
        assert list(after) == list(before)
        for key in before:
            assert after[key] == {**before[key], "comment": "'=good"}
    assert merged_from(path, both).points == {("=bob", "q4"): 2}
    (first, second) = merged_from(path, both[:1]).notes
    assert first == "=bob, q4: the row is kept; no such answer is here now"


def test_a_file_that_was_saved_meanwhile_is_not_overwritten(path):
    read = marks.read(written(path, [result("ada", "a")]), MASTER)
    merged = marks.merge(MASTER, [result("ada", "a")], read)
    type_in(path, {("ada", "q4"): "2"})
    typed = path.read_bytes()
    assert marks.write(path, merged, read).name == "09-small.to_mark.new.csv"
    assert marks.write(path, merged, read).name == "09-small.to_mark.new-2.csv"
    assert path.read_bytes() == typed


def test_a_cut_answer_is_known_by_all_of_it(path):
    long = "word " * 10_000
    type_in(written(path, [result("ada", long)]), {("ada", "q4"): "2"})
    shown = rows(path)[("ada", "q4")]["answer"]
    assert len(shown) < 32_767
    assert "30,000 more characters" in shown
    assert merged_from(path, [result("ada", long)]).points[("ada", "q4")] == 2
    assert ("ada", "q4") not in merged_from(path, [result("ada", long[:-5] + "ward ")]).points


def as_it_was(path):
    pass


def in_cp1252(path):
    save_as(path, table_of(path), encoding="cp1252")


def with_semicolons(path):
    save_as(path, table_of(path), separator=";")


def with_sep_line(path):
    save_as(path, table_of(path), separator="\t", encoding="utf-8", first="sep=\t\r\n")


def in_utf_16(path):
    save_as(path, table_of(path), separator="\t", encoding="utf-16")


def in_utf_16_without_a_mark(path):
    save_as(path, table_of(path), separator="\t", encoding="utf-16-be")


def reordered(path):
    table = [row[::-1] for row in table_of(path)]
    head = [f" '{name.upper()} " for name in table[0]]
    save_as(path, [[], [*head, "extra"], ["", ""], *([*row, "x"] for row in table[:0:-1])])


def with_other_line_ends(path):
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))


def with_crlf_inside(path):
    text = path.read_bytes().replace(b"\r\n", b"\n")
    path.write_bytes(text.replace(b"\n", b"\r\n"))


def without_quotes_in_front(path):
    save_as(path, [[cell.removeprefix("'") for cell in row] for row in table_of(path)])


def table_of(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


SPREADSHEETS = [as_it_was, in_cp1252, with_semicolons, with_sep_line, in_utf_16, reordered]
SPREADSHEETS += [in_utf_16_without_a_mark, with_other_line_ends, with_crlf_inside]
SPREADSHEETS += [without_quotes_in_front]
STARTS = st.sampled_from(
    ["", "=", "+", "-", "@", "'", "'=", "''", ",", ";", '"', "\t", "\r", "＝", " "]
)
NAMES = st.builds(str.__add__, STARTS, st.text(max_size=6))
NAMES = NAMES.filter(lambda name: name.isprintable() and name.strip())
ANY = st.builds(str.__add__, STARTS, st.text(st.characters(), max_size=9))
POINTS = st.integers(0, 30).map(lambda tenths: tenths / 10)
CLASS = st.dictionaries(NAMES, st.tuples(ANY, st.none() | POINTS), min_size=1, max_size=4)


@pytest.mark.parametrize("spreadsheet", SPREADSHEETS)
@settings(max_examples=40)
@given(students=CLASS, comma=st.booleans())
def test_no_mark_is_lost_on_the_way_there_and_back(tmp_path_factory, spreadsheet, students, comma):
    path = tmp_path_factory.mktemp("marks") / "09-small.to_mark.csv"
    results = [result(student, answer) for student, (answer, _) in students.items()]
    merged = merged_from(path, results)
    assert marks.write(path, merged, marks.Marks()) == path
    table = table_of(path)
    assert [row[0] for row in table[1::2]] == [report.plain(student) for student in students]
    for row, (_, points) in zip(table[1::2], students.values(), strict=True):
        typed = row[3] if points is None else str(points)
        row[3] = typed.replace(".", ",") if comma else typed
    save_as(path, table)
    spreadsheet(path)
    found = merged_from(path, results)
    for student, (_, points) in students.items():
        before = merged.points.get((student, "q4"))
        assert found.points.get((student, "q4")) == (before if points is None else points)
    assert len(found.rows) == len(table)
    assert found.notes == []


@given(ANY)
def test_cells_that_no_spreadsheet_runs(text):
    cell = report.plain(text)
    assert cell.encode("utf-8").decode() == cell
    assert "\r" not in cell
    assert "\0" not in cell
    assert cell.lstrip()[:1] not in [*"=+-@＝＋－＠"]
    assert cell[:1] != "\t"
    assert report.unplain(cell) == report.printable(text)


def test_nothing_else_changes():
    for text in ["", "ada", "1e5", "a = b", "two\nlines", "tab\tin it", "é, ü; \"q\" 'p'", "日本"]:
        assert report.plain(text) == text
    assert report.plain("a\rb\r\nc\x07\ud800") == "a\nb\nc\ufffd\ufffd"
    assert report.plain(" \n=1+1") == "' \n'=1+1"
    assert report.plain("\rx").startswith("'")


@given(ANY, ANY, ANY)
def test_an_id_tells_student_and_answer_apart(student, answer, other):
    same = marks.normal(answer) == marks.normal(other)
    ids = [marks.fingerprint(student, "q4", text) for text in (answer, other)]
    assert (ids[0] == ids[1]) == same
    assert marks.ID.fullmatch(ids[0])
    assert marks.fingerprint(student + "x", "q4", answer) != ids[0]


def test_the_table(path):
    given_points = {("ada", "q4"): 2.5, ("ada", "q5"): 0.1}
    results = [
        result("ada", "w", "v", notes=["a BOM was removed", "=so"]),
        result("Bob", "w", "v"),
        Result("-carl", failure="it is empty"),
        Result("dora", failure=report.NOT_HANDED_IN),
    ]
    report.write_csv(path, report.table(MASTER, results, given_points))
    ada, bob, carl, dora = read_back(path)
    assert [ada[name] for name in ("q1", "q4", "q5", "total", "of", "status")] == [
        *("2", "2.5", "1.1"),
        *("5.6", "8.5", "ok"),
    ]
    assert (ada["notes"], ada["page"]) == ("a BOM was removed; '=so", "ada.html")
    assert (bob["q4"], bob["total"], bob["status"]) == ("", "2", "to mark: q4 q5")
    assert (carl["student"], carl["status"], carl["total"]) == (
        "'-carl",
        "failed: it is empty",
        "0",
    )
    assert dora["status"] == "not handed in"
    assert ada["feedback q1"] == "right"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (3.0, "3"), (0, "0"), (100, "100"), (2.1 + 0.2, "2.3"), (1e-5, "0.00001")],
)
def test_tidy_numbers(value, text):
    assert report.tidy(value) == text
