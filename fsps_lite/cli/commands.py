"""What each command does, and how its errors are answered: by a sentence, and the status 2."""

import argparse
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fsps_lite import checks
from fsps_lite.cli.clouds import read
from fsps_lite.cli.names import METHODS, PROBLEMS, called, find_method, find_methods, find_problem
from fsps_lite.cli.options import parser
from fsps_lite.cli.pictures import asked
from fsps_lite.cli.saves import check, save
from fsps_lite.cli.side_by_side import beside
from fsps_lite.cli.stored_rows import stored_rows
from fsps_lite.cli.unknown import Unknown
from fsps_lite.diagnosis import calibrate, compare, diagnose, rank
from fsps_lite.diagnosis.leaderboard import STEPS, Asked, ranked
from fsps_lite.diagnosis.rows import Row

SETTINGS = ("n", "steps", "seed", "measurements", "draws", "by_law")  # as the functions call them
BESIDE = ("DPS", "TMPD")  # where no stored row fits


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    _show_any_letter()
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)  # faster for small tensors
    try:
        COMMANDS[options.command](options)
    except (LookupError, ValueError, TypeError) as error:
        if not isinstance(error, Unknown) and checks.ADVICE not in str(error):
            raise  # not our error for a wrong call, but one of the method
        print(f"fsps_lite: {error.args[0]}", file=sys.stderr)
        return 2
    return 0


def _show_any_letter() -> None:
    """Print the code of a letter that the terminal lacks, in place of the letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were asked for: what was not has the default of the function."""
    known = {name: vars(options).get(name) for name in SETTINGS}
    return {name: value for name, value in known.items() if value is not None}


def _list(options: argparse.Namespace) -> None:
    print(_listing("problems", PROBLEMS), _listing("methods", METHODS), sep="\n")


def _listing(title: str, known: Mapping[str, object]) -> str:
    width = max(map(len, [*PROBLEMS, *METHODS]))
    return "\n".join([title, *(f"  {name:<{width}}  {_first(it)}" for name, it in known.items())])


def _first(it: object) -> str:
    return (it.__doc__ or "-").strip().splitlines()[0]


def _diagnose(options: argparse.Namespace) -> None:
    """Run the method on the problem, print the report, and save it where that was asked for."""
    check(options)
    known, method = asked(options), find_method(options.method)
    given = _given(options) | {"network": known.network, "held_out": known.held_out}
    found = diagnose(known.problem, method, **given)
    report = replace(found, method=called(options.method, method))
    try:
        save(options, report)
    finally:
        print(report)
        if report.cost is not None:  # seconds, which the report itself leaves out
            print(f"fsps_lite: {report.cost}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    """Run the methods on the problem, print them side by side, and save their reports."""
    check(options)
    problem, methods = find_problem(options.problem), find_methods(options.methods)
    reports = compare(problem, methods, **_given(options))
    try:
        save(options, *reports)
    finally:
        print(beside(reports))


def _calibrate(options: argparse.Namespace) -> None:
    """Run the method at many measurements, print what was found, and save it where asked."""
    check(options)
    problem, method = find_problem(options.problem), find_method(options.method)
    made = calibrate(problem, method, **_given(options))
    found = replace(made, method=called(options.method, method))
    try:
        save(options, found)
    finally:
        print(found)


def _rank(options: argparse.Namespace) -> None:
    """Run the method at many measurements, and print it in one table with others."""
    problem, given = find_problem(options.problem), _given(options)
    rows = _beside(options, Asked.of(problem, **_asked(given)))
    names = {row.method for row in rows}
    wanted = [name for name in options.beside or () if name not in names]
    methods = find_methods([options.method, *wanted])
    run = rank(methods, [problem], **given, folder=options.folder, jobs=options.jobs)
    print(ranked([*run.rows, *(row for row in rows if row.method not in methods)]))


def _asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a rank, with its defaults."""
    return {"measurements": None, "n": None, "steps": STEPS, "seed": 0, **given}


def _beside(options: argparse.Namespace, asked: Asked) -> list[Row]:
    """The stored rows to stand beside: those that are named, or all; what there is is told."""
    if ":" in options.problem:  # whose rows nobody has stored
        rows: list[Row] = []
        told = f"no rows of {options.problem} are stored"
    else:
        rows, told = stored_rows(Path(options.stored), asked)
    if options.beside is not None:
        rows = [row for row in rows if row.method in options.beside]
    elif not rows:
        options.beside = [name for name in BESIDE if name != options.method]
        told += f": {' and '.join(options.beside)} are run"
    print(f"fsps_lite: {told}", file=sys.stderr)
    return rows


def _samples(options: argparse.Namespace) -> None:
    """Compare the samples of a file with the exact posterior of the problem."""
    check(options)
    problem = find_problem(options.problem)
    samples = read(options.file, dtype=problem.prior.dtype, time=options.time)
    name = Path(options.file).stem if options.name is None else options.name
    (report,) = compare(problem, {name: samples}, **_given(options))
    try:
        save(options, report)
    finally:
        print(report)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "diagnose": _diagnose,
    "compare": _compare,
    "calibrate": _calibrate,
    "rank": _rank,
    "samples": _samples,
}
