"""What a report measures, on any sampler and on the exact one alike. Not part of the public
interface.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from fsps_lite import checks
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.measures import ScoreError, early_stopping, hallucination, mode_history, score_error
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.partition import mode_weights
from fsps_lite.priors import Empirical
from fsps_lite.problems.problem import Problem
from fsps_lite.samplers import ddpm, times
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.types import PosteriorScore, State, Time, Times

LOST, WORST = "diverged particles", "spread ratio, worst over t"
FAR = 1e6  # from 0, in units of x: a particle that diverged
STOP = 1e-3  # the time at which every run ends
STOPS = 25  # times at which one might have stopped
LOOKS = 100  # times at which modes are counted and scores compared, at most
PATHS = 500  # particles for the score error

Numbers = dict[str, Estimate]
Curves = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Measured:
    """What is known of a sampler; ``finer`` is what its last cloud tells with twice the steps."""

    numbers: Numbers
    finer: Numbers
    curves: Curves


@dataclass(frozen=True)
class Run:
    """What a score did: its path, and where it ended with twice the steps."""

    score: PosteriorScore
    path: Trajectory
    finer: State


def run(problem: Problem, score: PosteriorScore, n: int, steps: int, seed: int) -> Run:
    """The same noise for every score: each starts from this seed."""
    paths = []
    for count in (steps, 2 * steps):
        g = torch.Generator(problem.device).manual_seed(seed)
        noise = problem.schedule.noise(n, problem.prior.dim, generator=g, dtype=problem.prior.dtype)
        grid = times(problem.schedule, count, stop=STOP)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*diverged")  # the report counts them
            paths.append(ddpm(score, problem.schedule, noise, grid, generator=g))
    return Run(score, paths[0], paths[1].final)


def sampler(problem: Problem, done: Run, seed: int) -> Measured:
    """Every number and curve of one sampler: what it does, and what its score believes."""
    g = torch.Generator(problem.device).manual_seed(seed + 1)
    found, finer = (of_cloud(problem, x, seed) for x in (done.path.final, done.finer))
    alive = done.path.x[:, near(done.path.final)]
    if alive.shape[1] < 2:
        return Measured(found, finer, {})
    path = Trajectory(done.path.t, alive)
    if "distance" in finer:
        found["distance, twice the steps"] = finer["distance"]
    ratio = spreads(path.x) / true_spread(problem, path.t)
    found[WORST] = spread_when(problem, path, ratio)
    believed = beliefs(problem, done, g)
    found["path KL"] = believed.path_kl
    if problem.modes is not None:
        history = mode_history(thinned(path, LOOKS), problem.diffusion, problem.modes)
        found["commitment time"] = Estimate(history.commitment, history.commitment_error)
    pick = thinned(path, STOPS)
    clean = problem.posterior.sample(alive.shape[1], 0.0, generator=g)
    stops = early_stopping(pick, problem.diffusion, clean, generator=g)
    curves = {
        "spread ratio": (path.t, ratio.cpu()),
        "score error": (believed.t, believed.relative.sqrt().cpu()),
        "distance if stopped": (pick.t, stops.denoised),
    }
    return Measured(found, finer, curves)


def samples(problem: Problem, x: State, seed: int) -> Measured:
    """What a cloud at the time STOP tells, whatever made it: numbers, and its quantiles."""
    share = (torch.arange(len(x), dtype=torch.float64, device="cpu") + 0.5) / len(x)
    curves = {"quantiles of x[0]": (share, x[:, 0].sort().values.cpu())}
    return Measured(of_cloud(problem, x, seed), {}, curves)


def of_cloud(problem: Problem, x: State, seed: int) -> Numbers:
    """The numbers that the last cloud alone can tell: x is at the time STOP."""
    g = torch.Generator(problem.device).manual_seed(seed + 2)
    alive = near(x)
    found = {LOST: Estimate(float((~alive).sum()), 0.0)}
    x, n = x[alive], len(x)
    if len(x) < 2:
        return found
    truth = problem.posterior.sample(n, STOP, generator=g)
    found["distance"] = distance(x, truth, generator=g)
    found["spread ratio at the end"] = spread_ratio(problem, x, STOP)
    if problem.modes is None:
        return found
    shares, _ = mode_weights(x / problem.schedule.alpha(STOP), problem.modes)
    for k, share in enumerate(shares.tolist()):
        found[f"weight of mode {k + 1}"] = Estimate(share, share_error(share, len(x)))
    h = hallucination(x, truth, problem, STOP, modes=problem.modes, generator=g)
    found["hallucinated prior modes"] = h.prior_modes
    found["hallucinated likelihood modes"] = h.likelihood_only
    found["hallucinated nowhere"] = h.nowhere
    return found


def beliefs(problem: Problem, done: Run, g: torch.Generator) -> ScoreError:
    """The error of the score; that of the exact one is 0 and needs no computing."""
    t = thinned(done.path, LOOKS).t
    if done.score is problem.posterior:
        zero = torch.zeros_like(t)
        return ScoreError(t, zero, zero, zero, Estimate(0.0, 0.0))
    return score_error(done.score, problem.posterior, t, n=PATHS, generator=g)


def spread_ratio(problem: Problem, x: State, t: Time) -> Estimate:
    """The standard deviation of the cloud over that of the true p(x_t | y)."""
    variance = Estimate.of((x - x.mean(0)).square().sum(-1))
    ratio = spreads(x) / true_spread(problem, t)
    return Estimate(float(ratio), float(ratio) * variance.error / (2 * variance.value))


def spread_when(problem: Problem, path: Trajectory, ratio: Tensor) -> Estimate:
    """The spread ratio of ``path`` at the time when ``ratio``, its own or another's, is worst.

    The exact sampler is looked at when the method is worst: not at a time of its own, which noise
    alone would choose.
    """
    worst = int(ratio.log().abs().argmax())
    return spread_ratio(problem, path.x[worst], path.t[worst])


def spreads(x: Tensor) -> Tensor:
    """The root of the total variance of a cloud, or of each cloud of a path."""
    return x.var(dim=-2).sum(-1).sqrt()


def true_spread(problem: Problem, t: Times) -> Tensor:
    """The same for p(x_t | y), without sampling: alpha^2 Var x_0 + sigma^2 d."""
    schedule, prior = problem.schedule, problem.posterior.prior
    variance: Tensor | None = getattr(prior, "total_variance", None)
    if variance is None:
        what = "a report compares spreads: the posterior's prior must know its `total_variance`"
        call = "Problem(name, Empirical.from_samples(x), likelihood), with samples of the prior"
        raise TypeError(checks.complaint(what, type(prior).__name__, call))
    total = schedule.alpha_bar(t) * variance + schedule.variance(t) * prior.dim
    return total.sqrt()


def near(x: State) -> Bool[Tensor, "n"]:
    """Which particles have not diverged."""
    length: Tensor = x.norm(dim=-1)
    return length <= FAR


def thinned(path: Trajectory, most: int) -> Trajectory:
    """At most this many of the times of a path, the first and the last among them."""
    pick = torch.linspace(0, len(path.t) - 1, min(most, len(path.t)), device="cpu").round().long()
    return Trajectory(path.t[pick], path.x[pick])


def notes(problem: Problem, measured: Measured, n: int) -> Iterator[str]:
    """Sentences that a reader must not miss."""
    for numbers, which in ((measured.numbers, ""), (measured.finer, " with twice the steps")):
        lost = numbers[LOST].value if numbers else 0
        if lost:
            yield f"{lost:.0f} of {n} particles diverged{which} and are left out of the rest"
    for name, fine in measured.finer.items():
        coarse = measured.numbers.get(name, fine)
        moved = abs(coarse.value - fine.value) > 3 * math.hypot(coarse.error, fine.error)
        if moved and name != LOST:
            yield f"the number of steps matters: {name} {coarse}, with twice as many {fine}"
    posterior = problem.posterior.prior
    if isinstance(posterior, Empirical) and isinstance(problem.prior, Empirical):
        size, count = posterior.effective_size, len(posterior.atoms)
        yield f"the posterior's effective size is {size:.1f} of {count} atoms"
