"""A distribution of x_0, seen at every diffusion time."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.moments import Latest, Moments
from fsps_lite.priors import Empirical, GaussianMixture, ShardedEmpirical
from fsps_lite.schedules import Schedule
from fsps_lite.types import LogDensity, Prior, Scale, State, Time, Where

KNOWN = Empirical | GaussianMixture | ShardedEmpirical  # priors that answer by moments


@dataclass(frozen=True)
class Diffusion:
    """p(x_t), where x_t = alpha(t) x_0 + sigma(t) eps and x_0 ~ prior: score, denoiser, density.

    With a prior it is what a diffusion model knows. With ``prior.condition(likelihood)`` it is the
    exact posterior at every t, because conditioning and diffusing commute.

    Each method takes a cloud ``x`` of shape ``(*batch, d)`` in the prior's dtype and one time ``t``
    in [0, 1], and answers in the dtype of ``x``. It computes in float64, except where float32 atoms
    are far enough from t = 0 for float32 to be right to 1e-6 of the largest score. What was asked
    last is remembered: a score and its guidance, at one place and time, share one pass. Raises on a
    wrong shape, dtype or time; a row that is NaN stays NaN.
    """

    prior: Prior
    schedule: Schedule

    def __post_init__(self) -> None:
        if isinstance(self.prior, Schedule):
            got, call = type(self.prior).__name__, "Diffusion(prior, schedule)"
            raise TypeError(
                checks.complaint("`prior` must come first, before the schedule", got, call)
            )

    def to(self, where: Where) -> "Diffusion":
        """The same distribution in another dtype, or on another device."""
        return Diffusion(self.prior.to(where), self.schedule)

    def __call__(self, x: State, t: Time) -> State:
        """The score: a Diffusion is a PosteriorScore."""
        return self.score(x, t)

    def score(self, x: State, t: Time) -> State:
        """grad log p(x_t = x) = (alpha E[x_0 | x_t = x] - x) / sigma^2 (Tweedie; Robbins, 1956)."""
        x64, alpha, sigma = self._at(x, t)
        if sigma == 0:
            what = f"the score divides by sigma({float(t):g})^2: `t` must be above 0"
            raise ValueError(checks.complaint(what, float(t), "diffusion.score(x, 1e-3)"))
        return ((alpha * self._given(x64, alpha, sigma).mean - x64) / sigma**2).to(x.dtype)

    def denoise(self, x: State, t: Time) -> State:
        """E[x_0 | x_t = x], the mean of the clean signals that could have become x. Units of x."""
        return self._given(*self._at(x, t)).mean.to(x.dtype, copy=True)

    def denoise_cov_product(self, x: State, t: Time, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row."""
        call = "diffusion.denoise_cov_product(x, 0.5, torch.ones_like(x))"
        checks.floating("v", v, call)
        checks.shape("v", v, tuple(x.shape), call)
        checks.same_dtype("v", v, "x", x.dtype, call)
        return self._given(*self._at(x, t)).cov_product(v.double()).to(x.dtype)

    def denoise_vjp(self, x: State, t: Time, v: State) -> State:
        """J' v with J = dE[x_0 | x_t]/dx_t = alpha / sigma^2 Cov[x_0 | x_t], a symmetric matrix."""
        alpha, variance = self.schedule.alpha(t), self.schedule.variance(t)
        return alpha / variance * self.denoise_cov_product(x, t, v)

    def denoise_cov(self, x: State, t: Time) -> Float[Tensor, "*batch d d"]:
        """Cov[x_0 | x_t = x], the spread of those signals. ``(*batch, d, d)``, units of x^2."""
        columns = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        products = [self.denoise_cov_product(x, t, v.expand_as(x)) for v in columns]
        return torch.stack(products, dim=-1)

    def projected_cov(
        self, x: State, t: Time, matrix: Float[Tensor, "m d"]
    ) -> Float[Tensor, "*batch m m"]:
        """A Cov[x_0 | x_t = x] A', the spread of A x_0. ``(*batch, m, m)``, with no (d, d)."""
        call = f"diffusion.projected_cov(x, 0.5, torch.eye({self.prior.dim}, dtype=x.dtype))"
        checks.floating("matrix", matrix, call)
        checks.shape("matrix", matrix, ("m", self.prior.dim), call)
        checks.same_dtype("matrix", matrix, "x", x.dtype, call)
        return self._given(*self._at(x, t)).projected_cov(matrix.double()).to(x.dtype)

    def log_prob(self, x: State, t: Time) -> LogDensity:
        """log p(x_t = x), in nats."""
        return self._given(*self._at(x, t)).log_prob.to(x.dtype, copy=True)

    def sample(self, n: int, t: Time, *, generator: torch.Generator) -> State:
        """Draw ``n`` points of p(x_t) with no integrator: x_0 first, then the noise. ``(n, d)``."""
        checks.scalar_time(t, "diffusion.sample(1000, 0.5, generator=g)")
        x0 = self.prior.sample(n, generator=generator)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
        return self.schedule.alpha(t) * x0 + self.schedule.sigma(t) * eps

    def sample_denoised(self, x: State, t: Time, *, generator: torch.Generator) -> State:
        """Draw x_0 from p(x_0 | x_t = x), one for each row of the ``(n, d)`` cloud."""
        x64, alpha, sigma = self._at(x, t)
        dim, dtype = self.prior.dim, self.prior.dtype
        call = f"diffusion.sample_denoised(torch.zeros(5, {dim}, dtype={dtype}), 0.5, generator=g)"
        checks.shape("x", x, ("n", dim), call)
        lost = ~x64.isfinite().all(-1, keepdim=True)  # such a row has no p(x_0 | x_t) to draw from
        clean = x64.masked_fill(lost, 0.0)
        exact = self.prior if isinstance(self.prior, Empirical) else self._exact
        x0 = exact.sample_denoised(clean.to(exact.dtype), alpha, sigma, generator=generator)
        return x0.masked_fill(lost, torch.nan).to(x.dtype)

    def _given(self, x64: State, alpha: Scale, sigma: Scale) -> Moments:
        """What the prior knows of x_0 given x_t: the answer before this, if it was asked that."""
        if not isinstance(self.prior, KNOWN):  # a network may have changed since
            return Moments(self._exact, x64, alpha, sigma)
        known = self._latest.at(x64, alpha, sigma)
        return known or self._latest.keep(self.prior.moments(x64.clone(), alpha, sigma))

    @cached_property
    def _latest(self) -> Latest:
        return Latest()

    @cached_property
    def _exact(self) -> Prior:
        """The prior in float64: at small t the score is a small difference of large numbers."""
        return self.prior.to(torch.float64)

    def _at(self, x: State, t: Time) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` in float64 with alpha and sigma at ``t``, after the checks."""
        dim, dtype = self.prior.dim, self.prior.dtype
        call = f"diffusion.score(torch.zeros(5, {dim}, dtype={dtype}), 0.5)"
        checks.state("x", x, dim, dtype, call)
        checks.scalar_time(t, call)
        return x.double(), self.schedule.alpha(t), self.schedule.sigma(t)
