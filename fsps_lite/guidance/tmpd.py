"""Tweedie moment projected diffusion: a Gaussian with the right mean and the right covariance."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.guidance.matched import MatchedGaussian, Spread
from fsps_lite.operators import Linear
from fsps_lite.types import State, Time

ROUNDING = 1e-6  # of the largest variance and the noise: what an eigenvalue may lie below 0


@dataclass(frozen=True)
class TMPD(MatchedGaussian):
    """p(y | x_t) ~ N(y; A m, A C A' + noise_cov), with C = Cov[x_0 | x_t] (Boys et al., 2024).

    Two moments of p(x_0 | x_t) are right; that C depends on x_t is left out of the gradient. Needs
    a Linear operator: m products with C, or above 512 measurements conjugate gradients. The slopes
    of a learned denoiser are no covariance: up to 512 measurements A C A' is made symmetric, and
    its negative eigenvalues are clipped to 0; ``indefinite="keep"`` takes it as it is, and then a
    row without a factor is NaN.
    """

    indefinite: Literal["clip", "keep"] = "clip"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_linear("TMPD", self.likelihood)
        if self.indefinite not in ("clip", "keep"):
            what, call = "`indefinite` must be 'clip' or 'keep'", "TMPD(prior, likelihood, 'clip')"
            raise ValueError(checks.complaint(what, repr(self.indefinite), call))

    def treated(self, spread: Tensor) -> Tensor:
        return self.clipped(spread)[0] if self.indefinite == "clip" else spread

    def clipped(
        self, spread: Float[Tensor, "*batch m m"]
    ) -> tuple[Float[Tensor, "*batch m m"], Bool[Tensor, "*batch"]]:
        """``spread`` made symmetric and positive, and which rows had more than rounding below 0."""
        even = (spread + spread.mT) / 2
        largest = even.diagonal(dim1=-2, dim2=-1).abs().amax(-1)
        floor = ROUNDING * (largest + self.likelihood.noise.variances.min())
        if not checks.transformed(even):
            shift = torch.diag_embed(floor.unsqueeze(-1).expand(spread.shape[:-1]))
            failed = torch.linalg.cholesky_ex(even + shift)[1] != 0
            if not bool(failed.any()):  # which costs a tenth of the eigenvalues
                return even, failed
        values, vectors = torch.linalg.eigh(even.nan_to_num(0.0))
        positive = (vectors * values.clamp(min=0.0).unsqueeze(-2)) @ vectors.mT
        below = values.amin(-1) < -floor
        return torch.where(below[..., None, None], positive, even), below

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Spread:
        """C, of which only A C A' is ever formed: C itself would be ``(d, d)`` for each row."""
        return at


@dataclass(frozen=True)
class DiagonalTMPD(TMPD):
    """TMPD with A C A' replaced by the diagonal matrix of its row sums: one product instead of m.

    The practice of (Boys et al., 2024) for images. Where C has off-diagonal terms the row sums are
    not the diagonal, and may be negative. Needs independent noise.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        noise = self.likelihood.noise
        if noise.full and bool(noise.std.tril(-1).any()):
            what = (
                "DiagonalTMPD needs independent noise: it would forget how two errors go together"
            )
            call = "TMPD(prior, likelihood), which takes any noise_cov"
            raise ValueError(checks.complaint(what, noise.cov.tolist(), call))

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        residual, spread = self._residual_and_spread(at)
        return at.vjp(self._operator.adjoint(residual / spread))

    def log_likelihood(self, x: State, t: Time) -> Tensor:
        """Log N(y; A m, diagonal), the guess itself, in nats.

        NaN where a row sum is too negative.
        """
        residual, spread = self._residual_and_spread(self.prior.at(x, t))
        return -0.5 * (residual**2 / spread + (2 * torch.pi * spread).log()).sum(-1)

    def _residual_and_spread(self, at: DenoisingPosterior) -> tuple[Tensor, Tensor]:
        back = self._operator.adjoint(torch.ones_like(self.likelihood.y))  # A' 1
        row_sums = self._operator.apply(at.cov_product(back.expand_as(at.x)))  # of A C A'
        residual = self.likelihood.residual(at.mean)
        return residual, row_sums + self.likelihood.noise.variances

    @property
    def _operator(self) -> Linear:
        return require_linear("TMPD", self.likelihood)
