"""The plane as an even lattice, made finer where prior times likelihood has its mass."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import LogDensity, State

POINTS = 401  # an axis, to begin with
HALVINGS, MOST = 6, 2**20  # of the spacing, and points that are kept, at most
FAINT = 60.0  # points this many nats below the maximum are left out of a finer lattice
AGREE = 1e-3  # by what share a quarter of the points may miss a quarter of the mass
CHUNK = 2**17  # points at a time

ROW = torch.tensor([2**20, 1])  # (i, j) @ ROW is one number a point, in the order of the points
BESIDE = (torch.cartesian_prod(*[torch.arange(-1, 2)] * 2) * ROW).sum(-1)


def lattice(
    log_joint: Callable[[State], LogDensity], low: Float[Tensor, "2"], high: Float[Tensor, "2"]
) -> State:
    """Points ``(N, 2)`` close enough together for the density to be summed over them.

    The sum over all must be four times that over every second point each way. For a smooth density,
    whose sums converge as exp(-2 pi^2 (width / spacing)^2), all of them are then right to 1e-10; at
    a kink or a jump to 1e-3. Raises ValueError where that takes more than 1,048,576 points.
    """
    spacing = (high - low) / (POINTS - 1)
    index = torch.cartesian_prod(*[torch.arange(POINTS, device=low.device)] * 2)
    for _ in range(HALVINGS + 1):
        points = low + index * spacing
        log_p = torch.cat([log_joint(part) for part in points.split(CHUNK)])
        if _resolved(index, log_p):
            return points
        index, spacing = _finer(index, log_p), spacing / 2
        if len(index) > MOST:
            break
    what = "quadrature takes 1,048,576 points of the plane at most: raise `noise_std`"
    got = f"a spacing of {float(spacing.max()):.2g} that is too wide"
    call = "problem.finite_sample(10_000, generator=g)"
    raise ValueError(checks.complaint(what, got, call))


def _resolved(index: Int[Tensor, "N 2"], log_p: LogDensity) -> bool:
    """Whether each quarter of the points, every second one each way, has a quarter of the mass."""
    quarter = index[:, 0] % 2 * 2 + index[:, 1] % 2
    masses = log_p.new_zeros(4).index_add(0, quarter, log_p.softmax(0))
    return bool((4 * masses - 1).abs().max() < AGREE)


def _finer(index: Int[Tensor, "N 2"], log_p: LogDensity) -> Int[Tensor, "M 2"]:
    """The points of half the spacing about those that count, or stand beside a steep change."""
    most, least = _around((index * ROW.to(index)).sum(-1), log_p)
    kept = index[most + 2 * (most - least) > log_p.max() - FAINT]
    size = 2 * index.max()
    found = (2 * kept * ROW.to(index)).sum(-1)[:, None] + BESIDE.to(index)
    code = found.flatten().unique()
    finer = torch.stack([code.div(ROW[0], rounding_mode="floor"), code % ROW[0]], -1)
    return finer[((finer >= 0) & (finer <= size)).all(-1)]


def _around(code: Int[Tensor, "N"], log_p: LogDensity) -> tuple[LogDensity, LogDensity]:
    """The largest and the smallest of each point and its neighbours, as far as they are known."""
    most = least = log_p
    for step in BESIDE.tolist():
        place = torch.searchsorted(code, code + step).clamp(max=len(code) - 1)
        beside = log_p[place].where(code[place] == code + step, log_p)
        most, least = torch.maximum(most, beside), torch.minimum(least, beside)
    return most, least
