"""Every measurement that could have been: a method at many y, beside exact draws at each."""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis import pages
from fsps_lite.diagnosis.batches import Asking, Draws, drawing
from fsps_lite.diagnosis.each_y import at_each_y
from fsps_lite.diagnosis.failure_maps import FailureMap, failure_map
from fsps_lite.diagnosis.finding import Finding, called
from fsps_lite.diagnosis.method import Method, name_of
from fsps_lite.diagnosis.over_y import RankCheck, over_all_y
from fsps_lite.diagnosis.pairs import Pairs
from fsps_lite.diagnosis.run import FAR, STOP, Integrator
from fsps_lite.problems import Problem
from fsps_lite.samplers import dpm_solver, times
from fsps_lite.saving import save
from fsps_lite.tables import aligned

if TYPE_CHECKING:
    import matplotlib.figure

CALL = "calibrate(problems.trimodal(), TMPD, measurements=100, draws=40)"
WIDTH = 100  # columns of a printed line, at most
LEGEND = (
    "* differs from the exact draws by more than four standard errors; of ranks: leaves the "
    "99 % band"
)
DEPENDENT = (
    "the draws are weighted, or depend on each other: they were resampled, and no row has a star; "
    "a sampler with 20 times as many independent particles as draws gets stars"
)


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` found, over all y and at each.

    ``y`` is ``(Y, m)``. ``excess``, ``(Y,)``, is the W1 (sliced, for d > 1) between the method's
    draws and exact ones at each y, minus the mean of that of exact clouds of the same size; in
    units of x. ``findings`` compare the two at each y; they see what ``checks``, the ranks over all
    y, average away. ``map`` is the :class:`FailureMap`, where it was asked for.
    ``calibration["w1"]`` is the finding with this label or id.
    """

    problem: str
    method: str
    settings: Mapping[str, int]
    y: Float[Tensor, "Y m"]
    excess: Float[Tensor, "Y"]
    findings: tuple[Finding, ...]
    checks: tuple[RankCheck, ...]
    map: FailureMap | None = None

    def __getitem__(self, name: str) -> Finding:
        """The finding with this label or id; raises KeyError, and lists those that exist."""
        if (finding := called(name, self.findings)) is not None:
            return finding
        known = ", ".join(finding.id for finding in self.findings)
        raise KeyError(f"no finding called {name!r}; this calibration has: {known}")

    @property
    def worst(self) -> Float[Tensor, "m"]:
        """The y with the largest excess. ``(m,)``."""
        return self.y[int(self.excess.argmax())]

    @property
    def title(self) -> str:
        """The method, the problem and the settings, in one line."""
        settings = ", ".join(f"{key} = {value}" for key, value in self.settings.items())
        return f"{self.method} on {self.problem}, at every y ({settings})"

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table: its heading, then one row for each finding and each test of ranks."""
        head = ("", self.method, "exact", "truth", "")
        return [head, *(one.cells for one in self.findings), *(one.cells for one in self.checks)]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must not miss: what a star means, and the worst y."""
        worst = ", ".join(f"{value:.3g}" for value in self.worst[:4].tolist())
        place = f"the worst y is {worst}" + (", ..." if len(self.worst) > 4 else "")
        told = all(finding.told for finding in self.findings)
        return LEGEND, place, *(() if told else (DEPENDENT,))

    def __str__(self) -> str:
        legend, *notes = self.notes
        lines = [self.title, "", *aligned(self.rows), "", legend, *(f"- {one}" for one in notes)]
        mapped = ["", str(self.map)] if self.map else []
        return "\n".join([*(row for one in lines for row in _wrapped(one)), *mapped])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as HTML, for a notebook."""
        return pages.table(self.title, self.rows, self.notes)

    def figure(self) -> "matplotlib.figure.Figure":
        """The ECDFs of the ranks in their bands, and the excess of W1 at each y."""
        from fsps_lite import plots

        groups = {
            check.label: {self.method: check.method.ecdf, "exact": check.exact.ecdf}
            for check in self.checks
        }
        test = self.checks[0].method
        y = self.y[:, 0] if self.y.shape[1] == 1 else None
        return plots.ranks(groups, (test.lower, test.upper), self.excess, y)

    def save_json(self, path: str | Path) -> None:
        """Save all numbers as JSON; a number that is not finite is null.

        Raises OSError where the file cannot be written.
        """
        known = {"problem": self.problem, "method": self.method, "settings": dict(self.settings)}
        data = known | {
            "findings": [pages.finding(one) for one in self.findings],
            "checks": [pages.ranks(one) for one in self.checks],
            "y": pages.plain(self.y),
            "excess": pages.plain(self.excess),
            "map": None if self.map is None else pages.errors(self.map),
        }
        save(path, json.dumps(data, indent=1, allow_nan=False))

    def save_html(self, path: str | Path) -> None:
        """Save one HTML page that needs no other file: the table, and the figure inside it.

        Raises OSError where the file cannot be written.
        """
        title = f"{self.method} on {self.problem}"
        save(path, pages.page(title, self._repr_html_(), self.figure()))


def calibrate(
    problem: Problem,
    method: Method,
    *,
    measurements: int = 100,
    draws: int = 40,
    steps: int = 250,
    stop: float = STOP,
    seed: int = 0,
    integrator: Integrator | None = None,
    by_law: bool = False,
) -> Calibration:
    """A method at many measurements: at each beside exact draws, and over all by ranks.

    Pairs (x*, y) are drawn from the joint: x* from the prior, y simulated from x*. At each y the
    method gives ``draws`` draws, and the posterior as many for the exact column, and 20 times as
    many for the null. ``method(prior, likelihood)`` returns a score, or is a :class:`Scored`, a
    :class:`Stepped` or a :class:`Drawn`. A score or a step gets all y at once, as a batch
    ``likelihood.y`` of shape ``(Y, m)`` and clouds ``(L, Y, d)``, if it answers as it does to each
    y alone; else, and a Drawn always, it is asked at one y after the other. A score is run by
    ``integrator``, :func:`dpm_solver` by default, in ``steps`` steps. Draws and x* are compared at
    the time ``stop``. Of more than two coordinates the two that vary most under the prior are
    ranked. Weighted draws are resampled; they get stars where 20 times as many
    independent ones as ``draws`` were given. Highest density is that of the exact posterior.
    ``by_law`` adds :func:`failure_map`, on the line. Errors are those over y, whose pairs are
    independent.

    Raises ValueError where draws diverge, and where the problem has no exact posterior; TypeError
    for finished samples, which belong to one y.
    """
    checks.kind("problem", problem, Problem, CALL)
    kind = drawing(problem, method, CALL)
    checks.count("measurements", measurements, CALL, least=2)
    checks.count("draws", draws, CALL, least=2)
    checks.seed(seed, CALL)
    g = torch.Generator(problem.device).manual_seed(seed)
    grid = times(problem.schedule, steps, stop=stop).to(problem.device)
    pairs = Pairs.of(problem, measurements, draws, grid[-1], g)
    size, dtype = (measurements * draws, problem.prior.dim), problem.prior.dtype
    start = problem.schedule.noise(*size, t=grid[0], generator=g, dtype=dtype)
    asking = Asking(problem, kind, grid, integrator or dpm_solver, g)
    mine = asking.draws(pairs.y, start.reshape(pairs.exact.shape))
    _check_alive(mine.x)
    mapped = failure_map(problem, method) if by_law else None
    settings = {"measurements": measurements, "draws": draws, "steps": steps, "seed": seed}
    known_as = problem.name, name_of(method)
    excess, findings, tests = _judged(pairs, mine, g)
    return Calibration(*known_as, settings, pairs.y, excess, findings, tests, mapped)


def _judged(
    pairs: Pairs, mine: Draws, g: torch.Generator
) -> tuple[Tensor, tuple[Finding, ...], tuple[RankCheck, ...]]:
    """The excess at each y, the findings and the tests of ranks; no stars for dependent draws."""
    excess, each = at_each_y(pairs, mine.x, g)
    over, ranks = over_all_y(pairs, mine.x, g)
    told = tuple(replace(finding, told=mine.independent) for finding in (*each, *over))
    return excess, told, tuple(replace(check, told=mine.independent) for check in ranks)


def _check_alive(x: Float[Tensor, "Y L d"]) -> None:
    lost = int((~(x.norm(dim=-1) <= FAR)).sum())
    if lost:
        what = "the method's draws must not diverge"
        got = f"{lost} of {x.shape[0] * x.shape[1]} that did"
        raise ValueError(checks.complaint(what, got, "calibrate(problem, method, steps=1000)"))


def _wrapped(line: str) -> list[str]:
    """The line, in lines of at most ``WIDTH`` columns."""
    if len(line) <= WIDTH:
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ")
