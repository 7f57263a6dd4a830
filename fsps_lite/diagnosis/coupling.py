"""Whether a particle moves by the others of its batch."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from fsps_lite.diagnosis.cells import answered, kind_at
from fsps_lite.diagnosis.counted import Counted
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.run import FAR
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diffusion import Diffusion
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples

PARTICLES, STEPS = 128, 10  # of the two runs


def coupling(problem: Problem, method: Method, how: Sampling) -> float:
    """How far particles move when others start elsewhere, in standard deviations of the cloud.

    Two runs have the same noise, and in the second one half of the particles start elsewhere. It is
    the largest move of the others, which is 0, but for rounding, where a particle does not depend
    on its batch. NaN for a method that names its runs, and so says which particles depend on each
    other. A method that does not use the start which it is given moves nothing, and is not found
    out.
    """
    short = replace(how, n=PARTICLES, steps=STEPS)
    before = _from(problem, method, short, None)
    if before.runs is not None:
        return math.nan
    moved = torch.arange(PARTICLES, device=before.x.device) < PARTICLES // 2
    after = _from(problem, method, short, moved)
    near = (before.x.norm(dim=-1) <= FAR) & (after.x.norm(dim=-1) <= FAR) & ~moved
    if not bool(near.any()):
        return math.nan
    away = (after.x - before.x)[near].norm(dim=-1).max()
    return float(away / before.x[near].var(0).sum().sqrt().clamp(min=1e-12))


def _from(problem: Problem, method: Method, how: Sampling, moved: Tensor | None) -> Samples:
    """The samples, where the particles that are ``moved`` start from other noise."""
    diffusion = Diffusion(Counted(problem.prior, []), problem.schedule)  # as in a run
    task = replace(how.task(problem, finer=False), prior=diffusion)
    if moved is not None:
        g = torch.Generator(problem.device).manual_seed(how.seed + 1)
        other = how.first(problem, task.grid[0], g)
        task = replace(task, start=task.start.where(~moved[:, None], other))
    return answered(kind_at(method, diffusion, problem), task, how)
