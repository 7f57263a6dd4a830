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


class UnsupportedLikelihood(ValueError):
    """A method does not take this operator, or this noise; the message names those that do.

    :func:`fsps_lite.diagnosis.leaderboard.rank` leaves such a cell empty, and passes on every other
    error.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Likelihood:
    """p(y | x) = N(y; A(x), noise_std^2 I): how probable the measurement is if the signal is x.

    ``y`` is ``(m,)``; a NumPy array is copied. A batch of measurements is ``(Y, m)``. Signals are
    then ``(*batch, Y, d)``, one for each y, and so is every answer; a guidance takes such clouds,
    and ``prior.condition_each`` conditions on all y at once. ``noise_std``, in units of y, is one
    number, or ``(m,)`` with one standard deviation per coordinate, or a lower-triangular ``(m, m)``
    factor L of the covariance L L' (:meth:`with_cov` computes the factor). Raises ValueError or
    TypeError on wrong shapes or dtypes, NaN, and noise_std <= 0.
    """

    operator: Linear | Nonlinear
    y: Float[Tensor, "*Y m"]
    noise_std: Std

    def __post_init__(self) -> None:
        checks.kind("operator", self.operator, (Linear, Nonlinear), CALL)
        object.__setattr__(self, "y", checks.array("y", self.y, CALL))
        many = ("Y",) if self.y.ndim == 2 else ()
        checks.shape("y", self.y, (*many, "m"), CALL)
        checks.finite("y", self.y, CALL)
        if isinstance(self.operator, Linear):
            checks.shape("y", self.y, (*many, self.operator.out), CALL)
            checks.same_dtype("y", self.y, "the operator", self.operator.dtype, CALL)
        Noise.of(self.noise_std, self.y[0] if many else self.y)

    @classmethod
    def with_cov(
        cls, operator: Linear | Nonlinear, y: Float[Tensor, "*Y m"], noise_cov: Float[Tensor, "m m"]
    ) -> "Likelihood":
        """The likelihood for noise with the covariance ``noise_cov``, ``(m, m)``, in units of y^2.

        Raises ValueError unless it is symmetric and positive definite.
        """
        m = y.shape[-1]
        call = f"Likelihood.with_cov(operator, y, torch.eye({m}, dtype=y.dtype))"
        checks.floating("noise_cov", noise_cov, call)
        checks.shape("noise_cov", noise_cov, (m, m), call)
        factor, failed = torch.linalg.cholesky_ex(noise_cov)
        if failed or not torch.allclose(noise_cov, noise_cov.mT):
            what = "`noise_cov` must be symmetric and positive definite"
            raise ValueError(checks.complaint(what, noise_cov.tolist(), call))
        return cls(operator, y, factor)

    @property
    def noise(self) -> Noise:
        """The distribution of the noise, N(0, L L')."""
        std = torch.as_tensor(self.noise_std, dtype=self.y.dtype, device=self.y.device)
        return Noise(std, self.y.shape[-1])

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
        # the residuals of all rows at once may be too large
        if x.ndim == 2 and self.y.ndim == 1 and len(x) > ROWS:
            return torch.cat([self.log_prob(rows) for rows in x.split(ROWS)])
        return self.noise.log_prob(self.residual(x))

    def log_prob_each(self, x: Float[Tensor, "N d"]) -> Float[Tensor, "Y N"]:
        """log p(y_j | x_i) of each y of a batch and each row of ``x``, in nats. ``(Y, N)``.

        Raises TypeError where y is one measurement.
        """
        require_batch(self, "likelihood")
        white, seen = self.noise.whiten(self.y), self.noise.whiten(self._predict(x))
        apart = torch.cdist(white, seen, compute_mode="donot_use_mm_for_euclid_dist")
        return self.noise.log_prob(torch.zeros_like(self.y[0])) - 0.5 * apart.square()

    def residual(self, x: State) -> Measurement:
        """y - A(x) for each row of ``x``, the noise that x implies. ``(*batch, m)``, units of y.

        Raises ValueError where y is a batch ``(Y, m)`` and x is not ``(*batch, Y, d)``.
        """
        predicted = self._predict(x)
        if self.y.ndim == 2 and (predicted.ndim < 2 or predicted.shape[-2] != len(self.y)):
            what = f"`x` must be (*batch, {len(self.y)}, d), a row for each y of the batch"
            call = "likelihood.residual(x.unsqueeze(-2).expand(-1, len(likelihood.y), -1))"
            raise ValueError(checks.complaint(what, tuple(x.shape), call))
        return self.y - predicted

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
        checks.shape("A(x)", predicted, (*predicted.shape[:-1], self.y.shape[-1]), CALL)
        return predicted


def require_batch(likelihood: object, asked: str) -> None:
    """Raise TypeError unless this is a Likelihood whose y is a batch ``(Y, m)``."""
    if isinstance(likelihood, Likelihood) and likelihood.y.ndim == 2:
        return
    what = f"`{asked}.{'condition_each' if asked == 'prior' else 'log_prob_each'}` takes a batch"
    got = f"a y of shape {tuple(likelihood.y.shape)}" if isinstance(likelihood, Likelihood) else ""
    call = "Likelihood(operator, y, noise_std), where y has shape (Y, m)"
    raise TypeError(checks.complaint(what, got or checks.described(likelihood), call))


def refuse_batch(likelihood: object) -> None:
    """Raise ValueError where the y of a likelihood is a batch, and one is asked for."""
    if isinstance(likelihood, Likelihood) and likelihood.y.ndim == 2:
        what = "one measurement y of shape (m,) is conditioned on here"
        call = "prior.condition_each(likelihood), which takes a batch of y"
        raise ValueError(checks.complaint(what, f"a batch {tuple(likelihood.y.shape)}", call))
