"""to_mark.csv: written answers on their way to a person and back, with the points they were given.

The file comes back from spreadsheets, which change what they can: numbers, letters, line ends, the
order of rows and columns. `id`, letters only, survives that. It tells the student, the question and
the answer that a mark was given for, whatever has become of the other cells.
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.coursework import report
from tools.coursework.master import TEXT_STUB, Master, Question
from tools.coursework.result import Result

COLUMNS = ["student", "question", "of", "points", "rubric", "answer", "id", "earlier"]
NUMBER = re.compile(r"\d+[.,]?\d*|[.,]\d+", re.ASCII)
MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
DATE = re.compile(rf"\d[./-]\d+[./-]|{MONTHS}", re.IGNORECASE)
ID = re.compile(r"[a-z]{10}")
Key = tuple[str, str]  # student, question


class BadMarks(ValueError):
    """A file of marks that cannot be used as it is; `problems` holds a sentence for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Row:
    """A row as it stood: its cells by column, those that a person added too, and its points."""

    cells: Mapping[str, str]
    points: float | None

    @property
    def key(self) -> Key:
        return self.cells["student"], question_name(self.cells["question"])

    @property
    def id(self) -> str:
        return self.cells.get("id", "").strip().lower()

    @property
    def answer(self) -> str:
        return self.cells.get("answer", "")

    @property
    def earlier(self) -> str:
        return self.cells.get("earlier", "").strip()


@dataclass(frozen=True)
class Marks:
    """What to_mark.csv held when it was read; `data`, its bytes, is None when there was none."""

    rows: Sequence[Row] = ()
    added: Sequence[str] = ()  # names of the columns that a person added
    data: bytes | None = None


@dataclass(frozen=True)
class Merged:
    """The points that count, the rows of the next to_mark.csv, and what a teacher must be told."""

    points: Mapping[Key, float]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """A written answer as it stands now."""

    student: str
    question: Question
    text: str

    @property
    def key(self) -> Key:
        return self.student, self.question.name

    @property
    def id(self) -> str:
        return fingerprint(self.student, self.question.name, self.text)

    def marked_by(self, row: Row) -> bool:
        """Whether a row was about this very answer: by its id, or by the text where that tells."""
        text = report.unplain(report.plain(report.cut(self.text)))
        alike = normal(row.answer) == normal(text)
        if row.id:
            whole = bool(normal(text)) and len(self.text) <= report.LONGEST
            return row.id == self.id or (alike and whole)
        return alike

    def set_aside(self, row: Row) -> str:
        """What is kept of a mark for another answer. The 0 for an empty one was no person's."""
        empty = Answer(self.student, self.question, "")
        if row.points is None or (row.points == 0 and empty.marked_by(row)):
            return ""
        return f"{report.tidy(row.points)} for an earlier answer"


def normal(answer: str) -> str:
    """An answer without what spreadsheets change in white space; untouched is the same as empty."""
    text = " ".join(answer.split())
    return "" if text == TEXT_STUB else text


def fingerprint(student: str, question: str, answer: str) -> str:
    """Ten letters, which no spreadsheet takes for a number, a date or a formula."""
    told = "\0".join([student, question, normal(answer)]).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(told).digest())
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(10))


def question_name(cell: str) -> str:
    return cell.strip(" '\t\u00a0").lower()


def read(path: Path, master: Master) -> Marks:
    """What the file holds; nothing when there is none. Raises BadMarks with all that is wrong."""
    if not path.exists():
        return Marks()
    try:
        data = path.read_bytes()
        rows = report.read_csv(data, COLUMNS)
    except (OSError, ValueError) as error:
        raise BadMarks([f"{path} cannot be read: {error}"]) from None
    filled = [(number, row) for number, row in enumerate(rows, 1) if any(map(str.strip, row))]
    head = [report.column_name(cell) for cell in filled[0][1]] if filled else []
    problems = [f"{path}: {problem}" for problem in _head_problems(head)]
    if problems:
        raise BadMarks(problems)
    found = []
    for number, cells in filled[1:]:
        wrong = [
            f"{_place(path, number, head, cells)}: {p}" for p in _problems(head, cells, master)
        ]
        problems += wrong
        found += [] if wrong else [_row(head, cells)]
    problems += [f"{path}: {problem}" for problem in _contradictions(found)]
    if problems:
        raise BadMarks(problems)
    return Marks(found, [name for name in head if name and name not in COLUMNS], data)


def _head_problems(head: Sequence[str]) -> Iterator[str]:
    """What is wrong with the row of names."""
    wanted = "the first row must name the columns " + ", ".join(COLUMNS)
    missing = [name for name in ("student", "question", "points") if name not in head]
    missing += [] if {"id", "answer"} & set(head) else ["id (or answer)"]
    if missing:
        yield f"no column {', '.join(missing)}; got {_shown(', '.join(head))}; {wanted}"
    for name in sorted({name for name in head if name and head.count(name) > 1}):
        yield f"{head.count(name)} columns are named {_shown(name)}: leave one, rename the others"


def _problems(head: Sequence[str], row: Sequence[str], master: Master) -> Iterator[str]:
    """What is wrong with one row."""
    if len(row) > len(head):
        hint = 'a comma in a cell needs quotes around the cell ("2,5"); 2.5 needs none'
        yield f"it has {len(row)} cells where the head has {len(head)}: {hint}"
        return
    cells = dict.fromkeys(head, "") | dict(zip(head, row, strict=False))
    limits = {q.name: q.written_points for q in master.questions if q.written}
    name, mark = question_name(cells["question"]), _typed(cells["points"])
    if not cells["student"].strip() and not cells.get("id", "").strip():
        yield "it names no student: write the name as it stands in the table of grades"
    if name not in limits:
        yield f"no question {_shown(name)} is marked by a person; there is {', '.join(limits)}"
    elif mark:
        yield from _mark_problems(mark, limits[name])
    if not ID.fullmatch(cells.get("id", "").strip().lower() or 10 * "a"):
        yield f"the id must be ten letters, or empty; got {_shown(cells['id'])}: have cells moved?"
    for name, cell in zip(head, row, strict=False):
        if not name and cell.strip():
            yield f"{_shown(cell)} stands in a column without a name: name it, or empty the cell"


def _mark_problems(mark: str, most: float) -> Iterator[str]:
    """What is wrong with what a person typed as points, where something was typed."""
    wanted = f"the points must be a number from 0 to {report.tidy(most)}, like 2, 2.5 or 2,5"
    if DATE.search(mark):
        yield f"{wanted}; got {_shown(mark)}: has the spreadsheet made a date of your number?"
    elif not NUMBER.fullmatch(mark):
        yield f"{wanted}; got {_shown(mark)}"
    elif _number(mark) > most:
        yield f"{wanted}; got {_shown(mark)}, which is more than the question gives"


def _contradictions(rows: Iterable[Row]) -> Iterator[str]:
    """Two marks for one answer. Rows with different ids are about different answers."""
    by_key, by_id = defaultdict(list), defaultdict(list)
    for row in rows:
        if row.points is not None:
            by_key[row.key].append(row)
            by_id[row.id].append(row)
    groups = [group for group in by_key.values() if not all(row.id for row in group)]
    for group in groups + [group for id, group in by_id.items() if id]:
        points = sorted({row.points for row in group if row.points is not None})
        if len(points) > 1:
            given, (student, question) = " and ".join(map(report.tidy, points)), group[0].key
            who = f"student {_shown(student)}, question {_shown(question)}"
            yield f"{who}: {len(group)} rows give {given} points: leave one of them"


def _place(path: Path, number: int, head: Sequence[str], row: Sequence[str]) -> str:
    cells = dict(zip(head, row, strict=False))
    student, question = _shown(cells.get("student", "")), _shown(cells.get("question", ""))
    return f"{path}, row {number}, student {student}, question {question}"


def _row(head: Sequence[str], row: Sequence[str]) -> Row:
    """A row without problems; cells that are missing at its end are empty."""
    cells = {name: "" for name in head if name}
    cells |= {name: report.unplain(cell) for name, cell in zip(head, row, strict=False) if name}
    mark = _typed(cells["points"])
    return Row(cells, _number(mark) if mark else None)


def _typed(cell: str) -> str:
    """A mark without the white space and the quote that may stand around it."""
    return cell.strip().removeprefix("'").strip()


def _number(mark: str) -> float:
    return float(mark.replace(",", "."))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


def merge(master: Master, results: Iterable[Result], marks: Marks) -> Merged:
    """Give each mark to the answer that it was for; keep each that has none.

    The rows of the answers of now come first. An untouched answer gets 0 if nobody said otherwise.
    A row of which nothing is left among the results stays at the end, as it was.
    """
    answers = list(_answers(master, results))
    owner = {answer.id: answer.key for answer in answers}
    waiting: dict[Key, list[Row]] = defaultdict(list)
    for row in marks.rows:
        waiting[owner.get(row.id, row.key)].append(row)
    points: dict[Key, float] = {}
    kept, notes = [], []
    for answer in answers:
        row, told = _merged(answer, waiting.pop(answer.key, []))
        kept.append(row)
        notes += told
        if row.points is not None:
            points[answer.key] = row.points
    for row in itertools.chain.from_iterable(waiting.values()):
        kept.append(row)
        notes.append(f"{row.key[0]}, {row.key[1]}: the row is kept; no such answer is here now")
    columns = [*COLUMNS, *marks.added]
    return Merged(points, [list(map(report.plain, columns)), *_lines(columns, kept)], notes)


def _answers(master: Master, results: Iterable[Result]) -> Iterator[Answer]:
    """The written answers; where a notebook could not be graded, those that could be read."""
    for result in results:
        for question in master.questions:
            if question.written and (not result.failure or question.name in result.written):
                yield Answer(result.student, question, result.written.get(question.name, ""))


def _merged(answer: Answer, rows: Sequence[Row]) -> tuple[Row, list[str]]:
    """The row of an answer, from all rows there were for its student and question, and notes."""
    own = [row for row in rows if answer.marked_by(row)]
    others = [row for row in rows if not answer.marked_by(row)]
    given = [row.points for row in own if row.points is not None]
    points = given[0] if given else None if normal(answer.text) else 0
    aside = [note for note in map(answer.set_aside, others) if note]
    aside += [f"{report.tidy(other)} in another row" for other in given if other != points]
    names = rows[0].cells if rows else {}
    cells = {name: _together(dict.fromkeys(row.cells[name] for row in rows)) for name in names}
    cells |= {"student": answer.student, "question": answer.question.name, "id": answer.id}
    cells |= {"of": report.tidy(answer.question.written_points), "rubric": answer.question.rubric}
    cells |= {"answer": report.cut(answer.text)}
    cells |= {"earlier": _together([*aside, *(row.earlier for row in rows)])}
    student, question = answer.key
    return Row(cells, points), [f"{student}, {question}: {note} does not count" for note in aside]


def _together(texts: Iterable[str]) -> str:
    """The texts that say something, joined."""
    return "; ".join(text for text in texts if text)


def _lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[list[str]]:
    for row in rows:
        cells = {**row.cells, "points": report.tidy(row.points)}
        yield [report.plain(cells.get(name, "")) for name in columns]


def write(path: Path, merged: Merged, marks: Marks) -> Path:
    """Write the rows, and answer where. Nothing that somebody saved since `read` is overwritten."""
    now = path.read_bytes() if path.exists() else None
    place = path if now in (None, marks.data) else _beside(path)
    report.write_csv(place, merged.rows)
    return place


def _beside(path: Path) -> Path:
    """The first name that is free: `.new.csv`, `.new-2.csv`, and so on."""
    endings = itertools.chain([".new.csv"], (f".new-{n}.csv" for n in itertools.count(2)))
    return next(p for p in map(path.with_suffix, endings) if not p.exists())
