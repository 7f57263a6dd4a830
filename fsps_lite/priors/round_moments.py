"""The moments of x_0 given x_t when x_0 is an atom and round noise: a Gaussian around each centre.

Not part of the public interface.
"""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from fsps_lite.moments import Moments
from fsps_lite.priors.empirical import Empirical
from fsps_lite.types import LogDensity, Scale, State


@dataclass(frozen=True)
class Round:
    """sum_k w_k N(x_0; centre_k, variance I)."""

    centres: Empirical
    variance: Float[Tensor, ""]


@dataclass(frozen=True)
class RoundMoments(Moments):
    """x_t is a centre seen through noise of variance tau^2 = alpha^2 variance + sigma^2.

    With the centre known x_0 is Gaussian: its mean moves from the centre to x_t / alpha by the
    share alpha^2 variance / tau^2, and sigma^2 variance / tau^2 is left of its variance.
    """

    round: Round

    @cached_property
    def mean(self) -> State:
        moved = self.alpha * self.round.variance / self._total * self.x
        return moved + self._kept * self._centre.mean

    @cached_property
    def log_prob(self) -> LogDensity:
        return self._centre.log_prob

    def cov_product(self, v: State) -> State:
        return self._left * v + self._kept**2 * self._centre.cov_product(v)

    def projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        within = self._left * matrix @ matrix.mT
        return within + self._kept**2 * self._centre.projected_cov(matrix)

    @cached_property
    def _centre(self) -> Moments:
        return self.round.centres.moments(self.x, self.alpha, self._total.sqrt())

    @property
    def _total(self) -> Tensor:
        """tau^2."""
        return self.alpha**2 * self.round.variance + self._noise

    @property
    def _kept(self) -> Tensor:
        """The share of the centre in the mean of x_0."""
        return self._noise / self._total

    @property
    def _left(self) -> Tensor:
        """The variance of x_0 when its centre and x_t are known."""
        return self.round.variance * self._kept

    @property
    def _noise(self) -> Scale:
        return self.sigma**2
