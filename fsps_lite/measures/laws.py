"""The law of a sampler in one dimension, without particles: no Monte-Carlo error at all."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.samplers.kernels import ddpm_kernel, examine
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, Time

Step = Callable[[Tensor], tuple[Tensor, Tensor]]  # places -> means, and the one deviation
Kernel = Callable[[PosteriorScore, Schedule, Tensor, Time, Time], tuple[Tensor, Tensor]]
WIDTH = 7.0  # standard deviations after which the Gaussian of a step is cut off
SMALLEST = 1e-17  # a cell with less mass is dropped
FARTHEST = 0.4  # the most, in standard deviations of a step, between where neighbours land
LOOK = 500  # the score is checked at every 500th place
BROAD = 12.0  # cells per standard deviation: with more, a step is a convolution


@dataclass(frozen=True)
class Law:
    """The density of a sampler's particles at each time of its grid.

    ``t`` is ``(T,)``. At ``t[i]`` the density is ``density[i]``, in 1 / units of x, at the places
    ``places[i]``, which are evenly spaced, and as close as the step there needs. ``lost``,
    ``(T,)``, is the mass that has left the interval. Raises ValueError where the four differ in
    length.
    """

    t: Float[Tensor, "T"]
    places: tuple[Float[Tensor, "_"], ...]
    density: tuple[Float[Tensor, "_"], ...]
    lost: Float[Tensor, "T"]

    def __post_init__(self) -> None:
        if not 0 < len(self.t) == len(self.places) == len(self.density) == len(self.lost):
            what = "`t`, `places`, `density` and `lost` must be as many, and one at least"
            got = [len(v) for v in (self.t, self.places, self.density, self.lost)]
            raise ValueError(checks.complaint(what, got, "law(lambda x, t: -x, schedule, t)"))

    def expect(self, fn: Callable[[Tensor], Tensor]) -> Float[Tensor, "T"]:
        """The expectation of ``fn(x)`` at each time. ``(T,)``."""
        checks.function("fn", fn, "law(lambda x, t: -x, schedule, t).expect(torch.square)")
        pairs = zip(self.places, self.density, strict=True)
        return torch.stack([(fn(x) * p).sum() * (x[1] - x[0]) for x, p in pairs])

    @property
    def mean(self) -> Float[Tensor, "T"]:
        """The mean at each time, in units of x. ``(T,)``."""
        return self.expect(lambda x: x)

    @property
    def std(self) -> Float[Tensor, "T"]:
        """The standard deviation at each time, in units of x. ``(T,)``."""
        return (self.expect(torch.square) - self.mean**2).sqrt()

    def mass(self, lower: float, upper: float) -> Float[Tensor, "T"]:
        """The probability of lower < x <= upper at each time. ``(T,)``.

        A cell that lies partly inside counts in part.
        """

        def overlap(x: Tensor) -> Tensor:
            cell = x[1] - x[0]
            return ((upper - x) / cell + 0.5).clamp(0, 1) * ((x - lower) / cell + 0.5).clamp(0, 1)

        return self.expect(overlap)

    def on(self, x: Float[Tensor, "G"]) -> Float[Tensor, "T G"]:
        """The densities at the places ``x``, by linear interpolation, 0 outside. ``(T, G)``."""
        checks.floating("x", x, "law(lambda x, t: -x, schedule, t).on(torch.linspace(-1, 1, 9))")
        return torch.stack(
            [interpolate(x, a, p) for a, p in zip(self.places, self.density, strict=True)]
        )


def law(
    score: PosteriorScore,
    schedule: Schedule,
    t: Float[Tensor, "T"],
    *,
    kernel: Kernel | None = None,
    reach: float = 8.0,
    resolution: float = 3.0,
) -> Law:
    """Carry the density of x_t along the grid ``t`` by the Gaussian steps of an integrator.

    It starts from N(0, sigma^2) at t[0]; x is on the line and is followed on [-reach, reach]. One
    step takes each place to a Gaussian. The sum over places is a trapezoid rule, which converges
    exponentially for smooth functions. Each grid is ``resolution`` times finer than the noise of
    the step. ``kernel`` is :func:`~fsps_lite.samplers.ddpm_kernel` (the default) or
    :func:`~fsps_lite.samplers.euler_maruyama_kernel`. Raises ValueError unless ``t`` decreases and
    ends where sigma > 0.
    """
    kernel = kernel or ddpm_kernel
    _check(schedule, t, reach, resolution)
    x = torch.linspace(-reach, reach, 2001, dtype=torch.float64, device=t.device)
    examine(score, schedule, x[::LOOK].unsqueeze(-1), t)
    sigma = schedule.sigma(t[0])
    p = torch.exp(-((x / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    places, density, lost = [x], [p], [1 - p.sum() * (x[1] - x[0])]
    for now, after in zip(t[:-1], t[1:], strict=True):
        x, p = _advance(kernel, score, schedule, x, p, now, after, reach, resolution)
        places.append(x)
        density.append(p)
        lost.append(1 - p.sum() * (x[1] - x[0]))
    return Law(t, tuple(places), tuple(density), torch.stack(lost))


def _check(schedule: Schedule, t: Tensor, reach: float, resolution: float) -> None:
    call = "law(lambda x, t: -x, schedule, t, reach=8.0, resolution=3.0)"
    for name, value in (("reach", reach), ("resolution", resolution)):
        checks.number(name, value, call)
        checks.positive(name, value, call)
    checks.falls("t", t, call)
    checks.kind("schedule", schedule, Schedule, call)
    if schedule.sigma(t[-1]) == 0:
        what = "`t` must end above 0, where each step has some width"
        raise ValueError(checks.complaint(what, float(t[-1]), call))


def interpolate(at: Tensor, x: Tensor, p: Tensor) -> Tensor:
    """``p``, known on the even grid ``x``, at the places ``at``: linearly, and 0 outside."""
    place = (at - x[0]) / (x[1] - x[0])
    low = place.floor().long().clamp(0, len(x) - 2)
    share = place - low
    inside = (place >= 0) & (place <= len(x) - 1)
    return ((1 - share) * p[low] + share * p[low + 1]) * inside


def _advance(
    kernel: Kernel,
    score: PosteriorScore,
    schedule: Schedule,
    x: Tensor,
    p: Tensor,
    now: Tensor,
    after: Tensor,
    reach: float,
    resolution: float,
) -> tuple[Tensor, Tensor]:
    """One step: every cell of mass becomes a Gaussian, spread over the cells of a new grid."""

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = kernel(score, schedule, x.unsqueeze(-1), now, after)
        return mean.squeeze(-1), std

    x, mass, mean, std = _refined(step, x, p)
    cells = max(2000, math.ceil(2 * reach * resolution / float(std)))
    grid = torch.linspace(-reach, reach, cells + 1, dtype=x.dtype, device=x.device)
    return grid, _scatter(mean, mass, std, grid)


def _refined(step: Step, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places, their masses, and where the step takes them, as dense as the step's noise needs.

    On a grid, a mass sits at each place. Between two modes a step may carry neighbours far apart.
    There each mass is spread over its part of the cubic interpolant. This keeps the moments of the
    mass up to the third, so that no mass is lost.
    """
    cell = x[1] - x[0]
    alive = p * cell > SMALLEST
    mean = torch.full_like(x, math.nan)
    mean[alive], std = step(x[alive])
    pieces = (mean.diff().abs() / std / FARTHEST).nan_to_num(0.0).ceil().clamp(1, 1000)
    spread = _within(pieces > 1, len(x), padding=2)
    kept = alive & ~spread
    gaps = _within(spread, len(x) - 1, padding=1).nonzero().squeeze(-1)
    place, share = _gauss_points(gaps, pieces[gaps].long())
    mass = torch.cat([p[kept], _cubic(p * spread, place) * share]) * cell
    torn = x[0] + place * cell
    landing = step(torn)[0] if len(torn) else torn
    return torch.cat([x[kept], torn]), mass, torch.cat([mean[kept], landing]), std


def _within(flags: Tensor, length: int, padding: int) -> Tensor:
    """Whether one of four neighbouring flags is set: from gaps to places, or the other way."""
    pooled = torch.nn.functional.max_pool1d(flags.double()[None], 4, stride=1, padding=padding)
    return pooled[0, :length] > 0


def _gauss_points(gaps: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
    """Two Gauss points per piece, in cells, and their weights: exact for a cubic in each gap."""
    first = pieces.cumsum(0) - pieces
    rank = torch.arange(int(pieces.sum()), device=gaps.device) - first.repeat_interleave(pieces)
    gap, count = gaps.repeat_interleave(pieces), pieces.repeat_interleave(pieces)
    offset = torch.tensor([-0.5, 0.5], dtype=torch.float64, device=gaps.device) / math.sqrt(3)
    place = gap[:, None] + (rank[:, None] + 0.5 + offset) / count[:, None]
    share = (0.5 / count.double())[:, None].expand_as(place)
    return place.flatten(), share.flatten()


def _cubic(p: Tensor, place: Tensor) -> Tensor:
    """``p`` at places measured in cells of its grid, by cubic interpolation."""
    low = place.floor().long().clamp(1, len(p) - 3)
    neighbours = low.unsqueeze(-1) + torch.arange(-1, 3, device=low.device)
    return (_lagrange(place - low) * p[neighbours]).sum(-1)


def _lagrange(u: Tensor) -> Tensor:
    """Weights ``(n, 4)`` of the places -1, 0, 1 and 2 at the places u: cubic interpolation."""
    a, b = -u * (u - 1) * (u - 2) / 6, (u + 1) * (u - 1) * (u - 2) / 2
    return torch.stack([a, b, -(u + 1) * u * (u - 2) / 2, (u + 1) * u * (u - 1) / 6], dim=-1)


def _scatter(mean: Tensor, mass: Tensor, std: Tensor, grid: Tensor) -> Tensor:
    """sum_i mass_i N(grid; mean_i, std^2), each Gaussian cut off where it is negligible."""
    cell = grid[1] - grid[0]
    half = math.ceil(WIDTH * float(std / cell))
    offsets = torch.arange(-half, half + 1, device=grid.device)
    if std > BROAD * cell:
        bell = _bell(offsets * cell, std)[None, None]
        on_grid = _deposit(mean, mass, grid)[None, None]
        spread = torch.nn.functional.conv1d(on_grid, bell, padding=half)
        return spread[0, 0].clamp(min=0.0)
    nearest = ((mean - grid[0]) / cell).round().long()
    index = nearest.unsqueeze(-1) + offsets
    inside = (index >= 0) & (index < len(grid))
    index = index.clamp(0, len(grid) - 1)
    height = _bell(grid[index] - mean.unsqueeze(-1), std) * mass.unsqueeze(-1)
    spread = torch.zeros_like(grid).index_add(0, index.flatten(), (height * inside).flatten())
    return spread.clamp(min=0.0)


def _bell(x: Tensor, std: Tensor) -> Tensor:
    """N(x; 0, std^2)."""
    return torch.exp(-((x / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


def _deposit(mean: Tensor, mass: Tensor, grid: Tensor) -> Tensor:
    """The masses on the grid, each shared by four neighbours: the adjoint of cubic interpolation.

    A convolution with a Gaussian of ``BROAD`` cells is then right to 1e-6 of its height.
    """
    place = (mean - grid[0]) / (grid[1] - grid[0])
    low = place.floor()
    index = low.long().unsqueeze(-1) + torch.arange(-1, 3, device=low.device)
    inside = (index >= 0) & (index < len(grid))
    share = _lagrange(place - low) * mass.unsqueeze(-1) * inside
    index = index.clamp(0, len(grid) - 1)
    return torch.zeros_like(grid).index_add(0, index.flatten(), share.flatten())
