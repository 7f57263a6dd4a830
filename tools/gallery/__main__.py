"""The command of the gallery: see the text of the room."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fsps_lite.saving import save
from tools import gallery
from tools.gallery.jobs import PLACE, STEPS, Done, Job, Size, all_jobs
from tools.gallery.pool import here, there

LEFT = 600  # seconds after which a file that a stop has left half written is removed


def main(arguments: Sequence[str] | None = None, say: Callable[[str], object] = print) -> int:
    """Do what is not done; the exit status is 1 where a job raised an error."""
    options = _parser().parse_args(arguments)
    folder = Path(options.folder)
    sweep(folder)
    size = Size(options.n, options.measurements, options.steps)
    every = list(all_jobs(options.peers, size))
    _check(options, every)
    chosen = [job for job in every if _wanted(job, options)]
    todo = [job for job in chosen if not job.is_done(folder)]
    say(f"{len(chosen) - len(todo)} of {len(chosen)} are done, {len(todo)} to do")
    address = os.environ.get("CLUSTER", "")
    found = there(todo, address) if address else here(todo, options.jobs, folder)
    failed, begun = 0, time.perf_counter()
    for k, one in enumerate(found, 1):
        failed += bool(one.error)
        keep(folder, one)
        say(_line(k, len(todo), one, time.perf_counter() - begun))
    return 1 if failed else 0


def keep(folder: Path, one: Done) -> None:
    """Write the file of a job that is done, as a whole."""
    if one.error:
        return
    path = folder / one.job.path
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, one.text)


def sweep(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    for part in folder.rglob(".*.part"):
        if time.time() - part.stat().st_mtime > LEFT:
            part.unlink(missing_ok=True)


def _line(k: int, of: int, one: Done, passed: float) -> str:
    job = one.job
    told = f"[{k:4}/{of}] {passed:6.0f} s  {job.kind:5} {job.problem:14} {job.method}"
    return f"{told}\n{one.error}" if one.error else f"{told}  {one.seconds:.1f} s"


def _check(options: argparse.Namespace, every: Sequence[Job]) -> None:
    """Exit with a sentence where a name is none of the gallery's: nothing to do is no answer."""
    for option, key in (("only", "method"), ("on", "problem"), ("kinds", "kind")):
        known = dict.fromkeys(getattr(job, key) for job in every if getattr(job, key))
        for name in getattr(options, option) or []:
            if name not in known:
                raise SystemExit(f"--{option} {name}: the gallery has {'; '.join(known)}")


def _wanted(job: Job, options: argparse.Namespace) -> bool:
    kind = not options.kinds or job.kind in options.kinds
    method = not options.only or job.method in options.only
    return kind and method and (not options.on or job.problem in options.on)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gallery",
        description=gallery.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--only", nargs="*", metavar="METHOD", help="these methods")
    parser.add_argument("--on", nargs="*", metavar="PROBLEM", help="these problems")
    parser.add_argument("--kinds", nargs="*", metavar="KIND", help="row, tuned, maps")
    parser.add_argument("--peers", action="store_true", help="the published packages")
    small = "of each row, to try the command on less"
    parser.add_argument("--n", type=int, help=f"particles {small}")
    parser.add_argument("--measurements", type=int, help=f"measurements {small}")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps {small}")
    parser.add_argument("--folder", default=str(PLACE), help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
