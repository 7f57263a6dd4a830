"""A mixture on the line as points with weights, such that sums over the points are integrals.

Not part of the public interface. An even grid is as exact as one likes for a smooth density, but
wrong by its spacing squared at a kink, and by its spacing at a jump; operators have both.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fsps_lite.likelihood import Likelihood
from fsps_lite.priors import Empirical, GaussianMixture

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


def line(prior: GaussianMixture, likelihood: Likelihood, low: float, high: float) -> Empirical:
    """The prior as atoms, close together where it, or the likelihood, bends."""
    exact, given = prior.to(torch.float64), likelihood.to(torch.float64)

    def log_joint(x):
        return exact.log_prob(x) + given.log_prob(x)

    low, high = _ends(log_joint, *_ends(exact.log_prob, low, high))
    left, width = _panels(log_joint, low, high)
    atoms = _nodes(left, width)
    log_widths = (width[:, None] / 2 * WEIGHTS).flatten().log()
    return Empirical(atoms, exact.log_prob(atoms) + log_widths).to(prior.dtype)


def _ends(log_density: Callable, low: float, high: float) -> tuple[float, float]:
    """Move the ends apart until the density has died away at both."""
    while True:
        log_p = log_density(torch.linspace(low, high, 2001, dtype=torch.float64)[:, None])
        if max(log_p[0], log_p[-1]) < log_p.max() - ENDS:
            return low, high
        low, high = low - (high - low) / 8, high + (high - low) / 8


def _panels(log_density: Callable, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Left ends and widths of panels, halved until the density is a polynomial in each."""
    edges = torch.linspace(low, high, min(PANELS, int((high - low) / WIDTH) + 1) + 1).double()
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
