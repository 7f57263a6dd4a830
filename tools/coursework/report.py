"""The table that teachers read, and the cells, names and files that all tables share."""

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fsps_lite.saving import save
from tools.coursework.master import Master, Question
from tools.coursework.result import Outcome, Result

Points = Mapping[tuple[str, str], float]  # of (student, question), given by a person
NOT_HANDED_IN = "not handed in"
BOM = "\ufeff"  # in front of UTF-8: without it Excel reads accents as two letters each
LONGEST = 20_000  # characters of an answer that are shown; a cell of Excel holds 32,767
# What a spreadsheet may take for a formula. Quotes in front count, so that `unplain` can tell.
# After a separator or a line end too: where lists are separated by `;`, cells begin there.
FORMULA = re.compile(r"'*(?:[\s\ufeff\u200b]*[=+\-@＝＋－＠]|[\t\r\n])")  # noqa: RUF001
INSIDE = re.compile(r"([;,\t\n][ \u00a0\ufeff\u200b\"]*)('*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*(?:\r\n|\r|\n)', re.IGNORECASE)
SAFE_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")  # on Windows, with any ending


def table(master: Master, results: Iterable[Result], marks: Points) -> list[list[str]]:
    """The rows of the CSV, the head first."""
    names = [question.name for question in master.questions]
    feedback = [f"feedback {name}" for name in names]
    rows = [["student", *names, "total", "of", "status", *feedback, "notes", "page"]]
    for result in results:
        graded = [points_of(q, result.outcomes, mark(marks, result, q)) for q in master.questions]
        points, remarks = [value for value, _ in graded], [remark for _, remark in graded]
        told = [*map(tidy, points), tidy(total(points)), tidy(most(master))]
        last = ["; ".join(result.notes), file_name(result.student)]
        rows.append([result.student, *told, status(master, result, marks), *remarks, *last])
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


def mark(marks: Points, result: Result, question: Question) -> float | None:
    """What a person gave, if anything."""
    return marks.get((result.student, question.name))


def total(points: Iterable[float | None]) -> float:
    """The sum, where what is left to mark counts as nothing."""
    return sum(value for value in points if value is not None)


def most(master: Master) -> float:
    """The points of the whole assignment."""
    return sum(q.points + q.written_points for q in master.questions)


def status(master: Master, result: Result, marks: Points) -> str:
    """`ok`, or what stands between this student and a grade."""
    if result.failure:
        missing = result.failure == NOT_HANDED_IN
        return NOT_HANDED_IN if missing else f"failed: {result.failure}"
    each = {
        q.name: points_of(q, result.outcomes, mark(marks, result, q))[0] for q in master.questions
    }
    left = [name for name, points in each.items() if points is None]
    return "to mark: " + " ".join(left) if left else "ok"


def title(master: Master) -> str:
    """The assignment's own heading, or its file name where it has none."""
    for cell in master.notebook.cells:
        found = re.search(r"^# (.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and found:
            return found.group(1).strip()
    return master.name


def tidy(value: float | None) -> str:
    """3.0 as 3, and nothing for what is left to mark. Never 1e-05, which no one would type."""
    return "" if value is None else f"{value:.10f}".rstrip("0").rstrip(".")


def printable(text: str) -> str:
    """The text with `\\n` at the end of each line, and U+FFFD for what cannot be shown."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def plain(entry: object) -> str:
    """Text that no spreadsheet runs."""
    text = str(entry)
    shown = INSIDE.sub(r"\1'\2", printable(text))
    return "'" * bool(FORMULA.match(text)) + shown


def unplain(cell: str) -> str:
    """The text of which `plain` made this cell."""
    quoted = cell.startswith("'") and FORMULA.match(cell[1:])
    shown = cell[1:] if quoted else cell
    return INSIDE.sub(lambda found: found[1] + found[2][1:], shown)


def cut(text: str) -> str:
    """The text, or its beginning with a sentence that says how much is not shown."""
    if len(text) <= LONGEST:
        return text
    left = len(text) - LONGEST
    return f"{text[:LONGEST]}\n[Cut here: {left:,} more characters stand in the notebook.]"


def file_name(student: str) -> str:
    """The name of a student's page, safe and different from all others on every file system.

    Only a name in lower-case ASCII stays as it is. Every other gets a hash: macOS and Windows would
    take Ada for ada, and macOS two spellings of an accent for one.
    """
    ours = re.search(r"-[0-9a-f]{16}$", student)  # as if it had a hash already
    if (
        SAFE_NAME.fullmatch(student)
        and len(student) <= 100
        and not (ours or RESERVED.match(student))
    ):
        return f"{student}.html"
    letters = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:80] or "student"
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{stem}-{digest[:16]}.html"


def write_csv(path: Path, rows: Iterable[Iterable[str]]) -> None:
    """Write a table in the form that Excel, LibreOffice and the usual imports all read."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    save(path, BOM + text.getvalue())


def read_csv(data: bytes, heads: Collection[str]) -> list[list[str]]:
    """The rows of a table that a spreadsheet saved, as that numbers them: empty ones too.

    The row with the names of the columns tells the separator: `heads` are some of those names.
    Raises a ValueError where quotes do not pair up, since rows would be lost without a word.
    """
    text = decoded(data)
    told = SEPARATOR_LINE.match(text)
    text = text[told.end() :] if told else text
    separator = told.group(1) if told else max(",;\t", key=lambda s: _fits(text, s, heads))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return list(reader)
    except csv.Error as error:
        hint = "does each cell that begins with a quote also end with one?"
        raise ValueError(f"near line {reader.line_num}: {error}; {hint}") from None


def decoded(data: bytes) -> str:
    """Text in UTF-8 or UTF-16 of either kind, and in cp1252 where it is none of them."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:2]:  # UTF-16 that does not say so: every head begins with a Latin letter
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def column_name(cell: str) -> str:
    """The name of a column, whoever retyped it."""
    return " ".join(cell.strip(" \t'\ufeff").split()).casefold()


def _fits(text: str, separator: str, heads: Collection[str]) -> int:
    """How many of the heads the first row has, when it is read with this separator."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        first = next((row for row in reader if any(map(str.strip, row))), [])
    except csv.Error:
        return 0
    return len({column_name(cell) for cell in first} & {column_name(head) for head in heads})
