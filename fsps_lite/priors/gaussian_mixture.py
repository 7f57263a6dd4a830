"""A prior made of Gaussians: the family in which the truth is known in closed form."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.mixtures import Components, MixturePosterior
from fsps_lite.engine.rounds import Round, RoundPosterior
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.priors.answers import Answers
from fsps_lite.types import Scale, State, Where

CALL = "GaussianMixture.isotropic(torch.tensor([[-1.0], [1.0]]), std=0.3)"


@dataclass(frozen=True)
class GaussianMixture(Answers):
    """p(x_0) = sum_k w_k N(x_0; mean_k, cov_k), with w = softmax(log_weights).

    ``log_weights`` is ``(K,)`` in nats, up to a constant; ``means`` is ``(K, d)`` in units of x;
    ``covs`` is ``(K, d, d)``, symmetric and positive semi-definite: singular ones, also zero, are
    welcome. It stays a mixture when noise is added, and when a linear measurement with Gaussian
    noise is observed. Raises on wrong shapes or dtypes, NaN, or a covariance that is none.
    """

    log_weights: Float[Tensor, "K"]
    means: Float[Tensor, "K d"]
    covs: Float[Tensor, "K d d"]

    def __post_init__(self) -> None:
        checks.floating("means", self.means, CALL)
        checks.shape("means", self.means, ("K", "d"), CALL)
        checks.full_precision("means", self.means, CALL)
        k, d = self.means.shape
        for name, value, shape in (
            ("log_weights", self.log_weights, (k,)),
            ("covs", self.covs, (k, d, d)),
        ):
            checks.floating(name, value, CALL)
            checks.shape(name, value, shape, CALL)
            checks.same_dtype(name, value, "the means", self.means.dtype, CALL)
        for name in ("log_weights", "means", "covs"):
            checks.finite(name, getattr(self, name), CALL)
        _check_covs(self.covs)

    @classmethod
    def isotropic(
        cls,
        means: Float[Tensor, "K d"],
        std: int | float | Float[Tensor, "K"],
        weights: Float[Tensor, "K"] | None = None,
    ) -> "GaussianMixture":
        """Round components: standard deviation ``std`` (one, or one each) and positive weights."""
        checks.floating("means", means, CALL)
        checks.shape("means", means, ("K", "d"), CALL)
        k, d = means.shape
        std = checks.as_tensor("std", std, means, CALL)
        std = std.expand(k) if std.ndim == 0 else std
        weights = means.new_ones(k) if weights is None else weights
        for name, value, zero in (("std", std, True), ("weights", weights, False)):
            checks.floating(name, value, CALL)
            checks.shape(name, value, (k,), CALL)
            checks.positive(name, value, CALL, zero=zero)
        covs = std[:, None, None] ** 2 * torch.eye(d, dtype=means.dtype, device=means.device)
        return cls(weights.log(), means, covs)

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.means.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.means.dtype

    @property
    def weights(self) -> Float[Tensor, "K"]:
        """w, normalised."""
        return self.log_weights.softmax(0)

    @property
    def total_variance(self) -> Float[Tensor, ""]:
        """The trace of the covariance: the mean square distance of a draw from the mean."""
        rest = self.means - self.weights @ self.means
        within = self.covs.diagonal(dim1=-2, dim2=-1).sum(-1)
        return self.weights @ (within + rest.square().sum(-1))

    def to(self, where: Where) -> "GaussianMixture":
        """The same prior in another dtype, or on another device."""
        checks.place(where)
        return GaussianMixture(
            self.log_weights.to(where), self.means.to(where), self.covs.to(where)
        )

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """Draw ``n`` points: a component by its weight, then a point of it. ``(n, d)``."""
        checks.count("n", n, "prior.sample(1000, generator=torch.Generator().manual_seed(0))")
        checks.generator(generator)
        k = self.weights.multinomial(n, replacement=True, generator=generator)
        known = self._components
        return self.means[k] + known.colour(k, known.variances.sqrt()[k], generator)

    def responsibilities(
        self, x: State, alpha: Scale = 1.0, sigma: Scale = 0.0
    ) -> Float[Tensor, "*batch K"]:
        """p(component k | x_t = x): where each point belongs. Rows sum to 1."""
        return MixturePosterior(x, alpha, sigma, self._double._components).share.to(x.dtype)

    def condition(self, likelihood: Likelihood) -> "GaussianMixture":
        """Bayes for a linear operator: each component by a Kalman update, each weight by p(y | k).

        Raises ValueError for any other operator, for which the posterior is no mixture.
        """
        operator, noise = _linear(likelihood), likelihood.noise_cov
        predicted = operator(self.means)
        cross = self.covs @ operator.matrix.mT
        innovation = operator.matrix @ cross + noise
        gain = torch.linalg.solve(innovation, cross.mT).mT
        normal = torch.distributions.MultivariateNormal(predicted, innovation)
        means = self.means + (gain @ (likelihood.y - predicted).unsqueeze(-1)).squeeze(-1)
        keep = torch.eye(self.dim, device=gain.device).to(gain) - gain @ operator.matrix
        covs = keep @ self.covs @ keep.mT + gain @ noise @ gain.mT  # Joseph: stays symmetric
        covs = (covs + covs.mT) / 2
        return GaussianMixture(self.log_weights + normal.log_prob(likelihood.y), means, covs)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> MixturePosterior:
        """A mixture again; round components of one width are atoms seen through more noise."""
        known = self._double._components
        if self._round is None:
            return MixturePosterior(x, alpha, sigma, known)
        return RoundPosterior(x, alpha, sigma, known, self._round)

    @cached_property
    def _round(self) -> Round | None:
        """The centres and their one variance, if there is one."""
        one = torch.eye(self.dim, device=self.covs.device).to(self.covs) * self.covs[0, 0, 0]
        if not torch.equal(self.covs, one.expand_as(self.covs)):
            return None
        return Round(Centred(self.means), self.covs[0, 0, 0].double())

    @cached_property
    def _double(self) -> "GaussianMixture":
        return self if self.dtype == torch.float64 else self.to(torch.float64)

    @cached_property
    def _components(self) -> Components:
        return Components.of(self.log_weights, self.means, self.covs)


def _check_covs(covs: Tensor) -> None:
    tolerance = 1e-6 if covs.dtype == torch.float32 else 1e-10
    scale = covs.abs().max().clamp(min=torch.finfo(covs.dtype).tiny)
    if bool(((covs - covs.mT).abs() > tolerance * scale).any()):
        raise ValueError(checks.complaint("`covs` must be symmetric", covs.tolist(), CALL))
    lowest = torch.linalg.eigvalsh(covs).min()
    if bool(lowest < -tolerance * scale):
        what = "`covs` must be positive semi-definite"
        raise ValueError(checks.complaint(what, f"an eigenvalue of {lowest:.3g}", CALL))


def _linear(likelihood: Likelihood) -> Linear:
    """The operator, if it has a matrix."""
    if not isinstance(likelihood, Likelihood) or not isinstance(likelihood.operator, Linear):
        got = getattr(likelihood, "operator", likelihood)
        what = "a GaussianMixture conditions on a Likelihood with a Linear operator only"
        call = "Empirical.from_samples(prior.sample(2000, generator=g)).condition(likelihood)"
        raise ValueError(checks.complaint(what, got, call))
    return likelihood.operator
