"""Plug-and-play restoration by diffusion: a proximal step on y, then noise, old and new."""

from dataclasses import dataclass

import torch

from fsps_lite import checks
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.proximal import proximal_mean
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.types import State, Time

CALL = "DiffPIR(prior, likelihood, lam=8.0, zeta=0.1)"
WHY = "its data step is solved in closed form"


@dataclass(frozen=True)
class DiffPIR(StepSampler):
    """x_s = alpha_s x_0^ + sigma_s (sqrt(1 - zeta) e^ + sqrt(zeta) eps) (Zhu et al., 2023).

    x_0^ = argmin_x |y - A x|^2 / noise_std^2 + lam |x - m|^2 / s_t^2, with m = E[x_0 | x_t], s =
    sigma / alpha and e^ = (x_t - alpha_t x_0^) / sigma_t; eps is standard normal. The data step is
    the mean shift of PiGDM with r_t^2 = s_t^2 / lam and no Jacobian. A point is carried on, and
    what is not known about it is not: the spread is that of the noise.

    Published: 100 steps; lam near 8 in the paper's table and 1 in its code; zeta .1 for deblurring,
    .25 for super-resolution and 1 for inpainting. Their code starts late, from a noised y, and not
    from noise. Needs a Linear operator; raises ValueError for another, and unless lam > 0 and zeta
    is in [0, 1].
    """

    lam: int | float = 8.0
    zeta: int | float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_only("DiffPIR", WHY, self.likelihood)
        checks.positive("lam", self.lam, CALL)
        checks.number("zeta", self.zeta, CALL, least=0.0, most=1.0)

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule, eps = self.prior.schedule, draw(x, generator)
        x0 = self.restored(self.prior.denoise(x, t), t)
        e = (x - schedule.alpha(t) * x0) / schedule.sigma(t)
        noise = (1 - self.zeta) ** 0.5 * e + self.zeta**0.5 * eps
        moved: State = schedule.alpha(s) * x0 + schedule.sigma(s) * noise
        return moved

    def restored(self, m: State, t: Time) -> State:
        """x_0^, the denoised signal ``m`` moved towards y. ``(n, d)``."""
        var = (-self.prior.schedule.log_snr(t)).exp() / self.lam
        return proximal_mean(self.likelihood, linear_only("DiffPIR", WHY, self.likelihood), m, var)
