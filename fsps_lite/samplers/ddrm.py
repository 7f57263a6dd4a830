"""Denoising diffusion restoration: each singular direction of A takes its part of y."""

from dataclasses import dataclass
from functools import cached_property

import torch

from fsps_lite import checks
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.types import State, Time

CALL = "DDRM(prior, likelihood, eta=0.85, eta_b=1.0)"
WHY = "it works in the singular directions of the matrix"


@dataclass(frozen=True)
class DDRM(StepSampler):
    """x_s by singular directions of A, from the denoised signal and y (Kawar et al., 2022).

    With A = U S V' let z = V' x_t / alpha_t, m = V' E[x_0 | x_t], y_i = (U'y)_i / S_i, its noise
    n_i = noise_std / S_i, s = sigma / alpha, and eps standard normal. Then V' x_s / alpha_s is

    - m + sqrt(1 - eta^2) s_s (z - m) / s_t + eta s_s eps, where S_i = 0;
    - m + sqrt(1 - eta^2) s_s (y - m) / n + eta s_s eps, where s_s < n;
    - (1 - eta_b) m + eta_b y + sqrt(s_s^2 - eta_b^2 n^2) eps, where s_s >= n.

    Published: eta = 0.85, eta_b = 1 and 20 steps. With eta_b = 1 the prior does not act in a
    direction that A sees until s_s < n. The noise of a step does not shrink with the step, so that
    there is no limit of small steps: on N(0, 1) with y = 1 and noise_std 0.5, mean and standard
    deviation are .784 and .242 at 20 steps, .974 and .075 at 400; the truth is .800 and .447. The
    run starts from the cloud that it is given, which y has not touched; with eta_b = 1 a direction
    that A sees forgets it in one step. Needs a Linear operator; raises ValueError for another, and
    unless eta and eta_b are in [0, 1].
    """

    eta: int | float = 0.85
    eta_b: int | float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_only(type(self).__name__, WHY, self.likelihood)
        for name in ("eta", "eta_b"):
            checks.number(name, getattr(self, name), CALL, least=0.0, most=1.0)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The measurement in the singular directions."""
        return Spectrum.of(self.likelihood, linear_only("DDRM", WHY, self.likelihood))

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule, spectrum, kept = self.prior.schedule, self.spectrum, (1 - self.eta**2) ** 0.5
        s_t, s_s = (schedule.sigma(u) / schedule.alpha(u) for u in (t, s))
        m, z = spectrum.into(self.prior.denoise(x, t)), spectrum.into(x / schedule.alpha(t))
        y, n, eps = spectrum.y, spectrum.noise, draw(x, generator)
        unseen = m + kept * s_s * (z - m) / s_t + self.eta * s_s * eps
        late = m + kept * s_s * (y - m) / n + self.eta * s_s * eps
        fresh = (s_s**2 - self.eta_b**2 * n**2).clamp(min=0.0).sqrt()
        early = (1 - self.eta_b) * m + self.eta_b * y + fresh * eps
        moved = torch.where(spectrum.seen, torch.where(s_s < n, late, early), unseen)
        return schedule.alpha(s) * spectrum.back(moved)
