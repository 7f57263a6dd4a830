"""x_0 given x_t when x_0 is one of many atoms of the line, and x_t is noisy: an interpolated mean.

In the complex plane the phases of the terms w_i exp(alpha x (a_i - c) / sigma^2) differ from 0 by
no more than alpha R |Im x| / sigma^2, R the largest |a_i - c|. Up to a phase of pi / 3 the real
parts of the terms are half of their sizes or more, so that the sum of them is not 0 and the mean
is analytic there and at most 2 R. Chebyshev interpolation at n places errs by no more than
4 M rho^(1 - n) / (rho - 1) where a function is analytic and at most M in the ellipse of rho about
the interval (Trefethen, 2013): here by 4.3e-11 R, for any atoms, weights and x.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from fsps_lite.engine import attention
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.chebyshev import FIT, PLACES, nodes, summed
from fsps_lite.types import Scale, State

RHO = 3.0  # of the ellipse
HALF = math.pi / 3 / ((RHO - 1 / RHO) / 2)  # an interval's half length, in sigma^2 / (alpha R)
PAIRS = 2**20  # of a point and an atom: of fewer, the sum over all is as fast


@dataclass(frozen=True, eq=False)
class SmoothPosterior(AtomPosterior):
    """As :class:`AtomPosterior`, but that the mean is computed at few places, and interpolated."""

    @cached_property
    def _mean(self) -> State:
        flat = self._x.flatten()
        low, half, count = intervals(flat, self.alpha, self.sigma, self.centred)
        k = ((flat - low) / (2 * half)).long().clamp(0, count - 1)
        used, k = k.unique(return_inverse=True)
        middles = low + (2 * used.to(flat) + 1) * half
        places = nodes(middles, half).flatten()[:, None]
        exact = AtomPosterior(places, self.alpha, self.sigma, self.centred, self.log_weights)
        coefficients = exact.mean.reshape(-1, PLACES) @ FIT.to(flat).mT
        return summed(coefficients, k, (flat - middles[k]) / half).reshape(self.x.shape)


def intervals(
    x: Float[Tensor, "n"], alpha: Scale, sigma: Scale, centred: Centred
) -> tuple[float, float, int]:
    """Where they begin, half the length of one, and how many hold all of ``x``."""
    low, high = (float(end) for end in x.aminmax())
    widest = HALF * float(sigma) ** 2 / max(float(alpha) * centred.radius, 1e-300)
    count = max(1, math.ceil((high - low) / (2 * widest)))
    return low, max((high - low) / (2 * count), 1e-300), count


def smooth(x: State, alpha: Scale, sigma: Scale, centred: Centred) -> bool:
    """Whether so few places say what all points would, on a line of many atoms."""
    rows = x.numel()
    if x.shape[-1] != 1 or rows * len(centred.atoms) < PAIRS:
        return False
    if not attention.plain(x, centred.atoms) or not bool(x.isfinite().all()):
        return False
    count = intervals(x.double().flatten(), alpha, sigma, centred)[2]
    return 2 * PLACES * count <= rows
