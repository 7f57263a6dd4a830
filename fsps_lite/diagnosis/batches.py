"""Draws of a method at many measurements, in few passes: one row of y for each particle."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.measured import measured, with_measurement
from fsps_lite.diagnosis.method import SamplerMethod, ScoreMethod, made_of
from fsps_lite.diagnosis.run import Integrator
from fsps_lite.likelihood import Likelihood
from fsps_lite.measures.groups import resampled
from fsps_lite.noise import Noise
from fsps_lite.problems import Problem
from fsps_lite.samplers import Sampler
from fsps_lite.types import Measurement, PosteriorScore, State, Time

ROWS = 500  # particles of a pass at most: a guidance takes up to 512 rows for a small problem
ENTRIES = 2**22  # of the covariances of y in a pass, one (m, m) for each particle
AGREE = 1e-6  # of the largest score: how far a pass over many y may be from one y alone
ASKED = 3  # measurements at which the two are compared


@dataclass(frozen=True)
class Rows(Likelihood):
    """A likelihood whose ``y`` is ``(n, m)``: row i of a cloud of n belongs to row i of y."""

    y: Float[Tensor, "n m"]

    def __post_init__(self) -> None:
        checks.shape("y", self.y, ("n", "m"), "Rows(operator, y, noise_std)")

    @property
    def noise(self) -> Noise:
        """The noise of one row."""
        std = torch.as_tensor(self.noise_std, dtype=self.y.dtype, device=self.y.device)
        return Noise(std, self.y.shape[1])

    def _predict(self, x: State) -> Measurement:
        predicted: Tensor = self.operator(x)
        return predicted


def draws_at(
    problem: Problem,
    method: ScoreMethod | SamplerMethod,
    y: Float[Tensor, "Y m"],
    start: Float[Tensor, "Y L d"],
    t: Float[Tensor, "T"],
    integrator: Integrator,
    generator: torch.Generator,
) -> Float[Tensor, "Y L d"]:
    """The method's draws at each y: L particles from ``start``, along the grid ``t``.

    All y go in few passes where the method's score answers many y at once as it answers each
    alone; else, and for a sampler, each y is run alone, which takes longer.
    """
    size = max(1, min(ROWS, ENTRIES // y.shape[1] ** 2) // start.shape[1])
    parts = []
    for some, first in zip(y.split(size), start.split(size), strict=True):
        score = _at_once(problem, method, some, first, t)
        asked = [(score, first)] if score else _alone(problem, method, some, first)
        for one, cloud in asked:
            flat = _run(one, problem, cloud.flatten(0, 1), t, integrator, generator)
            parts.append(flat.reshape(cloud.shape))
    return torch.cat(parts)


def _alone(
    problem: Problem, method: ScoreMethod | SamplerMethod, y: Tensor, start: Tensor
) -> Sequence[tuple[PosteriorScore | Sampler, Tensor]]:
    """The score or sampler of each y, and where its particles start."""
    made = [made_of(with_measurement(problem, one), method) for one in y]
    return list(zip(made, start.split(1), strict=True))


def _run(
    score: PosteriorScore | Sampler,
    problem: Problem,
    x: State,
    t: Tensor,
    integrator: Integrator,
    generator: torch.Generator,
) -> State:
    if isinstance(score, Sampler):
        found = score(x, t, generator=generator)
        cloud = found.noised(problem.schedule, t[-1], generator=generator)
        if found.log_weights is None:
            return cloud
        weights = found.log_weights.double().softmax(0)
        return resampled(cloud, weights, len(cloud), generator=generator)
    known = score, problem.schedule, x, t
    if "generator" in inspect.signature(integrator).parameters:
        return integrator(*known, generator=generator).final
    return integrator(*known).final


def _at_once(
    problem: Problem, method: ScoreMethod | SamplerMethod, y: Tensor, start: Tensor, t: Tensor
) -> PosteriorScore | None:
    """One score for all y, or None where the method takes one y only."""
    n, draws = start.shape[:2]
    known = measured(problem)
    likelihood = Rows(known.operator, y.repeat_interleave(draws, 0), known.noise_std)
    x = start.flatten(0, 1)
    try:
        made = method(problem.diffusion, likelihood)
        if isinstance(made, Sampler):
            return None
        score = _padded(made, x)
        for k in torch.linspace(0, n - 1, min(n, ASKED), device="cpu").long().tolist():
            alone = made_of(with_measurement(problem, y[k]), method)
            if isinstance(alone, Sampler):
                return None
            for time in (t[0], t[len(t) // 2]):
                whole, one = score(x, time)[k * draws : (k + 1) * draws], alone(start[k], time)
                if not bool(((whole - one).abs() <= AGREE * one.abs().max()).all()):
                    return None
    except Exception:  # whatever it is, the runs of each y alone say it again, or go well
        return None
    return score


def _padded(score: PosteriorScore, cloud: State) -> PosteriorScore:
    """A score of whole clouds, which also answers the first rows of one."""

    def padded(x: State, t: Time) -> State:
        if len(x) == len(cloud):
            return score(x, t)
        return score(torch.cat([x, cloud[len(x) :]]), t)[: len(x)]

    return padded
