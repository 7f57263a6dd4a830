"""A method on a problem at one measurement, beside exact draws: the numbers of a leaderboard."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.counted import Counted
from fsps_lite.diagnosis.kinds import Drawn, Kind, Scored, Stepped, integrated, marched
from fsps_lite.diagnosis.method import Method, kind_made
from fsps_lite.diagnosis.run import FAR, STOP
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diagnosis.task import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.distances import distance
from fsps_lite.measures.groups import resampled
from fsps_lite.measures.hallucinations import explainable, explained, rarest
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, Trajectory
from fsps_lite.types import State

REFERENCE = 4  # exact draws for each particle, with which both clouds are compared
LOOKS = 12  # times at which the spread along a path is compared
RARE = 2  # the seed of the prior's draws that say what is rare: the same for all measurements


@dataclass(frozen=True)
class Judged:
    """What one run shows, and in ``null`` what as many exact draws show.

    ``total_variation`` is that between the weights of the parts, and ``weight`` the error of the
    weight that is furthest off; both are NaN where there are fewer than two parts. ``w1`` is in
    units of x, sliced for d > 1. ``spread`` is the standard deviation along the path over that of
    exact draws, where it is furthest from 1, at the time ``spread_time``; without a path it is that
    of the last cloud. ``hallucinated`` is the share of particles that the prior finds improbable,
    or that do not explain y, less that of exact draws. ``diverged`` is a share. ``calls`` are the
    questions to the prior for each particle, ``seconds`` the time of the run.

    ``shares`` are the weights of the parts and ``truth`` those of exact draws, ``(K,)`` each.
    ``ratios`` are the spreads at ``times``, of which ``spread`` is one.
    """

    total_variation: float
    total_variation_null: float
    w1: float
    w1_null: float
    weight: float
    weight_null: float
    spread: float
    spread_time: float
    hallucinated: float
    diverged: float
    calls: float
    seconds: float
    shares: tuple[float, ...] = ()
    truth: tuple[float, ...] = ()
    times: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()


class Apart(NamedTuple):
    """How far one cloud is from exact draws."""

    total_variation: float
    w1: float
    weight: float
    shares: tuple[float, ...]
    truth: tuple[float, ...]


@dataclass(frozen=True)
class Judge:
    """Runs a method, and compares its cloud with exact draws; one judge for many measurements."""

    how: Sampling
    rare: dict[float, Tensor] = field(default_factory=dict)  # of the prior, which y does not change

    def __call__(self, problem: Problem, method: Method) -> Judged:
        """Run the method once.

        Raises TypeError for :class:`Samples`, which answer for no other measurement.
        """
        prior = Counted(problem.prior, [])
        begun = time.perf_counter()
        found = ran(problem, method, prior, self.how)
        seconds = time.perf_counter() - begun
        return self._seen(problem, found, sum(prior.asked) / len(found.x), seconds)

    def _seen(self, problem: Problem, found: Samples, calls: float, seconds: float) -> Judged:
        """What a cloud and its path show."""
        g = torch.Generator(problem.device).manual_seed(self.how.seed + 1)
        t = max(STOP, float(found.time), problem.resolution)
        cloud = found.noised(problem.schedule, t, generator=g)
        n, alive = len(cloud), cloud.norm(dim=-1) <= FAR
        exact = problem.posterior.sample((REFERENCE + 1) * n, t, generator=g)
        mine = _unweighted(cloud[alive], found, alive, g)
        own, null = (_apart(problem, x, exact[n:], t, g) for x in (mine, exact[:n]))
        times, ratios = _spreads(problem, found.path, mine, alive, t, g)
        worst = max(zip(ratios, times, strict=True), key=_far, default=(math.nan, math.nan))
        return Judged(
            total_variation=own.total_variation,
            total_variation_null=null.total_variation,
            w1=own.w1,
            w1_null=null.w1,
            weight=own.weight,
            weight_null=null.weight,
            spread=worst[0],
            spread_time=worst[1],
            hallucinated=self._outside(problem, mine, exact[n:], t),
            diverged=1 - float(alive.double().mean()),
            calls=calls,
            seconds=seconds,
            shares=own.shares,
            truth=own.truth,
            times=times,
            ratios=ratios,
        )

    def _outside(self, problem: Problem, x: State, exact: State, t: float) -> float:
        """The share outside of what is probable and explains y, over that of exact draws."""
        if not len(x) or not explainable(problem.likelihood):
            return math.nan
        if t not in self.rare:
            g = torch.Generator(problem.device).manual_seed(RARE)
            self.rare[t] = rarest(problem, t, g)
        alpha, prior = problem.schedule.alpha(t), problem.diffusion
        g = torch.Generator(problem.device).manual_seed(self.how.seed + 3)
        inside = [
            (prior.log_prob(c, t) >= self.rare[t])
            & explained(problem.likelihood, c / alpha, generator=g)
            for c in (x, exact)
        ]
        own, truth = (float(one.double().mean()) for one in inside)
        return truth - own


def judged(problem: Problem, method: Method, how: Sampling) -> Judged:
    """Run the method once, and compare its cloud with exact draws."""
    return Judge(how)(problem, method)


def ran(problem: Problem, method: Method, prior: Counted, how: Sampling) -> Samples:
    """The samples of a method that asks this prior."""
    diffusion = Diffusion(prior, problem.schedule)
    task = replace(how.task(problem, finer=False), prior=diffusion)
    return answered(kind_at(method, diffusion, problem), task, how)


def answered(kind: Scored | Stepped | Drawn, task: Task, how: Sampling) -> Samples:
    """What a method of one kind answers to a task."""
    if isinstance(kind, Drawn):
        return kind.drawn(task)
    if isinstance(kind, Stepped):
        path = marched(kind.made(task), task)
    else:
        path = integrated(kind.made(task), task, kind.integrator or how.integrator)
    return Samples(path.final, time=path.t[-1], path=path)


def kind_at(method: Method, diffusion: Diffusion, problem: Problem) -> Scored | Stepped | Drawn:
    """The kind of a method that is asked at this problem; raises TypeError for Samples."""
    kind: Kind
    if isinstance(method, Scored | Stepped | Drawn | Samples):
        kind = method
    else:
        kind = kind_made(method(diffusion, problem.likelihood))
    if isinstance(kind, Samples):
        what = "a leaderboard asks at many y: `method` must sample, and not be finished Samples"
        raise TypeError(checks.complaint(what, "Samples", "rank({'DPS': DPS}, [problem])"))
    return kind


def _unweighted(x: State, found: Samples, alive: Tensor, generator: torch.Generator) -> State:
    """As many particles that weigh the same."""
    if found.log_weights is None or not len(x):
        return x
    weights = found.log_weights[alive].double().softmax(0)
    return resampled(x, weights, len(x), generator=generator)


def _apart(problem: Problem, x: State, exact: State, t: float, generator: torch.Generator) -> Apart:
    """Total variation and the largest error between the weights of parts, and W1."""
    if len(x) < 2:
        return Apart(math.nan, math.nan, math.nan, (), ())
    w1, parts = distance(x, exact, generator=generator).value, problem.parts
    if parts is None or len(parts.names) < 2:
        return Apart(math.nan, w1, math.nan, (), ())
    alpha = problem.schedule.alpha(t)
    own, truth = (parts.shares((cloud / alpha).to(cloud.dtype))[0] for cloud in (x, exact))
    error = own - truth
    worst = float(error[error.abs().argmax()])
    return Apart(float(error.abs().sum() / 2), w1, worst, _plain(own), _plain(truth))


def _plain(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())


def _spreads(
    problem: Problem,
    path: Trajectory | None,
    last: State,
    alive: Bool[Tensor, "n"],
    t: float,
    generator: torch.Generator,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times, and standard deviations over those of exact draws; at the end alone without a path."""
    if len(last) < 2:
        return (), ()
    if path is None:
        clouds = [(t, last)]
    else:
        looks = torch.linspace(0, len(path.t) - 1, LOOKS, device="cpu").long().unique().tolist()
        clouds = [(float(path.t[k]), path.x[k][alive]) for k in looks]
    ratios = []
    for at, x in clouds:
        exact = problem.posterior.sample(len(alive), at, generator=generator)
        ratios.append(float(_total_std(x) / _total_std(exact)))
    return tuple(at for at, _ in clouds), tuple(ratios)


def _far(spread: tuple[float, float]) -> float:
    """How far a ratio, which stands before its time, is from 1."""
    ratio, _ = spread
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _total_std(x: Float[Tensor, "n d"]) -> Tensor:
    return x.var(0).sum().sqrt()
