"""x_0 given x_t when x_0 is an atom and round noise: a Gaussian of one width around each centre."""

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.mixtures import MixturePosterior
from fsps_lite.engine.near import known
from fsps_lite.types import LogDensity, Scale, State


@dataclass(frozen=True)
class Round:
    """What the components have in common where each is N(centre_k, variance I)."""

    centres: Centred
    variance: Float[Tensor, ""]


@dataclass(frozen=True, eq=False)
class RoundPosterior(MixturePosterior):
    """x_t is a centre seen through noise of variance tau^2 = alpha^2 variance + sigma^2.

    With the centre known x_0 is Gaussian: its mean moves from the centre to x_t / alpha by the
    share alpha^2 variance / tau^2, and sigma^2 variance / tau^2 is left of its variance.
    """

    round: Round

    @cached_property
    def _mean(self) -> State:
        moved = self.alpha * self.round.variance / self._total * self._x
        return moved + self._kept * self._centre.mean

    @property
    def _score(self) -> State:
        return self._centre.score

    @cached_property
    def _log_evidence(self) -> LogDensity:
        return self._centre.log_evidence

    def _cov_product(self, v: State) -> State:
        return self._rest * v + self._kept**2 * self._centre.cov_product(v)

    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        within = self._rest * matrix @ matrix.mT
        return within + self._kept**2 * self._centre.projected_cov(matrix)

    @cached_property
    def _centre(self) -> DenoisingPosterior:
        scales, centres = (self.alpha, self._total.sqrt()), self.round.centres
        return known(self._x, *scales, centres, self.components.log_weights)

    @property
    def _total(self) -> Tensor:
        """tau^2."""
        return self.alpha**2 * self.round.variance + self._noise

    @property
    def _kept(self) -> Tensor:
        """The share of the centre in the mean of x_0."""
        return self._noise / self._total

    @property
    def _rest(self) -> Tensor:
        """The variance of x_0 when its centre and x_t are known."""
        return self.round.variance * self._kept

    @property
    def _noise(self) -> Scale:
        return self.sigma**2
