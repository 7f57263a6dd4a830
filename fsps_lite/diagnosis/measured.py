"""The measurements that a problem could have had: p(y), and the same problem with another y."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors import Empirical, GaussianMixture, Smoothed
from fsps_lite.problems import Problem

REACH, NODES = 9.0, 1441  # deviations around each mean, and points there: 80 in a deviation
HALVINGS = 80  # of an interval that holds a quantile: to the rounding of float64


def measured(problem: Problem) -> Likelihood:
    """The likelihood of a problem; raises TypeError for one that knows no other measurement."""
    call = "calibrate(Problem('mine', prior, Likelihood(operator, y, noise_std)), DPS)"
    found = problem.likelihood
    checks.kind("problem.likelihood", found, Likelihood, call)
    assert isinstance(found, Likelihood)
    return found


def with_measurement(problem: Problem, y: Float[Tensor, "m"]) -> Problem:
    """The same problem, where ``y``, ``(m,)``, was measured."""
    known = measured(problem)
    return replace(problem, likelihood=replace(known, y=y.to(known.y)))


@dataclass(frozen=True)
class Evidence:
    """p(y) = E[p(y | x)] of a problem with one signal and one measurement, by quadrature over x.

    Raises ValueError where the signal or the measurement has more coordinates than one.
    """

    problem: Problem

    def __post_init__(self) -> None:
        sizes = self.problem.prior.dim, len(measured(self.problem).y)
        if sizes != (1, 1):
            what = "a map over y needs a signal and a measurement of one number each"
            call = "calibrate(problem, method), where any problem is taken"
            raise ValueError(checks.complaint(what, f"d = {sizes[0]} and m = {sizes[1]}", call))

    @cached_property
    def _known(self) -> tuple[Tensor, Tensor]:
        """A(x) at the points of the prior, ``(N,)``, and their weights, in float64."""
        points, weights = _points(self.problem.prior)
        clean = measured(self.problem).operator(points.to(self.problem.prior.dtype))
        return clean[:, 0].double(), weights

    def density(self, y: Float[Tensor, "J"]) -> Float[Tensor, "J"]:
        """p(y) at each y, in 1 / units of y. ``(J,)``."""
        clean, weights = self._known
        rest = (y.double()[:, None] - clean)[..., None]
        noise = measured(self.problem).to(torch.float64).noise
        return noise.log_prob(rest).exp() @ weights

    def below(self, y: Float[Tensor, "J"]) -> Float[Tensor, "J"]:
        """The probability of a measurement below each y. ``(J,)``."""
        clean, weights = self._known
        rest = (y.double()[:, None] - clean)[..., None]
        white = measured(self.problem).to(torch.float64).noise.whiten(rest)[..., 0]
        below: Tensor = torch.special.ndtr(white)
        return below @ weights

    def quantiles(self, shares: Float[Tensor, "J"]) -> Float[Tensor, "J"]:
        """The y below which each of these ``shares`` of p(y) lies. ``(J,)``."""
        clean, _ = self._known
        far = 40 * measured(self.problem).noise.variances.double().sqrt()
        low = (clean.min() - far).expand(len(shares))
        high = (clean.max() + far).expand(len(shares))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            under = self.below(middle) < shares
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2


def _points(prior: Empirical | GaussianMixture | Smoothed) -> tuple[Tensor, Tensor]:
    """Points ``(N, 1)`` and weights ``(N,)``: sums over them are integrals over the prior."""
    if isinstance(prior, Smoothed):
        prior = prior.mixture
    if not isinstance(prior, GaussianMixture):
        return prior.atoms.double(), prior.log_weights.double().softmax(0)
    z = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64, device=prior.means.device)
    std = prior.covs.double().sqrt()[:, 0]  # (K, 1)
    shares = prior.log_weights.double().softmax(0)[:, None] * (-(z**2) / 2).softmax(0)
    return (prior.means.double() + std * z).reshape(-1, 1), shares.flatten()
