"""A mixture on the line as points with weights, such that sums over the points are integrals.

An even grid is as exact as one likes for a smooth density, but
wrong by its spacing squared at a kink, and by its spacing at a jump; operators have both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from fsps_lite.engine.atoms import AtomPosterior
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.types import Scale, State

ORDER = 16  # Gauss-Legendre nodes a panel
WIDTH = 0.03  # of a panel, in units of x: exact to 1e-6 where sigma(t) is above 0.004
PANELS = 500  # at most, before any is halved
SMOOTH = 1e-10  # what the two highest of ORDER coefficients may be, over the panel's maximum
FINEST = 1e-12  # the narrowest panel, as a share of the line
FAINT = 100.0  # panels this many nats below the maximum are not halved
ENDS = 60.0  # nats below the maximum at which the line may end

NODES, WEIGHTS = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(ORDER))
DEGREES = torch.tensor([ORDER - 2, ORDER - 1])
VALUES = torch.from_numpy(np.polynomial.legendre.legvander(NODES.numpy(), ORDER - 1))
HIGHEST = VALUES[:, DEGREES] * WEIGHTS[:, None] * (DEGREES + 0.5)  # values -> two coefficients


PLACES = 24  # Chebyshev nodes of a piece on which a score is interpolated
PIECES = 4  # to begin with, at most
ACCURACY = 1e-9  # what its two highest coefficients may be, over the largest score

ANGLES = (torch.arange(PLACES, dtype=torch.float64) + 0.5) * math.pi / PLACES
POWERS = torch.arange(PLACES, dtype=torch.float64)
FIT = torch.cos(POWERS[:, None] * ANGLES) * 2 / PLACES  # values -> coefficients
FIT[0] /= 2


@dataclass(frozen=True)
class Line(Empirical):
    """Thousands of atoms that stand for a smooth density, and denoise a large cloud fast.

    The score of such a density is smooth too, so it is computed at few places and interpolated.
    """

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> AtomPosterior:
        atoms = super()._given(x, alpha, sigma)
        return LinePosterior(x, alpha, atoms.sigma, self._exact._centred, self._exact.log_weights)

    @cached_property
    def _exact(self) -> Empirical:
        return self if self.dtype == torch.float64 else self.to(torch.float64)


class LinePosterior(AtomPosterior):
    """As of any atoms, but that the mean of a large cloud is interpolated."""

    @cached_property
    def _mean(self) -> State:
        """E[x_0 | x_t = x]; for a large cloud the score is right to 1e-7 of its largest value."""
        x, scales, known = self._x, (self.alpha, self.sigma), (self.centred, self.log_weights)

        def score(places: Tensor) -> Tensor:
            return AtomPosterior(places[:, None], *scales, *known).score[:, 0]

        flat = x.flatten()
        if len(flat) <= 2 * PLACES * PIECES or not bool(flat.isfinite().all()):
            return super()._mean
        low, high = flat.aminmax()
        pieces = min(PIECES, 1 + int((high - low) / (8 * self.sigma)))
        slope = interpolated(score, flat, pieces).reshape(x.shape)
        return (x + self.sigma**2 * slope) / self.alpha


def interpolated(fn: Callable[[Tensor], Tensor], x: Tensor, pieces: int) -> Tensor:
    """``fn(x)`` by a polynomial on each of ``pieces`` intervals, halved until it is one.

    Where few of the points ``x`` are left, ``fn`` itself is called.
    """
    low, high = x.aminmax()
    place = (x - low) / (high - low) * pieces
    used, k = place.floor().clamp(max=pieces - 1).unique(return_inverse=True)
    if not len(x) > 2 * PLACES * len(used):
        return fn(x)
    fit, powers, cosines = (c.to(x.device) for c in (FIT, POWERS, torch.cos(ANGLES)))
    nodes = low + (used[:, None] + (1 + cosines) / 2) * (high - low) / pieces
    values = fn(nodes.flatten()).reshape(-1, PLACES)
    coefficients = values @ fit.mT
    angle = (2 * (place - used[k]) - 1).clamp(-1, 1).arccos()
    y = (coefficients[k] * torch.cos(angle[:, None] * powers)).sum(-1)
    rough = coefficients[:, -2:].abs().amax(-1) > ACCURACY * values.abs().max()
    if bool(rough.any()):
        rest = rough[k]
        y[rest] = interpolated(fn, x[rest], 2 * pieces)
    return y


def line(prior: GaussianMixture, likelihood: Likelihood, low: float, high: float) -> Empirical:
    """The prior as atoms, close together where it, or the likelihood, bends."""
    exact, given = (known.to(torch.float64).to("cpu") for known in (prior, likelihood))

    def log_joint(x: Tensor) -> Tensor:
        return exact.log_prob(x) + given.log_prob(x)

    low, high = _ends(log_joint, *_ends(exact.log_prob, low, high))
    left, width = _panels(log_joint, low, high)
    atoms = _nodes(left, width)
    log_widths = (width[:, None] / 2 * WEIGHTS).flatten().log()
    return Line(atoms, exact.log_prob(atoms) + log_widths).to(prior.dtype).to(prior.means.device)


def _ends(log_density: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """Move the ends apart until the density has died away at both."""
    while True:
        log_p = log_density(
            torch.linspace(low, high, 2001, dtype=torch.float64, device="cpu")[:, None]
        )
        if max(log_p[0], log_p[-1]) < log_p.max() - ENDS:
            return low, high
        low, high = low - (high - low) / 8, high + (high - low) / 8


def _panels(
    log_density: Callable[[Tensor], Tensor], low: float, high: float
) -> tuple[Tensor, Tensor]:
    """Left ends and widths of panels, halved until the density is a polynomial in each."""
    count = min(PANELS, int((high - low) / WIDTH) + 1)
    edges = torch.linspace(low, high, count + 1, device="cpu").double()
    left, width, done = edges[:-1], edges.diff(), []
    top = log_density(_nodes(left, width)).max()
    while len(left):
        log_p = log_density(_nodes(left, width)).reshape(-1, ORDER)
        peak = log_p.amax(-1, keepdim=True)
        rough = ((log_p - peak).exp() @ HIGHEST).abs().amax(-1) > SMOOTH
        halve = rough & (peak[:, 0] > top - FAINT) & (width > FINEST * (high - low))
        done.append(torch.stack([left[~halve], width[~halve]]))
        left, width = left[halve], width[halve] / 2
        left, width = torch.cat([left, left + width]), torch.cat([width, width])
    return tuple(torch.cat(done, dim=1))


def _nodes(left: Tensor, width: Tensor) -> Tensor:
    """The nodes of each panel, in one column."""
    return (left[:, None] + width[:, None] * (NODES + 1) / 2).reshape(-1, 1)
