"""What a sampler did on a problem, beside what the exact one did."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.finding import Curve, Finding
from fsps_lite.problems import Problem
from fsps_lite.samplers import Trajectory, ddpm, times
from fsps_lite.types import PosteriorScore, State

FAR = 1e6  # from 0, in units of x: a particle that diverged
STOP = 1e-3  # the time at which every run ends


@dataclass(frozen=True)
class Run:
    """All that a measure may look at; the problem goes down with it.

    ``ended`` is the last cloud, ``(n, d)`` at the time STOP. Where it was handed in there is no
    ``score`` and no ``went``, the path to it. ``finer`` is the run with twice the steps, of which
    the last cloud is kept, and ``exact`` that of the exact sampler, from the same noise; it has
    none itself. ``measures`` are what is asked of it.
    """

    problem: Problem
    ended: State
    seed: int
    measures: Sequence["Measure"]
    score: PosteriorScore | None = None
    went: Trajectory | None = None
    finer: "Run | None" = None
    exact: "Run | None" = None

    @cached_property
    def alive(self) -> Bool[Tensor, "n"]:
        """Which particles have not diverged."""
        length: Tensor = self.ended.norm(dim=-1)
        return length <= FAR

    @property
    def cloud(self) -> State:
        """Those particles, where they ended."""
        return self.ended[self.alive]

    @cached_property
    def path(self) -> Trajectory | None:
        """Those particles, on their way; None where fewer than two are left."""
        if self.went is None or len(self.cloud) < 2:
            return None
        return Trajectory(self.went.t, self.went.x[:, self.alive])

    @cached_property
    def findings(self) -> dict[str, Finding | Curve]:
        """What each measure finds, by its id."""
        found: dict[str, Finding | Curve] = {}
        for finding in (finding for measure in self.measures for finding in measure(self)):
            if not finding.id or finding.id in found:
                what = "each finding of a report needs an `id` of its own"
                call = 'Finding("mean of x[0]", value, id="mean_of_x")'
                raise ValueError(checks.complaint(what, repr(finding.id), call))
            found[finding.id] = finding
        return found

    def generator(self, stream: int) -> torch.Generator:
        """Fresh random numbers, the same for every run of this seed: one ``stream`` a measure."""
        return torch.Generator(self.problem.device).manual_seed(self.seed + stream)


Measure = Callable[[Run], Iterator[Finding | Curve]]


def run_of(
    problem: Problem,
    score: PosteriorScore,
    measures: Sequence[Measure],
    n: int,
    steps: int,
    seed: int,
    *,
    exact: Run | None = None,
) -> Run:
    """The ancestral sampler with this score, twice: also with twice the steps.

    The same noise for every score: each starts from this seed.
    """
    coarse, fine = (_path(problem, score, n, count, seed) for count in (steps, 2 * steps))
    ended = Run(problem, coarse.final, seed, measures)
    finer = replace(ended, ended=fine.final)
    return replace(ended, score=score, went=coarse, finer=finer, exact=exact)


def _path(problem: Problem, score: PosteriorScore, n: int, steps: int, seed: int) -> Trajectory:
    g = torch.Generator(problem.device).manual_seed(seed)
    dtype, schedule = problem.prior.dtype, problem.schedule
    noise = schedule.noise(n, problem.prior.dim, generator=g, dtype=dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")  # the report counts them
        return ddpm(score, schedule, noise, times(schedule, steps, stop=STOP), generator=g)
