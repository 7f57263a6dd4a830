"""What teachers and students read: a table, a page for each student, and what is left to mark."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from fsps_lite.saving import save
from tools.coursework.grade import Outcome
from tools.coursework.master import Master, Question
from tools.coursework.submission import Submission

Result = tuple[str, dict[str, Outcome], str]  # student, outcomes by question, failure
Marks = dict[tuple[str, str], float]  # of (student, question), given by a person
NUMBER = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet would take text for a formula
TO_MARK = ["student", "question", "of", "points", "rubric", "answer"]


def table(master: Master, results: Iterable[Result], marks: Marks) -> list[list[str]]:
    """The rows of the CSV, the head first."""
    names = [question.name for question in master.questions]
    rows = [["student", *names, "total", "of", "status", *(f"feedback {n}" for n in names)]]
    most = sum(q.points + q.written_points for q in master.questions)
    for student, outcomes, failure in results:
        points, remarks, left = [], [], []
        for question in master.questions:
            value, remark = points_of(question, outcomes, marks.get((student, question.name)))
            points.append(value)
            remarks.append(remark)
            left += [question.name] if value is None else []
        status = f"failed: {failure}" if failure else "to mark: " + " ".join(left) if left else "ok"
        total = sum(value for value in points if value is not None)
        rows.append([student, *map(tidy, points), tidy(total), tidy(most), status, *remarks])
    return [[plain(entry) for entry in row] for row in rows]


def points_of(
    question: Question, outcomes: Mapping[str, Outcome], mark: float | None
) -> tuple[float | None, str]:
    """Points and remark of a question; no points while a part is left to mark."""
    if question.name not in outcomes:
        return 0, ""
    outcome = outcomes[question.name]
    remark = " | ".join(outcome.remarks)
    if not question.written:
        return outcome.points, remark or "right"
    return (outcome.points + mark, remark) if mark is not None else (None, remark)


def tidy(value: float | None) -> str:
    """3.0 as 3, and nothing for what is left to mark."""
    return "" if value is None else f"{value:g}"


def plain(entry: object) -> str:
    """Text that no spreadsheet runs."""
    text = str(entry)
    return "'" + text if text.startswith(NUMBER) else text


def page(master: Master, result: Result, submission: Submission | None, marks: Marks) -> str:
    """The page of one student, in Markdown."""
    student, outcomes, failure = result
    lines = [f"# {master.name}: {student}", ""]
    if failure:
        lines += [f"Your submission could not be graded: {failure}.", ""]
    for question in master.questions:
        mark = marks.get((student, question.name))
        points, remark = points_of(question, outcomes, mark)
        most = tidy(question.points + question.written_points)
        lines += [f"## {question.name}: {tidy(points) or 'to be marked, out'} of {most}", ""]
        lines += [f"You can afterwards: {question.objective}.", "", quoted(remark), ""]
        answers = [submission.answer(c.name) for c in question.written] if submission else []
        for answer in answers:
            lines += ["Your answer:", "", quoted(answer), ""]
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Text of a student or a test as a block of code, so that no mark-up in it counts."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def read_marks(path: Path) -> tuple[Marks, dict[tuple[str, str], str]]:
    """Points that a person wrote into `to_mark.csv`, {(student, question): points}, and answers."""
    if not path.exists():
        return {}, {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    done = {(r["student"], r["question"]): float(r["points"]) for r in rows if r["points"].strip()}
    return done, {(r["student"], r["question"]): r["answer"] for r in rows}


def to_mark(
    master: Master, submissions: Iterable[tuple[str, Submission]], marks: Marks
) -> list[list[str]]:
    """The rows of `to_mark.csv`, the head first: written answers, with the points given so far."""
    rows = [TO_MARK]
    for student, submission in submissions:
        for question in master.questions:
            for cell in question.written:
                mark = marks.get((student, question.name))
                answer = plain(submission.answer(cell.name))
                told = [tidy(cell.points), tidy(mark), question.rubric]
                rows.append([plain(student), question.name, *told, answer])
    return rows


def write_csv(path: Path, rows: Iterable[Iterable[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    save(path, text.getvalue())
