"""What guided samplers have in common: a guess of p(y | x_t), and its gradient."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.types import State, Time, Where


@dataclass(frozen=True)
class Guidance(ABC):
    """A posterior score from a guess of p(y | x_t): the prior's score plus the guess's gradient.

    ``prior`` is all that the sampler may know of the signal, ``likelihood`` all of the
    measurement.
    """

    prior: Diffusion
    likelihood: Likelihood

    @abstractmethod
    def likelihood_score(self, x: State, t: Time) -> State:
        """The guess of grad log p(y | x_t = x). ``(*batch, d)``."""

    def to(self, where: Where) -> "Guidance":
        """The same method with prior and likelihood in another dtype, or on another device."""
        return replace(self, prior=self.prior.to(where), likelihood=self.likelihood.to(where))

    def __call__(self, x: State, t: Time) -> State:
        """The guess of the posterior's score: a Guidance is a PosteriorScore."""
        return self.prior.score(x, t) + self.likelihood_score(x, t)


def require_linear(method: str, likelihood: Likelihood) -> Linear:
    """The operator; raises for one that has no matrix, and names the methods that take it."""
    if not isinstance(likelihood.operator, Linear):
        what = f"{method} needs a Linear operator: it transports a covariance through the matrix"
        call = "DPS(prior, likelihood) or ZetaDPS(prior, likelihood), which take any operator"
        raise ValueError(checks.complaint(what, likelihood.operator, call))
    return likelihood.operator
