"""Time travel: parts of a reverse process are taken again, from a cloud that got its noise back."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.samplers.kernels import draw, forgotten
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.schedules import Schedule
from fsps_lite.types import State, Time

Step = Callable[[State, Tensor, Tensor], State]


def visits(steps: int, length: int, repeats: int) -> list[int]:
    """The places of a grid of ``steps`` + 1 times in the order in which they are visited.

    As published (Lugmayr et al., 2022): parts of ``length`` steps are taken ``repeats`` times in
    all. The parts follow each other and end one step before the last. The last step is taken once,
    and so is what is left of the grid before the first whole part.
    """
    left = dict.fromkeys(range(steps - 1, length - 1, -length), repeats - 1)
    order, place = [0], 0
    while place < steps:
        place += 1
        order.append(place)
        if left.get(place, 0) > 0:
            left[place] -= 1
            place -= length
            order.append(place)
    return order


def travelled(
    step: Step, back: Step, x: State, t: Float[Tensor, "T"], length: int, repeats: int
) -> Trajectory:
    """The path of ``x`` along ``t``: of each time, the cloud of the last visit.

    ``step(x, t, s)`` goes from t to s < t, and ``back(x, s, t)`` from s to t > s.
    """
    order = visits(len(t) - 1, length, repeats)
    path = [x] * len(t)
    for now, after in zip(order[:-1], order[1:], strict=True):
        x = (step if now < after else back)(x, t[now], t[after])
        path[after] = x
    return Trajectory(t, torch.stack(path))


def noised_again(
    schedule: Schedule, x: State, s: Time, t: Time, generator: torch.Generator
) -> State:
    """x_t from x_s, s < t, by the forward process. ``(n, d)``."""
    std = schedule.sigma(t) * forgotten(schedule, t, s).sqrt()
    return schedule.alpha(t) / schedule.alpha(s) * x + std * draw(x, generator)
