"""The path of a cloud of particles through a reverse process."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from fsps_lite import checks
from fsps_lite.types import State, Time

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
CALL = "euler_maruyama(score, schedule, x, times(schedule, 250), generator=g)"
CALL_STEP = "march(lambda x, t, s: x + 0.0, x, t)"
SLOW = 5.0  # seconds before a progress bar appears


@dataclass(frozen=True)
class Trajectory:
    """Where the particles were: ``x[i]`` is the ``(n, d)`` cloud at time ``t[i]``, noise first.

    ``t`` is ``(T,)``, decreasing; ``x`` is ``(T, n, d)``. A particle that diverged is kept as it
    is, NaN included, so that it can be counted. Raises ValueError or TypeError on another shape, or
    a grid that does not decrease.
    """

    t: Float[Tensor, "T"]
    x: Float[Tensor, "T n d"]

    def __post_init__(self) -> None:
        call = "Trajectory(t, x.expand(len(t), *x.shape))"
        if len(self.t) != 1:  # a path may be a single time
            checks.falls("t", self.t, call)
        checks.floating("x", self.x, call)
        checks.shape("x", self.x, (len(self.t), "n", "d"), call)

    @property
    def final(self) -> State:
        """The cloud at the last time. ``(n, d)``."""
        return self.x[-1]

    def at(self, t: Time) -> State:
        """The cloud at the grid time nearest to ``t``. ``(n, d)``."""
        checks.number("t", t, "Trajectory(t, x.expand(len(t), *x.shape)).at(0.5)")
        return self.x[(self.t - t).abs().argmin()]

    def diverged(self, bound: float = 1e6) -> Bool[Tensor, "n"]:
        """Which particles end as NaN, infinite, or further than ``bound`` from 0. ``(n,)``.

        ``bound`` is in units of x.
        """
        distance: Tensor = self.final.norm(dim=-1)
        return ~(distance <= bound)


def march(step: Step, x: State, t: Float[Tensor, "T"]) -> Trajectory:
    """Carry the cloud ``x``, ``(n, d)``, along the grid ``t`` by ``x = step(x, t_now, t_next)``.

    Every integrator calls it with its own ``step``. It shows a progress bar on a long run, and
    warns of particles that diverged. Raises ValueError or TypeError where the grid does not
    decrease, where the cloud is not ``(n, d)``, and where ``step`` answers another shape or writes
    into its input.
    """
    _check(step, x, t)
    path, writes = [x], [checks.written(x)]
    pairs = list(zip(t[:-1], t[1:], strict=True))
    for now, after in tqdm(pairs, desc="reverse process", delay=SLOW, leave=False):
        path.append(step(path[-1], now, after))
        writes.append(checks.written(path[-1]))
        if len(path) == 2:
            checks.like("step(x, t, s)", path[1], x, CALL_STEP)
    _check_unwritten(path, writes)
    trajectory = Trajectory(t, torch.stack(path))
    lost, n = int(trajectory.diverged().sum()), len(x)
    if lost:
        text = f"{lost} of {n} particles diverged; see Trajectory.diverged(), or take more steps"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    return trajectory


def _check(step: Step, x: Tensor, t: Tensor) -> None:
    checks.function("step", step, CALL_STEP)
    checks.floating("x", x, CALL)
    checks.shape("x", x, ("n", "d"), CALL)
    checks.falls("t", t, CALL)


def _check_unwritten(path: list[Tensor], writes: list[int]) -> None:
    """Raise where a step, or a score in it, wrote into a cloud of the path."""
    for x, before in zip(path, writes, strict=True):
        checks.unwritten("step(x, t, s)", x, before, CALL_STEP)
