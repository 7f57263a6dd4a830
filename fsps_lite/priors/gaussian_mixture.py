"""A prior made of Gaussians: the family in which the truth is known in closed form."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.draws import pick_many
from fsps_lite.engine.mixtures import Components, MixturePosterior
from fsps_lite.engine.rounds import Round, RoundPosterior
from fsps_lite.likelihood import Likelihood, refuse_batch, require_batch
from fsps_lite.operators import Linear
from fsps_lite.priors.answers import Answers
from fsps_lite.priors.many import MixtureBatch
from fsps_lite.types import Scale, State, Where

LARGEST = 2**28  # numbers of the covariances of a mixture: 2 GB in float64
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
        if k * d**2 > LARGEST:
            what = "the covariances of a mixture are matrices, and `means` has too many coordinates"
            raise ValueError(checks.complaint(what, (k, d), "Empirical.from_samples(means)"))
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
        covs = self.covs.to(where)
        if torch.finfo(covs.dtype).eps < torch.finfo(self.dtype).eps:
            covs = self._components.rounded_to(covs)
        return GaussianMixture(self.log_weights.to(where), self.means.to(where), covs)

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """Draw ``n`` points: a component by its weight, then a point of it. ``(n, d)``."""
        checks.count("n", n, "prior.sample(1000, generator=torch.Generator().manual_seed(0))")
        checks.generator(generator)
        k = pick_many(self.log_weights, n, generator)
        known = self._components
        return self.means[k] + known.colour(k, known.variances.to(self.dtype).sqrt()[k], generator)

    def responsibilities(
        self, x: State, alpha: Scale = 1.0, sigma: Scale = 0.0
    ) -> Float[Tensor, "*batch K"]:
        """p(component k | x_t = x): where each point belongs. Rows sum to 1."""
        return MixturePosterior(x, alpha, sigma, self._components).share.to(x.dtype)

    def condition(self, likelihood: Likelihood) -> "GaussianMixture":
        """Bayes for a linear operator: each component by a Kalman update, each weight by p(y | k).

        Computed in float64. Raises ValueError for any other operator: the posterior is no mixture.
        """
        _linear(likelihood)
        refuse_batch(likelihood)
        given, known = likelihood.to(torch.float64), self._components
        noise, operator = given.noise, _linear(given)
        seen = noise.whiten(operator.apply(known.factors.mT)).mT
        rest = noise.whiten(given.y - operator(known.means))
        log_p, shift, factors = _updated(known.factors, seen, rest.unsqueeze(-1))
        log_weights = known.log_weights + log_p + noise.log_prob(torch.zeros_like(given.y))
        covs = factors @ factors.mT
        return GaussianMixture(log_weights, known.means + shift, (covs + covs.mT) / 2).to(
            self.dtype
        )

    def condition_each(self, likelihood: Likelihood) -> MixtureBatch:
        """Bayes for a batch of y, ``(Y, m)``: weights and means depend on y, covariances do not.

        Raises TypeError unless y is a batch, and ValueError as :meth:`condition` does.
        """
        require_batch(likelihood, "prior")
        one = self.condition(replace(likelihood, y=likelihood.y[0]))
        given, known = likelihood.to(torch.float64), self._components
        noise, operator = given.noise, _linear(given)
        seen = noise.whiten(operator.apply(known.factors.mT)).mT
        rest = noise.whiten(given.y.unsqueeze(-2) - operator(known.means))
        log_p, shift, _ = _updated(known.factors, seen, rest.unsqueeze(-1))
        log_weights = known.log_weights + log_p + noise.log_prob(torch.zeros_like(given.y[0]))
        means = known.means + shift
        return MixtureBatch(log_weights.to(self.dtype), means.to(self.dtype), one.covs)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> MixturePosterior:
        """A mixture again; round components of one width are atoms seen through more noise."""
        known = self._components
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
    def _components(self) -> Components:
        return Components.of(self.log_weights, self.means, self.covs)


def _updated(factors: Tensor, seen: Tensor, rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p(y | k) but for the noise's own part, the shift of the means, and new factors.

    ``factors`` F have F F' = cov, ``seen`` is L^-1 A F for noise L L', ``rest`` is L^-1 (y - A m).
    With L^-1 A F over I equal to Q R (Golub, 1965), F R^-1 is the new factor. No covariance is
    subtracted, so none can become indefinite.
    """
    m, d = seen.shape[-2:]
    eye = torch.eye(d, device=seen.device).to(seen).expand(len(seen), d, d)
    q, r = torch.linalg.qr(torch.cat([seen, eye], dim=-2))
    explained = q[:, :m].mT @ rest
    misfit = torch.cat([rest - q[:, :m] @ explained, q[:, m:] @ explained], dim=-2).squeeze(-1)
    log_det = r.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
    left = torch.linalg.solve_triangular(r, factors, upper=True, left=False)
    return -misfit.square().sum(-1) / 2 - log_det, (left @ explained).squeeze(-1), left


def _check_covs(covs: Tensor) -> None:
    """Symmetric, with no eigenvalue below 0, each up to the rounding of its own largest entry."""
    k, d = covs.shape[:2]
    tolerance = max(1e-10, 4 * d * torch.finfo(covs.dtype).eps)
    own = f"torch.zeros({k}), torch.zeros({k}, {d}), torch.eye({d}).repeat({k}, 1, 1)"
    call = f"GaussianMixture({own}), where the last may be any factors @ factors.mT"
    scale = covs.abs().amax((-2, -1)).clamp(min=torch.finfo(covs.dtype).tiny)
    if bool(((covs - covs.mT).abs().amax((-2, -1)) > tolerance * scale).any()):
        raise ValueError(checks.complaint("`covs` must be symmetric", covs.tolist(), call))
    lowest = torch.linalg.eigvalsh(covs)[:, 0]
    worst = (lowest / scale).argmin()
    if bool(lowest[worst] < -tolerance * scale[worst]):
        got = f"an eigenvalue of {lowest[worst]:.3g} beside an entry of {scale[worst]:.3g}"
        raise ValueError(checks.complaint("`covs` must be positive semi-definite", got, call))


def _linear(likelihood: Likelihood) -> Linear:
    """The operator, if it has a matrix."""
    if not isinstance(likelihood, Likelihood) or not isinstance(likelihood.operator, Linear):
        got = getattr(likelihood, "operator", likelihood)
        what = "a GaussianMixture conditions on a Likelihood with a Linear operator only"
        call = "Empirical.from_samples(prior.sample(2000, generator=g)).condition(likelihood)"
        raise ValueError(checks.complaint(what, got, call))
    return likelihood.operator
