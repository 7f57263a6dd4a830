"""Tweedie moment projected diffusion: a Gaussian with the right mean and the right covariance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.guidance.matched import MatchedGaussian, Spread
from fsps_lite.types import State, Time


@dataclass(frozen=True)
class TMPD(MatchedGaussian):
    """p(y | x_t) ~ N(y; A m, A C A' + noise_cov), with C = Cov[x_0 | x_t] (Boys et al., 2024).

    Two moments of p(x_0 | x_t) are right; that C depends on x_t is left out of the gradient. Needs
    a Linear operator.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        require_linear("TMPD", self.likelihood)

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
        return at.vjp((residual / spread) @ self._matrix)

    def log_likelihood(self, x: State, t: Time) -> Tensor:
        """Log N(y; A m, diagonal), the guess itself, in nats.

        NaN where a row sum is too negative.
        """
        residual, spread = self._residual_and_spread(self.prior.at(x, t))
        return -0.5 * (residual**2 / spread + (2 * torch.pi * spread).log()).sum(-1)

    def _residual_and_spread(self, at: DenoisingPosterior) -> tuple[Tensor, Tensor]:
        ones = self._matrix.sum(0).expand_as(at.x)  # A' 1, as A C (A' 1) are the row sums of A C A'
        spread = at.cov_product(ones) @ self._matrix.mT
        residual = self.likelihood.residual(at.mean)
        return residual, spread + self.likelihood.noise.variances

    @property
    def _matrix(self) -> Tensor:
        return require_linear("TMPD", self.likelihood).matrix
