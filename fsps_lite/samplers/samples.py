"""Finished samples: where a sampler ended, with the weights and the runs of its particles."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.schedules import Schedule
from fsps_lite.types import State, Time

CALL = "Samples(x, log_weights=torch.zeros(len(x)), runs=torch.arange(len(x)) % 20)"


@dataclass(frozen=True)
class Samples:
    """A cloud ``x``, ``(n, d)``, of draws of p(x_time | y), and how they depend on each other.

    ``time`` is where the sampler stopped, 0 if at the signal itself. ``log_weights``, ``(n,)``, are
    in nats and up to a constant. ``runs``, ``(n,)`` whole numbers, say in which run a particle was
    made: runs are independent, and particles of one run need not be. Without ``runs`` all particles
    count as independent. ``path`` is the way of the particles along the grid of the task, if it was
    kept. ``log_evidence``, ``(R,)``, are estimates of log p(y) in nats, one for each run, where the
    sampler has them. Raises ValueError or TypeError on wrong shapes, weights that are NaN or leave
    no particle, and a single run, which says nothing of its own error.
    """

    x: Float[Tensor, "n d"]
    time: Time = 0.0
    log_weights: Float[Tensor, "n"] | None = None
    runs: Tensor | None = None
    path: Trajectory | None = None
    log_evidence: Float[Tensor, "R"] | None = None

    def __post_init__(self) -> None:
        checks.floating("x", self.x, CALL)
        checks.shape("x", self.x, ("n", "d"), CALL)
        checks.number("time", self.time, "Samples(x, time=0.02)", least=0.0, most=1.0)
        if self.log_weights is not None:
            self._check_weights(self.log_weights)
        if self.runs is not None:
            self._check_runs(self.runs)
        checks.kind("path", self.path, (Trajectory, type(None)), CALL)
        if self.log_evidence is not None:
            checks.floating("log_evidence", self.log_evidence, CALL)
            checks.shape("log_evidence", self.log_evidence, ("R",), CALL)

    def noised(self, schedule: Schedule, t: Time, *, generator: torch.Generator) -> State:
        """The particles with the noise of ``t``, which is not below ``time``. ``(n, d)``."""
        eps = torch.randn(
            self.x.shape, generator=generator, dtype=self.x.dtype, device=self.x.device
        )
        shrunk = schedule.alpha(t) / schedule.alpha(self.time)
        rest = schedule.variance(t) - shrunk**2 * schedule.variance(self.time)
        return shrunk * self.x + rest.clamp(min=0.0).sqrt() * eps

    def _check_weights(self, log_weights: object) -> None:
        checks.floating("log_weights", log_weights, CALL)
        assert isinstance(log_weights, Tensor)
        checks.shape("log_weights", log_weights, (len(self.x),), CALL)
        top = log_weights.max()
        if bool(log_weights.isnan().any()) or not bool(top.isfinite()):
            what = "`log_weights` must be below infinity, not NaN, and leave a particle some weight"
            raise ValueError(checks.complaint(what, float(top), CALL))

    def _check_runs(self, runs: object) -> None:
        checks.kind("runs", runs, Tensor, CALL)
        assert isinstance(runs, Tensor)
        checks.shape("runs", runs, (len(self.x),), CALL)
        if runs.is_floating_point() or runs.is_complex():
            raise TypeError(checks.complaint("`runs` must be whole numbers", runs.dtype, CALL))
        if len(torch.unique(runs)) < 2:
            what = "`runs` must name two runs or more: one run says nothing of its own error"
            raise ValueError(checks.complaint(what, f"only the run {int(runs[0])}", CALL))
