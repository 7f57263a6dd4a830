"""Decoupled annealing: guess the clean signal, move it towards y, and add fresh noise."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.isotropic import isotropic_var
from fsps_lite.likelihood import Likelihood
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.proximal import Langevin, proximal_draw
from fsps_lite.samplers.sampler import StepSampler, linear_only
from fsps_lite.schedules import VE
from fsps_lite.types import State, Time

CALL = "DAPS(prior, likelihood, inner=Langevin(steps=100, rate=1e-4), ode_steps=5)"
WHY = "with inner=None z is drawn exactly, by linear algebra"
POWER, FIRST, LAST, CLEAN = 7, 100.0, 0.1, 0.01  # of the published levels of sigma / alpha


@dataclass(frozen=True)
class DAPS(StepSampler):
    """x_s = alpha_s z + sigma_s eps, with z ~ N(h, r_t^2 I) p(y | z) (Zhang et al., 2025).

    h is the end of the probability flow from x_t, by ``ode_steps`` Euler steps in s = sigma /
    alpha; with one step h = E[x_0 | x_t]. N(h, r_t^2 I) stands for p(x_0 | x_t). x_s forgets x_t
    but for z, so that an error in p(x_0 | x_t) is made anew at each level. z is drawn by ``inner``,
    Langevin steps from h that take any operator, or exactly if ``inner`` is None and the operator
    is Linear.

    Published: r_t = s, which is ``data_var`` = inf in r_t^2 = 1 / (1 / data_var + 1 / s^2); 5 Euler
    steps; 100 Langevin steps of the rate 1e-4 (1 - .99 i / L) at level i; L = 200 levels of s from
    100 to 0.1, whose seventh roots are evenly spaced. Here the grid is the caller's, and i / L is
    that of the published level with this s. Below s = 0.1 nothing is published, and a rate that
    stays would exceed r_t^2 and diverge: there it falls as s^2. The rate is that of images. On
    two_atoms z hardly moves, and the answer is the prior: the weight of -1 is .50 in place of .083.
    For |A| = 1 and noise_std below .007 z diverges; their code then answers 0.

    Their experiments put ``tau`` = 0.01 in place of noise_std, whatever the noise is: on two_atoms
    the weight of -1 is then 0. Their code leaves out the 1/2 of the misfit, which is tau / sqrt(2),
    and ends the flow at s = 0.01, without the last step to 0. With a Gaussian prior of one
    variance, one Euler step, ``inner=None`` and that variance for data_var, each step is exact.
    Raises UnsupportedLikelihood for another operator where inner is None, and ValueError unless tau
    and data_var are positive.
    """

    inner: Langevin | None = Langevin()
    tau: int | float | None = None
    data_var: int | float = math.inf
    ode_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.kind("inner", self.inner, (Langevin, type(None)), CALL)
        if self.inner is None:
            linear_only("DAPS", WHY, self.likelihood)
        if self.tau is not None:
            checks.positive("tau", self.tau, CALL)
        checks.number("data_var", self.data_var, CALL, least=1e-300, most=math.inf)
        checks.count("ode_steps", self.ode_steps, CALL)

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule = self.prior.schedule
        h, var = self.flowed(x, t), isotropic_var(schedule, t, self.data_var)
        z = self.pulled(h, t, var, generator)
        return schedule.alpha(s) * z + schedule.sigma(s) * draw(x, generator)

    def flowed(self, x: State, t: Time) -> State:
        """h, the end of the flow du/ds = (u - m) / s from u = x_t / alpha, s to 0. ``(n, d)``."""
        schedule = self.prior.schedule
        levels = self._levels(t)
        seen = Diffusion(self.prior.prior, VE(sigma_max=levels[0], power=1.0))
        u = x / schedule.alpha(t)
        for now, after in zip(levels, [*levels[1:], 0.0], strict=True):
            m = seen.denoise(u, now / levels[0])
            u = m + after / now * (u - m)
        return u

    def pulled(self, h: State, t: Time, var: Tensor, generator: torch.Generator) -> State:
        """A draw of z. ``(n, d)``."""
        if self.inner is None:
            operator = linear_only("DAPS", WHY, self.believed)
            return proximal_draw(self.believed, operator, h, var, generator)
        s = self._level(t)
        root, first, last = (v ** (1 / POWER) for v in (s, FIRST, LAST))
        gone = min(1.0, max(0.0, (first - root) / (first - last)))  # i / L
        inner = self.inner.at(gone).slowed(min(1.0, (s / LAST) ** 2))
        return inner.draw(self.believed, h, var, generator)

    @property
    def believed(self) -> Likelihood:
        """The likelihood, with ``tau`` for its noise where that is given."""
        known = self.likelihood
        return known if self.tau is None else replace(known, noise_std=float(self.tau))

    def _level(self, t: Time) -> float:
        """s = sigma / alpha."""
        return float((-0.5 * self.prior.schedule.log_snr(t)).exp())

    def _levels(self, t: Time) -> list[float]:
        """The s at which the flow asks the denoiser; after the last comes 0."""
        first = self._level(t)
        last, few = min(first, CLEAN), max(1, self.ode_steps - 1)
        even = [k / few for k in range(self.ode_steps)]
        root, end = first ** (1 / POWER), last ** (1 / POWER)
        return [(root + share * (end - root)) ** POWER for share in even]
