"""One step of a reverse process as a Gaussian: its mean for each place, and its one deviation.

An integrator draws from it, :func:`~fsps_lite.law` convolves with it, and it is written once.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, Scale, State, Time

Step = tuple[State, Float[Tensor, ""]]  # mean and standard deviation


def bridge_kernel(
    schedule: Schedule, x0: State, x: State, t: Time, s: Time, *, eta: float = 1.0
) -> Step:
    """x_s between the clean end x_0 and the noisy end x_t = x: p(x_s | x_t, x_0) at eta = 1.

    mean = alpha_s x_0 + sqrt(sigma_s^2 - std^2) (x - alpha_t x_0) / sigma_t, with std = eta sigma_s
    sqrt(1 - SNR(t) / SNR(s)): the same p(x_s | x_0) for every eta (Song et al., 2021a).
    """
    check_eta(eta)
    variance = schedule.variance(s)
    fresh = eta**2 * variance * forgotten(schedule, t, s)
    kept = (variance - fresh).sqrt() / schedule.sigma(t)
    return schedule.alpha(s) * x0 + kept * (x - schedule.alpha(t) * x0), fresh.sqrt()


def ddpm_kernel(
    score: PosteriorScore, schedule: Schedule, x: State, t: Time, s: Time, *, eta: float = 1.0
) -> Step:
    """The ancestral step: the bridge to the denoised signal, taken for x_0 (Ho et al., 2020)."""
    return bridge_kernel(schedule, denoised(score, schedule, x, t), x, t, s, eta=eta)


def euler_maruyama_kernel(
    score: PosteriorScore, schedule: Schedule, x: State, t: Time, s: Time
) -> Step:
    """The step of constant drift of the reverse SDE (Song et al., 2021).

    mean = x - (drift x - diffusion score) dt, std = sqrt(diffusion dt), dt = t - s.
    """
    drift, diffusion = schedule.drift(t), schedule.diffusion(t)
    towards_data = -drift * x + diffusion * evaluate(score, x, t)
    return x + towards_data * (t - s), (diffusion * (t - s)).sqrt()


def drawn(mean: State, std: Scale, generator: torch.Generator) -> State:
    """One draw of a step for each row."""
    return mean + std * draw(mean, generator)


def denoised(score: PosteriorScore, schedule: Schedule, x: State, t: Time) -> State:
    """(x + sigma^2 score) / alpha, the signal that the score believes in (Tweedie)."""
    return (x + schedule.sigma(t) ** 2 * evaluate(score, x, t)) / schedule.alpha(t)


def forgotten(schedule: Schedule, t: Time, s: Time) -> Tensor:
    """1 - SNR(t) / SNR(s), the share of x_s that x_t forgot; by expm1, exact for s near t."""
    return -torch.expm1(schedule.log_snr(t) - schedule.log_snr(s))


def draw(x: State, generator: torch.Generator) -> State:
    """Standard Gaussian noise of the shape and dtype of ``x``."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def evaluate(score: PosteriorScore, x: State, t: Time) -> State:
    """``score(x, t)``, after making sure that it answers one row for each row."""
    value = score(x, t)
    if not isinstance(value, Tensor) or value.shape != x.shape or value.dtype != x.dtype:
        shape = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value)
        what = f"`score(x, t)` must return a tensor like x, {tuple(x.shape)} {x.dtype}"
        call = "euler_maruyama(lambda x, t: -x, schedule, x, t, generator=g)"
        raise ValueError(checks.complaint(what, shape, call))
    return value


def check_eta(eta: float) -> None:
    """eta lies between the probability flow (0) and the reverse SDE (1)."""
    if not 0 <= eta <= 1:
        call = "ddpm(score, schedule, x, t, generator=g, eta=1.0)"
        raise ValueError(checks.complaint("`eta` must lie in [0, 1]", eta, call))
