"""One step of a reverse process as a Gaussian: a mean for each particle, one deviation for all.

An integrator draws from it, and :func:`~fsps_lite.law` convolves with it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance import Guidance
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, Scale, State, Time

CALL = "euler_maruyama(lambda x, t: -x, schedule, x, t, generator=g)"
CALL_ONE = "euler_maruyama(diffusion, diffusion.schedule, x, t, generator=g)"
Step = tuple[State, Float[Tensor, ""]]  # mean and standard deviation


def bridge_kernel(
    schedule: Schedule, x0: State, x: State, t: Time, s: Time, *, eta: float = 1.0
) -> Step:
    """x_s between the clean end x_0 and the noisy end x_t = x: p(x_s | x_t, x_0) at eta = 1.

    mean = alpha_s x_0 + sqrt(sigma_s^2 - std^2) (x - alpha_t x_0) / sigma_t, with std = eta sigma_s
    sqrt(1 - SNR(t) / SNR(s)). Every eta gives the same p(x_s | x_0) (Song et al., 2021a). Raises
    ValueError unless eta is in [0, 1].
    """
    check_eta(eta)
    variance = schedule.variance(s)
    fresh = eta**2 * variance * forgotten(schedule, t, s)
    kept = (variance - fresh).sqrt() / schedule.sigma(t)
    return schedule.alpha(s) * x0 + kept * (x - schedule.alpha(t) * x0), fresh.sqrt()


def ddpm_kernel(
    score: PosteriorScore, schedule: Schedule, x: State, t: Time, s: Time, *, eta: float = 1.0
) -> Step:
    """The ancestral step: the bridge, with the denoised signal in place of x_0 (Ho et al., 2020).

    The mean is ``(n, d)`` and the standard deviation a number. Raises ValueError unless eta is in
    [0, 1].
    """
    return bridge_kernel(schedule, denoised(score, schedule, x, t), x, t, s, eta=eta)


def euler_maruyama_kernel(
    score: PosteriorScore, schedule: Schedule, x: State, t: Time, s: Time
) -> Step:
    """The step of the reverse SDE that keeps the drift constant (Song et al., 2021).

    mean = x - (drift x - diffusion score) dt, ``(n, d)``, and std = sqrt(diffusion dt), a number,
    with dt = t - s.
    """
    drift, diffusion = schedule.drift(t), schedule.diffusion(t)
    towards_data = -drift * x + diffusion * evaluate(score, x, t)
    return x + towards_data * (t - s), (diffusion * (t - s)).sqrt()


def drawn(mean: State, std: Scale, generator: torch.Generator) -> State:
    """One draw from the Gaussian of a step for each row. ``(n, d)``."""
    return mean + std * draw(mean, generator)


def denoised(score: PosteriorScore, schedule: Schedule, x: State, t: Time) -> State:
    """(x + sigma^2 score) / alpha, the E[x_0 | x_t] that the score implies (Tweedie)."""
    return (x + schedule.sigma(t) ** 2 * evaluate(score, x, t)) / schedule.alpha(t)


def forgotten(schedule: Schedule, t: Time, s: Time) -> Tensor:
    """1 - SNR(t) / SNR(s), the share of the noise variance of x_s that is left once x_t is known.

    Computed by expm1, which is accurate for s near t.
    """
    return -torch.expm1(schedule.log_snr(t) - schedule.log_snr(s))


def draw(x: State, generator: torch.Generator) -> State:
    """Standard Gaussian noise of the shape and dtype of ``x``."""
    checks.generator(generator)
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def evaluate(score: PosteriorScore, x: State, t: Time) -> State:
    """``score(x, t)``; raises ValueError unless it has the shape and dtype of ``x``."""
    value = score(x, t)
    checks.like("score(x, t)", value, x, CALL)
    return value


def examine(score: PosteriorScore, schedule: Schedule, x: State, t: Float[Tensor, "T"]) -> None:
    """Check once per run that the score works row by row and belongs to this schedule."""
    checks.function("score", score, CALL)
    checks.kind("schedule", schedule, Schedule, CALL)
    checks.floating("x", x, CALL)
    checks.shape("x", x, ("n", "d"), CALL)
    checks.falls("t", t, CALL)
    known = score.prior if isinstance(score, Guidance) else score
    if isinstance(known, Diffusion):
        same_schedule(known.schedule, schedule, t)
    checks.rowwise("score(x, t)", lambda x: evaluate(score, x, t[0]), x, CALL, drawn=True)


def same_schedule(one: Schedule, other: Schedule, t: Float[Tensor, "T"]) -> None:
    """Raise ValueError unless two schedules have the same scales at each time."""
    if one == other:
        return
    pairs = (one.alpha(t), other.alpha(t)), (one.sigma(t), other.sigma(t))
    if not all(torch.equal(mine, yours) for mine, yours in pairs):
        what = "the score and the integrator must have one `schedule`"
        raise ValueError(checks.complaint(what, f"{one} and {other}", CALL_ONE))


def check_eta(eta: float) -> None:
    """Raise unless eta lies between the probability flow (0) and the reverse SDE (1)."""
    checks.number(
        "eta", eta, "ddpm(score, schedule, x, t, generator=g, eta=1.0)", least=0.0, most=1.0
    )
