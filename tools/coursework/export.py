"""Grades in the form that Canvas and Moodle import.

A grade is exported when it is final. While a person still has to mark, and where nothing was handed
in or could be graded, the cell is empty, which changes nothing in either system.
"""

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tools.coursework import report
from tools.coursework.master import Master
from tools.coursework.result import Result
from tools.coursework.students import CANVAS, MOODLE


@dataclass(frozen=True)
class Lms:
    """What is known of a student in Canvas or Moodle; empty text where it is not known.

    `id` is the ID of Canvas or the participant of Moodle, `number` the one of the institution, and
    `modified` the date of the last grade, which Moodle wants back.
    """

    login: str = ""
    id: str = ""
    full_name: str = ""
    number: str = ""
    section: str = ""
    email: str = ""
    modified: str = ""


COLUMNS = {  # of the rosters that Canvas and Moodle export, and what they hold
    "student": "full_name",
    "full name": "full_name",
    "id": "id",
    "identifier": "id",
    "sis user id": "number",
    "id number": "number",
    "sis login id": "login",
    "username": "login",
    "section": "section",
    "email address": "email",
    "last modified (grade)": "modified",
}
People = Mapping[str, Lms]  # of a student's label


def identify(original: str) -> Lms:
    """What the name of a file or folder tells, if Canvas or Moodle made it; else it is a login."""
    found = MOODLE.fullmatch(original) or CANVAS.fullmatch(original)
    if found:
        return Lms(id=found["number"], full_name=found["name"])
    spaced = " " in original.strip()
    return Lms(full_name=original) if spaced else Lms(login=original)


def roster(path: Path) -> list[Lms]:
    """The students of a gradebook of Canvas, or a grading worksheet or participants of Moodle."""
    try:
        rows = report.read_csv(path.read_bytes(), COLUMNS)
    except (OSError, ValueError) as error:
        raise ValueError(f"the roster {path} cannot be read: {error}") from None
    rows = [row for row in rows if any(map(str.strip, row))]
    head = [report.column_name(cell) for cell in rows[0]] if rows else []
    if not {"student", "full name", "first name", "id", "identifier"} & set(head):
        wanted = "export the gradebook of Canvas, or the grading worksheet of Moodle, as CSV"
        raise ValueError(f"the roster {path} has no column Student or Identifier; {wanted}")
    people = [_person(dict(zip(head, map(str.strip, row), strict=False))) for row in rows[1:]]
    return [person for person in people if _is_student(person)]


def _person(cells: Mapping[str, str]) -> Lms:
    told = {COLUMNS[name]: report.unplain(cell) for name, cell in cells.items() if name in COLUMNS}
    apart = " ".join(filter(None, (cells.get("first name"), cells.get("last name"))))
    told["id"] = told.get("id", "").removeprefix("Participant ").strip()
    told["full_name"] = told.get("full_name") or apart
    return Lms(**{field.name: told.get(field.name, "") for field in fields(Lms)})


def _is_student(person: Lms) -> bool:
    """Canvas has a row with the points of each assignment, and one for a student who is nobody."""
    name = person.full_name.strip().casefold()
    return name not in ("points possible", "student, test") and bool(name or person.id)


def match(originals: Mapping[str, str], people: Sequence[Lms]) -> tuple[dict[str, Lms], list[str]]:
    """Each label's person, from the name that its submission had; and sentences about the rest.

    Without a roster, what that name tells is all. With one, who is not found there keeps it, and is
    reported, as are two submissions that would be the same person's.
    """
    known = {label: identify(original) for label, original in originals.items()}
    if not people:
        return known, []
    labels: dict[Lms, list[str]] = defaultdict(list)
    problems = []
    for label, told in known.items():
        found = _find(told, people)
        if len(found) == 1:
            labels[found[0]].append(label)
        else:
            problems.append(f"{label}: {len(found) or 'no'} students of the roster fit")
    for person, several in labels.items():
        if len(several) == 1:
            known[several[0]] = person
        else:
            known |= {label: Lms(full_name=label) for label in several}
            problems.append(f"{' and '.join(several)}: all fit {person.full_name} of the roster")
    return known, problems


def _find(told: Lms, people: Sequence[Lms]) -> list[Lms]:
    """The people with the same id; else those with the login, else those with the name."""
    login = told.login.casefold()
    same: list[Callable[[Lms], bool]] = [
        lambda person: bool(told.id) and person.id == told.id,
        lambda person: bool(login) and login in _logins(person),
        lambda person: bool(_spellings(told.full_name or login) & _spellings(person.full_name)),
    ]
    return next((found for test in same if (found := list(filter(test, people)))), [])


def _logins(person: Lms) -> set[str]:
    front = person.email.partition("@")[0]
    return {one.casefold() for one in (person.login, person.number, person.email, front) if one}


def _spellings(name: str) -> set[str]:
    """A name without spaces, with each of its words as the first: Canvas writes lovelaceada."""
    bare = unicodedata.normalize("NFKD", name.casefold())
    words = re.findall(r"\w+", "".join(c for c in bare if not unicodedata.combining(c)))
    return {"".join(words[n:] + words[:n]) for n in range(len(words))}


def grade(master: Master, result: Result, marks: report.Points) -> str:
    """The points, or nothing while they are not final."""
    if report.status(master, result, marks) != "ok":
        return ""
    each = [
        report.points_of(q, result.outcomes, report.mark(marks, result, q))[0]
        for q in master.questions
    ]
    return report.tidy(report.total(each))


def canvas(
    master: Master, results: Iterable[Result], marks: report.Points, people: People | None = None
) -> list[list[str]]:
    """A gradebook for Canvas, where the assignment must have the same title."""
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", report.title(master)]
    rows = [head, ["    Points Possible", "", "", "", "", report.tidy(report.most(master))]]
    for result in results:
        who = _who(people, result)
        told = [who.full_name or result.student, who.id, who.number, who.login, who.section]
        rows.append([*told, grade(master, result, marks)])
    return [[report.plain(cell) for cell in row] for row in rows]


def moodle(
    master: Master, results: Iterable[Result], marks: report.Points, people: People | None = None
) -> list[list[str]]:
    """A grading worksheet for Moodle, which takes none without the date of the last grade."""
    head = ["Identifier", "Full name", "Email address", "Grade", "Maximum Grade"]
    rows = [[*head, "Last modified (grade)", "Feedback comments"]]
    for result in results:
        who = _who(people, result)
        told = [f"Participant {who.id}" if who.id else "", who.full_name or result.student]
        told += [who.email, grade(master, result, marks), report.tidy(report.most(master))]
        modified = "" if who.modified == "-" else who.modified  # "-" alone would be a formula
        rows.append([*told, modified, comments(master, result, marks)])
    return [[report.plain(cell) for cell in row] for row in rows]


def _who(people: People | None, result: Result) -> Lms:
    """What is known of a student: from `match`, or else from the label alone."""
    return (people or {}).get(result.student) or identify(result.student)


def comments(master: Master, result: Result, marks: report.Points) -> str:
    """The feedback in a few lines of HTML, as which Moodle takes it."""
    lines = [result.failure] if result.failure else []
    for question in master.questions if not result.failure else []:
        mark = report.mark(marks, result, question)
        points, remark = report.points_of(question, result.outcomes, mark)
        of = report.tidy(question.points + question.written_points)
        told = f"{question.name}: {report.tidy(points) or 'to be marked, out'} of {of}"
        lines.append(f"{told}. {remark}" if remark else told)
    return "<br>".join(html.escape(report.printable(line)) for line in [*lines, *result.notes])


FORMATS = {"canvas": canvas, "moodle": moodle}
