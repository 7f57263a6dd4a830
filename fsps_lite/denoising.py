"""The posterior of x_0 once x_t is seen: the one question that every prior answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks, tally
from fsps_lite.types import LogDensity, Scale, State

SMALLEST = 1e-150  # the smallest sigma: the square of a much smaller one is 0 in float64


@dataclass(frozen=True, eq=False)
class DenoisingPosterior(ABC):
    """p(x_0 | x_t = x), where x_t = alpha x_0 + sigma eps and x_0 ~ prior.

    ``prior.given(x, alpha, sigma)`` makes one for a cloud ``x`` of shape ``(*batch, d)``, and keeps
    a copy of the cloud. Each part below is computed in float64 when it is first used, is kept, and
    is returned in the dtype of ``x``. It has gradients only if they were on at that first use. Its
    tensors are shared: do not write into them. Raises TypeError or ValueError unless ``alpha`` and
    ``sigma`` are numbers of at least 0.

    For a prior of your own, define ``_mean``, ``_log_evidence``, ``_cov_product(v)`` and
    ``_draw(generator)`` in a subclass, all in float64. Define ``_score`` too, if you can compute it
    without the difference of alpha times the mean and x.
    """

    x: State
    alpha: Scale
    sigma: Scale
    learned: ClassVar[bool] = False  # True for a network: its Jacobian may give no covariance

    def __post_init__(self) -> None:
        for name, scale in (("alpha", self.alpha), ("sigma", self.sigma)):
            checks.number(name, scale, "prior.denoise(x, alpha=0.8, sigma=0.6)", least=0.0)
        object.__setattr__(self, "x", self.x.clone())  # the caller may change x later
        tally.watch(self.x)

    @property
    @abstractmethod
    def _mean(self) -> State: ...

    @property
    @abstractmethod
    def _log_evidence(self) -> LogDensity: ...

    @abstractmethod
    def _cov_product(self, v: State) -> State: ...

    @abstractmethod
    def _draw(self, generator: torch.Generator) -> State: ...

    @property
    def mean(self) -> State:
        """E[x_0 | x_t = x], the mean of the clean signals that could have become x.

        ``(*batch, d)``, in units of x. It is also called the denoiser.
        """
        return self._mean.to(self.x.dtype)

    @property
    def score(self) -> State:
        """grad log p(x_t = x) = (alpha E[x_0 | x_t = x] - x) / sigma^2 (Tweedie; Robbins, 1956).

        ``(*batch, d)``, in 1 / units of x. Raises ValueError where sigma is 0, or below 1e-150.
        """
        if float(self.sigma) < SMALLEST:
            what = "the score divides by sigma^2, so that `t` must be above 0"
            raise ValueError(checks.complaint(what, float(self.sigma), "diffusion.score(x, 1e-3)"))
        return self._score.to(self.x.dtype)

    @property
    def log_evidence(self) -> LogDensity:
        """log p(x_t = x), in nats. ``(*batch,)``."""
        return self._log_evidence.to(self.x.dtype)

    @property
    def cov(self) -> Float[Tensor, "*batch d d"]:
        """Cov[x_0 | x_t = x], the covariance of the clean signals that could have become x.

        ``(*batch, d, d)``, in units of x^2.
        """
        with tally.asked(backward=self.x.shape[-1]):
            return self._products(self._eye).to(self.x.dtype)

    def cov_product(self, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row, without forming the ``(d, d)`` matrix.

        ``v`` and the answer are ``(*batch, d)``. Raises ValueError or TypeError where ``v`` has
        another shape or dtype than x.
        """
        with tally.asked(backward=1):
            return self._cov_product(self._checked(v)).to(self.x.dtype)

    def vjp(self, v: State) -> State:
        """J' v with J = dE[x_0 | x_t]/dx_t = alpha / sigma^2 Cov[x_0 | x_t], a symmetric matrix.

        ``v`` and the answer are ``(*batch, d)``.
        """
        return self.alpha / self.sigma**2 * self.cov_product(v)

    @property
    def dropped(self) -> LogDensity:
        """A certificate: of p(x_0 | x_t = x) no larger share was left out. 0 where nothing was.

        Of many atoms those are skipped that provably do not count, at most e^-40 together. The mean
        is then wrong by no more than that share of the largest distance between two atoms.
        """
        return self.x.new_zeros(self.x.shape[:-1])

    def projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        """A Cov[x_0 | x_t = x] A', the covariance of A x_0, for A = ``matrix`` of shape ``(m, d)``.

        ``(*batch, m, m)``, in units of (A x)^2. It takes min(m, d) products with the covariance.
        Raises ValueError or TypeError on a wrong shape or dtype.
        """
        call = "diffusion.projected_cov(x, 0.5, torch.eye(x.shape[-1], dtype=x.dtype))"
        checks.floating("matrix", matrix, call)
        checks.shape("matrix", matrix, ("m", self.x.shape[-1]), call)
        checks.same_dtype("matrix", matrix, "x", self.x.dtype, call)
        with tally.asked(backward=min(matrix.shape)):
            return self._projected_cov(matrix.double()).to(self.x.dtype)

    def sample(self, *, generator: torch.Generator) -> State:
        """Draw one x_0 from p(x_0 | x_t = x) for each row of the ``(n, d)`` cloud x. ``(n, d)``.

        A row that is not finite gives a row of NaN. Raises ValueError where x is not ``(n, d)``.
        """
        call = "diffusion.sample_denoised(x, 0.5, generator=g), where x has shape (n, d)"
        checks.shape("x", self.x, ("n", self.x.shape[-1]), call)
        checks.generator(generator)
        lost = ~self.x.isfinite().all(-1, keepdim=True)  # such a row has no x_0 to draw
        clean = replace(self, x=self.x.masked_fill(lost, 0.0)) if bool(lost.any()) else self
        return clean._draw(generator).to(self.x.dtype).masked_fill(lost, torch.nan)

    @property
    def _score(self) -> State:
        """The score by Tweedie's formula; a prior may override it with a more accurate one.

        The formula itself rounds by about 1e-16 |x| / sigma^2.
        """
        return (self.alpha * self._mean - self._x) / self.sigma**2

    @cached_property
    def _x(self) -> State:
        """x in float64: at small t the score is a small difference of large numbers."""
        return self.x.double()

    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        """A Cov A' from min(m, d) products with the covariance."""
        if len(matrix) >= matrix.shape[1]:
            return matrix @ self._products(self._eye) @ matrix.mT
        columns = [self._cov_product(v.expand_as(self._x)) @ matrix.mT for v in matrix]
        return torch.stack(columns, dim=-1)

    @property
    def _eye(self) -> Float[Tensor, "d d"]:
        return torch.eye(self.x.shape[-1], device=self.x.device).double()

    def _products(self, directions: Float[Tensor, "k d"]) -> Float[Tensor, "*batch d k"]:
        columns = [self._cov_product(v.expand_as(self._x)) for v in directions]
        return torch.stack(columns, dim=-1)

    def _checked(self, v: State) -> State:
        call = "diffusion.denoise_cov_product(x, 0.5, torch.ones_like(x))"
        checks.floating("v", v, call)
        checks.shape("v", v, tuple(self.x.shape), call)
        checks.same_dtype("v", v, "x", self.x.dtype, call)
        return v.double()
