"""Diagnose a sampler from the shell.

    python -m fsps_lite list
    python -m fsps_lite diagnose mymodule:MyMethod --problem trimodal --report out.html
    python -m fsps_lite diagnose TMPD --problem two_atoms
    python -m fsps_lite calibrate TMPD --problem two_atoms
    python -m fsps_lite rank mymodule:MyMethod --problem two_atoms --beside DPS TMPD

A method is called with (prior, likelihood) and returns a score or a Sampler, or it is a Scored, a
Stepped, a Drawn or Samples. ``module:name`` is imported from the current folder; a name alone is
one of this library's methods.
"""

import argparse
import difflib
import importlib
import io
import sys
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType

import torch

from fsps_lite import checks, guidance, problems, samplers
from fsps_lite.diagnosis import Method, Report, calibrate, compare
from fsps_lite.diagnosis.leaderboard import rank
from fsps_lite.diagnosis.method import name_of
from fsps_lite.problems.problem import Problem
from fsps_lite.saving import check_target

PROBLEMS = {make.__name__: make for make in problems.GALLERY}
METHODS = {
    kind.__name__: kind
    for kind in (
        guidance.DPS,
        guidance.ZetaDPS,
        guidance.PiGDM,
        guidance.TMPD,
        guidance.DiagonalTMPD,
        guidance.LGD,
        guidance.MMPS,
        guidance.DMPS,
        guidance.SDA,
        samplers.DAPS,
        samplers.DiffPIR,
        samplers.PnPDM,
        samplers.DDRM,
        samplers.DDNM,
        samplers.DDNMPlus,
        samplers.REDDiff,
        samplers.RePaint,
        samplers.TDS,
        samplers.MCGDiff,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    _show_any_letter()
    options = _parser().parse_args(arguments)
    if options.command == "list":
        print(_listing())
        return 0
    torch.set_num_threads(1)  # faster for small tensors
    try:
        RUNS[options.command](options)
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


class Unknown(LookupError):
    """A name that nothing has, or a file that cannot be written; its message says what works."""


def _diagnose(options: argparse.Namespace) -> None:
    """Run the method on the problem, print the report, and save it where that was asked for."""
    for name, path in (("--report", options.report), ("--json", options.json)):
        if path is not None:
            check_target(name, path, f"python -m fsps_lite diagnose DPS {name} name-of-a-file")
    problem, method = find_problem(options.problem), find_method(options.method)
    settings = {"n": options.n, "steps": options.steps, "seed": options.seed}
    (report,) = compare(problem, {_called(method, options): method}, **settings)
    try:
        _save(report, options)
    finally:
        print(report)


def _calibrate(options: argparse.Namespace) -> None:
    """Run the method at many measurements, and print what was found."""
    problem, method = find_problem(options.problem), find_method(options.method)
    settings = {name: getattr(options, name) for name in ("measurements", "draws", "steps", "seed")}
    found = calibrate(problem, method, **settings)
    print(replace(found, method=_called(method, options)))


def _rank(options: argparse.Namespace) -> None:
    """Rank the method at many measurements, beside others, and print the table."""
    method = find_method(options.method)
    methods = {_called(method, options): method}
    methods |= {name: find_method(name) for name in options.beside}
    settings = {name: getattr(options, name) for name in ("measurements", "n", "steps", "seed")}
    known = [find_problem(name) for name in options.problem]
    print(rank(methods, known, **settings, folder=options.folder, jobs=options.jobs))


RUNS = {"diagnose": _diagnose, "calibrate": _calibrate, "rank": _rank}


def _called(method: Method, options: argparse.Namespace) -> str:
    """The name of the method; a lambda has that by which it was asked for."""
    name, asked = name_of(method), str(options.method)
    return asked.rpartition(":")[2] if name == "<lambda>" else name


def _save(report: Report, options: argparse.Namespace) -> None:
    try:
        if options.report is not None:
            report.save_html(options.report)
        if options.json is not None:
            report.save_json(options.json)
    except OSError as error:
        raise Unknown(f"the report could not be saved: {error}") from error


def find_problem(name: str) -> Problem:
    """The problem of the gallery called ``name``; raises Unknown with the nearest name."""
    if name not in PROBLEMS:
        raise Unknown(_unknown("problem", name, PROBLEMS))
    return PROBLEMS[name]()


def find_method(name: str) -> Method:
    """``module:name``, or a method of this library; raises Unknown with the nearest name."""
    if ":" not in name:
        if name not in METHODS:
            raise Unknown(_unknown("method", name, METHODS) + "; your own is module:name")
        return METHODS[name]
    module_name, attribute = name.split(":", 1)
    module = _imported(module_name)
    if not hasattr(module, attribute):
        raise Unknown(_unknown(f"name in {module_name}", attribute, vars(module)))
    method: Method = getattr(module, attribute)
    return method


def _imported(name: str) -> ModuleType:
    """The module of this name, also from the current folder; raises Unknown."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise Unknown(f"no module can be called {name!r}; mine:X is X in the file mine.py")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Unknown(f"cannot import {name!r}: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fsps_lite", description="Diagnose a sampler")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the problems and the methods")
    run = _command(commands, "diagnose", "run a method beside the exact posterior")
    run.add_argument("--report", help="write one self-contained HTML page here")
    run.add_argument("--json", help="write all numbers and curves here")
    run.add_argument("--n", type=int, default=2000, help="particles")
    run = _command(commands, "calibrate", "run a method at many measurements")
    run.add_argument("--measurements", type=int, default=100, help="y simulated from the prior")
    run.add_argument("--draws", type=int, default=40, help="particles at each y")
    run = _command(commands, "rank", "run methods at many measurements, and rank them", many=True)
    run.add_argument("--beside", nargs="*", default=["DPS", "TMPD"], help="other methods")
    run.add_argument("--measurements", type=int, default=6, help="y simulated from the prior")
    run.add_argument("--n", type=int, default=1000, help="particles")
    run.add_argument("--folder", help="keep what was run here, and do not run it again")
    run.add_argument("--jobs", type=int, help="processes")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    says: str,
    *,
    many: bool = False,
) -> argparse.ArgumentParser:
    """A command that runs a method on a problem, or on ``many``."""
    run = commands.add_parser(name, help=says)
    run.add_argument("method", help="module:name, or a name that `list` prints")
    several = {"nargs": "+", "default": ["trimodal"]} if many else {"default": "trimodal"}
    run.add_argument("--problem", help="a name that `list` prints", **several)
    run.add_argument("--steps", type=int, default=250, help="steps of the integrator")
    run.add_argument("--seed", type=int, default=0)
    return run


def _listing() -> str:
    width = max(map(len, [*PROBLEMS, *METHODS]))
    lines = ["problems"]
    lines += [f"  {name:<{width}}  {_first(make.__doc__)}" for name, make in PROBLEMS.items()]
    lines += ["methods"]
    lines += [f"  {name:<{width}}  {_first(kind.__doc__)}" for name, kind in METHODS.items()]
    return "\n".join(lines)


def _first(text: str | None) -> str:
    return (text or "-").strip().splitlines()[0]


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
    return f"no {kind} called {name!r}{hint}"


if __name__ == "__main__":
    sys.exit(main())
