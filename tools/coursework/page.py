"""The page that a student gets back: one HTML file that asks nothing of any other.

All text of the student and of the tests is escaped. A policy in the head forbids scripts and every
request besides, so that even a mistake here could not make the page run or fetch something.
"""

import html
from collections.abc import Iterable, Iterator

from tools.coursework import report
from tools.coursework.master import Master, Question
from tools.coursework.report import file_name as file_name  # one name, for the table and the file
from tools.coursework.result import Result

# Each ink has a contrast of 4.5 or more on each paper.
LIGHT = ("#ffffff", "#1b1f24", "#57606a", "#d0d7de", "#fff4d6")
DARK = ("#14171a", "#e6e8ea", "#a3adb8", "#3d444d", "#3a2f10")
NAMES = ("--paper", "--ink", "--quiet", "--line", "--warning")
STYLE = """
body { max-width: 46rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
h1, h2, h3 { line-height: 1.25; }
a { color: inherit; }
.quiet { color: var(--quiet); }
.warning { background: var(--warning); border: 1px solid var(--line); padding: .5rem 1rem; }
table { border-collapse: collapse; margin: 1.5rem 0; }
caption { text-align: left; color: var(--quiet); }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; text-align: left; }
pre { border: 1px solid var(--line); padding: .75rem; font-size: .875rem; }
pre, li, .text { white-space: pre-wrap; }
"""


def page(master: Master, result: Result, marks: report.Points) -> str:
    """The page of one student."""
    body = [*_top(master, result), *_summary(master, result, marks)]
    for question in master.questions:
        body += _question(question, result, report.mark(marks, result, question))
    name = f"{report.title(master)}: {result.student}"
    head = [
        '<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(name)}</title>",
        f"<style>{_style()}</style>",
    ]
    inside = ["<head>", *head, "</head>", "<body>", "<main>", *body, "</main>", "</body>"]
    return "\n".join(["<!DOCTYPE html>", '<html lang="en">', *inside, "</html>", ""])


def _style() -> str:
    light, dark = (
        "; ".join(f"{n}: {c}" for n, c in zip(NAMES, s, strict=True)) for s in (LIGHT, DARK)
    )
    night = f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    return f"\n:root {{ color-scheme: light dark; {light} }}\n{night}{STYLE}"


def _text(text: str) -> str:
    """Text in which no mark-up counts."""
    return html.escape(report.printable(text))


def _top(master: Master, result: Result) -> Iterator[str]:
    """Whose page it is, and first of all what went wrong."""
    yield f"<h1>{_text(report.title(master))}</h1>"
    yield f'<p class="text">{_text(result.student)}</p>'
    if result.failure == report.NOT_HANDED_IN:
        yield '<p class="warning">You have not handed in this assignment.</p>'
    elif result.failure:
        why = _text(result.failure)
        yield f'<p class="warning text">Your submission could not be graded: {why}.</p>'
    if result.notes:
        yield '<div class="warning">\n<p>What was done to read your notebook:</p>'
        yield from _list(result.notes)
        yield "</div>"


def _list(texts: Iterable[str]) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{_text(text)}</li>" for text in texts)
    yield "</ul>"


def _summary(master: Master, result: Result, marks: report.Points) -> Iterator[str]:
    """The points of each question in a table, and their sum."""
    points = {
        q.name: report.points_of(q, result.outcomes, report.mark(marks, result, q))[0]
        for q in master.questions
    }
    left = [name for name, value in points.items() if value is None]
    note = f"Without {', '.join(left)}, which a person still has to mark." if left else ""
    yield f"<table>\n<caption>Your points. {note}</caption>"
    yield '<tr><th scope="col">Question</th><th scope="col">Points</th><th scope="col">Of</th></tr>'
    for q in master.questions:
        told = report.tidy(points[q.name]) or "to be marked"
        name = f'<th scope="row"><a href="#{q.name}">{q.name}</a></th>'
        yield f"<tr>{name}<td>{told}</td><td>{report.tidy(_most(q))}</td></tr>"
    told, of = report.tidy(report.total(points.values())), report.tidy(report.most(master))
    yield f'<tr><th scope="row">Total</th><td>{told}</td><td>{of}</td></tr>\n</table>'


def _most(question: Question) -> float:
    return question.points + question.written_points


def _question(question: Question, result: Result, mark: float | None) -> Iterator[str]:
    """One question: its points, what the tests said, and what the student wrote."""
    value, _ = report.points_of(question, result.outcomes, mark)
    points = "to be marked, out of" if value is None else f"{report.tidy(value)} of"
    name, most = question.name, report.tidy(_most(question))
    yield f'<section aria-labelledby="{name}">'
    yield f'<h2 id="{name}">{name}: {points} {most}</h2>'
    yield f'<p class="quiet">The aim: you can {_text(question.objective)}.</p>'
    outcome = result.outcomes.get(name)
    if outcome and outcome.remarks:
        yield "<h3>What the tests say</h3>"
        yield from _list(outcome.remarks)
    elif outcome and question.tests and outcome.points >= question.points:
        yield "<p>All tests passed.</p>"
    if result.code.get(name, "").strip():
        yield from _answer("Your code", result.code[name])
    if question.written:
        yield from _written(question, result, mark)
    yield "</section>"


def _written(question: Question, result: Result, mark: float | None) -> Iterator[str]:
    """The written answer, how it is marked, and its mark."""
    text = result.written.get(question.name, "")
    if text.strip():
        yield from _answer("Your answer", text)
    else:
        yield "<h3>Your answer</h3>\n<p>There is none.</p>"
    if question.rubric:
        yield f'<h3>How it is marked</h3>\n<p class="text">{_text(question.rubric)}</p>'
    given = "to be marked" if mark is None else report.tidy(mark)
    if question.name in result.outcomes:
        yield f"<p>Mark of a person: {given}, of {report.tidy(question.written_points)}.</p>"


def _answer(heading: str, text: str) -> Iterator[str]:
    """What a student wrote, as it is. HTML drops a line end after <pre>, so here is one to drop."""
    yield f"<h3>{heading}</h3>\n<pre>\n{_text(report.cut(text))}</pre>"
