"""make rank: order the class by a figure that an assignment measures on its hidden problems.

A grade counts thresholds; a league also asks by how much. The head of a master says what is ranked:

    fsps: {rank: {question: q3, figures: figures}}

The tests of that question run as in grading, each submission in its own sandbox, and leave under
this name a dict {problem: figure}, smaller being better. Nothing of it comes from the submission:
the tests measured it here. The rank is by the geometric mean, a figure below 1 counting as 1; who
has no finite figure on one of the problems comes last, unranked.
"""

import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from tools.coursework import course, grade, pool, report, sandbox, submission
from tools.coursework.master import Master
from tools.coursework.students import HandedIn

Figures = Mapping[str, float]  # of a problem


def has_one(master: Master) -> bool:
    """Whether an assignment has a league."""
    return "rank" in master.notebook.metadata["fsps"]


def run(all_of: course.Course) -> Iterator[str]:
    """Write the league of each assignment that has one; say in a line each what was done."""
    with tempfile.TemporaryDirectory(prefix="coursework-") as room:
        sandbox.warm(room)
        for master, handed_in in all_of.handed_in():
            found, failed = measured(all_of, master, handed_in, room)
            path = all_of.out / f"{master.name}.league.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            report.write_csv(path, table(found))
            yield f"written  {path}"
            yield from (f"{student} has no figure: {why}" for student, why in failed.items())


def measured(
    all_of: course.Course, master: Master, handed_in: Sequence[HandedIn], room: str
) -> tuple[dict[str, Figures], dict[str, str]]:
    """{student: figures} of all who handed this assignment in, and why some could not be read."""
    work = partial(figures, master, all_of.phrase, partial(sandbox.Child, room=room))
    (question,) = asked(master)
    seconds = course.PATIENCE * (question.seconds + sandbox.START)
    theirs = [student for student in handed_in if student.path]
    pairs = pool.each(work, lambda student, why: ({}, why), theirs, all_of.jobs, seconds)
    results = {student.student: result for student, result in pairs}
    found = {student.student: results[student.student][0] for student in theirs}
    return found, {name: why for name, (_, why) in results.items() if why}


def asked(master: Master) -> list[grade.Question]:
    """The question whose tests measure the figures."""
    told = master.notebook.metadata["fsps"]["rank"]
    return [question for question in master.questions if question.name == told["question"]]


def figures(
    master: Master, phrase: str, start: grade.Start, student: HandedIn
) -> tuple[Figures, str]:
    """{problem: figure} of one submission, empty when the tests do not get that far, and why."""
    (question,) = asked(master)
    try:
        handed_in = submission.read(student.path or "", master)
    except submission.Unreadable as error:
        return {}, str(error)
    cells, lacking = handed_in.runs(master, question)
    names = grade.own_names(master, question, phrase)
    grade.tested(master, question, cells, lacking, question.seconds, names, start)
    found: Figures = names.get(master.notebook.metadata["fsps"]["rank"]["figures"], {})
    return found, ""


def overall(found: Figures, problems: Collection[str]) -> float:
    """The geometric mean of the figures; below 1 counts as 1, missing and NaN as infinite."""
    each = [found.get(name, math.inf) for name in problems] or [math.inf]
    if not all(map(math.isfinite, each)):
        return math.inf
    return math.exp(sum(math.log(max(1.0, f)) for f in each) / len(each))


def table(results: Mapping[str, Figures]) -> list[list[str]]:
    """The rows of the league, the head first; equal figures share a rank."""
    problems = list(dict.fromkeys(name for found in results.values() for name in found))
    figure = {student: overall(found, problems) for student, found in results.items()}
    order = sorted(results, key=lambda student: (figure[student], student))
    scores = [figure[student] for student in order]
    rows = [["rank", "student", "figure", *problems]]
    for student, score in zip(order, scores, strict=True):
        ranked = math.isfinite(score)
        each = [f"{results[student][name]:.2f}" if ranked else "" for name in problems]
        place = str(1 + scores.index(score)) if ranked else ""
        rows.append([place, report.plain(student), f"{score:.2f}" if ranked else "", *each])
    return rows
