"""Clouds of {exact, learned} denoiser x {exact, approximate} guidance, all from one start."""

from dataclasses import dataclass
from functools import cached_property

import torch

from fsps_lite import checks
from fsps_lite.diagnosis.kinds import Drawn, Kind, Scored, integrated, marched
from fsps_lite.diagnosis.method import Method, kind_of
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diagnosis.task import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples
from fsps_lite.types import PosteriorScore, Prior, State, Time

CALL = "decompose(problem, network, DPS)"


@dataclass(frozen=True)
class Crossed:
    """The four clouds, ``(n, d)``, at the last time of the grid of ``how``.

    ``problem`` has the data prior, and ``network`` is the learned one. The two clouds that need no
    method are made once.
    """

    problem: Problem
    network: Prior
    how: Sampling

    @cached_property
    def neither(self) -> State:
        """Of the exact posterior, whose score has neither error."""
        score = self.problem.posterior
        return self._ended(Scored(lambda task: score), self.problem.diffusion)

    @cached_property
    def learned(self) -> State:
        """Of the learned denoiser with the exact grad log p(y | x_t) of the data prior."""
        return self._ended(Scored(lambda task: self._exactly_guided), self._learned)

    def approximate(self, method: Method) -> State:
        """Of the method on the exact denoiser."""
        return self._ended(kind_of(self.problem, method), self.problem.diffusion)

    def both(self, method: Method) -> State:
        """Of the method on the learned denoiser."""
        return self._ended(kind_of(self.problem, method, self._learned), self._learned)

    @property
    def stop(self) -> torch.Tensor:
        """The time of all clouds."""
        return self.how.times(self.problem.schedule, finer=False)[-1]

    @property
    def _learned(self) -> Diffusion:
        return Diffusion(self.network, self.problem.schedule)

    @property
    def _exactly_guided(self) -> PosteriorScore:
        learned, problem = self._learned, self.problem

        def score(x: State, t: Time) -> State:
            guide = problem.posterior.score(x, t) - problem.diffusion.score(x, t)
            return learned.score(x, t) + guide

        return score

    def _ended(self, kind: Kind, prior: Diffusion) -> State:
        """Where a method of any kind ends that sees this prior."""
        task = self.how.task(self.problem, finer=False, prior=prior)
        if isinstance(kind, Scored):
            rule = kind.integrator or self.how.integrator
            return integrated(kind.made(task), task, rule).final
        if isinstance(kind, Samples):
            what = "`method` must ask a denoiser, the exact one and the learned one"
            raise TypeError(checks.complaint(what, "finished samples", CALL))
        if isinstance(kind, Drawn):
            return noised(kind.drawn(task), task)
        return marched(kind.made(task), task).final


def noised(samples: Samples, task: Task) -> State:
    """Draws with the noise of the last time of the grid; of weighted ones as many, by weight.

    Raises ValueError where the sampler stopped before that time.
    """
    t, g = task.grid[-1], task.generator
    if float(samples.time) > float(t):
        what = f"`method` must go on to the last time of the grid, {float(t):.3g}"
        call = "Samples(x, time=float(task.grid[-1]))"
        raise ValueError(checks.complaint(what, f"a stop at {float(samples.time):.3g}", call))
    x = samples.noised(task.schedule, t, generator=g)
    if samples.log_weights is None:
        return x
    weights = samples.log_weights.double().softmax(0)
    return x[torch.multinomial(weights, len(x), replacement=True, generator=g)]
