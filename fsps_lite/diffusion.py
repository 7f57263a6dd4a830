"""A distribution of x_0, seen at every diffusion time."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks, tally
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.priors.answers import Answers, Lifted
from fsps_lite.schedules import Schedule
from fsps_lite.types import LogDensity, Prior, State, Time, Where


@dataclass(frozen=True)
class Diffusion:
    """p(x_t), where x_t = alpha(t) x_0 + sigma(t) eps and x_0 ~ prior: score, denoiser, density.

    ``Diffusion(prior, schedule)`` is what a diffusion model knows. ``Diffusion(posterior,
    schedule)`` with posterior = ``prior.condition(likelihood)`` is the exact posterior at every t,
    because conditioning and diffusing commute.

    Each method takes a cloud ``x`` of shape ``(*batch, d)`` in the prior's dtype, and one time
    ``t`` in [0, 1]. It answers in the dtype of ``x`` and computes in float64. There is one
    exception: float32 atoms are computed with in float32 where t is so large that the error stays
    below 1e-6 of the largest score. Nothing is stored between two calls: if you need two answers
    for the same x and t, call :meth:`at` once. Raises ValueError or TypeError on a wrong shape,
    dtype or time. A row that is NaN stays NaN.
    """

    prior: Prior
    schedule: Schedule

    def __post_init__(self) -> None:
        call = "Diffusion(prior, schedule)"
        dim, dtype = (getattr(self.prior, name, None) for name in ("dim", "dtype"))
        if not isinstance(dim, int) or not isinstance(dtype, torch.dtype):
            what = "`prior` must come first, and know its `dim` and `dtype`"
            raise TypeError(checks.complaint(what, checks.described(self.prior), call))
        checks.kind("schedule", self.schedule, Schedule, call)

    def to(self, where: Where) -> "Diffusion":
        """The same distribution in another dtype, or on another device."""
        return Diffusion(self.prior.to(where), self.schedule)

    def __call__(self, x: State, t: Time) -> State:
        """The score, ``(*batch, d)``: a Diffusion is a PosteriorScore."""
        return self.score(x, t)

    def at(self, x: State, t: Time) -> DenoisingPosterior:
        """p(x_0 | x_t = x), whose parts are the score, the denoiser, the covariance and so on.

        Each method below returns one part of it: ``diffusion.score(x, t)`` is ``diffusion.at(x,
        t).score``. Call :meth:`at` once if you need several parts: they share one pass over the
        prior.
        """
        call = f"diffusion.score(torch.zeros(5, {self.prior.dim}, dtype={self.prior.dtype}), 0.5)"
        checks.state("x", x, self.prior.dim, self.prior.dtype, call)
        checks.scalar_time(t, call)
        scales = self.schedule.alpha(t), self.schedule.sigma(t)
        with tally.asked(denoised=1):
            if isinstance(self.prior, Answers | Prior):  # a protocol is slow to check
                return self.prior.given(x, *scales)
            return Lifted(x, *scales, self.prior)

    def score(self, x: State, t: Time) -> State:
        """grad log p(x_t = x) = (alpha E[x_0 | x_t = x] - x) / sigma^2 (Tweedie; Robbins, 1956).

        ``(*batch, d)``, in 1 / units of x. Raises ValueError where sigma(t) is 0.
        """
        return self.at(x, t).score

    def denoise(self, x: State, t: Time) -> State:
        """E[x_0 | x_t = x], the mean of the clean signals that could have become x.

        ``(*batch, d)``, in units of x.
        """
        return self.at(x, t).mean

    def denoise_cov_product(self, x: State, t: Time, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row; ``v`` and the answer are ``(*batch, d)``."""
        return self.at(x, t).cov_product(v)

    def denoise_vjp(self, x: State, t: Time, v: State) -> State:
        """J' v with J = dE[x_0 | x_t]/dx_t = alpha / sigma^2 Cov[x_0 | x_t], a symmetric matrix.

        ``v`` and the answer are ``(*batch, d)``.
        """
        return self.at(x, t).vjp(v)

    def denoise_cov(self, x: State, t: Time) -> Float[Tensor, "*batch d d"]:
        """Cov[x_0 | x_t = x], the covariance of the clean signals that could have become x.

        ``(*batch, d, d)``, in units of x^2.
        """
        return self.at(x, t).cov

    def projected_cov(
        self, x: State, t: Time, matrix: Float[Tensor, "m d"]
    ) -> Float[Tensor, "*batch m m"]:
        """A Cov[x_0 | x_t = x] A', the covariance of A x_0, for A = ``matrix`` of shape ``(m, d)``.

        ``(*batch, m, m)``, in units of (A x)^2.
        """
        return self.at(x, t).projected_cov(matrix)

    def log_prob(self, x: State, t: Time) -> LogDensity:
        """log p(x_t = x), in nats. ``(*batch,)``."""
        return self.at(x, t).log_evidence

    def sample(self, n: int, t: Time, *, generator: torch.Generator) -> State:
        """Draw ``n`` points of p(x_t) with no integrator: x_0 first, then the noise. ``(n, d)``.

        Raises ValueError where ``t`` is more than one time, TypeError without a generator.
        """
        checks.scalar_time(t, "diffusion.sample(1000, 0.5, generator=g)")
        checks.generator(generator)
        x0 = self.prior.sample(n, generator=generator)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
        return self.schedule.alpha(t) * x0 + self.schedule.sigma(t) * eps

    def sample_denoised(self, x: State, t: Time, *, generator: torch.Generator) -> State:
        """Draw x_0 from p(x_0 | x_t = x), one for each row of the ``(n, d)`` cloud."""
        return self.at(x, t).sample(generator=generator)
