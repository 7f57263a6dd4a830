"""What a sampler did on a problem, together with what the exact sampler did."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.finding import Curve, Finding
from fsps_lite.diagnosis.method import CALL
from fsps_lite.problems import Problem
from fsps_lite.samplers import Trajectory, dpm_solver, times
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, State, Time

FAR = 1e6  # from 0, in units of x: further away, a particle has diverged
Integrator = Callable[..., Trajectory]  # (score, schedule, x, t), and a generator if it draws
STOP = 1e-3  # the time at which a run ends


@dataclass(frozen=True)
class Run:
    """All that a measure may look at, the problem included.

    ``ended`` is the last cloud, ``(n, d)``, at the time ``stop``. ``score`` produced it, along the
    path ``went``; both are None where the cloud was given as samples. ``finer`` is the run with
    twice the steps, of which only the last cloud is kept. ``exact`` is the run of the exact
    sampler, from the same noise; in that run itself it is None. ``measures`` are the functions that
    look at the run.
    """

    problem: Problem
    ended: State
    seed: int
    measures: Sequence["Measure"]
    score: PosteriorScore | None = None
    went: Trajectory | None = None
    finer: "Run | None" = None
    exact: "Run | None" = None
    stop: float = STOP
    started_from_noise: bool = True

    @cached_property
    def alive(self) -> Bool[Tensor, "n"]:
        """Which particles have not diverged. ``(n,)``."""
        length: Tensor = self.ended.norm(dim=-1)
        return length <= FAR

    @property
    def cloud(self) -> State:
        """The last cloud without the particles that have diverged. ``(k, d)``."""
        return self.ended[self.alive]

    @cached_property
    def path(self) -> Trajectory | None:
        """The path of the particles that have not diverged.

        None where there is no path, or fewer than two particles are left.
        """
        if self.went is None or len(self.cloud) < 2:
            return None
        return Trajectory(self.went.t, self.went.x[:, self.alive])

    @cached_property
    def findings(self) -> dict[str, Finding | Curve]:
        """What each measure finds, by its id.

        Raises ValueError where an id is missing or is used twice.
        """
        found: dict[str, Finding | Curve] = {}
        for finding in (finding for measure in self.measures for finding in measure(self)):
            if not finding.id or finding.id in found:
                what = "each finding of a report needs an `id` of its own"
                call = 'Finding("mean of x[0]", value, id="mean_of_x")'
                raise ValueError(checks.complaint(what, repr(finding.id), call))
            found[finding.id] = finding
        return found

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, the same for every run with this seed.

        Each measure takes a ``stream`` of its own.
        """
        return torch.Generator(self.problem.device).manual_seed(self.seed + stream)


Measure = Callable[[Run], Iterator[Finding | Curve]]


@dataclass(frozen=True)
class Sampling:
    """How a run is made, the same for the method and the exact sampler.

    ``n`` particles take ``steps`` steps from ``start`` to ``stop``, even in log-SNR, or those of
    ``grid``. They start from noise of the level at ``start``, or from the cloud ``start_from``,
    ``(n, d)``.
    """

    n: int = 2000
    steps: int = 250
    seed: int = 0
    start: float | None = None
    stop: float = STOP
    integrator: Integrator = dpm_solver
    grid: Float[Tensor, "T"] | None = None
    start_from: Float[Tensor, "n d"] | None = None

    def __post_init__(self) -> None:
        checks.count("n", self.n, CALL)
        checks.count("steps", self.steps, CALL)
        checks.seed(self.seed, CALL)

    @property
    def settings(self) -> dict[str, int]:
        """The settings that a report prints."""
        n = self.n if self.start_from is None else len(self.start_from)
        steps = self.steps if self.grid is None else len(self.grid) - 1
        return {"n": n, "steps": steps, "seed": self.seed}

    def times(self, schedule: Schedule, finer: bool) -> Float[Tensor, "T"]:
        """The grid of a run; with ``finer``, one more time between any two."""
        if self.grid is None:
            steps = 2 * self.steps if finer else self.steps
            return times(schedule, steps, start=self.start, stop=self.stop)
        middles = torch.stack([self.grid[:-1], (self.grid[:-1] + self.grid[1:]) / 2], -1).flatten()
        return torch.cat([middles, self.grid[-1:]]) if finer else self.grid

    def first(self, problem: Problem, t: Time, generator: torch.Generator) -> State:
        """The first cloud: the same noise for every score."""
        if self.start_from is not None:
            return self.start_from
        dim, dtype = problem.prior.dim, problem.prior.dtype
        return problem.schedule.noise(self.n, dim, t=t, generator=generator, dtype=dtype)


def run_of(
    problem: Problem,
    score: PosteriorScore,
    measures: Sequence[Measure],
    sampling: Sampling,
    *,
    exact: Run | None = None,
) -> Run:
    """Run the integrator with this score, on the grid and on a finer one.

    Every score gets the same noise, because every run starts from the same seed.
    """
    coarse, fine = (_path(problem, score, sampling, finer) for finer in (False, True))
    ended = Run(problem, coarse.final, sampling.seed, measures, stop=float(coarse.t[-1]))
    ended = replace(ended, started_from_noise=sampling.start_from is None)
    twice = replace(ended, ended=fine.final)
    return replace(ended, score=score, went=coarse, finer=twice, exact=exact)


def _path(problem: Problem, score: PosteriorScore, how: Sampling, finer: bool) -> Trajectory:
    g = torch.Generator(problem.device).manual_seed(how.seed)
    t = how.times(problem.schedule, finer).to(problem.device)
    known = score, problem.schedule, how.first(problem, t[0], g), t
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")  # the report counts them
        if "generator" in inspect.signature(how.integrator).parameters:
            return how.integrator(*known, generator=g)
        return how.integrator(*known)  # the probability flow draws no noise
