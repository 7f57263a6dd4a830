"""A prior made of points with a little round noise on each: it covers what lies between them."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.near import known
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors.answers import Answers
from fsps_lite.priors.empirical import Empirical
from fsps_lite.priors.gaussian_mixture import GaussianMixture
from fsps_lite.priors.many import MixtureBatch
from fsps_lite.types import LogDensity, LogLikelihood, Scale, State, Where

CALL = "Smoothed(prior, bandwidth=0.5), with prior = Empirical.from_samples(x)"


@dataclass(frozen=True)
class Smoothed(Answers):
    """p(x_0) = sum_i w_i N(x_0; atom_i, h^2 I): kernel-smoothed atoms.

    ``empirical`` holds the atoms, ``bandwidth`` is h > 0, in units of x. Diffused, each atom is
    seen through noise of variance alpha^2 h^2 + sigma^2, so that all answers are as exact and as
    quick as those of the atoms, for millions of them. The h with the largest mean of ``log_prob``
    over held-out samples is a good one. Raises ValueError unless h is positive.
    """

    empirical: Empirical
    bandwidth: float

    def __post_init__(self) -> None:
        checks.kind("empirical", self.empirical, Empirical, CALL)
        checks.number("bandwidth", self.bandwidth, CALL)
        checks.positive("bandwidth", self.bandwidth, CALL)

    @property
    def atoms(self) -> Float[Tensor, "N d"]:
        """The middle of each bump."""
        return self.empirical.atoms

    @property
    def means(self) -> Float[Tensor, "N d"]:
        """The same, as a mixture calls them."""
        return self.empirical.atoms

    @property
    def covs(self) -> Float[Tensor, "N d d"]:
        """h^2 I for each, which takes the memory of one."""
        atoms = self.empirical.atoms
        one = torch.eye(self.dim, dtype=atoms.dtype, device=atoms.device) * self.bandwidth**2
        return one.expand(len(atoms), -1, -1)

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.empirical.dim

    @property
    def dtype(self) -> torch.dtype:
        return self.empirical.dtype

    @property
    def weights(self) -> Float[Tensor, "N"]:
        """w, normalised."""
        return self.empirical.weights

    @property
    def total_variance(self) -> Float[Tensor, ""]:
        """The trace of the covariance: the mean square distance of a draw from the mean."""
        return self.empirical.total_variance + self.dim * self.bandwidth**2

    def to(self, where: Where) -> "Smoothed":
        """The same prior in another dtype, or on another device."""
        return replace(self, empirical=self.empirical.to(where))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """Draw ``n`` points: an atom by its weight, then the noise. ``(n, d)``."""
        atoms = self.empirical.sample(n, generator=generator)
        return atoms + self.bandwidth * _normal(atoms, generator)

    @property
    def mixture(self) -> GaussianMixture:
        """The same as a mixture, with a matrix for each atom; raises where N d^2 is too much."""
        kept = self.empirical
        round_ones = GaussianMixture.isotropic(kept.atoms, std=self.bandwidth)
        return replace(round_ones, log_weights=kept.log_weights)

    def condition(self, likelihood: LogLikelihood) -> GaussianMixture:
        """Bayes for a linear operator: one Gaussian for each atom, all of one covariance.

        Raises ValueError for any other operator, and where N d^2 numbers are too many; TypeError
        for a likelihood that is no :class:`Likelihood`.
        """
        if not isinstance(likelihood, Likelihood):
            what = "smoothed atoms condition on a Likelihood with a Linear operator only"
            call = "prior.empirical.condition(likelihood), without the smoothing"
            raise TypeError(checks.complaint(what, type(likelihood).__name__, call))
        return self.mixture.condition(likelihood)

    def condition_each(self, likelihood: Likelihood) -> MixtureBatch:
        """The same for a batch of y, ``(Y, m)``. Raises as :meth:`condition` does."""
        return self.mixture.condition_each(likelihood)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> "SmoothedPosterior":
        return SmoothedPosterior(x, alpha, sigma, self)

    @cached_property
    def _centred(self) -> Centred:
        return Centred(self.empirical.atoms)


@dataclass(frozen=True, eq=False)
class SmoothedPosterior(DenoisingPosterior):
    """x_t is an atom seen through noise of variance tau^2 = alpha^2 h^2 + sigma^2.

    With the atom known, x_0 is Gaussian: its mean moves from the atom to x_t / alpha by the share
    alpha^2 h^2 / tau^2, and sigma^2 h^2 / tau^2 is left of its variance.
    """

    prior: Smoothed

    @cached_property
    def _mean(self) -> State:
        return self._towards(self._atom.mean)

    @property
    def _score(self) -> State:
        return self._atom.score

    @property
    def _log_evidence(self) -> LogDensity:
        return self._atom.log_evidence

    def _cov_product(self, v: State) -> State:
        return self._rest * v + self._kept**2 * self._atom.cov_product(v)

    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        within = self._rest * matrix @ matrix.mT
        return within + self._kept**2 * self._atom.projected_cov(matrix)

    def _draw(self, generator: torch.Generator) -> State:
        middle = self._towards(self._atom.sample(generator=generator))
        return middle + self._rest**0.5 * _normal(middle, generator)

    @property
    def dropped(self) -> LogDensity:
        return self._atom.dropped.to(self.x.dtype)

    @cached_property
    def _atom(self) -> DenoisingPosterior:
        """What is known of the atom, in float64."""
        weights = self.prior.empirical.log_weights
        return known(self._x, self.alpha, self._total**0.5, self.prior._centred, weights)

    def _towards(self, atom: State) -> State:
        """The mean of x_0 when its atom is known."""
        moved = self.alpha * self.prior.bandwidth**2 / self._total
        return moved * self._x + self._kept * atom

    @property
    def _total(self) -> Scale:
        """tau^2."""
        return self.alpha**2 * self.prior.bandwidth**2 + self.sigma**2

    @property
    def _kept(self) -> Scale:
        """The share of the atom in the mean of x_0."""
        return self.sigma**2 / self._total

    @property
    def _rest(self) -> Scale:
        """The variance of x_0 when its atom and x_t are known."""
        return self.prior.bandwidth**2 * self._kept


def _normal(like: State, generator: torch.Generator) -> State:
    device = generator.device
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device)
