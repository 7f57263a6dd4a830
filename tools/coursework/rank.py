"""make rank: order the class by a figure that an assignment measures on its hidden problems.

A grade counts thresholds; a league also asks by how much. The head of a master says what is ranked:

    fsps: {rank: {question: q3, figures: figures}}

The tests of that question run as in grading, each submission in its own sandbox, and leave under
this name a dict {problem: figure}, smaller being better. Nothing of it comes from the submission:
the tests measured it here. The rank is by the geometric mean, a figure below 1 counting as 1; who
has no finite figure on one of the problems comes last, unranked.
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from tools.coursework import grade, report, sandbox, submission
from tools.coursework.master import FOLDER, Master, masters

BUILD = Path(__file__).resolve().parents[2] / "build"
Figures = Mapping[str, float]  # of a problem


def figures(
    master: Master, handed_in: submission.Submission, seed: str, start: grade.Start
) -> Figures:
    """{problem: figure} of one submission, empty when the tests do not get that far."""
    told = master.notebook.metadata["fsps"]["rank"]
    (question,) = [q for q in master.questions if q.name == told["question"]]
    names = grade.own_names(master, question, seed)
    try:
        with grade.answering(master, question, handed_in, start) as (child, lacking):
            for cell in question.tests:
                grade.attempt(cell, question, names, child, lacking)
    except sandbox.Ended:
        return {}
    found: Figures = names.get(told["figures"], {})
    return found


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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.coursework.rank")
    parser.add_argument("--masters", type=Path, default=FOLDER, help="where the masters lie")
    parser.add_argument("--submissions", type=Path, default=BUILD / "examples")
    parser.add_argument("--out", type=Path, default=BUILD / "grades")
    parser.add_argument("--seed", default=os.environ.get("COURSEWORK_SEED", "0"))
    told = parser.parse_args(arguments)
    told.out.mkdir(parents=True, exist_ok=True)
    for master in masters(told.masters):
        if "rank" in master.notebook.metadata["fsps"]:
            path = told.out / f"{master.name}.league.csv"
            report.write_csv(path, table(results(master, told.submissions, told.seed)))
            print(f"written  {path}")
    return 0


def results(master: Master, folder: Path, seed: str) -> dict[str, Figures]:
    """{student: {problem: figure}} for all who handed this assignment in."""
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="coursework-") as room:
        start = partial(sandbox.Child, room=room)
        for path in sorted(folder.glob(f"*/{master.name}.ipynb")):
            try:
                handed_in = submission.read(path, {cell.name for cell in master.cells})
            except submission.Unreadable:
                found[path.parent.name] = {}
                continue
            found[path.parent.name] = figures(master, handed_in, seed, start)
    return found


if __name__ == "__main__":
    sys.exit(main())
