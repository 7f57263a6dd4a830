"""The line, cut into panels on which a density is a polynomial: sums over nodes are integrals.

An even grid is as exact as one likes for a smooth density, but
wrong by its spacing squared at a kink, and by its spacing at a jump; operators have both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import LogDensity, State

ORDER = 16  # Gauss-Legendre nodes a panel
WIDTH = 0.03  # of a panel, in units of x
FIRST, MOST = 500, 2**14  # panels at most, before any is halved and at the end
SMOOTH = 1e-10  # what the two highest of ORDER coefficients may be, over the panel's maximum
ROUNDING = 8 * torch.finfo(torch.float64).eps  # of a log-density: where it is above SMOOTH
ROUGH = 1e-4  # more may not be put down to rounding
FINEST = 1e-12  # the narrowest panel, as a share of the line
FAINT = 100.0  # panels this many nats below the maximum are not halved
DOUBT = 100.0  # times those coefficients of the log-density: what it may be off between nodes
ENDS, GROWTHS = 60.0, 200  # nats below the maximum at which the line ends; how often it may grow

NODES, WEIGHTS = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(ORDER))
DEGREES = torch.arange(ORDER)
VALUES = torch.from_numpy(np.polynomial.legendre.legvander(NODES.numpy(), ORDER - 1))
COEFFICIENTS = VALUES * WEIGHTS[:, None] * (DEGREES + 0.5)  # values @ it: Legendre coefficients
BETWEEN = torch.from_numpy(np.polynomial.legendre.legvander(np.linspace(-1, 1, 65), ORDER - 1))


@dataclass(frozen=True)
class Panels:
    """Panels from left to right, and a log-density, ``(n, 1)`` to ``(n,)``, all in float64."""

    log_density: Callable[[State], LogDensity]
    left: Float[Tensor, "P"]
    width: Float[Tensor, "P"]

    @classmethod
    def of(cls, log_density: Callable[[State], LogDensity], low: float, high: float) -> "Panels":
        """Halved until the density is a polynomial in each, from ``low`` to ``high`` or further.

        Raises ValueError where that takes more than 16,384 of them.
        """
        low, high = _ends(log_density, low, high)
        count = min(FIRST, int((high - low) / WIDTH) + 1)
        edges = torch.linspace(low, high, count + 1, device="cpu").double()
        left, width, done, top = edges[:-1], edges.diff(), [], edges.new_tensor(-torch.inf)
        while len(left):
            log_p = log_density(nodes(left, width)).reshape(-1, ORDER)
            halve, top = _rough(log_p, top, left.abs() / width)
            halve &= width > FINEST * (high - low)
            done.append(torch.stack([left[~halve], width[~halve]]))
            left, width = left[halve], width[halve] / 2
            left, width = torch.cat([left, left + width]), torch.cat([width, width])
            _bound(sum(part.shape[1] for part in done) + len(left))
        left, width = torch.cat(done, dim=1)
        order = left.argsort()
        return cls(log_density, left[order], width[order])

    @cached_property
    def nodes(self) -> Float[Tensor, "N 1"]:
        return nodes(self.left, self.width)

    @cached_property
    def log_weights(self) -> Float[Tensor, "N"]:
        """Of the nodes: log-density, and the log of the length that each stands for."""
        lengths = (self.width[:, None] / 2 * WEIGHTS).flatten()
        return self.log_density(self.nodes) + lengths.log()

    @cached_property
    def log_masses(self) -> Float[Tensor, "P"]:
        return self.log_weights.reshape(-1, ORDER).logsumexp(-1)

    @cached_property
    def log_mass(self) -> Float[Tensor, ""]:
        return self.log_weights.logsumexp(0)

    @cached_property
    def widest(self) -> float:
        """The width of the widest panel that is not faint."""
        log_p = self.log_weights.reshape(-1, ORDER).amax(-1)
        return float(self.width[log_p > log_p.max() - FAINT].max())

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.left[0]), float(self.left[-1] + self.width[-1])


def nodes(left: Float[Tensor, "P"], width: Float[Tensor, "P"]) -> Float[Tensor, "N 1"]:
    """The nodes of each panel, in one column."""
    return (left[:, None] + width[:, None] * (NODES + 1) / 2).reshape(-1, 1)


def _rough(log_p: Tensor, top: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Which panels to halve, and the largest log-density that is known of.

    ``places`` are where the panels lie, in units of their widths: rounding moves a node by that.

    A panel may rest where the density is a polynomial, or where it is faint: where its log-density,
    between the nodes too, is far below the largest.
    """
    peak, fit = log_p.amax(-1), log_p @ COEFFICIENTS
    doubt = DOUBT * fit[:, -2:].abs().amax(-1)
    between = fit @ BETWEEN.mT
    hidden = between.diff(n=2).abs().amax(-1) / 7  # a parabola rises by an 8th between two points
    between = torch.maximum(between.amax(-1), peak)
    top = torch.maximum(top, (between - doubt).max().clamp(min=float(peak.max())))
    faint = between + hidden + doubt < top - FAINT
    shape = (log_p - peak[:, None]).exp() @ COEFFICIENTS[:, -2:]
    fall = peak - log_p.amin(-1)
    rounding = (ROUNDING * (peak.abs() + places * fall)).clamp(SMOOTH, ROUGH)
    return (shape.abs().amax(-1) > rounding) & ~faint, top


def _ends(log_density: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, float]:
    """Move the ends apart until the density has died away at both."""
    for _ in range(GROWTHS):
        places = torch.linspace(low, high, 2001, dtype=torch.float64, device="cpu")
        log_p = log_density(places[:, None])
        if max(log_p[0], log_p[-1]) < log_p.max() - ENDS:
            return low, high
        low, high = low - (high - low) / 8, high + (high - low) / 8
    what = "prior times likelihood must die away at both ends of the line"
    call = "problem.finite_sample(10_000, generator=g)"
    raise ValueError(checks.complaint(what, f"none from {low:.3g} to {high:.3g}", call))


def _bound(count: int) -> None:
    if count > MOST:
        what = f"quadrature takes {MOST} panels at most: raise `noise_std`"
        call = "problem.finite_sample(10_000, generator=g)"
        raise ValueError(checks.complaint(what, f"{count} and more", call))
