"""Methods ranked over all measurements of a problem: one cell for each problem and method.

    python -m fsps_lite rank mymodule:MyMethod --problem trimodal --folder cells

A cell is what one method does on one problem at several y, stored as JSON. A cell that is stored,
with these settings, y and text of the method, by this version of the library, is read and not run
again: a run that was stopped goes on where it was.
"""

import hashlib
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.cell_files import place, read, write
from fsps_lite.diagnosis.cells import Judge
from fsps_lite.diagnosis.coupling import coupling
from fsps_lite.diagnosis.kinds import Drawn, Scored, Stepped
from fsps_lite.diagnosis.measured import measured, with_measurement
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.rows import HEAD, Maker, Row
from fsps_lite.diagnosis.sampling import MUCH, Sampling
from fsps_lite.likelihood import UnsupportedLikelihood
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.tables import aligned

CALL = "rank({'DPS': DPS, 'TMPD': TMPD}, [problems.trimodal()], measurements=6)"
STEPS = 100
FEW, OF_DATA = (400, 12), (128, 6)  # particles and measurements; where the prior holds much data
STRATUM = 100  # simulated y in an equal share of p(y), of which one is asked


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
    measurements: int | None = None,
    n: int | None = None,
    steps: int = STEPS,
    seed: int = 0,
    folder: str | Path | None = None,
    jobs: int | None = None,
) -> Leaderboard:
    """Each method on each problem at the same ``measurements``, drawn from p(y).

    A method that does not take a problem's operator has no row there. ``n`` particles are run at
    each y. Without them there are 400 at 12 y, or 128 at 6 where the atoms of the prior hold 50,000
    numbers or more. Where y is one number, each is drawn from an equal share of p(y), so that they
    lie over all of it; the standard errors over y are then rather too large. ``folder`` keeps the
    cells: what it holds for these settings and this version is read. ``jobs`` processes of one
    thread each share the work, as those of :func:`~fsps_lite.sweep`. Raises ValueError or TypeError
    unless there are a method, a problem and two measurements.
    """
    from joblib import Parallel, delayed

    _check(methods, problems)
    tasks = [
        delayed(_row)(Asked.of(problem, measurements, n, steps, seed), name, method, folder)
        for problem in problems
        for name, method in methods.items()
    ]
    rows = Parallel(n_jobs=jobs)(tasks)
    return ranked(rows)


def ranked(rows: Sequence[Row]) -> Leaderboard:
    """The rows of methods that take the problem, best first."""
    return Leaderboard(tuple(sorted((row for row in rows if row.each), key=lambda row: row.key)))


def _check(methods: object, problems: object) -> None:
    checks.kind("methods", methods, Mapping, CALL)
    checks.kind("problems", problems, Sequence, CALL)
    assert isinstance(methods, Mapping)
    assert isinstance(problems, Sequence)
    if not methods or not problems:
        got = f"{len(methods)} and {len(problems)}"
        raise ValueError(checks.complaint("`rank` needs a method and a problem", got, CALL))


@dataclass(frozen=True)
class Asked:
    """A problem at the measurements ``y``, ``(Y, m)``, and how each run is made."""

    problem: Problem
    y: Float[Tensor, "Y m"]
    how: Sampling

    @classmethod
    def of(
        cls, problem: Problem, measurements: int | None, n: int | None, steps: int, seed: int
    ) -> "Asked":
        """y of the joint, by the seed: the same for every method. Two or more have an error."""
        usual = OF_DATA if _holds_data(problem) else FEW
        count = usual[1] if measurements is None else measurements
        checks.count("measurements", count, CALL, least=2)
        checks.seed(seed, CALL)
        g = torch.Generator(problem.device).manual_seed(seed)
        return cls(
            problem,
            _spread_over(problem, count, g),
            Sampling(usual[0] if n is None else n, steps, seed),
        )

    @property
    def settings(self) -> dict[str, int]:
        """The settings that a cell states."""
        return {**self.how.settings(self.problem), "measurements": len(self.y)}

    def each(self) -> Iterator[tuple[Problem, Sampling]]:
        """The problem at each y, with noise of its own."""
        for k, y in enumerate(self.y):
            yield with_measurement(self.problem, y), replace(self.how, seed=self.how.seed + k)

    def digest(self, method: Method) -> str:
        """Another one for another text of the method, and for other measurements."""
        seen = " ".join(f"{value:.6g}" for value in self.y.flatten().tolist())
        return hashlib.sha256(f"{text_of(method)}\n{seen}".encode()).hexdigest()[:16]

    def row(self, name: str, method: Method, made: Maker, *, alone: bool = True) -> Row:
        """Run the method at each y; a row without measurements where it refuses the problem.

        ``alone`` asks also whether a particle depends on its batch.
        """
        judge, each, moved = Judge(self.how), [], math.nan
        try:
            for problem, how in self.each():
                each.append(replace(judge, how=how)(problem, method))
            if alone:
                moved = coupling(next(self.each())[0], method, self.how)
        except UnsupportedLikelihood as error:
            return Row(self.problem.name, name, self.y, (), made=made, refused=_told(error))
        return Row(self.problem.name, name, self.y, tuple(each), moved, made)


def text_of(method: object) -> str:
    """The text of what a method is made of, which is another one where the method is."""
    made = method
    if isinstance(made, Scored | Stepped):
        return f"{type(made).__name__} {text_of(made.make)}"
    if isinstance(made, Drawn):
        return f"Drawn {text_of(made.draw)}"
    if isinstance(made, partial):
        return f"{text_of(made.func)} {made.args} {sorted(made.keywords.items())}"
    inside = [cell.cell_contents for cell in getattr(made, "__closure__", None) or ()]
    try:
        text = inspect.getsource(made)  # type: ignore[arg-type]
    except (TypeError, OSError):  # no class and no function, or typed into a shell
        text = repr(made)
    return " ".join([text, *(text_of(one) for one in inside if inspect.isroutine(one))])


def made_here(asked: Asked, method: Method) -> Maker:
    """This library as what makes a row."""
    return Maker("fsps_lite", version(), asked.settings, asked.digest(method))


def version() -> str:
    """The version of this library."""
    return str(import_module("fsps_lite").__version__)


def _spread_over(problem: Problem, count: int, g: torch.Generator) -> Float[Tensor, "Y m"]:
    """Draws of p(y); where y is one number, one from each of so many equal shares of p(y)."""
    known = measured(problem)
    alone = len(known.y) == 1
    size = count * STRATUM if alone else count
    y = known.simulate(problem.prior.sample(size, generator=g), generator=g)
    if not alone:
        return y
    shares = y[y[:, 0].argsort()].reshape(count, STRATUM, 1)
    chosen = torch.randint(STRATUM, (count,), generator=g, device=g.device)
    return shares[torch.arange(count, device=g.device), chosen]


def _holds_data(problem: Problem) -> bool:
    return isinstance(problem.prior, Empirical) and problem.prior.atoms.numel() >= MUCH


def _told(error: Exception) -> str:
    """The first sentence of a refusal."""
    return str(error).partition(", got ")[0]


def _row(asked: Asked, name: str, method: Method, folder: str | Path | None) -> Row:
    """One cell, stored or run."""
    torch.set_num_threads(1)
    made = made_here(asked, method)
    if folder is None:
        return asked.row(name, method, made)
    path = place(folder, asked.problem.name, name)
    known = read(path, asked.y)
    if known is None or known.made != made:
        write(path, asked.row(name, method, made))
        known = read(path, asked.y)  # as it will be read the next time
    assert known is not None
    return known
