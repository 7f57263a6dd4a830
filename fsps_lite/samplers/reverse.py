"""From noise to a sample: integrators of the reverse process, and the grids that they walk.

An integrator is a function of a score, a schedule, a cloud and a grid of times; the noise is
injected through the generator. It knows nothing of likelihoods, so that the exact posterior and
every approximation of it run through the same code.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.samplers.trajectory import Trajectory, march
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, State, Time


def times(
    schedule: Schedule,
    steps: int = 50,
    *,
    start: float = 1.0,
    stop: float = 1e-3,
    spacing: Literal["log_snr", "time"] = "log_snr",
) -> Float[Tensor, "T"]:
    """``steps + 1`` times from ``start`` down to ``stop``, even in log-SNR or in time. Float64.

    Even steps in log-SNR put the work where the cloud takes shape; see (Lu et al., 2022b). With the
    default, :func:`dpm_solver` is as near to the law of its score as 20,000 particles can tell, on
    every problem of the gallery with d <= 2 (benchmarks/integrators.py).
    """
    _check_grid(schedule, steps, start, stop, spacing)
    even = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device="cpu")
    if spacing == "time":
        t = start + (stop - start) * even
    else:
        first, last = schedule.log_snr(start), schedule.log_snr(stop)
        t = _invert(schedule, first + (last - first) * even)
    t[0], t[-1] = start, stop
    return t


def euler_maruyama(
    score: PosteriorScore, schedule: Schedule, x: State, t: Tensor, *, generator: torch.Generator
) -> Trajectory:
    """The reverse SDE in steps of constant drift: weak order 1 (Song et al., 2021).

    x <- x - (drift x - diffusion score) dt + sqrt(diffusion dt) z
    """

    def step(x: State, t: Tensor, s: Tensor) -> State:
        drift, diffusion = schedule.drift(t), schedule.diffusion(t)
        towards_data = -drift * x + diffusion * evaluate(score, x, t)
        return x + towards_data * (t - s) + (diffusion * (t - s)).sqrt() * draw(x, generator)

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
    """Denoise, then noise again to the next level: ancestral sampling at eta = 1, DDIM at eta = 0.

    x_s = alpha_s m + sqrt(sigma_s^2 - c^2) (x - alpha_t m) / sigma_t + c z, with the denoised m and
    c = eta times the standard deviation of p(x_s | x_t, x_0) (Ho et al., 2020; Song et al., 2021a).
    """
    _check_eta(eta)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        m = (x + sigma**2 * evaluate(score, x, t)) / alpha
        fresh = eta**2 * schedule.variance(s) * forgotten(schedule, t, s)
        kept = (schedule.variance(s) - fresh).sqrt() * (x - alpha * m) / sigma
        return schedule.alpha(s) * m + kept + fresh.sqrt() * draw(x, generator)

    return march(step, x, t)


def ddim(score: PosteriorScore, schedule: Schedule, x: State, t: Tensor) -> Trajectory:
    """The first-order step of the probability flow: no noise at all (Song et al., 2021a)."""

    def step(x: State, t: Tensor, s: Tensor) -> State:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        m = (x + sigma**2 * evaluate(score, x, t)) / alpha
        return schedule.alpha(s) * m + schedule.sigma(s) * (x - alpha * m) / sigma

    return march(step, x, t)


def heun(score: PosteriorScore, schedule: Schedule, x: State, t: Tensor) -> Trajectory:
    """Heun's second-order rule on the probability flow (Karras et al., 2022); two scores a step.

    In u = x / alpha and r = sigma / alpha the flow is du/dr = -r alpha score: nothing is stiff.
    """

    def slope(u: State, t: Tensor) -> State:
        alpha = schedule.alpha(t)
        return -schedule.sigma(t) * evaluate(score, alpha * u, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        dr = schedule.sigma(s) / schedule.alpha(s) - schedule.sigma(t) / schedule.alpha(t)
        u = x / schedule.alpha(t)
        first = slope(u, t)
        second = slope(u + dr * first, s)
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

    eta = 1 is the reverse SDE, eta = 0 the probability flow (Lu et al., 2022b), and all between
    keep the same densities; the default keeps some noise, which forgives. One score a step.
    """
    _check_eta(eta)
    before: list[Tensor] = []  # the denoised cloud and the step of the step before

    def step(x: State, t: Tensor, s: Tensor) -> State:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        h = ((schedule.log_snr(s) - schedule.log_snr(t)) / 2).clamp(max=100.0)  # inf into s = 0
        m = (x + sigma**2 * evaluate(score, x, t)) / alpha
        plain = not before or s == 0
        ahead = m if plain else m + (h / before[1] / 2) * (m - before[0])
        before[:] = [m, h]
        decay = torch.exp(-(eta**2) * h) * schedule.sigma(s) / sigma
        gain = -schedule.alpha(s) * torch.expm1(-(1 + eta**2) * h)
        fresh = schedule.sigma(s) * (-torch.expm1(-2 * eta**2 * h)).sqrt()
        return decay * x + gain * ahead + fresh * draw(x, generator)

    return march(step, x, t)


def exact_kernel(
    posterior: Diffusion, schedule: Schedule, x: State, t: Tensor, *, generator: torch.Generator
) -> Trajectory:
    """Draw x_0 from p(x_0 | x_t), then x_s from the bridge between them: no discretisation error.

    Exact in any number of steps, also in one, for an Empirical or a GaussianMixture.
    """
    if not isinstance(posterior, Diffusion):
        what = "the exact kernel must know p(x_0 | x_t): `posterior` must be a Diffusion"
        call = "exact_kernel(problem.posterior, problem.schedule, x, t, generator=g)"
        raise TypeError(checks.complaint(what, type(posterior).__name__, call))

    def step(x: State, t: Tensor, s: Tensor) -> State:
        x0 = posterior.sample_denoised(x, t, generator=generator)
        return bridge(schedule, x0, x, t, s, generator=generator)

    return march(step, x, t)


def bridge(
    schedule: Schedule, x0: State, x: State, t: Time, s: Time, *, generator: torch.Generator
) -> State:
    """Draw x_s from p(x_s | x_t, x_0) for s < t: between the noisy and the clean end (Ho, 2020)."""
    if not float(s) < float(t):
        call = "bridge(schedule, x0, x, 0.5, 0.4, generator=g)"
        got = f"s={float(s):g}, t={float(t):g}"
        raise ValueError(checks.complaint("`s` must be below `t`", got, call))
    alpha_s, variance_s = schedule.alpha(s), schedule.variance(s)
    share = forgotten(schedule, t, s)
    kept = (schedule.alpha(t) / alpha_s) * variance_s / schedule.variance(t)
    mean = alpha_s * share * x0 + kept * x
    return mean + (variance_s * share).sqrt() * draw(x, generator)


def forgotten(schedule: Schedule, t: Time, s: Time) -> Tensor:
    """1 - SNR(t) / SNR(s), the share of x_s that x_t forgot; by expm1, exact for s near t."""
    return -torch.expm1(schedule.log_snr(t) - schedule.log_snr(s))


def draw(x: State, generator: torch.Generator) -> State:
    """Standard Gaussian noise of the shape and dtype of ``x``."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def evaluate(score: PosteriorScore, x: State, t: Tensor) -> State:
    """``score(x, t)``, after making sure that it answers one row for each row."""
    value = score(x, t)
    if not isinstance(value, Tensor) or value.shape != x.shape or value.dtype != x.dtype:
        shape = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value)
        what = f"`score(x, t)` must return a tensor like x, {tuple(x.shape)} {x.dtype}"
        call = "euler_maruyama(lambda x, t: -x, schedule, x, t, generator=g)"
        raise ValueError(checks.complaint(what, shape, call))
    return value


def _check_eta(eta: float) -> None:
    """eta lies between the probability flow (0) and the reverse SDE (1)."""
    if not 0 <= eta <= 1:
        call = "ddpm(score, schedule, x, t, generator=g, eta=1.0)"
        raise ValueError(checks.complaint("`eta` must lie in [0, 1]", eta, call))


def _invert(schedule: Schedule, log_snr: Tensor) -> Tensor:
    """The times at which the schedule has these log-SNRs, by bisection: it falls with t."""
    low, high = torch.zeros_like(log_snr), torch.ones_like(log_snr)
    for _ in range(64):
        middle = (low + high) / 2
        noisy = schedule.log_snr(middle) < log_snr
        low, high = torch.where(noisy, low, middle), torch.where(noisy, middle, high)
    return (low + high) / 2


def _check_grid(schedule: Schedule, steps: int, start: float, stop: float, spacing: str) -> None:
    call = "times(schedule, 250, start=1.0, stop=1e-3)"
    checks.count("steps", steps, call)
    if not 0 <= stop < start <= 1:
        what = "`start` and `stop` must keep to 0 <= stop < start <= 1, from noise to data"
        raise ValueError(checks.complaint(what, f"start={start}, stop={stop}", call))
    if spacing not in ("log_snr", "time"):
        what = "`spacing` must be 'log_snr' or 'time'"
        raise ValueError(checks.complaint(what, repr(spacing), call))
    if schedule.alpha(start) < 1e-6:
        what = "`start` must leave some signal, alpha of at least 1e-6"
        got = f"start={start}, where alpha is {float(schedule.alpha(start)):.1e}"
        raise ValueError(checks.complaint(what, got, "times(schedule, 250, start=0.999)"))
    if spacing == "log_snr" and schedule.sigma(stop) == 0:
        what = "`stop` must leave some noise, or the log-SNR is infinite"
        raise ValueError(checks.complaint(what, f"stop={stop}, where sigma is 0", call))
