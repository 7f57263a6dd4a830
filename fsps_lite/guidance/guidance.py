"""What guided samplers have in common: a guess of p(y | x_t), and its gradient."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.operators import Linear
from fsps_lite.types import State, Time, Where


@dataclass(frozen=True)
class Guidance(ABC):
    """A posterior score from a guess of p(y | x_t): the prior's score plus the guess's gradient.

    The sampler knows the signal through ``prior`` alone, and the measurement through ``likelihood``
    alone. For a method of your own, define ``guide`` in a subclass. Raises TypeError unless both
    are of their kind and have one dtype.
    """

    prior: Diffusion
    likelihood: Likelihood

    def __post_init__(self) -> None:
        check_known(self.prior, self.likelihood, "DPS(problem.diffusion, problem.likelihood)")

    @abstractmethod
    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """The guess of grad log p(y | x_t = x), computed from ``at`` = prior.at(x, t).

        ``(*batch, d)``, in 1 / units of x.
        """

    def likelihood_score(self, x: State, t: Time) -> State:
        """The guess of grad log p(y | x_t = x) for a cloud ``x`` and a time. ``(*batch, d)``."""
        return self.guide(self.prior.at(x, t), t)

    def to(self, where: Where) -> "Guidance":
        """The same method with prior and likelihood in another dtype, or on another device."""
        return replace(self, prior=self.prior.to(where), likelihood=self.likelihood.to(where))

    def __call__(self, x: State, t: Time) -> State:
        """The guess of the posterior's score, ``(*batch, d)``: a Guidance is a PosteriorScore."""
        at = self.prior.at(x, t)
        score, guide = at.score, self.guide(at, t)
        checks.like("guide(at, t)", guide, x, "DPS(prior, likelihood).guide(prior.at(x, 0.5), 0.5)")
        return score + guide

    def __init_subclass__(cls) -> None:
        """Raise TypeError where a subclass overrides ``likelihood_score``.

        Only ``guide`` is called, so that the override would be ignored.
        """
        super().__init_subclass__()
        if "likelihood_score" in vars(cls):
            what = "a Guidance is written as `guide(self, at, t)`, where `at` = prior.at(x, t)"
            call = "def guide(self, at, t): return at.vjp(v), with at.x, at.mean, at.cov"
            raise TypeError(checks.complaint(what, f"{cls.__name__}.likelihood_score", call))


def check_known(prior: object, likelihood: object, call: str) -> None:
    """Raise TypeError unless the two are what a method may know, and have one dtype."""
    checks.kind("prior", prior, Diffusion, call)
    checks.kind("likelihood", likelihood, Likelihood, call)
    assert isinstance(prior, Diffusion)
    assert isinstance(likelihood, Likelihood)
    checks.same_dtype("prior", prior.prior.dtype, "y", likelihood.y.dtype, call)


def require_linear(method: str, likelihood: Likelihood) -> Linear:
    """The operator of ``likelihood``; raises UnsupportedLikelihood unless it is Linear.

    The message names the methods that take any operator.
    """
    if not isinstance(likelihood.operator, Linear):
        what = f"{method} needs a Linear operator: it transports a covariance through the matrix"
        call = "DPS(prior, likelihood), ZetaDPS, LGD or SDA, which take any operator"
        raise UnsupportedLikelihood(checks.complaint(what, likelihood.operator, call))
    return likelihood.operator
