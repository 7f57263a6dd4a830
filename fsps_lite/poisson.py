"""Counts of photons: a measurement whose noise is not Gaussian."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators import Linear, Nonlinear
from fsps_lite.types import LogDensity, Measurement, State, Where

CALL = "PoissonLikelihood(operator, y, gain=10.0, background=20.0)"


@dataclass(frozen=True)
class PoissonLikelihood:
    """p(y | x) = prod_i Poisson(y_i; rate_i) with rate = gain A(x) + background: photon counts.

    ``y`` is ``(m,)`` and holds whole numbers of at least 0, in a floating dtype. ``gain`` is a
    positive number, in counts per unit of A(x); ``background``, in counts, is one number or
    ``(m,)``. For a prior of centred pictures, whose brightness is scale x + mean, n photons for a
    brightness of 1 are ``gain=n * data.scale, background=n * A(data.mean)``, for a linear A. A
    signal with a negative rate has probability 0. It conditions an ``Empirical`` prior. Raises
    ValueError or TypeError on wrong shapes or dtypes, and on counts that are none.
    """

    operator: Linear | Nonlinear
    y: Float[Tensor, "m"]
    gain: float = 1.0
    background: float | Float[Tensor, "m"] = 0.0

    def __post_init__(self) -> None:
        checks.kind("operator", self.operator, (Linear, Nonlinear), CALL)
        object.__setattr__(self, "y", checks.array("y", self.y, CALL))
        checks.shape("y", self.y, ("m",), CALL)
        if not bool((self.y.isfinite() & (self.y >= 0) & (self.y == self.y.round())).all()):
            what = "`y` must hold whole numbers of at least 0: it counts"
            raise ValueError(checks.complaint(what, self.y.tolist(), CALL))
        if isinstance(self.operator, Linear):
            checks.shape("y", self.y, (self.operator.out,), CALL)
            checks.same_dtype("y", self.y, "the operator", self.operator.dtype, CALL)
        checks.positive("gain", self.gain, CALL)
        checks.number("gain", self.gain, CALL)
        background = checks.as_tensor("background", self.background, self.y, CALL)
        checks.positive("background", background, CALL, zero=True)
        if background.ndim:
            checks.shape("background", background, tuple(self.y.shape), CALL)

    def rate(self, x: State) -> Measurement:
        """gain A(x) + background, the mean of y. ``(*batch, m)``, in counts."""
        return self.gain * self.operator(x) + self.background

    def log_prob(self, x: State) -> LogDensity:
        """log p(y | x) for each row of ``x``, in nats, with its normaliser. ``(*batch,)``.

        It is y log(rate) - rate - log(y!), summed; -inf where a rate is below 0.
        """
        rate = self.rate(x)
        checks.same_dtype("x", rate, "y", self.y.dtype, "likelihood.log_prob(x.to(y.dtype))")
        each = torch.xlogy(self.y, rate) - rate - torch.lgamma(self.y + 1)
        return each.masked_fill(rate < 0, -torch.inf).sum(-1)

    def simulate(self, x: State, *, generator: torch.Generator) -> Measurement:
        """Draw counts for each row of ``x``. ``(*batch, m)``.

        Raises ValueError where a rate is below 0.
        """
        checks.generator(generator)
        rate = self.rate(x)
        if not bool((rate >= 0).all()):
            what = "the rate gain A(x) + background must be at least 0"
            raise ValueError(checks.complaint(what, f"{float(rate.min()):.4g}", CALL))
        return torch.poisson(rate, generator=generator)

    def to(self, where: Where) -> "PoissonLikelihood":
        """The same likelihood in another dtype, or on another device."""
        checks.place(where)
        operator = self.operator.to(where) if isinstance(self.operator, Linear) else self.operator
        known = self.background
        background = known.to(where) if isinstance(known, Tensor) else known
        return PoissonLikelihood(operator, self.y.to(where), self.gain, background)
