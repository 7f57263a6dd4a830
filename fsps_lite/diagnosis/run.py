"""What a sampler did on a problem, together with what the exact sampler did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.kinds import (
    Integrator,
    Kind,
    Scored,
    Step,
    Stepped,
    integrated,
    marched,
)
from fsps_lite.diagnosis.method import CALL
from fsps_lite.diagnosis.task import Task
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, Trajectory, dpm_solver, times
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, State, Time

FAR = 1e6  # from 0, in units of x: further away, a particle has diverged
STOP = 1e-3  # the time at which a run ends
Name = Literal["score", "step", "sampler", "samples"]
Found = Finding | Curve | Missing


@dataclass(frozen=True)
class Run:
    """All that a measure may look at, the problem included.

    ``ended`` is the last cloud, ``(n, d)``, at the time ``stop``. ``kind`` says how the method
    samples. ``score`` or ``step`` produced the cloud, along the path ``went``; a method of another
    kind has none of them, and finished samples have no path. ``log_weights`` and ``runs`` are those
    of the particles, ``(n,)``, where they are weighted or depend on each other. A score that is
    not valid ``anywhere`` is one of a grid, and unknown at its last time. ``finer`` is the run with
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
    kind: Name = "score"
    step: Step | None = None
    log_weights: Float[Tensor, "n"] | None = None
    runs: Tensor | None = None
    anywhere: bool = True

    @cached_property
    def alive(self) -> Bool[Tensor, "n"]:
        """Which particles have not diverged. ``(n,)``."""
        length: Tensor = self.ended.norm(dim=-1)
        return length <= FAR

    @property
    def cloud(self) -> State:
        """The last cloud without the particles that have diverged. ``(k, d)``."""
        return self.ended[self.alive]

    @property
    def independent(self) -> bool:
        """Whether the particles are independent draws that weigh the same."""
        return self.log_weights is None and self.runs is None

    @cached_property
    def weights(self) -> Float[Tensor, "k"]:
        """The weights of the cloud, which sum to 1. ``(k,)``, float64."""
        if self.log_weights is None:
            return torch.full_like(self.cloud[:, 0].double(), 1 / max(1, len(self.cloud)))
        return self.log_weights.to(self.ended.device)[self.alive].double().softmax(0)

    @cached_property
    def groups(self) -> Tensor:
        """The run of each particle of the cloud, ``(k,)``: one of its own if none was said."""
        if self.runs is None:
            return torch.arange(len(self.cloud), device=self.ended.device)
        return self.runs.to(self.ended.device)[self.alive]

    @cached_property
    def path(self) -> Trajectory | None:
        """The path of the particles that have not diverged.

        None where there is no path, or fewer than two particles are left, or the particles are
        weighted: their weights on the way are not known.
        """
        if self.went is None or len(self.cloud) < 2 or self.log_weights is not None:
            return None
        return Trajectory(self.went.t, self.went.x[:, self.alive])

    @property
    def why_no_path(self) -> str | None:
        """Why the kind of the method allows no path; None where it does."""
        if self.kind == "samples":
            return "samples have no path"
        if self.went is None:
            return f"the {self.kind} kept no path"
        if self.log_weights is not None:
            return "the weights of the particles on the way are not known"
        return None

    @cached_property
    def findings(self) -> dict[str, Found]:
        """What each measure finds, by its id.

        Raises ValueError where an id is missing or is used twice.
        """
        found: dict[str, Found] = {}
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


Measure = Callable[[Run], Iterator[Found]]


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

    def task(self, problem: Problem, finer: bool) -> Task:
        """What a method is asked: on the grid, or on the finer one, from the same noise."""
        g = torch.Generator(problem.device).manual_seed(self.seed)
        t = self.times(problem.schedule, finer).to(problem.device)
        start = self.first(problem, t[0], g)
        known = problem.diffusion, problem.likelihood, t, start, g
        return Task(*known, keep_path=not finer)

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
    kind: Kind,
    measures: Sequence[Measure],
    how: Sampling,
    exact: Callable[[], Run],
) -> Run:
    """Run a method on the grid and on a finer one, beside the exact sampler.

    Every method gets the same start and the same noise, because every run begins with one seed.
    ``exact()`` is the run of the exact sampler along the grid. A cloud without a path is compared
    with direct draws instead.
    """
    if isinstance(kind, Scored):
        found = _scored(problem, kind, measures, how)
        beside = exact() if found.anywhere else replace(exact(), anywhere=False)
        return replace(found, exact=beside)
    if isinstance(kind, Stepped):
        beside = replace(exact(), score=None, kind="step")
        return replace(_stepped(problem, kind, measures, how), exact=beside)
    if isinstance(kind, Samples):
        return _judged(problem, kind, measures, how, "samples")
    coarse, fine = (kind.drawn(how.task(problem, finer)) for finer in (False, True))
    found, finer = (_judged(problem, each, measures, how, "sampler") for each in (coarse, fine))
    assert found.exact is not None
    went = None if found.went is None else exact().went
    beside = replace(found.exact, went=went, finer=finer.exact)
    return replace(found, finer=replace(finer, went=None, exact=None), exact=beside)


def exact_of(problem: Problem, measures: Sequence[Measure], how: Sampling) -> Run:
    """The run of the exact sampler, with the integrator of the report."""
    return _scored(problem, Scored(lambda task: problem.posterior), measures, how)


def _scored(problem: Problem, kind: Scored, measures: Sequence[Measure], how: Sampling) -> Run:
    tasks = [how.task(problem, finer) for finer in (False, True)]
    scores = [kind.made(task) for task in tasks]
    rule = kind.integrator or how.integrator
    coarse, fine = (integrated(*pair, rule) for pair in zip(scores, tasks, strict=True))
    anywhere = scores[0] is scores[1]  # one score for both grids belongs to neither
    found = _along(problem, coarse, fine, measures, how)
    return replace(found, score=scores[0], anywhere=anywhere)


def _stepped(problem: Problem, kind: Stepped, measures: Sequence[Measure], how: Sampling) -> Run:
    tasks = [how.task(problem, finer) for finer in (False, True)]
    steps = [kind.made(task) for task in tasks]
    coarse, fine = (marched(*pair) for pair in zip(steps, tasks, strict=True))
    found = _along(problem, coarse, fine, measures, how)
    return replace(found, step=steps[0], kind="step")


def _along(
    problem: Problem,
    coarse: Trajectory,
    fine: Trajectory,
    measures: Sequence[Measure],
    how: Sampling,
) -> Run:
    """A run with a path, and the finer one, of which only the last cloud is kept."""
    ended = Run(problem, coarse.final, how.seed, measures, stop=float(coarse.t[-1]))
    ended = replace(ended, started_from_noise=how.start_from is None)
    return replace(ended, went=coarse, finer=replace(ended, ended=fine.final))


def _judged(
    problem: Problem, samples: Samples, measures: Sequence[Measure], how: Sampling, kind: Name
) -> Run:
    """Samples with the noise of a level that the prior can see, beside as many exact draws."""
    x = samples.x
    call = "Samples(problem.prior.sample(1000, generator=g))"
    checks.state("samples", x, problem.prior.dim, problem.prior.dtype, call)
    g = torch.Generator(problem.device).manual_seed(how.seed)
    t = max(STOP, float(samples.time), problem.resolution)
    exact = problem.posterior.sample(len(x), t, generator=g)
    beside = Run(problem, exact, how.seed, measures, stop=t, kind=kind)
    noisy = samples.noised(problem.schedule, t, generator=g)
    found = replace(beside, ended=noisy, went=samples.path, exact=beside)
    return replace(found, log_weights=samples.log_weights, runs=samples.runs)
