"""Early stopping: three ways to read a result from an unfinished run."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.distances import distance
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.types import State


@dataclass(frozen=True)
class Stopping:
    """The distance to the posterior if one stopped at ``t``, for each way to read the result.

    ``raw`` reads x_t / alpha, ``denoised`` reads E[x_0 | x_t], and ``drawn`` reads one draw of x_0
    given x_t; the last two are under the prior. Each is ``(T,)``, in units of x; ``errors``, ``(T,
    3)``, are their standard errors. Compare each curve with that of the exact sampler. Even for an
    exact sampler x_t / alpha is noisy, a mean is too narrow, and a draw under the prior forgets y.
    """

    t: Float[Tensor, "T"]
    raw: Float[Tensor, "T"]
    denoised: Float[Tensor, "T"]
    drawn: Float[Tensor, "T"]
    errors: Float[Tensor, "T 3"]


def early_stopping(
    trajectory: Trajectory, prior: Diffusion, truth: State, *, generator: torch.Generator
) -> Stopping:
    """Stop at every time of the trajectory, and compare with the cloud ``truth`` of p(x_0 | y).

    ``truth`` is ``(n, d)``. The distance is W1 on the line and sliced W1 in more dimensions. Raises
    ValueError or TypeError on a wrong shape or kind.
    """
    call = "early_stopping(Trajectory(t, x.expand(len(t), *x.shape)), diffusion, x, generator=g)"
    checks.kind("trajectory", trajectory, Trajectory, call)
    checks.kind("prior", prior, Diffusion, call)
    checks.floating("truth", truth, call)
    checks.shape("truth", truth, ("n", trajectory.x.shape[-1]), call)
    rows = []
    for t, x in zip(trajectory.t, trajectory.x, strict=True):
        at = prior.at(x, t)
        readings = x / at.alpha, at.mean, at.sample(generator=generator)
        found = [distance(cloud, truth, generator=generator) for cloud in readings]
        rows.append([[d.value, d.error] for d in found])
    t = trajectory.t
    values, errors = torch.tensor(rows, dtype=torch.float64, device=t.device).unbind(-1)
    raw, denoised, drawn = values.unbind(1)
    return Stopping(t, raw, denoised, drawn, errors)
