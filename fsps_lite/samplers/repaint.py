"""RePaint: what is seen is replaced by the measurement with noise, and steps are repeated."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.samplers.kernels import ddpm_kernel, draw, drawn, forgotten
from fsps_lite.samplers.sampler import Sampler, linear_only
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.types import State, Time

CALL = "RePaint(prior, likelihood, jump=10, repeats=10)"
WHY = "it replaces the coordinates that are seen"


@dataclass(frozen=True)
class RePaint(Sampler):
    """x_s = M (alpha_s y + sigma_s eps) + (1 - M) x_s' (Lugmayr et al., 2022).

    M marks the coordinates that a mask keeps, and x_s' is an ancestral step of the prior alone.
    After ``jump`` steps the cloud is diffused back to where they began, x_t = (alpha_t / alpha_s)
    x_s + noise, and they are taken again, ``repeats`` times in all: the unseen part comes to fit
    the seen part. With ``repeats`` = 1 the unseen part sees y through the model only once. The
    noise in y is taken for signal: a noisy y needs another method. Published: 250 steps, jump = 10
    and repeats = 10.

    Needs a mask, whose matrix has a single 1 in each row; raises ValueError for another operator,
    and unless jump and repeats are at least 1.
    """

    jump: int = 10
    repeats: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        _kept(self.likelihood)
        checks.count("jump", self.jump, CALL)
        checks.count("repeats", self.repeats, CALL)

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last cloud, at the time t[-1], with the path of the last repeats. ``(n, d)``."""
        checks.generator(generator)
        path = [x]
        for k in range(0, len(t) - 1, self.jump):
            block = t[k : k + self.jump + 1]
            for again in range(self.repeats):
                x = self._back(x, block[-1], block[0], generator) if again else path[k]
                part = [x]
                for now, after in zip(block[:-1], block[1:], strict=True):
                    x = self.step(x, now, after, generator=generator)
                    part.append(x)
            path += part[1:]
        return Samples(x, time=t[-1], path=Trajectory(t, torch.stack(path)))

    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """The update above. ``(n, d)``."""
        schedule = self.prior.schedule
        matrix = _kept(self.likelihood)
        free = drawn(*ddpm_kernel(self.prior, schedule, x, t, s), generator)
        y = self.likelihood.y @ matrix
        seen = schedule.alpha(s) * y + schedule.sigma(s) * draw(x, generator)
        return torch.where(matrix.sum(0) > 0, seen, free)

    def _back(self, x: State, s: Time, t: Time, generator: torch.Generator) -> State:
        """x_t from x_s, s < t, by the forward process."""
        schedule = self.prior.schedule
        std = schedule.sigma(t) * forgotten(schedule, t, s).sqrt()
        return schedule.alpha(t) / schedule.alpha(s) * x + std * draw(x, generator)


def _kept(likelihood: Likelihood) -> Tensor:
    """The matrix of a mask; raises UnsupportedLikelihood for any other operator."""
    operator = linear_only("RePaint", WHY, likelihood)
    matrix = operator.matrix
    ones = (matrix != 0).sum(-1) == 1
    if operator.offset is not None or not bool(ones.all()) or not bool((matrix.sum(-1) == 1).all()):
        what = f"RePaint needs a mask, a single 1 in each row of the matrix: {WHY}"
        raise UnsupportedLikelihood(checks.complaint(what, operator, "DDNM, DDRM, DiffPIR or DAPS"))
    return matrix
