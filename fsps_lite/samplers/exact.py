"""The reverse process without discretisation error: draw x_0, then a point of the bridge."""

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

    ``x`` is ``(n, d)`` at time t[0]; ``t`` is ``(T,)`` and decreases. The result is exact for any
    number of steps, even one, if the prior of ``posterior`` is an Empirical or a GaussianMixture.
    Raises TypeError unless ``posterior`` is a Diffusion, ValueError unless it has this schedule.
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
    """Draw x_s from p(x_s | x_t, x_0), between a noisy and a clean end (Ho et al., 2020).

    ``x0`` is the clean end and ``x`` the noisy one, x_t; both and the answer are ``(*batch, d)``.
    Raises ValueError unless s < t.
    """
    call = "bridge(schedule, x0, x, 0.5, 0.4, generator=g)"
    checks.like("x0", x0, x, call)
    checks.number("t", t, call)
    checks.number("s", s, call)
    if not float(s) < float(t):
        got = f"s={float(s):g}, t={float(t):g}"
        raise ValueError(checks.complaint("`s` must be below `t`", got, call))
    return drawn(*bridge_kernel(schedule, x0, x, t, s), generator)
