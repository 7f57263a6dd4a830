"""What a method may know of a problem, and what it is asked for."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.diffusion import Diffusion
from fsps_lite.schedules import Schedule
from fsps_lite.types import LogLikelihood, State


@dataclass(frozen=True)
class Task:
    """All that a method may know: prior, likelihood, schedule, grid, start and generator.

    ``grid``, ``(T,)``, falls from noise to data. ``start``, ``(n, d)``, is the cloud at grid[0]
    from which the exact sampler starts too. ``generator`` begins with the seed of the report.
    ``keep_path`` says whether the report has a use for the path. A report has two tasks for each
    method: the second has a grid with twice the steps.
    """

    prior: Diffusion
    likelihood: LogLikelihood
    grid: Float[Tensor, "T"]
    start: State
    generator: torch.Generator
    keep_path: bool = False

    @property
    def schedule(self) -> Schedule:
        """The schedule of the prior."""
        return self.prior.schedule

    @property
    def n(self) -> int:
        """How many particles are asked for."""
        return len(self.start)
