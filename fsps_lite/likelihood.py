"""The likelihood of a measurement: y = A(x) + noise."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.noise import CALL, Noise, Std
from fsps_lite.operators import Linear, Nonlinear
from fsps_lite.types import LogDensity, Measurement, State, Where

ROWS = 4096  # the most signals that log_prob takes at a time


@dataclass(frozen=True)
class Likelihood:
    """p(y | x) = N(y; A(x), noise_std^2 I): how probable the measurement is if the signal is x.

    ``y`` is ``(m,)``; a NumPy array is copied. ``noise_std``, in units of y, is one number, or
    ``(m,)`` with one standard deviation per coordinate, or a lower-triangular ``(m, m)`` factor L
    of the covariance L L' (:meth:`with_cov` computes the factor). Raises ValueError or TypeError on
    wrong shapes or dtypes, NaN, and noise_std <= 0.
    """

    operator: Linear | Nonlinear
    y: Float[Tensor, "m"]
    noise_std: Std

    def __post_init__(self) -> None:
        checks.kind("operator", self.operator, (Linear, Nonlinear), CALL)
        object.__setattr__(self, "y", checks.array("y", self.y, CALL))
        checks.shape("y", self.y, ("m",), CALL)
        checks.finite("y", self.y, CALL)
        if isinstance(self.operator, Linear):
            checks.shape("y", self.y, (self.operator.out,), CALL)
            checks.same_dtype("y", self.y, "the operator", self.operator.dtype, CALL)
        Noise.of(self.noise_std, self.y)

    @classmethod
    def with_cov(
        cls, operator: Linear | Nonlinear, y: Float[Tensor, "m"], noise_cov: Float[Tensor, "m m"]
    ) -> "Likelihood":
        """The likelihood for noise with the covariance ``noise_cov``, ``(m, m)``, in units of y^2.

        Raises ValueError unless it is symmetric and positive definite.
        """
        call = "Likelihood.with_cov(operator, y, torch.eye(len(y), dtype=y.dtype))"
        checks.floating("noise_cov", noise_cov, call)
        checks.shape("noise_cov", noise_cov, (len(y), len(y)), call)
        factor, failed = torch.linalg.cholesky_ex(noise_cov)
        if failed or not torch.allclose(noise_cov, noise_cov.mT):
            what = "`noise_cov` must be symmetric and positive definite"
            raise ValueError(checks.complaint(what, noise_cov.tolist(), call))
        return cls(operator, y, factor)

    @property
    def noise(self) -> Noise:
        """The distribution of the noise, N(0, L L')."""
        std = torch.as_tensor(self.noise_std, dtype=self.y.dtype, device=self.y.device)
        return Noise(std, len(self.y))

    @property
    def noise_factor(self) -> Float[Tensor, "m m"]:
        """L, lower triangular, such that the noise is L eps. ``(m, m)``, units of y."""
        return self.noise.factor

    @property
    def noise_cov(self) -> Float[Tensor, "m m"]:
        """L L', the covariance of the noise. ``(m, m)``, units of y squared."""
        return self.noise.cov

    def log_prob(self, x: State) -> LogDensity:
        """log p(y | x) for each row of ``x``, in nats, with its normaliser. ``(*batch,)``."""
        if x.ndim == 2 and len(x) > ROWS:  # the residuals of all rows at once may be too large
            return torch.cat([self.log_prob(rows) for rows in x.split(ROWS)])
        return self.noise.log_prob(self.residual(x))

    def residual(self, x: State) -> Measurement:
        """y - A(x) for each row of ``x``, the noise that x implies. ``(*batch, m)``, units of y."""
        return self.y - self._predict(x)

    def simulate(self, x: State, *, generator: torch.Generator) -> Measurement:
        """Draw a measurement A(x) + noise for each row of ``x``. ``(*batch, m)``, units of y."""
        checks.generator(generator)
        clean = self._predict(x)
        device = generator.device
        eps = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=device)
        return clean + self.noise.colour(eps)

    def to(self, where: Where) -> "Likelihood":
        """The same likelihood in another dtype, or on another device."""
        checks.place(where)
        operator = self.operator.to(where) if isinstance(self.operator, Linear) else self.operator
        std = self.noise_std.to(where) if isinstance(self.noise_std, Tensor) else self.noise_std
        return Likelihood(operator, self.y.to(where), std)

    def _predict(self, x: State) -> Measurement:
        predicted = self.operator(x)
        checks.same_dtype("x", predicted, "y", self.y.dtype, "likelihood.log_prob(x.to(y.dtype))")
        checks.shape("A(x)", predicted, (*predicted.shape[:-1], len(self.y)), CALL)
        return predicted
