"""make assignments, make grade, make rank: see `python -m tools.coursework --help`.

python -m tools.coursework release                   masters -> student notebooks, and examples
python -m tools.coursework grade --submissions DIR   DIR/<student>/NN-name.ipynb -> tables, pages
python -m tools.coursework rank --submissions DIR    the league of an assignment that has one
"""

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.coursework import course, export, rank, sandbox, secret, students
from tools.coursework.marks import BadMarks
from tools.coursework.master import FOLDER, masters
from tools.coursework.release import release

BUILD = Path(__file__).resolve().parents[2] / "build"
SHOWN = 20  # sentences about files that belong to nothing


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.coursework")
    parser.add_argument("command", choices=["release", "grade", "rank"])
    parser.add_argument("--masters", type=Path, default=FOLDER, help="where the masters lie")
    parser.add_argument("--submissions", type=Path, default=BUILD / "examples")
    parser.add_argument("--out", type=Path, help="default: build/assignments or build/grades")
    parser.add_argument("--only", default="", help="the number of one assignment, like 01")
    parser.add_argument("--seed", default=secret.of_environment(), help="your secret, any phrase")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--lms", choices=["", *export.FORMATS], default="")
    parser.add_argument("--roster", type=Path, help="a CSV that Canvas or Moodle exported")
    told = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name need not be one that the terminal has
            stream.reconfigure(errors="backslashreplace")
    if told.command == "release":
        for line in release(told.masters, told.out or BUILD / "assignments", told.only):
            print(line)
        return 0
    if not told.submissions.is_dir():
        parser.error(f"no folder {told.submissions}: make assignments writes build/examples")
    try:
        return graded(told) if told.command == "grade" else ranked(told)
    except BadMarks as error:
        print("Nothing was graded, because marks that were typed cannot be used:", file=sys.stderr)
        print("\n".join(error.problems), file=sys.stderr)
    except ValueError as error:  # of a roster
        print(f"Nothing was graded: {error}", file=sys.stderr)
    return 2


def graded(told: argparse.Namespace) -> int:
    """Grade the folder, and print what was done."""
    chosen = masters(told.masters, told.only)
    found = students.handed_in(told.submissions, masters(told.masters))
    people = export.roster(told.roster) if told.roster else []
    out = told.out or BUILD / "grades"
    all_of = course.Course(chosen, found, out, told.seed, told.jobs, told.lms, people)
    course.typed(all_of)  # what is wrong with the marks is told before an hour of grading
    status = introduced(all_of)
    for line in course.run(all_of) if status == 0 else ():
        print(line, flush=True)
    return status


def ranked(told: argparse.Namespace) -> int:
    """Rank the folder, and print what was done."""
    chosen = [m for m in masters(told.masters, told.only) if rank.has_one(m)]
    found = students.handed_in(told.submissions, masters(told.masters))
    all_of = course.Course(chosen, found, told.out or BUILD / "grades", told.seed, told.jobs)
    status = introduced(all_of)
    for line in rank.run(all_of) if status == 0 else ():
        print(line, flush=True)
    return status


def introduced(all_of: course.Course) -> int:
    """Say what was found and what holds a submission; 1 if there is nothing to grade."""
    for line in told_of(all_of.found.unmatched):
        print(line)
    if not any(all_of.handed_in()):
        names = ", ".join(master.name for master in all_of.masters)
        print(f"Nothing was graded: no notebook here belongs to {names}.", file=sys.stderr)
        return 1
    print("\n".join([*holding(), *filter(None, [secret.warning(all_of.phrase)])]), flush=True)
    return 0


def holding() -> Iterator[str]:
    """What holds a submission on this machine, and what does not."""
    with (
        tempfile.TemporaryDirectory(prefix="coursework-") as room,
        sandbox.Child([], [], room, seconds=10, megabytes=500) as empty,
    ):
        held = empty.guards
    yield f"A submission is held by: {', '.join(held)}"
    doors = sandbox.open_doors(held)
    for door in doors:
        yield f"WARNING: {door}."
    if doors:
        yield (
            "Close this: install bubblewrap, or grade on Linux 5.13 or newer, or in a virtual "
            "machine, as a user without private files."
        )


def told_of(sentences: Sequence[str]) -> Iterator[str]:
    """The first of many sentences, and how many more there are."""
    yield from sentences[:SHOWN]
    if len(sentences) > SHOWN:
        yield f"... and {len(sentences) - SHOWN} more like these"


if __name__ == "__main__":
    sys.exit(main())
