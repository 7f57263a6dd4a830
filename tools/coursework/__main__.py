"""make assignments, make grade: see `python -m tools.coursework --help`.

python -m tools.coursework release                   masters -> student notebooks
python -m tools.coursework grade --submissions DIR   DIR/<student>/NN-name.ipynb -> CSV, pages
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nbformat

from fsps_lite.saving import save
from tools.coursework import examples, grade, report, sandbox, submission
from tools.coursework.master import FOLDER, TEXT_STUB, Master, masters, student_version

BUILD = Path(__file__).resolve().parents[2] / "build"
Graded = tuple[report.Result, submission.Submission | None]


def release(folder: Path, out: Path, only: str) -> None:
    """Write the student version of each master, and the example submissions beside them."""
    out.mkdir(parents=True, exist_ok=True)
    for master in masters(folder, only):
        path = out / f"{master.name}.ipynb"
        save(path, nbformat.writes(student_version(master)) + "\n")
        print(f"written  {path}")
    for path in examples.write(folder, out.parent / "examples", only):
        print(f"written  {path}")


def grade_student(folder: Path, room: str, seed: str, name: str, student: Path) -> Graded:
    """(student, {question: Outcome}, failure) and the submission; for a worker."""
    (master,) = masters(folder, name)
    path = student / f"{name}.ipynb"
    try:
        handed_in = submission.read(path, {cell.name for cell in master.cells})
    except submission.Unreadable as error:
        return (student.name, {}, str(error)), None
    outcomes = {}
    for question in master.questions:
        start = partial(sandbox.Child, room=room)
        outcomes[question.name] = grade.grade_question(master, question, handed_in, seed, start)
    return (student.name, outcomes, ""), handed_in


def grade_all(folder: Path, submissions: Path, out: Path, seed: str, only: str, jobs: int) -> None:
    """Grade a folder; each assignment that somebody handed in gets a CSV and a folder of pages."""
    folders = (path for path in submissions.iterdir() if path.is_dir() and not path.is_symlink())
    students = sorted(folders)
    with tempfile.TemporaryDirectory(prefix="coursework-") as room:
        announce(room)
        if seed == "0":
            print("The hidden tests use the public seed: give your own, make grade SEED=secret")
        for master in masters(folder, only):
            handed_in = [s for s in students if os.path.lexists(s / f"{master.name}.ipynb")]
            if not handed_in:
                continue
            work = partial(grade_student, folder, room, seed, master.name)
            with ProcessPoolExecutor(jobs) as pool:
                results = list(pool.map(work, students))
            print(f"written  {conclude(master, results, out)}")


def announce(room: str) -> None:
    """Start a child with nothing in it; say what stands between a submission and this machine."""
    with sandbox.Child([], ["torch", "fsps_lite"], room, seconds=10, megabytes=500) as child:
        held = (["bubblewrap"] if sandbox.bubblewrap(room) else []) + child.guards
    print("A submission is held by:", ", ".join(held))
    if not protected(held):
        print(
            "WARNING: here a submission could read your files or use the network. Install "
            "bubblewrap, or grade on Linux 5.13 or newer, as a user without private files."
        )


def protected(held: Collection[str]) -> bool:
    """Whether these guards keep a submission from files that it should not see, and a network."""
    closed = "files" in held and ("no network" in held or "no TCP" in held)
    return "bubblewrap" in held or closed


def conclude(master: Master, results: Sequence[Graded], out: Path) -> Path:
    """Write the table, the pages and what is left to mark; marks already given are kept."""
    pages = out / master.name
    pages.mkdir(parents=True, exist_ok=True)
    marks, answers = report.read_marks(out / f"{master.name}.to_mark.csv")
    handed_in = [(result[0], sub) for result, sub in results if sub]
    rows = report.to_mark(master, handed_in, marks)
    now = {(row[0], row[1]): row[-1] for row in rows[1:]}
    marks = {key: mark for key, mark in marks.items() if now.get(key) == answers[key]}
    marks |= {key: 0 for key, answer in now.items() if answer in ("", TEXT_STUB)}
    report.write_csv(out / f"{master.name}.to_mark.csv", report.to_mark(master, handed_in, marks))
    for result, sub in results:
        text = report.page(master, result, sub, marks)
        save(pages / f"{result[0]}.md", text)
    path = out / f"{master.name}.csv"
    report.write_csv(path, report.table(master, [result for result, _ in results], marks))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.coursework")
    parser.add_argument("command", choices=["release", "grade"])
    parser.add_argument("--masters", type=Path, default=FOLDER, help="where the masters lie")
    parser.add_argument("--submissions", type=Path, default=BUILD / "examples")
    parser.add_argument("--out", type=Path, help="default: build/assignments or build/grades")
    parser.add_argument("--only", default="", help="the number of one assignment, like 01")
    parser.add_argument("--seed", default=os.environ.get("COURSEWORK_SEED", "0"))
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    told = parser.parse_args(arguments)
    if told.command == "release":
        release(told.masters, told.out or BUILD / "assignments", told.only)
        return 0
    if not told.submissions.is_dir():
        parser.error(f"no folder {told.submissions}: make assignments writes build/examples")
    out = told.out or BUILD / "grades"
    grade_all(told.masters, told.submissions, out, told.seed, told.only, told.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
