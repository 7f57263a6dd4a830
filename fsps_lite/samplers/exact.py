"""The reverse process without error: a past is drawn, then a point of the bridge to it."""

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.samplers.kernels import bridge_kernel, drawn, same_schedule
from fsps_lite.samplers.trajectory import CALL, Trajectory, march
from fsps_lite.schedules import Schedule
from fsps_lite.types import State, Time


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
    checks.falls("t", t, CALL)
    same_schedule(posterior.schedule, schedule, t)

    def step(x: State, t: Tensor, s: Tensor) -> State:
        x0 = posterior.sample_denoised(x, t, generator=generator)
        return bridge(schedule, x0, x, t, s, generator=generator)

    return march(step, x, t)


def bridge(
    schedule: Schedule, x0: State, x: State, t: Time, s: Time, *, generator: torch.Generator
) -> State:
    """Draw x_s from p(x_s | x_t, x_0) for s < t: between the noisy and the clean end (Ho, 2020)."""
    call = "bridge(schedule, x0, x, 0.5, 0.4, generator=g)"
    checks.like("x0", x0, x, call)
    checks.number("t", t, call)
    checks.number("s", s, call)
    if not float(s) < float(t):
        got = f"s={float(s):g}, t={float(t):g}"
        raise ValueError(checks.complaint("`s` must be below `t`", got, call))
    return drawn(*bridge_kernel(schedule, x0, x, t, s), generator)
