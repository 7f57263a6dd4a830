"""Denoising diffusion null-space models: the denoised signal is corrected to agree with y."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.samplers.travel import noised_again, travelled
from fsps_lite.types import State, Time

CALL = "DDNM(prior, likelihood, eta=0.85, travel_length=1, travel_repeat=1)"
WHY = "it works with the pseudo-inverse of the matrix"


@dataclass(frozen=True)
class DDNM(StepSampler):
    """x_s = alpha_s x_0^ + sigma_s (eta eps + sqrt(1 - eta^2) e), x_0^ = m + A^+ (y - A m) (Wang et
    al., 2023).

    m = E[x_0 | x_t], e = (x_t - alpha_t m) / sigma_t and eps is standard normal. x_0^ has the range
    part of y and the null part of m: the noise in y is taken for signal.

    With ``travel_repeat`` above 1 the run travels in time: parts of ``travel_length`` steps are
    taken so often, each time from a cloud that got its noise back, on the places of the grid that
    :class:`RePaint` repeats. In the paper the noise is added to x_s, and x_t has the law of the
    forward process given x_s. Their code adds it to the last m instead, and forgets x_s;
    ``travel_from_m`` does so.

    Published: eta = 0.85, 100 steps and no travel, which the paper uses for hard tasks alone. Needs
    a Linear operator; raises UnsupportedLikelihood for another, and ValueError unless eta is in
    [0, 1] and the travel's length and repeats are at least 1.
    """

    eta: int | float = 0.85
    travel_length: int = 1
    travel_repeat: int = 1
    travel_from_m: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_only(type(self).__name__, WHY, self.likelihood)
        checks.number("eta", self.eta, CALL, least=0.0, most=1.0)
        checks.count("travel_length", self.travel_length, CALL)
        checks.count("travel_repeat", self.travel_repeat, CALL)
        checks.kind("travel_from_m", self.travel_from_m, bool, CALL)

    @property
    def once(self) -> bool:
        """Whether a run takes each step once: it does not travel."""
        return self.travel_repeat == 1

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last cloud, at the time t[-1], with the path of the last visits. ``(n, d)``."""
        if self.once:
            return super().__call__(x, t, generator=generator)
        self.check_run(x, t, generator)
        schedule, before = self.prior.schedule, [x, t[0]]

        def step(x: State, t: Tensor, s: Tensor) -> State:
            before[:] = x, t
            return self.step(x, t, s, generator=generator)

        def back(x: State, s: Tensor, t: Tensor) -> State:
            if not self.travel_from_m:
                return noised_again(schedule, x, s, t, generator)
            m = self.prior.denoise(*before)
            return schedule.alpha(t) * m + schedule.sigma(t) * draw(x, generator)

        path = travelled(step, back, x, t, self.travel_length, self.travel_repeat)
        return Samples(path.final, time=t[-1], path=path)

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
