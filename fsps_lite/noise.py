"""The noise of a measurement: one deviation, one per coordinate, or a full covariance."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import LogDensity, Measurement

Std = int | float | Float[Tensor, ""] | Float[Tensor, "m"] | Float[Tensor, "m m"]
LARGEST = 2**28  # entries of the largest matrix that is formed
CALL = "Likelihood(Linear(torch.eye(2)), y=torch.zeros(2), noise_std=0.5)"


@dataclass(frozen=True)
class Noise:
    """N(0, L L') in ``size`` coordinates, in units of y.

    L is ``std``: one number, or ``(m,)`` with one number per coordinate, or a lower-triangular
    ``(m, m)`` factor. With a number or ``(m,)``, a matrix is formed only where ``factor``, ``cov``
    or a ``spread`` needs it. ``spread`` is a covariance that is added to that of the noise: ``(m,
    m)``, or ``(*batch, m, m)`` with one per row.
    """

    std: Float[Tensor, ""] | Float[Tensor, "m"] | Float[Tensor, "m m"]
    size: int

    @classmethod
    def of(cls, noise_std: Std, y: Float[Tensor, "m"]) -> "Noise":
        """The noise of a Likelihood with this ``noise_std``; dtype and device are those of ``y``.

        Raises ValueError or TypeError unless it is positive, finite, and of shape (), (m,) or (m,
        m).
        """
        if isinstance(noise_std, Tensor) and noise_std.ndim:
            checks.same_dtype("noise_std", noise_std, "y", y.dtype, CALL)
        std = checks.as_tensor("noise_std", noise_std, y, CALL)
        _check(noise_std if std.ndim == 0 else std, y)
        return cls(std, len(y))

    @property
    def full(self) -> bool:
        """Whether L is a matrix."""
        return self.std.ndim == 2

    @property
    def factor(self) -> Float[Tensor, "m m"]:
        """L, lower triangular, such that the noise is L eps. ``(m, m)``, units of y.

        Raises ValueError where independent noise would need a matrix of more than 2^28 entries, 2
        GB.
        """
        if not self.full and self.size**2 > LARGEST:
            what = "no matrix so large is made of a noise: `whiten`, `colour`, `solve` do without"
            raise ValueError(
                checks.complaint(what, f"m = {self.size}", "likelihood.noise.solve(r)")
            )
        return self.std if self.full else torch.diag_embed(self.std.expand(self.size))

    @property
    def cov(self) -> Float[Tensor, "m m"]:
        """L L', the covariance. ``(m, m)``, units of y squared."""
        return self.factor @ self.factor.mT

    @property
    def variances(self) -> Float[Tensor, "m"]:
        """The diagonal of the covariance. ``(m,)``, units of y squared."""
        square = self.std.square()
        return square.sum(-1) if self.full else square.expand(self.size)

    def whiten(self, r: Measurement) -> Measurement:
        """L^-1 r, row by row: standard normal if ``r`` is this noise. ``(*batch, m)``."""
        return _whitened(self.std, r) if self.full else r / self.std

    def colour(self, eps: Measurement) -> Measurement:
        """L eps, row by row: this noise if ``eps`` is standard normal. ``(*batch, m)``."""
        return eps @ self.std.mT if self.full else eps * self.std

    def cov_product(self, v: Measurement) -> Measurement:
        """L L' v, row by row. ``(*batch, m)``."""
        return self.colour(v @ self.std) if self.full else v * self.std**2

    def solve(self, r: Measurement, spread: Tensor | None = None) -> Measurement:
        """(spread + L L')^-1 r, row by row; NaN where that matrix is not positive definite.

        Computed in the dtype of ``spread``, and answered in that of ``r``.
        """
        if spread is None and not self.full:
            return r / self.std**2
        factor = self.std if spread is None else self._total(spread)
        return _by_rows(torch.cholesky_solve, r.to(factor.dtype), factor).to(r.dtype)

    def log_prob(self, r: Measurement, spread: Tensor | None = None) -> LogDensity:
        """log N(r; 0, spread + L L') of each row, in nats, with its normaliser. ``(*batch,)``."""
        if spread is None:
            white, scales = self.whiten(r), self.std.diagonal() if self.full else self.std
        else:
            factor = self._total(spread)
            white, scales = _whitened(factor, r.to(factor.dtype)), factor.diagonal(dim1=-2, dim2=-1)
        log_norm = scales.log().expand(*scales.shape[:-1], self.size).sum(-1)
        log_norm = log_norm + 0.5 * self.size * math.log(2 * math.pi)
        return (-0.5 * white.square().sum(-1) - log_norm).to(r.dtype)

    def _total(self, spread: Float[Tensor, "*each m m"]) -> Float[Tensor, "*each m m"]:
        """The Cholesky factor of spread + L L', ``(m, m)`` or one per row.

        NaN where the matrix is not positive definite.
        """
        own = self.cov if self.full else torch.diag_embed(self.variances)
        factor, failed = torch.linalg.cholesky_ex(spread + own.to(spread.dtype))
        return torch.where(failed.bool()[..., None, None], math.nan, factor)  # it has diverged


def _whitened(factor: Float[Tensor, "*each m m"], r: Measurement) -> Measurement:
    """factor^-1 r."""

    def solver(b: Tensor, a: Tensor) -> Tensor:
        whitened: Tensor = torch.linalg.solve_triangular(a, b, upper=False)
        return whitened

    return _by_rows(solver, r, factor)


def _by_rows(
    solver: Callable[[Tensor, Tensor], Tensor], r: Measurement, factor: Float[Tensor, "*each m m"]
) -> Measurement:
    """``solver`` for each row of ``r``; a factor that all rows share is not copied."""
    if factor.ndim > 2:
        return solver(r.unsqueeze(-1), factor).squeeze(-1)
    return solver(r.reshape(-1, r.shape[-1]).mT, factor).mT.reshape(r.shape)


def _check(noise_std: Std, y: Tensor) -> None:
    """Raise unless noise_std is positive numbers, one or (m,), or a lower-triangular factor."""
    if not isinstance(noise_std, Tensor) or noise_std.ndim == 0:
        return checks.positive("noise_std", noise_std, CALL)
    if noise_std.ndim == 2:
        checks.shape("noise_std", noise_std, (len(y), len(y)), CALL)
        checks.finite("noise_std", noise_std, CALL)
        if noise_std.triu(1).any():
            what = "a matrix `noise_std` must be a lower-triangular factor"
            call = "Likelihood.with_cov(operator, y, noise_cov)"
            raise ValueError(checks.complaint(what, noise_std.tolist(), call))
        return checks.positive("noise_std", noise_std.diagonal(), CALL)
    checks.shape("noise_std", noise_std, (len(y),), CALL)
    return checks.positive("noise_std", noise_std, CALL)
