"""x_0 given x_t when x_0 is of a Gaussian mixture: a mixture again, of as many components."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine.draws import pick
from fsps_lite.types import LogDensity, State


@dataclass(frozen=True)
class Components:
    """Gaussians by their principal directions: variances ``(K, d)`` along ``vectors``, in float64.

    A variance may be 0. For many posteriors of one prior, log-weights and means have a batch of y.
    """

    log_weights: Float[Tensor, "*Y K"]
    means: Float[Tensor, "*Y K d"]
    variances: Float[Tensor, "K d"]
    vectors: Float[Tensor, "K d d"]

    @classmethod
    def of(
        cls, log_weights: Float[Tensor, "*Y K"], means: Float[Tensor, "*Y K d"], covs: Tensor
    ) -> "Components":
        """Those of covariances ``(K, d, d)``; what rounding alone has left of a variance is 0.

        The rounding is that of the dtype in which they are given.
        """
        values, vectors = torch.linalg.eigh(covs.double())
        rounding = covs.shape[-1] * torch.finfo(covs.dtype).eps
        alive = values > rounding * values.abs().amax(-1, keepdim=True)
        return cls(log_weights.double(), means.double(), values.where(alive, 0.0), vectors)

    @property
    def factors(self) -> Float[Tensor, "K d d"]:
        """F, such that the covariances are F F'."""
        return self.vectors * self.variances.sqrt().unsqueeze(-2)

    def rounded_to(self, covs: Float[Tensor, "K d d"]) -> Float[Tensor, "K d d"]:
        """``covs``, but without what rounding has left of a variance that is 0, or put below it."""
        singular = (self.variances == 0).any(-1)[:, None, None]
        clean = self.factors @ self.factors.mT
        return covs.where(~singular, ((clean + clean.mT) / 2).to(covs))

    def colour(self, k: Tensor, std: Tensor, generator: torch.Generator) -> Tensor:
        """Gaussian noise of component ``k[i]`` in row i, with ``std`` along its directions."""
        eps = torch.randn(std.shape, generator=generator, dtype=std.dtype, device=generator.device)
        return torch.einsum("nij,nj->ni", self.vectors[k].to(std), std * eps)


@dataclass(frozen=True, eq=False)
class MixturePosterior(DenoisingPosterior):
    """Component k counts by its ``share`` (*batch, K), and its own answer is ``_means`` of it.

    Inside, the components come first: softmax and sums over the last axis take ten times as long
    where it is short.
    """

    components: Components

    @property
    def share(self) -> Float[Tensor, "*batch K"]:
        """p(component k | x_t = x)."""
        return self._share.movedim(0, -1).contiguous()

    @cached_property
    def _share(self) -> Float[Tensor, "K *batch"]:
        return self._log_joint.softmax(0)

    @cached_property
    def _mean(self) -> State:
        """Each component's own answer, averaged by the shares."""
        return self._averaged(self._means)

    @property
    def _score(self) -> State:
        """Each component's own, averaged by the shares: no small difference, at any sigma."""
        pulls = self._rotated / self._leading(self._variances)
        return -self._averaged(_turned(pulls, self.components.vectors.mT))

    @cached_property
    def _log_evidence(self) -> LogDensity:
        """log sum_k w_k N(x; alpha mean_k, alpha^2 cov_k + sigma^2 I)."""
        return self._log_joint.logsumexp(0)

    def _cov_product(self, v: State) -> State:
        """The covariance within components, plus the one between them."""
        apart = self._means - self._averaged(self._means)
        within = _turned(v.expand_as(apart), self._covs)
        between = apart * (apart * v).sum(-1, keepdim=True)
        return self._averaged(within + between)

    def _draw(self, generator: torch.Generator) -> State:
        """A component by its share, then a point of it."""
        k = pick(self.share, generator)
        mean = self._means[k, torch.arange(len(k), device=k.device)]
        return mean + self.components.colour(k, self._left.sqrt()[k], generator)

    @cached_property
    def _log_joint(self) -> Float[Tensor, "K *batch"]:
        """log w_k + log N(x; alpha mean_k, alpha^2 cov_k + sigma^2 I)."""
        squares = (self._rotated.square() / self._leading(self._variances)).sum(-1)
        log_norm = (2 * math.pi * self._variances).log().sum(-1)
        log_weights = self.components.log_weights.log_softmax(-1) - 0.5 * log_norm
        return self._leading(log_weights.unsqueeze(-1)).squeeze(-1) - 0.5 * squares

    @cached_property
    def _means(self) -> Float[Tensor, "K *batch d"]:
        """E[x_0 | x_t = x, k]."""
        gain = self._leading(self.alpha * self.components.variances / self._variances)
        shift = _turned(gain * self._rotated, self.components.vectors.mT)
        return self._leading(self.components.means) + shift

    @cached_property
    def _rotated(self) -> Float[Tensor, "K *batch d"]:
        """x - alpha mean_k in the principal directions of component k."""
        means = self._leading(self.components.means)
        apart = self._x - means + (1 - self.alpha) * means  # exact near t = 0
        return _turned(apart, self.components.vectors)

    @cached_property
    def _variances(self) -> Float[Tensor, "K d"]:
        """alpha^2 cov_k + sigma^2 I in the principal directions."""
        variances = self.alpha**2 * self.components.variances + self.sigma**2
        if not bool((variances > 0).all()):
            what = "a singular covariance has a density only under noise: `sigma` must be above 0"
            call = "prior.log_prob(x, alpha=0.8, sigma=0.6)"
            raise ValueError(checks.complaint(what, float(self.sigma), call))
        return variances

    @property
    def _left(self) -> Float[Tensor, "K d"]:
        """The variances of x_0 when k and x_t are known, in the principal directions."""
        return self.components.variances * self.sigma**2 / self._variances

    @cached_property
    def _covs(self) -> Float[Tensor, "K d d"]:
        """Cov[x_0 | x_t, k], the same for all x_t."""
        vectors = self.components.vectors
        return (vectors * self._left.unsqueeze(-2)) @ vectors.mT

    def _averaged(self, values: Float[Tensor, "K *batch d"]) -> State:
        return (self._share.unsqueeze(-1) * values).sum(0)

    def _leading(self, values: Float[Tensor, "*Y K d"]) -> Float[Tensor, "K *#batch d"]:
        """What belongs to components: they come first, and the axes of x after them."""
        first = values.movedim(-2, 0)
        ones = [1] * (self.x.ndim + 1 - first.ndim)
        return first.reshape(len(first), *ones, *first.shape[1:])


def _turned(
    values: Float[Tensor, "K *batch d"], matrices: Float[Tensor, "K d d"]
) -> Float[Tensor, "K *batch d"]:
    """The rows of each component, times its matrix."""
    if matrices.shape[-1] == 1:
        return values * matrices.reshape(-1, *[1] * (values.ndim - 1))
    rows = values.reshape(len(values), math.prod(values.shape[1:-1]), values.shape[-1])
    return (rows @ matrices).reshape(values.shape)
