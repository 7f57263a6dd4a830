"""How a run is made: the particles, the grid, the first cloud."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.kinds import Integrator
from fsps_lite.diagnosis.method import CALL
from fsps_lite.diagnosis.run import STOP
from fsps_lite.diagnosis.task import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.samplers import dpm_solver, times
from fsps_lite.schedules import Schedule
from fsps_lite.types import Prior, State, Time

PARTICLES, OF_DATA = 2000, 400  # by default; the second where each score looks at much data
MUCH = 50_000  # numbers in the atoms of a prior, from which on it counts as data


@dataclass(frozen=True)
class Sampling:
    """How a run is made, the same for the method and the exact sampler.

    ``n`` particles take ``steps`` steps from ``start`` to ``stop``, even in log-SNR, or those of
    ``grid``. They start from noise of the level at ``start``, or from the cloud ``start_from``,
    ``(n, d)``. Without ``n`` there are 2,000, or 400 where the atoms of the prior hold 50,000
    numbers or more. The method sees the learned ``network`` in place of the prior, if there is one.
    """

    n: int | None = None
    steps: int = 250
    seed: int = 0
    start: float | None = None
    stop: float = STOP
    integrator: Integrator = dpm_solver
    grid: Float[Tensor, "T"] | None = None
    start_from: Float[Tensor, "n d"] | None = None
    network: Prior | None = None

    def __post_init__(self) -> None:
        if self.n is not None:
            checks.count("n", self.n, CALL)
        checks.count("steps", self.steps, CALL)
        checks.seed(self.seed, CALL)

    def particles(self, problem: Problem) -> int:
        """How many particles there are."""
        if self.start_from is not None:
            return len(self.start_from)
        if self.n is not None:
            return self.n
        prior = problem.prior
        many = isinstance(prior, Empirical) and prior.atoms.numel() >= MUCH
        return OF_DATA if many else PARTICLES

    def settings(self, problem: Problem) -> dict[str, int]:
        """The settings that a report prints."""
        steps = self.steps if self.grid is None else len(self.grid) - 1
        return {"n": self.particles(problem), "steps": steps, "seed": self.seed}

    def task(self, problem: Problem, finer: bool, prior: Diffusion | None = None) -> Task:
        """What a method is asked: on the grid, or on the finer one, from the same noise.

        It sees ``prior``, if it is given, and else what :meth:`seen` says.
        """
        g = torch.Generator(problem.device).manual_seed(self.seed)
        t = self.times(problem.schedule, finer).to(problem.device)
        start = self.first(problem, t[0], g)
        seen = self.seen(problem) if prior is None else prior
        return Task(seen, problem.likelihood, t, start, g, keep_path=not finer)

    def seen(self, problem: Problem) -> Diffusion:
        """The prior that a method sees: the learned one, if there is one."""
        prior = problem.prior if self.network is None else self.network
        return Diffusion(prior, problem.schedule)

    def times(self, schedule: Schedule, finer: bool) -> Float[Tensor, "T"]:
        """The grid of a run; with ``finer``, one more time between any two."""
        if self.grid is None:
            steps = 2 * self.steps if finer else self.steps
            return times(schedule, steps, start=self.start, stop=self.stop)
        middles = torch.stack([self.grid[:-1], (self.grid[:-1] + self.grid[1:]) / 2], -1).flatten()
        return torch.cat([middles, self.grid[-1:]]) if finer else self.grid

    def first(self, problem: Problem, t: Time, generator: torch.Generator) -> State:
        """The first cloud: the same noise for every score."""
        if self.start_from is not None:
            return self.start_from
        dim, dtype, n = problem.prior.dim, problem.prior.dtype, self.particles(problem)
        return problem.schedule.noise(n, dim, t=t, generator=generator, dtype=dtype)
