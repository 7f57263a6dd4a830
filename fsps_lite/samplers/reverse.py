"""From noise to a sample: integrators of the reverse process.

An integrator is a function of a score, a schedule, a cloud and a grid of times; a generator gives
the noise. It does not use the likelihood, so that the exact posterior and every approximation run
through the same code.
"""

import torch
from torch import Tensor

from fsps_lite.samplers.kernels import (
    check_eta,
    ddpm_kernel,
    denoised,
    drawn,
    euler_maruyama_kernel,
    evaluate,
    examine,
)
from fsps_lite.samplers.trajectory import Trajectory, march
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, State


def euler_maruyama(
    score: PosteriorScore, schedule: Schedule, x: State, t: Tensor, *, generator: torch.Generator
) -> Trajectory:
    """The reverse SDE in steps of constant drift: weak order 1 (Song et al., 2021).

    x <- x - (drift x - diffusion score) dt + sqrt(diffusion dt) z

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. Raises ValueError or
    TypeError on a wrong shape, and where the score does not work row by row or has another
    schedule.
    """
    examine(score, schedule, x, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        return drawn(*euler_maruyama_kernel(score, schedule, x, t, s), generator)

    return march(step, x, t)


def ddpm(
    score: PosteriorScore,
    schedule: Schedule,
    x: State,
    t: Tensor,
    *,
    generator: torch.Generator,
    eta: float = 1.0,
) -> Trajectory:
    """Denoise, then add the noise of the next time: ancestral sampling at eta = 1, DDIM at eta = 0.

    x_s = alpha_s m + sqrt(sigma_s^2 - c^2) (x - alpha_t m) / sigma_t + c z, with the denoised m and
    c = eta times the standard deviation of p(x_s | x_t, x_0) (Ho et al., 2020; Song et al., 2021a).

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. Raises as
    :func:`euler_maruyama` does, and unless eta is in [0, 1].
    """
    check_eta(eta)
    examine(score, schedule, x, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        return drawn(*ddpm_kernel(score, schedule, x, t, s, eta=eta), generator)

    return march(step, x, t)


def ddim(score: PosteriorScore, schedule: Schedule, x: State, t: Tensor) -> Trajectory:
    """The first-order step of the probability flow, without noise (Song et al., 2021a).

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. Raises as
    :func:`euler_maruyama` does.
    """
    examine(score, schedule, x, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        return ddpm_kernel(score, schedule, x, t, s, eta=0.0)[0]

    return march(step, x, t)


def heun(score: PosteriorScore, schedule: Schedule, x: State, t: Tensor) -> Trajectory:
    """Heun's second-order rule on the probability flow (Karras et al., 2022); two scores per step.

    In u = x / alpha and r = sigma / alpha the flow is du/dr = -r alpha score, which is not stiff.

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. Raises as
    :func:`euler_maruyama` does.
    """
    examine(score, schedule, x, t)

    def slope(u: State, t: Tensor) -> State:
        alpha = schedule.alpha(t)
        return -schedule.sigma(t) * evaluate(score, alpha * u, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        dr = schedule.sigma(s) / schedule.alpha(s) - schedule.sigma(t) / schedule.alpha(t)
        u = x / schedule.alpha(t)
        first = slope(u, t)
        second = slope(u + dr * first, s) if schedule.sigma(s) > 0 else first  # Euler into t = 0
        return schedule.alpha(s) * (u + dr * (first + second) / 2)

    return march(step, x, t)


def dpm_solver(
    score: PosteriorScore,
    schedule: Schedule,
    x: State,
    t: Tensor,
    *,
    generator: torch.Generator,
    eta: float = 0.6,
) -> Trajectory:
    """(SDE-)DPM-Solver++(2M): exact in the linear part, the denoiser extrapolated from two steps.

    eta = 1 is the reverse SDE and eta = 0 the probability flow (Lu et al., 2022b). With an exact
    score every eta has the same densities p(x_t). The default keeps some noise, which lets the
    cloud recover from earlier errors. One score per step.

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. Raises as
    :func:`euler_maruyama` does, and unless eta is in [0, 1].
    """
    check_eta(eta)
    examine(score, schedule, x, t)
    before: list[Tensor] = []  # the denoised cloud and h of the step before

    def step(x: State, t: Tensor, s: Tensor) -> State:
        h = ((schedule.log_snr(s) - schedule.log_snr(t)) / 2).clamp(max=100.0)  # infinite for s = 0
        m = denoised(score, schedule, x, t)
        plain = not before or s == 0
        ahead = m if plain else m + (h / before[1] / 2) * (m - before[0])
        before[:] = [m, h]
        decay = torch.exp(-(eta**2) * h) * schedule.sigma(s) / schedule.sigma(t)
        gain = -schedule.alpha(s) * torch.expm1(-(1 + eta**2) * h)
        fresh = schedule.sigma(s) * (-torch.expm1(-2 * eta**2 * h)).sqrt()
        return drawn(decay * x + gain * ahead, fresh, generator)

    return march(step, x, t)
