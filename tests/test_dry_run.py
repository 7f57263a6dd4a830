"""A teacher's whole course with thirty students: release, collect, grade, mark, again, export."""

import csv
import io
import itertools
import sys

import pytest

from tools.coursework import __main__ as tool
from tools.coursework import examples, report
from tools.coursework.master import masters

MASTER = masters()[0]
CLASS = 30
HALF = "2,5"  # as a German spreadsheet writes it


def mistakes():
    """(question, mistake) for as many students as there are: each planted mistake in turn."""
    known = examples.mistakes(MASTER)
    each = [(question, one) for question, ones in known.items() for one in ones]
    spread = itertools.chain.from_iterable(
        itertools.zip_longest(*([pair for pair in each if pair[0] == q] for q in known))
    )
    return [pair for pair in spread if pair][: CLASS - 3]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of a class that handed in, in the layouts of three systems, and who did what."""
    if sys.platform == "win32":
        pytest.skip("submissions run on Linux, macOS or WSL")
    folder = tmp_path_factory.mktemp("course")
    assert tool.main(["release", "--out", str(folder / "assignments"), "--only", "01"]) == 0
    assert (folder / "assignments" / f"{MASTER.name}.ipynb").exists()
    deeds = {"right": {"solve": "all"}, "untouched": {}, "no-notebook": {"raw": "Dear teacher"}}
    wanted = {}
    for number, (question, mistake) in enumerate(mistakes()):
        (asked,) = [q for q in MASTER.questions if q.name == question]
        wrong = examples.planted(MASTER, asked, mistake)
        deeds[f"student {number}"] = {"solve": "all", "write": wrong}
        wanted[f"student {number}"] = question, report.tidy(mistake["points"])
    for number, (student, done) in enumerate(deeds.items()):
        path = folder / "submissions" / place(number, student)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(examples.submission_text(MASTER, **done), encoding="utf-8")
    return folder, wanted


def place(number, student):
    """Where a student's file lies after it was collected: plain folders, Moodle, Canvas."""
    name = f"{MASTER.name}.ipynb"
    plain, moodle = f"{student}/{name}", f"{student}_{100 + number}_assignsubmission_file_/{name}"
    return [plain, moodle, f"{student.replace(' ', '')}_{100 + number}_{200 + number}_{name}"][
        number % 3 if number > 2 else 0
    ]


def grade(folder, *more):
    places = ["--submissions", str(folder / "submissions"), "--out", str(folder / "grades")]
    told = ["grade", "--seed", "a phrase of the dry run", "--only", "01", "--jobs", "2"]
    assert tool.main([*told, *places, *more]) == 0
    return table(folder / "grades" / f"{MASTER.name}.csv")


def table(path):
    head, *rows = report.read_csv(path.read_bytes(), ["student"])
    return {row[0].replace(" ", ""): dict(zip(head, row, strict=True)) for row in rows}


def marked_in_a_spreadsheet(path):
    """Type points, sort by answer, drop a column, add one; save as Excel does in German."""
    head, *rows = report.read_csv(path.read_bytes(), ["student"])
    rows = [dict(zip(head, row, strict=True)) for row in rows]
    rows = [{**row, "points": row["points"] or HALF, "seen by": "A. T."} for row in rows]
    text = io.StringIO(newline="")
    columns = ["seen by", *(name for name in head if name != "rubric")]
    writer = csv.DictWriter(text, columns, delimiter=";", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["answer"]))
    path.write_bytes(text.getvalue().encode("cp1252", "replace"))


@pytest.mark.long
def test_a_course_from_the_release_to_the_export(course, capsys):
    folder, wanted = course
    found = grade(folder)
    assert "1 of 30 could not be graded: no-notebook" in capsys.readouterr().out
    assert len(found) == CLASS
    for student, (question, points) in wanted.items():
        row = found[student.replace(" ", "")]
        assert row[question] == points, (student, row)
        assert row["status"] == "to mark: q6"
    assert (found["untouched"]["total"], found["untouched"]["status"]) == ("0", "ok")
    assert found["no-notebook"]["status"].startswith("failed: it is not a notebook")
    marked_in_a_spreadsheet(folder / "grades" / f"{MASTER.name}.to_mark.csv")
    again = grade(folder, "--lms", "moodle")
    for student in ("right", *(name.replace(" ", "") for name in wanted)):
        assert again[student]["q6"] == "2.5"
        assert again[student]["status"] == "ok"
        assert float(again[student]["total"]) == float(found[student]["total"]) + 2.5
    exported(folder, again)


def exported(folder, again):
    """Moodle's sheet has a grade for each who is graded, and a page lies there for everybody."""
    path = folder / "grades" / f"{MASTER.name}.moodle.csv"
    head, *rows = report.read_csv(path.read_bytes(), ["Identifier"])
    sheet = [dict(zip(head, row, strict=True)) for row in rows]
    assert len(sheet) == CLASS
    by_name = {row["Full name"].replace(" ", ""): row for row in sheet}
    for student, row in again.items():
        of_moodle = by_name[student]["Grade"]
        assert of_moodle == ("" if row["status"].startswith("failed") else row["total"])
        assert (folder / "grades" / MASTER.name / row["page"]).exists()
    assert by_name["student1"]["Identifier"] == "Participant 104"
