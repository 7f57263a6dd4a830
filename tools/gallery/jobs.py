"""One piece of work, which yields the text of one file: a row, a tuned row, maps of a method."""

import json
import os
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from fsps_lite import problems
from fsps_lite.diagnosis.cell_files import loaded, place, row_of, text
from fsps_lite.diagnosis.leaderboard import Asked, made_here
from fsps_lite.diagnosis.rows import Maker, Row
from tools.gallery import maps
from tools.gallery.entries import Entry
from tools.gallery.methods import METHODS, PROBLEMS, TUNED
from tools.gallery.peers import PEERS, version
from tools.gallery.tuning import tuned_row

ENTRIES = {entry.name: entry for entry in (*METHODS, *PEERS)}
PLACE = Path("book") / "gallery"
CELLS, MAPS = "cells", "maps"
TRUTH = "truth"
STEPS, SEED = 100, 0
Kind = Literal["row", "tuned", "maps"]


@dataclass(frozen=True)
class Size:
    """How many particles and measurements; None for as many as `rank` takes."""

    n: int | None = None
    measurements: int | None = None
    steps: int = STEPS


USUAL = Size()


@dataclass(frozen=True)
class Job:
    """A kind of work, the name of a method, and that of a problem, by which all else is found."""

    kind: Kind
    method: str
    problem: str = ""
    size: Size = USUAL

    @property
    def path(self) -> Path:
        """Where its file lies within the gallery."""
        if self.kind == "maps":
            return place(".", MAPS, self.method)
        tuned = ", tuned" if self.kind == "tuned" else ""
        return Path(CELLS) / place(".", self.problem, self.method + tuned)

    @property
    def entry(self) -> Entry:
        return ENTRIES[self.method]

    def asked(self) -> Asked:
        """The problem at the measurements of the rank."""
        size, make = self.size, vars(problems)[self.problem]
        return Asked.of(make(), size.measurements, size.n, size.steps, SEED)

    def made(self) -> Maker:
        """What the file of this job states, if it is current."""
        if self.method == TRUTH:
            return Maker("fsps_lite", version("fsps_lite"))
        asked = self.asked() if self.problem else Job("row", self.method, "trimodal").asked()
        found = made_here(asked, self.entry.method)
        package = self.entry.package
        return Maker(package, version(package), found.settings, found.of)

    def text(self, published: dict[str, Any] | None = None) -> str:
        """Do the work; ``published`` is what is stored of the method that is tuned."""
        if self.kind == "maps":
            return _maps_text(self)
        return text(self.row(published))

    def row(self, published: dict[str, Any] | None = None) -> Row:
        """The row of the leaderboard."""
        asked = self.asked()
        if self.kind == "tuned":
            known = None if published is None else row_of(published, asked.y)
            return tuned_row(self.entry, asked, known)
        return asked.row(self.method, self.entry.method, self.made())

    def published(self, folder: Path) -> dict[str, Any] | None:
        """What is stored, and current, of the published parameters of a method that is tuned."""
        untuned = replace(self, kind="row")
        wanted = self.kind == "tuned" and untuned.is_done(folder)
        return loaded(folder / untuned.path) if wanted else None

    def is_done(self, folder: Path) -> bool:
        """Whether its file is there, and of the present text, settings and version."""
        data = loaded(folder / self.path)
        if data is None:
            return False
        made = self.made()
        same: bool = data["package"] == made.package and data["version"] == made.version
        if self.kind == "tuned":  # whose digest is that of the chosen point
            return (
                same and data["settings"] == made.settings and _grid_of(data) == self.entry.points
            )
        same = same and data["of"] == made.of
        return same and data.get("settings", made.settings) == made.settings


def _grid_of(data: dict[str, Any]) -> list[str]:
    found: list[str] = data["tuned"]["grid"] if data["tuned"] else []
    return found


@dataclass(frozen=True)
class Done:
    """A job with its text, or with the error that it raised."""

    job: Job
    text: str
    error: str
    seconds: float


def done(job: Job, published: dict[str, Any] | None = None) -> Done:
    """Do a job, on one thread; what it raises is told and stops no other."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    torch.set_num_threads(1)
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        try:
            found, error = job.text(published), ""
        except Exception:  # noqa: BLE001
            found, error = "", traceback.format_exc()
    return Done(job, found, error, time.perf_counter() - begun)


def all_jobs(peers: bool, size: Size = USUAL) -> Iterator[Job]:
    """All work of an environment."""
    entries = PEERS if peers else METHODS
    if not peers:
        yield Job("maps", TRUTH)
    for make in PROBLEMS:
        for entry in entries:
            yield Job("row", entry.name, make.__name__, size)
    for entry in entries:
        yield Job("maps", entry.name)
    for make in TUNED:
        for entry in entries:
            if entry.grid:
                yield Job("tuned", entry.name, make.__name__, size)


def _maps_text(job: Job) -> str:
    made = job.made()
    head = {"format": maps.FORMAT, "method": job.method, "package": made.package}
    head |= {"version": made.version, "of": made.of}
    if job.method == TRUTH:
        return _lines({**head, "path": maps.path_of_truth()})
    method = job.entry.method
    path, reason = maps.path_of(method)
    failure = {make.__name__: maps.failures(make, method, job.method) for make in maps.FAILS}
    return _lines({**head, "path": path, "reason": reason, "failure": failure})


def _lines(data: dict[str, object]) -> str:
    """JSON with a line for each entry."""
    lines = (
        f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'), ensure_ascii=False)}"
        for k, v in data.items()
    )
    return "{" + ",\n ".join(lines) + "}\n"
