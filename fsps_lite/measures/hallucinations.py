"""Particles where the posterior has none: on the prior alone, the likelihood alone, neither."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.likelihood import Likelihood
from fsps_lite.partition import Partition, partition_of
from fsps_lite.priors import GaussianMixture
from fsps_lite.problems.problem import Problem
from fsps_lite.types import LogLikelihood, Simulator, State, Time

DRAWS = 20_000  # samples of the prior that say from which density on a place is probable
RARE = 0.005  # the share of the prior's own draws that counts as improbable
SIMULATIONS = 299  # of a measurement at each place, where no chi-squared says what is explained
CELLS = 2**22  # numbers that are simulated at a time
UNLUCKY = 0.01  # the share of the noise's own draws that counts as unexplained
NEGLIGIBLE = 0.01  # a part with less posterior weight than this should hold no particles


@dataclass(frozen=True)
class Hallucination:
    """The share of a cloud that lies where it should not, minus that of an exact cloud.

    ``table`` holds shares of the cloud and ``reference`` those of the exact one, ``(2, 2)`` each.
    The row says whether the place is probable under the prior (no, yes), the column whether it
    explains the measurement (no, yes). Each excess is a share of the cloud minus that of the exact
    one:

    - ``prior_modes``: on modes of the prior that the posterior does not have;
    - ``likelihood_only``: on places that explain the measurement and are improbable under the
      prior;
    - ``nowhere``: on places that are improbable and do not explain it.
    """

    table: Float[Tensor, "2 2"]
    reference: Float[Tensor, "2 2"]
    prior_modes: Estimate
    likelihood_only: Estimate
    nowhere: Estimate


def hallucination(
    cloud: Float[Tensor, "n d"],
    reference: Float[Tensor, "k d"],
    problem: Problem,
    t: Time,
    *,
    modes: GaussianMixture | Partition,
    generator: torch.Generator,
) -> Hallucination:
    """Count the particles at time ``t`` that the prior finds improbable, or that do not explain y.

    A place x_t is probable if p(x_t) is above that of the lowest 0.5 % of the prior's own draws. It
    explains y if the noise alone exceeds the misfit of x_t / alpha with a probability of 1 % or
    more; a likelihood that is no :class:`Likelihood` must simulate measurements to say so.
    ``cloud`` is ``(n, d)``, and ``reference``, ``(k, d)``, an exact cloud of p(x_t | y). The counts
    of ``reference`` are subtracted, because even exact draws fall in the tails, or look unlikely
    where y is unlucky. ``modes`` may be any :class:`~fsps_lite.Partition`. Raises TypeError unless
    ``problem`` and ``modes`` are of their kind, and where the likelihood cannot say what is
    explained.
    """
    call = "hallucination(x, x, problem, 0.5, modes=modes, generator=g)"
    checks.kind("problem", problem, Problem, call)
    checks.kind("modes", modes, (GaussianMixture, Partition), call)
    parts = partition_of(modes)
    prior, alpha = problem.diffusion, problem.schedule.alpha(t)
    rare = rarest(problem, t, generator)
    tables, weights = [], []
    for x in (cloud, reference):
        probable = prior.log_prob(x, t) >= rare
        cells = 2 * probable + explained(problem.likelihood, x / alpha, generator=generator)
        tables.append(torch.bincount(cells, minlength=4).reshape(2, 2).double() / len(x))
        weights.append(parts.shares(x / alpha)[0])
    absent = weights[1] < NEGLIGIBLE  # of the prior's parts, in the posterior
    found, expected = tables
    invented, held = (float(w[absent].sum()) for w in weights)
    n, k = len(cloud), len(reference)
    return Hallucination(
        found,
        expected,
        prior_modes=excess(invented, held, n, k),
        likelihood_only=excess(float(found[0, 1]), float(expected[0, 1]), n, k),
        nowhere=excess(float(found[0, 0]), float(expected[0, 0]), n, k),
    )


def rarest(problem: Problem, t: Time, generator: torch.Generator) -> Tensor:
    """The log-density at ``t`` below which the prior's own draws are the rarest 0.5 %."""
    prior = problem.diffusion
    return prior.log_prob(prior.sample(DRAWS, t, generator=generator), t).quantile(RARE)


def explainable(likelihood: LogLikelihood) -> bool:
    """Whether the likelihood can say which places explain the measurement."""
    return isinstance(likelihood, Likelihood | Simulator)


def explained(
    likelihood: LogLikelihood, x: State, *, generator: torch.Generator | None = None
) -> Tensor:
    """For each row, whether the noise exceeds the misfit |y - A(x)| in 1 % of cases or more.

    Where the likelihood is no :class:`Likelihood`, its own simulations say it, which draw from
    ``generator``. Raises TypeError where it has none.
    """
    if not isinstance(likelihood, Likelihood):
        return simulated(likelihood, x, generator) >= UNLUCKY
    misfit = likelihood.noise.whiten(likelihood.residual(x)).square().sum(-1)
    half = torch.full_like(misfit, len(likelihood.y) / 2)
    tail: Tensor = torch.special.gammaincc(half, misfit / 2)  # of chi-squared with m terms
    return tail >= UNLUCKY


def simulated(
    likelihood: LogLikelihood, x: State, generator: torch.Generator | None
) -> Float[Tensor, "n"]:
    """For each row, the share of measurements simulated there that fit no better than y. ``(n,)``.

    The misfit is the sum of squares (y_j - mean_j)^2 / var_j, by the mean and the variance of the
    simulations and y together. So y and they are treated alike, and if y came from x, its rank
    among them is uniform.
    """
    if not isinstance(likelihood, Simulator) or generator is None:
        what = "`likelihood` must be a Likelihood, or simulate, to say what explains y"
        call = "Problem('mine', prior, likelihood), where that has y and simulate(x, generator=g)"
        raise TypeError(checks.complaint(what, checks.described(likelihood), call))
    m = len(likelihood.y)
    ranks = []
    for rows in x.split(max(1, CELLS // (SIMULATIONS * m))):
        many = rows.repeat_interleave(SIMULATIONS, 0)
        drawn = likelihood.simulate(many, generator=generator)
        checks.shape("simulate(x)", drawn, (len(many), m), "likelihood.simulate(x, generator=g)")
        every = torch.cat(
            [likelihood.y.expand(len(rows), 1, m), drawn.reshape(len(rows), SIMULATIONS, m)], 1
        ).to(x.dtype)
        ranks.append(_misfits(every))
    return torch.cat(ranks)


def _misfits(every: Float[Tensor, "n S m"]) -> Float[Tensor, "n"]:
    """The share of measurements that are at least as far from the mean as the first is."""
    away = every - every.mean(1, keepdim=True)
    variance = away.square().mean(1, keepdim=True)
    parts = away.square() / variance.where(variance > 0, 1.0)  # where all are equal, away is 0
    misfit = parts.sum(-1)
    return (misfit >= misfit[:, :1]).to(every.dtype).mean(1)


def excess(share: float, expected: float, n: int | float, k: int | float) -> Estimate:
    """The difference of the shares of two clouds of sizes n and k, with its standard error."""
    return Estimate(share - expected, math.hypot(share_error(share, n), share_error(expected, k)))


def share_error(share: float, n: int | float) -> float:
    """The binomial standard error of a share of ``n``, which is never 0.

    It counts one particle more inside, and one more outside.
    """
    p = (share * n + 1) / (n + 2)
    return math.sqrt(p * (1 - p) / n)
