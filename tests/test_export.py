"""Grades for Canvas and Moodle: the right person's, final ones only, in the columns they take."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_marks import MASTER, result
from tools.coursework import export, report
from tools.coursework.export import Lms
from tools.coursework.result import Result

CANVAS = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,"Old (12)",Current Score
    Points Possible,,,,,10,(read only)
"Lovelace, Ada",98765,S-1,al1,CS,1,2
"van der Berg, Zoë",98766,S-2,zb@uni.edu,CS,,
"Student, Test",1,,x,CS,,
"""
MOODLE = """Identifier;Full name;Email address;Status;Grade;Maximum Grade;Last modified (grade)
Participant 12345;Ada Lovelace;ada@uni.edu;Submitted;-;8,50;-
Participant 12346;Zoë van der Berg;zb@uni.edu;Submitted;1,00;8,50;Monday, 2 March 2026, 9:00 AM
"""
PARTICIPANTS = """First name,Last name,ID number,Email address
Ada,Lovelace,S-1,ada@uni.edu
"""


@pytest.mark.parametrize(
    ("original", "person"),
    [
        ("lovelaceada_LATE_98765_1234567_01-name", Lms(id="98765", full_name="lovelaceada")),
        ("lovelaceada_98765_1234567_01-name.ipynb", Lms(id="98765", full_name="lovelaceada")),
        ("lovelaceada_98765_12_my_file_3", Lms(id="98765", full_name="lovelaceada")),
        ("Ada Lovelace_12345_assignsubmission_file_", Lms(id="12345", full_name="Ada Lovelace")),
        ("A_B_1_2_assignsubmission_file_x.ipynb", Lms(id="2", full_name="A_B_1")),
        ("Ada Lovelace", Lms(full_name="Ada Lovelace")),
        ("ada", Lms(login="ada")),
        ("ada_1", Lms(login="ada_1")),
    ],
)
def test_what_a_name_tells(original, person):
    assert export.identify(original) == person


@given(st.text())
def test_any_name_tells_something(original):
    told = export.identify(original)
    assert told.id == "" or told.id.isdigit()
    assert original == "" or told != Lms()


def saved(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def test_rosters(tmp_path):
    canvas = export.roster(saved(tmp_path / "canvas.csv", CANVAS))
    assert [person.full_name for person in canvas] == ["Lovelace, Ada", "van der Berg, Zoë"]
    assert canvas[0] == Lms("al1", "98765", "Lovelace, Ada", "S-1", "CS")
    moodle = export.roster(saved(tmp_path / "moodle.csv", MOODLE, "cp1252"))
    assert [person.id for person in moodle] == ["12345", "12346"]
    assert moodle[1].full_name == "Zoë van der Berg"
    (ada,) = export.roster(saved(tmp_path / "people.csv", PARTICIPANTS))
    assert ada == Lms(full_name="Ada Lovelace", number="S-1", email="ada@uni.edu")


@pytest.mark.parametrize("text", ["", "name,mark\nada,3\n", 'Student,ID\n"Ada,1\n'])
def test_what_is_no_roster_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match="the roster .*people.csv"):
        export.roster(saved(tmp_path / "people.csv", text))
    with pytest.raises(ValueError, match="cannot be read"):
        export.roster(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "original",
    [
        "someoneelse_LATE_98765_1_x",  # the id decides
        "lovelaceada_77_1_x",
        "Ada Lovelace",
        "lovelace, ada",
        "AL1",
        "s-1",
        "Àda Lovelace_12_assignsubmission_file_",
    ],
)
def test_ada_is_found_in_the_roster(tmp_path, original):
    people = export.roster(saved(tmp_path / "canvas.csv", CANVAS))
    known, problems = export.match({"label": original}, people)
    assert known["label"].number == "S-1"
    assert problems == []


def test_who_fits_nobody_or_two_or_another_s_person_is_told(tmp_path):
    people = export.roster(saved(tmp_path / "canvas.csv", CANVAS))
    twins = [*people, Lms(id="5", full_name="Bo Li"), Lms(id="6", full_name="Li, Bo")]
    labels = {"carl": "carl", "libo": "libo_9_1_x", "ada": "al1", "Ada (2)": "Ada Lovelace"}
    known, problems = export.match(labels, twins)
    assert problems == [
        "carl: no students of the roster fit",
        "libo: 2 students of the roster fit",
        "ada and Ada (2): all fit Lovelace, Ada of the roster",
    ]
    assert known["carl"] == Lms(login="carl")
    assert known["ada"].id == known["Ada (2)"].id == ""


def test_without_a_roster_the_names_are_all():
    known, problems = export.match({"ada": "Ada L_7_assignsubmission_file_"}, [])
    assert (known["ada"].id, problems) == ("7", [])


MARKS = {("ada", "q4"): 2.5, ("ada", "q5"): 0, ("-zoë", "q4"): 3}
RESULTS = [
    result("ada", "w", "v", notes=["a <BOM>"]),
    result("-zoë", "w", "v"),
    Result("carl", failure="it is empty"),
    Result("dora", failure=report.NOT_HANDED_IN),
]


def test_canvas(tmp_path):
    people = export.roster(saved(tmp_path / "canvas.csv", CANVAS))
    known, _ = export.match({"ada": "ada lovelace", "-zoë": "zb@uni.edu", "carl": "carl"}, people)
    head, possible, ada, zoe, carl, dora = export.canvas(MASTER, RESULTS, MARKS, known)
    assert head == [
        *("Student", "ID", "SIS User ID", "SIS Login ID", "Section"),
        "Small <things> & others",
    ]
    assert (possible[0].strip(), possible[-1]) == ("Points Possible", "8.5")
    assert ada == ["Lovelace, Ada", "98765", "S-1", "al1", "CS", "5.5"]
    assert (zoe[1], zoe[-1]) == ("98766", "")  # q5 is not marked yet
    assert carl == ["carl", "", "", "carl", "", ""]
    assert dora == ["dora", "", "", "dora", "", ""]


def test_moodle(tmp_path):
    people = export.roster(saved(tmp_path / "moodle.csv", MOODLE))
    known, _ = export.match({"ada": "Ada Lovelace_12345_assignsubmission_file_"}, people)
    rows = export.moodle(MASTER, RESULTS, MARKS, known)
    report.write_csv(tmp_path / "out.csv", rows)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8-sig") as file:
        ada, zoe, carl, _ = csv.DictReader(file)
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(ada)  # Moodle refuses less
    assert (ada["Identifier"], ada["Email address"]) == ("Participant 12345", "ada@uni.edu")
    assert (ada["Grade"], ada["Maximum Grade"]) == ("5.5", "8.5")
    assert ada["Last modified (grade)"] == ""
    lines = ada["Feedback comments"].split("<br>")
    assert lines == ["q1: 2 of 2. right", "q4: 2.5 of 3", "q5: 1 of 3.5", "a &lt;BOM&gt;"]
    assert (zoe["Full name"], zoe["Grade"]) == ("'-zoë", "")
    assert "q5: to be marked, out of 3.5" in zoe["Feedback comments"]
    assert (carl["Grade"], carl["Feedback comments"]) == ("", "it is empty")


@pytest.mark.parametrize("form", list(export.FORMATS))
def test_each_student_has_a_row_without_a_formula(form):
    table = export.FORMATS[form](MASTER, RESULTS, MARKS)
    assert len({len(row) for row in table}) == 1
    assert len(table) == len(RESULTS) + (2 if form == "canvas" else 1)
    assert not [
        cell for row in table for cell in row if cell.lstrip()[:1] in [*"=+-@"] and cell.strip()
    ]
