"""The words that the shell takes, with an example for each command."""

import argparse
from collections.abc import Callable

from fsps_lite.cli.stored_rows import STORED

PROGRAM = "python -m fsps_lite"
DESCRIPTION = """Diagnose a sampler beside the exact posterior.

A problem is a name that `list` prints, or module:make, a function of yours that returns a Problem.
A method is a name that `list` prints, or module:Name: called with (prior, likelihood) it returns a
score, or it is a Scored, a Stepped, a Drawn or Samples. A module is looked for in this folder too.
"""
DATA = "a folder or a file of pictures: they are the prior, and one of 20 is held out"
MEASURED = "how a held-out picture is measured: half, downsample, blur, or module:make of a shape"
NETWORK = "a learned denoiser that the method sees: a file of networks.save, or module:name"
HELD_OUT = "data that nobody has seen, beside --problem: a file as for samples, or module:name"
EXAMPLES = {
    "diagnose": """
    python -m fsps_lite diagnose TMPD --problem two_atoms
    python -m fsps_lite diagnose mymodule:MyMethod --problem trimodal --report out.html
    python -m fsps_lite diagnose DPS --problem mymodule:make --json out.json
    python -m fsps_lite diagnose DPS --data pictures --network weights.npz
    python -m fsps_lite diagnose DPS --data pictures --network mymodule:network --operator blur
""",
    "compare": """
    python -m fsps_lite compare DPS PiGDM TMPD --problem two_atoms
    python -m fsps_lite compare DPS mymodule:MyMethod --problem mymodule:make --out reports
""",
    "calibrate": """
    python -m fsps_lite calibrate TMPD --problem trimodal
    python -m fsps_lite calibrate mymodule:MyMethod --problem gaussian --measurements 200 --by-law
""",
    "rank": """
    python -m fsps_lite rank mymodule:MyMethod --problem two_atoms
    python -m fsps_lite rank mymodule:MyMethod --problem mymodule:make --beside DPS TMPD
    python -m fsps_lite rank TDS --problem trimodal --folder cells
""",
    "samples": """
    python -m fsps_lite samples cloud.npy --problem trimodal
    python -m fsps_lite samples particles.npz --problem mymodule:make --report out.html

A .npy file holds x, (n, d). A .npz file, and a dictionary in a .pt file, name "x", and may name
"log_weights" and "runs", each (n,). A .csv file has a row for each sample; if its first row holds
names, columns called log_weights and runs are not part of x.
""",
}


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    found = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog="".join(["examples:", *EXAMPLES.values()]).partition("\nA .npy")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the problems and the methods")
    for add in (_diagnose, _compare, _calibrate, _rank, _samples):
        add(commands.add_parser)
    return found


AddParser = Callable[..., argparse.ArgumentParser]


def _diagnose(add: AddParser) -> None:
    run = _command(add, "diagnose", "run a method beside the exact posterior")
    run.add_argument("method", help="module:name, or a name that `list` prints")
    _running(run)
    run.add_argument("--n", type=int, help="particles")
    run.set_defaults(problem=None)  # trimodal, unless there are pictures
    _learned(run)
    _saving(run)


def _compare(add: AddParser) -> None:
    run = _command(add, "compare", "run several methods on one problem, side by side")
    run.add_argument("methods", nargs="+", metavar="method", help="as for diagnose")
    _running(run)
    run.add_argument("--n", type=int, help="particles")
    run.add_argument("--out", metavar="FOLDER", help="save each report here, as HTML and as JSON")


def _calibrate(add: AddParser) -> None:
    run = _command(add, "calibrate", "run a method at many measurements")
    run.add_argument("method", help="as for diagnose")
    _running(run)
    run.add_argument("--measurements", type=int, help="y simulated from the prior")
    run.add_argument("--draws", type=int, help="particles at each y")
    run.add_argument(
        "--by-law", action="store_true", default=None, help="add the failure map, on the line"
    )
    _saving(run)


def _rank(add: AddParser) -> None:
    run = _command(add, "rank", "run methods at many measurements, and rank them")
    run.add_argument("method", help="as for diagnose")
    beside = "other methods: stored rows where they fit, else run (default: all stored rows)"
    run.add_argument("--beside", nargs="*", help=beside)
    run.add_argument("--stored", default=str(STORED), metavar="FOLDER", help="of the stored rows")
    _running(run)
    run.add_argument("--n", type=int, help="particles")
    run.add_argument("--measurements", type=int, help="y simulated from the prior")
    run.add_argument("--folder", help="keep what was run here, and do not run it again")
    run.add_argument("--jobs", type=int, help="processes")


def _samples(add: AddParser) -> None:
    run = _command(add, "samples", "compare a file of samples with the exact posterior")
    run.add_argument("file", help="ends in .npy, .npz, .pt or .csv")
    run.add_argument("--time", type=float, default=0.0, help="where the sampler stopped")
    run.add_argument("--name", help="of the sampler, in the report; else that of the file")
    _saving(run)


def _command(add: AddParser, name: str, says: str) -> argparse.ArgumentParser:
    """A command on a problem."""
    run = add(
        name,
        help=says,
        description=f"{says[0].upper()}{says[1:]}.",
        epilog=f"examples:{EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = "module:make, or a name that `list` prints (default: trimodal)"
    run.add_argument("--problem", default="trimodal", help=named)
    run.add_argument("--seed", type=int, help="of all random numbers (default: 0)")
    return run


def _running(run: argparse.ArgumentParser) -> None:
    run.add_argument("--steps", type=int, help="steps of the integrator")


def _learned(run: argparse.ArgumentParser) -> None:
    """Pictures of somebody's own, and a network."""
    run.add_argument("--data", metavar="PICTURES", help=DATA)
    resized = "resize the pictures of a folder"
    run.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help=resized)
    run.add_argument("--grey", action="store_true", default=None, help="take their colour away")
    run.add_argument("--operator", help=f"{MEASURED} (default: half)")
    run.add_argument("--noise-std", type=float, help="of the measurement (default: 1)")
    run.add_argument("--picture", type=int, help="which of those held out is measured (default: 0)")
    run.add_argument("--network", metavar="WEIGHTS", help=NETWORK)
    run.add_argument("--held-out", metavar="ROWS", help=HELD_OUT)


def _saving(run: argparse.ArgumentParser) -> None:
    """Where one report is saved."""
    page = "write one self-contained HTML page here"
    run.add_argument("--report", "--html", metavar="FILE", help=page)
    run.add_argument("--json", metavar="FILE", help="write all numbers and curves here")
    run.add_argument("--out", metavar="FOLDER", help="write both into this folder")
