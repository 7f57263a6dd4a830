"""Distances between two clouds, or two densities. Each is zero when the two agree.

A cloud is ``(n, d)``. Two finite clouds of the same law are not at distance zero: compare their
distance with the distance between two exact clouds of the same size.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate

DIRECTIONS = 50  # of the random directions along which `distance` compares clouds
CALL = "wasserstein1(torch.randn(1000, 1), torch.randn(1000, 1))"


def wasserstein1(
    x: Float[Tensor, "n 1"],
    y: Float[Tensor, "k 1"],
    *,
    x_weights: Float[Tensor, "n"] | None = None,
    y_weights: Float[Tensor, "k"] | None = None,
) -> float:
    """The integral of |F - G| over the distribution functions of two clouds on a line. Units of x.

    ``x`` is ``(n, 1)`` and ``y`` is ``(k, 1)``; the weights are ``(n,)`` and ``(k,)`` and default
    to equal ones. Exact for any two sizes and weights (Vallender, 1974). Raises ValueError or
    TypeError on a wrong shape or dtype, and unless weights are >= 0 and sum to 1.
    """
    for name, cloud in (("x", x), ("y", y)):
        checks.floating(name, cloud, CALL)
        checks.shape(name, cloud, ("n", 1), CALL)
    checks.same_dtype("y", y, "x", x.dtype, CALL)
    _check_weights("x_weights", x_weights, x)
    _check_weights("y_weights", y_weights, y)
    return _along(x.new_ones(1, 1), x, y, x_weights, y_weights).value


def sliced_wasserstein(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "k d"],
    *,
    generator: torch.Generator,
    directions: int = 200,
) -> float:
    """The mean of W1 over random directions (Rabin et al., 2012). Units of x; d = 1 gives W1.

    ``x`` is ``(n, d)`` and ``y`` is ``(k, d)``. Raises ValueError or TypeError on a wrong shape or
    dtype, and where a cloud is not finite or has one point.
    """
    _check_pair(x, y)
    checks.generator(generator)
    checks.count("directions", directions, "sliced_wasserstein(x, y, generator=g, directions=200)")
    size = directions, x.shape[-1]
    u = torch.randn(size, generator=generator, dtype=x.dtype, device=generator.device)
    return _along(u, x, y).value


def distance(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "k d"],
    *,
    generator: torch.Generator,
    given: bool = False,
) -> Estimate:
    """W1 on the line, sliced W1 in more dimensions, with its standard error. Units of x.

    The error is that of both clouds, or of ``x`` alone where ``y`` is ``given``: two distances to
    one ``y`` are compared. A cloud ``x`` that is not finite is at distance infinity.
    """
    if not bool(torch.isfinite(x).all()):
        return Estimate(float("inf"), float("nan"))
    if x.shape[-1] == 1:
        return _along(x.new_ones(1, 1), x, y, given=given)
    size, device = (x.shape[-1], DIRECTIONS), generator.device
    u = torch.randn(size, generator=generator, dtype=x.dtype, device=device).mT
    return _along(u, x, y, given=given)


def energy_distance(x: Float[Tensor, "n d"], y: Float[Tensor, "k d"]) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'|, unbiased (Szekely, 2013). Units of x; may be below 0.

    ``x`` is ``(n, d)`` and ``y`` is ``(k, d)``. Raises ValueError or TypeError on a wrong shape or
    dtype, and where a cloud is not finite or has one point.
    """
    _check_pair(x, y)
    n, k = len(x), len(y)
    between = _distances(x, y) / (n * k)
    within_x = _distances(x, x) / (n * (n - 1))
    within_y = _distances(y, y) / (k * (k - 1))
    return float(2 * between - within_x - within_y)


def total_variation(p: Float[Tensor, "G"], q: Float[Tensor, "G"], cell: float) -> float:
    """Half the integral of |p - q|, for densities on a grid of cells of this size. In [0, 1].

    ``p`` and ``q`` are ``(G,)``; ``cell`` is the spacing of the grid, in units of x. Raises
    ValueError when a density does not integrate to 1 within 1 %: the grid is then too small.
    """
    call = "total_variation(p, q, cell=float(grid[1] - grid[0]))"
    checks.number("cell", cell, call, least=0.0)
    for name, density in (("p", p), ("q", q)):
        checks.floating(name, density, call)
        checks.shape(name, density, (len(p),), call)
        mass = float(density.sum()) * cell
        if not abs(mass - 1) < 0.01:
            what = f"`{name}` must integrate to 1 over the grid"
            raise ValueError(checks.complaint(what, f"{mass:.4g}", call))
    return float((p - q).abs().sum()) * cell / 2


def _along(
    directions: Float[Tensor, "l d"],
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "k d"],
    p: Float[Tensor, "n"] | None = None,
    q: Float[Tensor, "k"] | None = None,
    given: bool = False,
) -> Estimate:
    """The mean over directions of W1 between two weighted clouds, with its standard error.

    W1 = int |F - G| (Vallender, 1974) is the mean over y minus the mean over x of a function whose
    slope is sign(F - G). The standard error is that of this difference of two means.
    """
    u = directions / directions.norm(dim=-1, keepdim=True)
    shadows, order = (torch.cat([x, y]) @ u.mT).mT.sort()
    mass = torch.cat([_equal(x) if p is None else p, -_equal(y) if q is None else -q])
    ahead, gaps = mass[order].cumsum(-1)[:, :-1], shadows.diff()  # F - G, and on which lengths
    steps = torch.nn.functional.pad(ahead.sign() * gaps, (1, 0)).cumsum(-1)
    potential = torch.zeros_like(steps).scatter(1, order, steps).mean(0)
    parts = list(zip(potential.split([len(x), len(y)]), (p, q), strict=True))
    error = sum(_variance_of_mean(*part) for part in parts[: 1 if given else 2]) ** 0.5
    return Estimate(float((ahead.abs() * gaps).sum(-1).mean()), error)


def _variance_of_mean(values: Float[Tensor, "n"], weights: Float[Tensor, "n"] | None) -> float:
    """The variance of the mean of independent values, or of their weighted mean."""
    if weights is None:
        return float(values.var() / len(values)) if len(values) > 1 else math.nan
    squares = weights**2 * (values - weights @ values) ** 2
    return float(squares.sum() / (1 - (weights**2).sum()))


def _equal(cloud: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """Equal weights, for a cloud that has none."""
    return cloud.new_full((len(cloud),), 1 / len(cloud))


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """The sum of |x_i - y_j| over all pairs.

    It is computed from differences: the difference of squares loses digits far from 0.
    """
    blocks = x.split(max(1, 2**24 // len(y)))
    sums = (torch.cdist(b, y, compute_mode="donot_use_mm_for_euclid_dist").sum() for b in blocks)
    return sum(sums, x.new_zeros(()))


def _check_weights(name: str, weights: Tensor | None, cloud: Tensor) -> None:
    """Raise unless the weights, where there are any, are >= 0 and sum to 1."""
    if weights is None:
        return
    call = f"wasserstein1(x, y, {name}=torch.full_like({name[0]}[:, 0], 1 / len({name[0]})))"
    checks.floating(name, weights, call)
    checks.shape(name, weights, (len(cloud),), call)
    checks.same_dtype(name, weights, "the cloud", cloud.dtype, call)
    if bool((weights < 0).any()) or not abs(float(weights.sum()) - 1) < 1e-6:
        got = f"a sum of {float(weights.sum()):.6g} and a least of {float(weights.min()):.3g}"
        raise ValueError(checks.complaint(f"`{name}` must be >= 0 and sum to 1", got, call))


def _check_pair(x: Tensor, y: Tensor) -> None:
    call = "energy_distance(torch.randn(1000, 2), torch.randn(900, 2))"
    for name, cloud in (("x", x), ("y", y)):
        checks.floating(name, cloud, call)
        checks.shape(name, cloud, ("n", "d"), call)
        checks.finite(name, cloud, call)
        if len(cloud) < 2:
            raise ValueError(checks.complaint(f"`{name}` must hold two points or more", 1, call))
    checks.shape("y", y, ("n", x.shape[1]), call)
    checks.same_dtype("y", y, "x", x.dtype, call)
