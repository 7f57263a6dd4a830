"""When one stops, and what one shows: three ways to read a result from an unfinished run."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import Guidance
from fsps_lite.samplers.trajectory import Trajectory
from fsps_lite.types import State, Time

DIRECTIONS = 50  # random lines on which clouds of more than one dimension are compared


@dataclass(frozen=True)
class Stopping:
    """The distance to the posterior if one stopped at ``t``, for each way to read the result.

    ``raw`` is x_t / alpha, ``denoised`` E[x_0 | x_t] and ``drawn`` one exact draw of x_0 given x_t,
    both under the prior; each ``(T,)``, in units of x, and ``errors`` ``(T, 3)`` their standard
    errors. Only beside the exact sampler's own curves do they mean anything: also when nothing is
    wrong x_t / alpha is noisy, a mean is too narrow, and a draw under the prior forgets y.
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

    The distance is W1 on the line and sliced W1 otherwise.
    """
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


def distance(
    x: Float[Tensor, "n d"], y: Float[Tensor, "k d"], *, generator: torch.Generator
) -> Estimate:
    """W1 on the line, sliced W1 in more dimensions, with its standard error. Units of x.

    W1 = int |F - G| is the mean over y minus the mean over x of the function with the slope
    sign(F - G), and has the error of that difference (Vallender, 1974). A cloud that is not finite
    is infinitely far.
    """
    if not bool(torch.isfinite(x).all()):
        return Estimate(float("inf"), float("nan"))
    shadows, order = (torch.cat([x, y]) @ _directions(x, generator)).mT.sort()
    mass = torch.cat([x.new_full((len(x),), 1 / len(x)), y.new_full((len(y),), -1 / len(y))])
    ahead, gaps = mass[order].cumsum(-1)[:, :-1], shadows.diff()  # F - G, and where it is so
    steps = torch.nn.functional.pad(ahead.sign() * gaps, (1, 0)).cumsum(-1)
    potential = torch.zeros_like(steps).scatter(1, order, steps).mean(0)
    variances = (part.var() / len(part) for part in potential.split([len(x), len(y)]))
    return Estimate(float((ahead.abs() * gaps).sum(-1).mean()), float(sum(variances).sqrt()))


def _directions(x: State, generator: torch.Generator) -> Tensor:
    """Random unit vectors, ``(d, DIRECTIONS)``; the line has one direction."""
    if x.shape[-1] == 1:
        return x.new_ones(1, 1)
    size = x.shape[-1], DIRECTIONS
    u = torch.randn(size, generator=generator, dtype=x.dtype, device=generator.device)
    length: Tensor = u.norm(dim=0)
    return u / length


@dataclass(frozen=True)
class GuidedUntil:
    """A guided score whose guidance is switched off below the time ``until``: the prior alone."""

    guidance: Guidance
    until: int | float

    def __post_init__(self) -> None:
        if not 0 <= self.until <= 1:
            call = "GuidedUntil(DPS(prior, likelihood), until=0.1)"
            raise ValueError(checks.complaint("`until` must lie in [0, 1]", self.until, call))

    def __call__(self, x: State, t: Time) -> State:
        return self.guidance(x, t) if t >= self.until else self.guidance.prior.score(x, t)
