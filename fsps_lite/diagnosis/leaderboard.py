"""Methods ranked over all measurements of a problem: one cell for each problem and method.

    python -m fsps_lite rank mymodule:MyMethod --problem trimodal --folder cells

A cell is what one method does on one problem at several y, stored as JSON. A cell that is stored,
with these settings, y and text of the method, by this version of the library, is read and not run
again: a run that was stopped goes on where it was.
"""

import hashlib
import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.cells import Judged, judged
from fsps_lite.diagnosis.measured import measured, with_measurement
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.rows import HEAD, Row
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.problems import Problem
from fsps_lite.saving import save
from fsps_lite.tables import aligned

CALL = "rank({'DPS': DPS, 'TMPD': TMPD}, [problems.trimodal()], measurements=6)"


@dataclass(frozen=True)
class Leaderboard:
    """The rows of :func:`rank`, best first for each problem."""

    rows: tuple[Row, ...]

    def __str__(self) -> str:
        return "\n".join(aligned([HEAD, *(row.cells for row in self.rows)]))

    __repr__ = __str__

    def __getitem__(self, name: str) -> tuple[Row, ...]:
        """The rows of one method, or of one problem."""
        return tuple(row for row in self.rows if name in (row.method, row.problem))


def rank(
    methods: Mapping[str, Method],
    problems: Sequence[Problem],
    *,
    measurements: int = 6,
    n: int = 1000,
    steps: int = 250,
    seed: int = 0,
    folder: str | Path | None = None,
    jobs: int | None = None,
) -> Leaderboard:
    """Each method on each problem at the same ``measurements``, drawn from p(y).

    A method that does not take a problem's operator has no row there. ``folder`` keeps the cells:
    what it holds for these settings and this version is read. ``jobs`` processes of one thread each
    share the work, as those of :func:`~fsps_lite.sweep`. Raises ValueError or TypeError unless
    there are a method and a problem.
    """
    from joblib import Parallel, delayed

    _check(methods, problems, measurements)
    how = Sampling(n, steps, seed)
    tasks = [
        delayed(_row)(problem, name, method, how, measurements, folder)
        for problem in problems
        for name, method in methods.items()
    ]
    rows = [row for row in Parallel(n_jobs=jobs)(tasks) if row is not None]
    return Leaderboard(tuple(sorted(rows, key=lambda row: row.key)))


def _check(methods: object, problems: object, measurements: object) -> None:
    checks.kind("methods", methods, Mapping, CALL)
    checks.kind("problems", problems, Sequence, CALL)
    checks.count("measurements", measurements, CALL, least=2)
    assert isinstance(methods, Mapping)
    assert isinstance(problems, Sequence)
    if not methods or not problems:
        got = f"{len(methods)} and {len(problems)}"
        raise ValueError(checks.complaint("`rank` needs a method and a problem", got, CALL))


def _row(
    problem: Problem,
    name: str,
    method: Method,
    how: Sampling,
    measurements: int,
    folder: str | Path | None,
) -> Row | None:
    """One cell, stored or run; None where the method refuses the operator."""
    torch.set_num_threads(1)
    y = _measurements(problem, measurements, how.seed)
    settings = {**how.settings(problem), "measurements": measurements, "version": _version()}
    settings["of"] = _digest(method, y)
    path = None if folder is None else Path(folder) / problem.name / f"{_plain(name)}.json"
    if (known := _stored(path, settings)) is not None:
        return Row(problem.name, name, y, known) if known else None
    try:
        each = tuple(
            judged(with_measurement(problem, one), method, replace(how, seed=how.seed + k))
            for k, one in enumerate(y)
        )
    except ValueError as error:
        if "operator" not in str(error) and "mask" not in str(error):
            raise
        each = ()
    _store(path, settings, each)
    return Row(problem.name, name, y, each) if each else None


def _measurements(problem: Problem, count: int, seed: int) -> Float[Tensor, "Y m"]:
    """y of the joint, the same for every method."""
    g = torch.Generator(problem.device).manual_seed(seed)
    return measured(problem).simulate(problem.prior.sample(count, generator=g), generator=g)


def _digest(method: Method, y: Tensor) -> str:
    """Another one for another text of the method, and for other measurements."""
    try:
        text = inspect.getsource(method)  # type: ignore[arg-type]
    except (TypeError, OSError):  # no class and no function, or typed into a shell
        text = repr(method)
    seen = " ".join(f"{value:.6g}" for value in y.flatten().tolist())
    return hashlib.sha256(f"{text}\n{seen}".encode()).hexdigest()[:16]


def _version() -> str:
    return str(import_module("fsps_lite").__version__)


def _plain(name: str) -> str:
    """A name as that of a file."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def _stored(path: Path | None, settings: dict[str, object]) -> tuple[Judged, ...] | None:
    """What a cell holds, if it was made with these settings; None where it was not."""
    if path is None or not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["settings"] != settings:
        return None
    return tuple(
        Judged(**{k: math.nan if v is None else v for k, v in one.items()}) for one in data["each"]
    )


def _store(path: Path | None, settings: dict[str, object], each: tuple[Judged, ...]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [{k: None if math.isnan(v) else v for k, v in asdict(one).items()} for one in each]
    save(path, json.dumps({"settings": settings, "each": plain}, indent=1) + "\n")
