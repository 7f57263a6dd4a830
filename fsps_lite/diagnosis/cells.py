"""A method on a problem at one measurement, beside exact draws: the numbers of a leaderboard."""

import math
import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.counted import Counted
from fsps_lite.diagnosis.kinds import Drawn, Kind, Scored, Stepped, integrated, marched
from fsps_lite.diagnosis.method import Method, kind_made
from fsps_lite.diagnosis.run import FAR, STOP
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diffusion import Diffusion
from fsps_lite.distances import distance
from fsps_lite.measures.groups import resampled
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, Trajectory
from fsps_lite.types import State

REFERENCE = 4  # exact draws for each particle, with which both clouds are compared
LOOKS = 12  # times at which the spread along a path is compared


@dataclass(frozen=True)
class Judged:
    """What one run shows, and in ``null`` what as many exact draws show.

    ``total_variation`` is that between the weights of the parts, NaN where there are fewer than
    two. ``w1`` is in units of x, sliced for d > 1. ``spread`` is the standard deviation along the
    path over that of exact draws, where it is furthest from 1; NaN without a path. ``diverged`` is
    a share. ``calls`` are the questions to the prior for each particle, ``seconds`` the time of the
    run.
    """

    total_variation: float
    total_variation_null: float
    w1: float
    w1_null: float
    spread: float
    diverged: float
    calls: float
    seconds: float


def judged(problem: Problem, method: Method, how: Sampling) -> Judged:
    """Run the method once, and compare its cloud with exact draws.

    Raises TypeError for :class:`Samples`, which answer for no other measurement.
    """
    prior = Counted(problem.prior, [])
    begun = time.perf_counter()
    found = _ran(problem, method, prior, how)
    seconds = time.perf_counter() - begun
    g = torch.Generator(problem.device).manual_seed(how.seed + 1)
    t = max(STOP, float(found.time), problem.resolution)
    cloud = found.noised(problem.schedule, t, generator=g)
    n, alive = len(cloud), cloud.norm(dim=-1) <= FAR
    exact = problem.posterior.sample((REFERENCE + 1) * n, t, generator=g)
    mine = _unweighted(cloud[alive], found, alive, g)
    apart = (_apart(problem, x, exact[n:], t, g) for x in (mine, exact[:n]))
    (tv, w1), (tv_null, w1_null) = apart
    spread = _spread(problem, found.path, alive, g)
    lost = 1 - float(alive.double().mean())
    return Judged(tv, tv_null, w1, w1_null, spread, lost, sum(prior.asked) / n, seconds)


def _ran(problem: Problem, method: Method, prior: Counted, how: Sampling) -> Samples:
    """The samples of a method that asks this prior."""
    diffusion = Diffusion(prior, problem.schedule)
    task = replace(how.task(problem, finer=False), prior=diffusion)
    kind = _kind(method, diffusion, problem)
    if isinstance(kind, Drawn):
        return kind.drawn(task)
    if isinstance(kind, Stepped):
        path = marched(kind.made(task), task)
    else:
        path = integrated(kind.made(task), task, kind.integrator or how.integrator)
    return Samples(path.final, time=path.t[-1], path=path)


def _kind(method: Method, diffusion: Diffusion, problem: Problem) -> Scored | Stepped | Drawn:
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


def _apart(
    problem: Problem, x: State, exact: State, t: float, generator: torch.Generator
) -> tuple[float, float]:
    """Total variation between the weights of parts, and W1."""
    if len(x) < 2:
        return math.nan, math.nan
    return _between_parts(problem, x, exact, t), distance(x, exact, generator=generator).value


def _between_parts(problem: Problem, x: State, exact: State, t: float) -> float:
    parts = problem.parts
    if parts is None or len(parts.names) < 2:
        return math.nan
    alpha = problem.schedule.alpha(t)
    one, other = (parts.shares((cloud / alpha).to(cloud.dtype))[0] for cloud in (x, exact))
    return float((one - other).abs().sum() / 2)


def _spread(
    problem: Problem, path: Trajectory | None, alive: Tensor, generator: torch.Generator
) -> float:
    """The ratio of standard deviations that is furthest from 1."""
    if path is None or int(alive.sum()) < 2:
        return math.nan
    ratios = [1.0]
    for k in torch.linspace(0, len(path.t) - 1, LOOKS, device="cpu").long().unique().tolist():
        x = path.x[k][alive]
        exact = problem.posterior.sample(len(alive), path.t[k], generator=generator)
        ratios.append(float(_total_std(x) / _total_std(exact)))
    return max(ratios, key=lambda ratio: abs(math.log(ratio)) if ratio > 0 else math.inf)


def _total_std(x: Float[Tensor, "n d"]) -> Tensor:
    return x.var(0).sum().sqrt()
