"""Plug-and-play restoration by diffusion: a proximal step on y, then noise, old and new."""

from dataclasses import dataclass
from functools import cached_property

import torch

from fsps_lite import checks
from fsps_lite.operators import Linear
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.proximal import proximal_gradient, proximal_mean
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.types import State, Time

CALL = "DiffPIR(prior, likelihood, lam=8.0, zeta=0.1)"
WHY = "it starts from the pseudo-inverse of y"


@dataclass(frozen=True)
class DiffPIR(StepSampler):
    """x_s = alpha_s x_0^ + sigma_s (sqrt(1 - zeta) e^ + sqrt(zeta) eps) (Zhu et al., 2023).

    x_0^ = argmin_x |y - A x|^2 / noise_std^2 + lam |x - m|^2 / s_t^2, with m = E[x_0 | x_t], s =
    sigma / alpha and e^ = (x_t - alpha_t x_0^) / sigma_t; eps is standard normal. The data step is
    the mean shift of PiGDM with r_t^2 = s_t^2 / lam and no Jacobian. A point is carried on, and
    what is not known about it is not: the spread is that of the noise.

    For an operator that is not Linear, and for any with ``analytic=False``, the data step is one
    gradient step from m, x_0^ = m + s_t^2 / lam A'(m)' noise_cov^-1 (y - A(m)), as in the paper. It
    is right to first order in s_t^2 and too long while s_t is large: on the problem ``square`` the
    first steps throw all particles to the negative side, whose weight is .37 in truth. The
    published code clips m to the range of an image, so that nothing is thrown far.

    ``start`` begins late: at the first time of the grid that is not above it the cloud is replaced
    by a noised y, alpha A^+ y plus the noise that y does not have yet, and no step is taken before.
    It needs a Linear operator. The published code multiplies y by alpha_t / alpha_tau instead, with
    the tau at which x_tau has the noise of y.

    Published: 100 steps; lam near 8 in the paper's table and 1 in its code; zeta .1 for deblurring,
    .25 for super-resolution and 1 for inpainting; a start at the last time, where hardly any of y
    is left, so that the default is the cloud that is given. Raises ValueError unless lam > 0, zeta
    is in [0, 1] and start is in (0, 1], and UnsupportedLikelihood for a start without a Linear
    operator.
    """

    lam: int | float = 8.0
    zeta: int | float = 0.1
    analytic: bool = True
    start: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("lam", self.lam, CALL)
        checks.number("zeta", self.zeta, CALL, least=0.0, most=1.0)
        checks.kind("analytic", self.analytic, bool, CALL)
        if self.start is not None:
            linear_only("DiffPIR with a `start`", WHY, self.likelihood)
            checks.positive("start", self.start, "DiffPIR(prior, likelihood, start=0.5)")
            checks.number("start", self.start, "DiffPIR(prior, likelihood, start=0.5)", most=1.0)

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule, eps = self.prior.schedule, draw(x, generator)
        if self.start is not None and t > self.start:
            return self.noised(s, eps)
        x0 = self.restored(self.prior.denoise(x, t), t)
        e = (x - schedule.alpha(t) * x0) / schedule.sigma(t)
        noise = (1 - self.zeta) ** 0.5 * e + self.zeta**0.5 * eps
        moved: State = schedule.alpha(s) * x0 + schedule.sigma(s) * noise
        return moved

    def restored(self, m: State, t: Time) -> State:
        """x_0^, the denoised signal ``m`` moved towards y. ``(n, d)``."""
        operator, var = self.likelihood.operator, (-self.prior.schedule.log_snr(t)).exp() / self.lam
        if self.analytic and isinstance(operator, Linear):
            return proximal_mean(self.likelihood, operator, m, var)
        return proximal_gradient(self.likelihood, m, var)

    def noised(self, t: Time, eps: State) -> State:
        """alpha A^+ y, with noise of the variance sigma^2 less what y has of it. ``(n, d)``."""
        schedule, spectrum = self.prior.schedule, self.spectrum
        known = torch.where(spectrum.seen, schedule.alpha(t) * spectrum.noise, 0.0)
        rest = (schedule.variance(t) - known**2).clamp(min=0.0).sqrt()
        return spectrum.back(schedule.alpha(t) * spectrum.y + rest * eps).to(eps.dtype)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The measurement in the singular directions."""
        return Spectrum.of(self.likelihood, linear_only("DiffPIR", WHY, self.likelihood))
