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
from fsps_lite.likelihood import UnsupportedLikelihood
from fsps_lite.operators import Linear
from fsps_lite.types import State, Time

Indefinite = Literal["step", "clip", "diagonal", "keep"]
WORDS = ("step", "clip", "diagonal", "keep")
ROUNDING = 1e-6  # of the largest variance plus the noise: as far below 0 an eigenvalue may lie


@dataclass(frozen=True)
class TMPD(MatchedGaussian):
    """p(y | x_t) ~ N(y; A m, A C A' + noise_cov), with C = Cov[x_0 | x_t] (Boys et al., 2024).

    The mean and the covariance of p(x_0 | x_t) are right. The gradient treats C as a constant,
    though C depends on x_t. Needs a Linear operator: m products with C, or conjugate gradients for
    more than 512 measurements.

    The Jacobian of a learned denoiser may give a C that is no covariance. ``indefinite`` says what
    is then done with A C A', whenever the denoiser is learned:

    - "clip": it is made symmetric, and its negative eigenvalues are set to 0. This changes nothing
      where C is a covariance, so that TMPD stays exact for a denoiser that is.
    - "diagonal": its diagonal is taken, and negative entries of that are set to 0.
    - "step": one step of conjugate gradients in place of the system, with a variance along the
      residual that is at least 0: the gradient of DPS, shrunk. It takes one product with C.
    - "keep": it stays as it is. A row whose matrix has no Cholesky factor is NaN.

    On seven half-seen digits, with the network of this library, the total variation between labels
    was .34, .26, .26 and 1 on average; "step" was better than "clip" by .08 +- .03, and ten times
    as quick. "step" is for any number of measurements, "clip" and "diagonal" are for at most 512.
    Raises ValueError for another operator, or another word.
    """

    indefinite: Indefinite = "clip"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_linear("TMPD", self.likelihood)
        if self.indefinite not in WORDS:
            what, call = (
                f"`indefinite` must be one of {', '.join(WORDS)}",
                "TMPD(prior, likelihood, 'clip')",
            )
            raise ValueError(checks.complaint(what, repr(self.indefinite), call))

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' A' (A C A' + noise_cov)^-1 (y - A m), with J = dm/dx_t. ``(*batch, d)``."""
        if at.learned and self.indefinite == "step":
            return self._stepped(at)
        return super().guide(at, t)

    def _stepped(self, at: DenoisingPosterior) -> State:
        """J' A' u, u = z r.z / (r.z + z.A C A' z): one step of conjugate gradients from 0.

        z = noise_cov^-1 r is what DPS takes for u, and r = y - A m.
        """
        operator, r = require_linear("TMPD", self.likelihood), self.likelihood.residual(at.mean)
        z = self.likelihood.noise.solve(r)
        back = operator.adjoint(z)
        alone = (r * z).sum(-1, keepdim=True)
        more = (back * at.cov_product(back)).sum(-1, keepdim=True).clamp(min=0.0)
        share = torch.where(alone > 0, alone / (alone + more), 1.0)  # without a residual, none
        return at.vjp(operator.adjoint(share.where(alone.isfinite(), alone) * z))

    def treated(self, spread: Tensor) -> Tensor:
        """A C A' as it is used for a learned denoiser; "step" is treated as "clip" here."""
        if self.indefinite == "keep":
            return spread
        if self.indefinite == "diagonal":
            return torch.diag_embed(spread.diagonal(dim1=-2, dim2=-1).clamp(min=0.0))
        return self.clipped(spread)[0]

    def clipped(
        self, spread: Float[Tensor, "*batch m m"]
    ) -> tuple[Float[Tensor, "*batch m m"], Bool[Tensor, "*batch"]]:
        """``spread`` made symmetric, its negative eigenvalues set to 0; and which rows had some.

        A row counts only if an eigenvalue is below 0 by more than rounding. Both have the batch of
        ``spread``, ``(*batch, m, m)``.
        """
        even = (spread + spread.mT) / 2
        largest = even.diagonal(dim1=-2, dim2=-1).abs().amax(-1)
        floor = ROUNDING * (largest + self.likelihood.noise.variances.min())
        if not checks.transformed(even):
            shift = torch.diag_embed(floor.unsqueeze(-1).expand(spread.shape[:-1]))
            failed = torch.linalg.cholesky_ex(even + shift)[1] != 0
            if not bool(failed.any()):  # this test costs a tenth of the eigenvalues
                return even, failed
        values, vectors = torch.linalg.eigh(even.nan_to_num(0.0))
        positive = (vectors * values.clamp(min=0.0).unsqueeze(-2)) @ vectors.mT
        below = values.amin(-1) < -floor
        return torch.where(below[..., None, None], positive, even), below

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Spread:
        """C, as ``at``: only A C A' is formed, because C would be ``(d, d)`` for each row."""
        return at


@dataclass(frozen=True)
class DiagonalTMPD(TMPD):
    """TMPD with A C A' replaced by the diagonal matrix of its row sums: one product instead of m.

    (Boys et al., 2024) use it for images. Where A C A' is not diagonal, its row sums are not its
    diagonal, and they may be negative. Needs a Linear operator and independent noise, and raises
    ValueError for others.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        noise = self.likelihood.noise
        if noise.full and bool(noise.std.tril(-1).any()):
            what = (
                "DiagonalTMPD needs independent noise: it would forget how two errors go together"
            )
            call = "TMPD(prior, likelihood), which takes any noise_cov"
            raise UnsupportedLikelihood(checks.complaint(what, noise.cov.tolist(), call))

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' A' D^-1 (y - A m), with D the row sums of A C A' plus the noise. ``(*batch, d)``."""
        residual, spread = self._residual_and_spread(at)
        return at.vjp(self._operator.adjoint(residual / spread))

    def log_likelihood(self, x: State, t: Time) -> Tensor:
        """log N(y; A m, D), with D the row sums of A C A' plus the noise, in nats. ``(*batch,)``.

        NaN where an entry of D is negative.
        """
        residual, spread = self._residual_and_spread(self.prior.at(x, t))
        return -0.5 * (residual**2 / spread + (2 * torch.pi * spread).log()).sum(-1)

    def _residual_and_spread(self, at: DenoisingPosterior) -> tuple[Tensor, Tensor]:
        """y - A m, and the diagonal D. Each ``(*batch, m)``."""
        back = self._operator.adjoint(torch.ones_like(self.likelihood.y))  # A' 1
        row_sums = self._operator.apply(at.cov_product(back.expand_as(at.x)))  # of A C A'
        residual = self.likelihood.residual(at.mean)
        return residual, row_sums + self.likelihood.noise.variances

    @property
    def _operator(self) -> Linear:
        return require_linear("TMPD", self.likelihood)
