"""Mass where there should be none: of the prior alone, of the likelihood alone, of neither."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.likelihood import Likelihood
from fsps_lite.partition import mode_weights
from fsps_lite.priors import GaussianMixture
from fsps_lite.problems.problem import Problem
from fsps_lite.types import State, Time

DRAWS = 20_000  # samples of the prior that say which densities it calls probable
RARE = 0.005  # the share of the prior's own draws that counts as off its support
UNLUCKY = 0.01  # the share of the noise's own draws that counts as unexplained
NEGLIGIBLE = 0.01  # a mode with less posterior weight than this should hold nothing


@dataclass(frozen=True)
class Hallucination:
    """How much more of a cloud than of the exact posterior's lies where it should not.

    ``table`` and ``reference`` are ``(2, 2)`` shares: rows say whether the prior finds the place
    probable (no, yes), columns whether it explains the measurement (no, yes). ``prior_modes`` is
    the excess weight on modes of the prior that the posterior does not have; ``likelihood_only``
    that on places that only the measurement likes; ``nowhere`` that on places that neither likes.
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
    modes: GaussianMixture,
    generator: torch.Generator,
) -> Hallucination:
    """Ask of each particle at time ``t`` whether the prior, and the measurement, would have it.

    Probable: p(x_t) is above that of all but 0.5 % of the prior's own draws. Explained: noise alone
    would misfit more than x_t / alpha does once in a hundred times. ``reference`` is a cloud of the
    posterior at the same time, so that its own tails, and an unlucky y, are nobody's hallucination.
    """
    call = "hallucination(x, x, problem, 0.5, modes=modes, generator=g)"
    checks.kind("problem", problem, Problem, call)
    checks.kind("modes", modes, GaussianMixture, call)
    prior, alpha = problem.diffusion, problem.schedule.alpha(t)
    rare = prior.log_prob(prior.sample(DRAWS, t, generator=generator), t).quantile(RARE)
    tables, weights = [], []
    for x in (cloud, reference):
        probable = prior.log_prob(x, t) >= rare
        cells = 2 * probable + explained(problem.likelihood, x / alpha)
        tables.append(torch.bincount(cells, minlength=4).reshape(2, 2).double() / len(x))
        weights.append(mode_weights(x / alpha, modes)[0])
    absent = weights[1] < NEGLIGIBLE  # of the prior's modes, in the posterior
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


def explained(likelihood: Likelihood, x: State) -> Tensor:
    """Whether y lies within what the noise would do to A(x), for each row."""
    misfit = likelihood.noise.whiten(likelihood.residual(x)).square().sum(-1)
    half = torch.full_like(misfit, len(likelihood.y) / 2)
    tail: Tensor = torch.special.gammaincc(half, misfit / 2)  # of chi-squared with m terms
    return tail >= UNLUCKY


def excess(share: float, expected: float, n: int, k: int) -> Estimate:
    """The difference of the shares of two clouds of sizes n and k, with its standard error."""
    return Estimate(share - expected, math.hypot(share_error(share, n), share_error(expected, k)))


def share_error(share: float, n: int) -> float:
    """The binomial standard error, counting one more inside and one more outside: never 0."""
    p = (share * n + 1) / (n + 2)
    return math.sqrt(p * (1 - p) / n)
