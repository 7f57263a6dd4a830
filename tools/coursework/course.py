"""A class, graded: from a folder of submissions to tables and pages.

What goes wrong with one student becomes the row of that student, and the run goes on. What a person
typed is read before anything is graded, and nothing of it is lost.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fsps_lite.saving import save
from tools.coursework import export, grade, marks, page, pool, report, sandbox, secret, submission
from tools.coursework.master import Master
from tools.coursework.result import Result
from tools.coursework.students import Found, HandedIn

PATIENCE = 4  # times the limits of all questions: then the grader itself hangs, and is stopped


@dataclass(frozen=True)
class Course:
    """What is graded, with which secret, and how what comes of it is written.

    `lms` is Canvas, Moodle or empty; `people` come from a roster that was exported there.
    """

    masters: Sequence[Master]
    found: Found
    out: Path
    phrase: str = secret.PUBLIC
    jobs: int = 1
    lms: str = ""
    people: Sequence[export.Lms] = ()

    def handed_in(self) -> Iterator[tuple[Master, list[HandedIn]]]:
        """The assignments that somebody handed in, with all students."""
        for master in self.masters:
            if self.found.files.get(master.name):
                yield master, self.found.files[master.name]


def to_mark(out: Path, master: Master) -> Path:
    """Where the written answers wait for a person."""
    return out / f"{master.name}.to_mark.csv"


def typed(course: Course) -> dict[str, marks.Marks]:
    """What persons typed so far, by assignment. Raises BadMarks that tells all that is wrong."""
    found, problems = {}, []
    for master, _ in course.handed_in():
        try:
            found[master.name] = marks.read(to_mark(course.out, master), master)
        except marks.BadMarks as error:
            problems += error.problems
    if problems:
        raise marks.BadMarks(problems)
    return found


def run(course: Course) -> Iterator[str]:
    """Grade the class and write what comes of it; say in a line each what was done."""
    known = typed(course)
    with tempfile.TemporaryDirectory(prefix="coursework-") as room:
        sandbox.warm(room)
        for master, handed_in in course.handed_in():
            results = graded(course, master, handed_in, room)
            yield from written(course, master, handed_in, results, known[master.name])
            failed = [r.student for r in results if r.failure not in ("", report.NOT_HANDED_IN)]
            if failed:
                told = ", ".join(failed)
                yield f"{len(failed)} of {len(results)} could not be graded: {told}"


def graded(
    course: Course, master: Master, handed_in: Sequence[HandedIn], room: str
) -> list[Result]:
    """A result for each student, in their order."""
    work = partial(grade_student, master, course.phrase, room)
    limit = PATIENCE * sum(question.seconds + sandbox.START for question in master.questions)
    pairs = pool.each(work, broken, handed_in, course.jobs, limit)
    results = {student.student: result for student, result in pairs}
    return [results[student.student] for student in handed_in]


def grade_student(master: Master, phrase: str, room: str, student: HandedIn) -> Result:
    """The result of one student; in a process of its own."""
    if student.path is None:
        return Result(student.student, failure=report.NOT_HANDED_IN)
    try:
        handed_in = submission.read(student.path, master)
    except submission.Unreadable as error:
        return Result(student.student, failure=str(error), notes=student.notes)
    start = partial(sandbox.Child, room=room)
    return Result(
        student.student,
        grade.grade(master, handed_in, phrase, start),
        notes=(*student.notes, *handed_in.notes),
        code={q.name: handed_in.code(q) for q in master.questions},
        written={q.name: handed_in.written(q) for q in master.questions if q.written},
    )


def broken(student: HandedIn, why: str) -> Result:
    """The row of a student at whom the grader itself failed."""
    return Result(student.student, failure=f"the grader failed here: {why}", notes=student.notes)


def written(
    course: Course,
    master: Master,
    handed_in: Sequence[HandedIn],
    results: Sequence[Result],
    known: marks.Marks,
) -> Iterator[str]:
    """Write the tables and the pages of an assignment."""
    pages = course.out / master.name
    pages.mkdir(parents=True, exist_ok=True)
    merged = marks.merge(master, results, known)
    yield from merged.notes
    place = marks.write(to_mark(course.out, master), merged, known)
    if place != to_mark(course.out, master):
        yield f"{to_mark(course.out, master)} was saved while this ran: the new one is {place.name}"
    for result in results:
        save(pages / page.file_name(result.student), page.page(master, result, merged.points))
    table = course.out / f"{master.name}.csv"
    report.write_csv(table, report.table(master, results, merged.points))
    yield f"written  {table}"
    if course.lms:
        yield from exported(course, master, handed_in, results, merged)


def exported(
    course: Course,
    master: Master,
    handed_in: Sequence[HandedIn],
    results: Sequence[Result],
    merged: marks.Merged,
) -> Iterator[str]:
    """Write the table that Canvas or Moodle imports."""
    originals = {student.student: student.original for student in handed_in}
    people, problems = export.match(originals, course.people)
    yield from problems
    path = course.out / f"{master.name}.{course.lms}.csv"
    rows = export.FORMATS[course.lms](master, results, merged.points, people)
    report.write_csv(path, rows)
    yield f"written  {path}"
