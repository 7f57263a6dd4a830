"""Denoising diffusion null-space models: the denoised signal is corrected to agree with y."""

from dataclasses import dataclass
from functools import cached_property

import torch

from fsps_lite import checks
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.types import State, Time

CALL = "DDNM(prior, likelihood, eta=0.85)"
WHY = "it works with the pseudo-inverse of the matrix"


@dataclass(frozen=True)
class DDNM(StepSampler):
    """x_s = alpha_s x_0^ + sigma_s (eta eps + sqrt(1 - eta^2) e), x_0^ = m + A^+ (y - A m) (Wang et
    al., 2023).

    m = E[x_0 | x_t], e = (x_t - alpha_t m) / sigma_t and eps is standard normal. x_0^ has the range
    part of y and the null part of m: the noise in y is taken for signal. Published: eta = 0.85 and
    100 steps; time travel, which repeats steps, is that of :class:`RePaint`, and is not built here.
    Needs a Linear operator; raises ValueError for another, and unless eta is in [0, 1].
    """

    eta: int | float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_only(type(self).__name__, WHY, self.likelihood)
        checks.number("eta", self.eta, CALL, least=0.0, most=1.0)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The measurement in the singular directions."""
        return Spectrum.of(self.likelihood, linear_only("DDNM", WHY, self.likelihood))

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule, spectrum = self.prior.schedule, self.spectrum
        m = self.prior.denoise(x, t)
        in_range = torch.where(spectrum.seen, spectrum.y - spectrum.into(m), 0.0)
        x0 = m + spectrum.back(in_range)
        e = (x - schedule.alpha(t) * m) / schedule.sigma(t)
        noise = self.eta * draw(x, generator) + (1 - self.eta**2) ** 0.5 * e
        moved: State = schedule.alpha(s) * x0 + schedule.sigma(s) * noise
        return moved


@dataclass(frozen=True)
class DDNMPlus(DDNM):
    """DDNM for a noisy y: correction and new noise shrink by direction (Wang et al., 2023).

    With A = U S V', n_i = noise_std / S_i and m' = V' m: x_0^ = m' + l (V' A^+ y - m'), where l_i =
    1 if sigma_s >= alpha_s n_i, else sigma_s sqrt(1 - eta^2) / (alpha_s n_i). The new noise of
    direction i has the variance sigma_s^2 - (alpha_s l_i n_i)^2, or eta^2 sigma_s^2 in the second
    case. A direction that A does not see moves as in :class:`DDNM`. It is DDRM with eta_b = 1, in
    other letters.
    """

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule, spectrum, n = self.prior.schedule, self.spectrum, self.spectrum.noise
        alpha, sigma, kept = schedule.alpha(s), schedule.sigma(s), (1 - self.eta**2) ** 0.5
        m = spectrum.into(self.prior.denoise(x, t))
        e = (spectrum.into(x) - schedule.alpha(t) * m) / schedule.sigma(t)
        noisy = sigma >= alpha * n
        correction = torch.where(noisy, 1.0, sigma * kept / (alpha * n))  # l
        x0 = m + torch.where(spectrum.seen, correction * (spectrum.y - m), 0.0)
        rest = (sigma**2 - (alpha * correction * n) ** 2).clamp(min=0.0).sqrt()
        fresh = torch.where(noisy, rest, self.eta * sigma) * draw(x, generator)
        old = torch.where(spectrum.seen, 0.0, kept * sigma * e)
        return spectrum.back(alpha * x0 + fresh + old)
