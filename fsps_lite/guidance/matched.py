"""One Gaussian in place of p(x_0 | x_t): the family that most guided samplers belong to."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import Guidance, require_linear
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.types import LogDensity, Measurement, Scale, State, Time

CALL = "matched_score(diffusion, likelihood, x, 0.5, V=0.0)"
Spread = Scale | Float[Tensor, "*#batch d d"] | DenoisingPosterior


@dataclass(frozen=True)
class MatchedGaussian(Guidance):
    """p(y | x_t) ~ N(y; A(m), A V A' + noise_cov), with m = E[x_0 | x_t] and a V of your choice.

    A method of this family says what V is and nothing else: ``assumed_cov``. The gradient leaves
    out that V may depend on x_t, as the published methods do.
    """

    @abstractmethod
    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Spread:
        """V, the covariance that the method believes p(x_0 | x_t = x) to have. Units of x^2.

        One variance, a ``(d, d)`` matrix, one a row, or ``at``, which stands for its own covariance
        without forming it.
        """

    def predicted_cov(self, at: DenoisingPosterior, t: Time) -> Float[Tensor, "*#batch m m"]:
        """A V A', the covariance of A x_0 that V means: one for all x, or one a row."""
        spread = transported(self.likelihood, self.assumed_cov(at, t), at.x)
        return torch.zeros_like(self.likelihood.noise_cov) if spread is None else spread

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        return _score(at, self.likelihood, self.assumed_cov(at, t))

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """The guess of log p(y | x_t = x) itself, in nats."""
        at = self.prior.at(x, t)
        return _log_likelihood(at, self.likelihood, self.assumed_cov(at, t))


def matched_score(prior: Diffusion, likelihood: Likelihood, x: State, t: Time, V: Spread) -> State:
    """The gradient in x_t of log N(y; A(m), A V A' + noise_cov), with V held fixed.

    m = E[x_0 | x_t], and ``V`` is the covariance that a method believes p(x_0 | x_t) to have: one
    variance for all directions, a ``(d, d)`` matrix, or one a row, in units of x squared. V = 0 is
    DPS and takes any operator; the true Cov[x_0 | x_t] is TMPD. Raises ValueError for any other V
    when the operator is not Linear.
    """
    return _score(prior.at(x, t), likelihood, V)


def matched_log_likelihood(
    prior: Diffusion, likelihood: Likelihood, x: State, t: Time, V: Spread
) -> LogDensity:
    """log N(y; A(m), A V A' + noise_cov), the guess of log p(y | x_t = x) itself, in nats."""
    return _log_likelihood(prior.at(x, t), likelihood, V)


def _score(at: DenoisingPosterior, likelihood: Likelihood, V: Spread) -> State:
    """J' A' (A V A' + noise_cov)^-1 (y - A(m))."""
    residual = likelihood.residual(at.mean)
    weighed = likelihood.noise.solve(residual, transported(likelihood, V, at.x))
    return at.vjp(operator_vjp(likelihood, at.mean, weighed))


def _log_likelihood(at: DenoisingPosterior, likelihood: Likelihood, V: Spread) -> LogDensity:
    residual = likelihood.residual(at.mean)
    return likelihood.noise.log_prob(residual, transported(likelihood, V, at.x))


def operator_vjp(likelihood: Likelihood, m: State, v: Measurement) -> State:
    """A'(m)' v, the operator's Jacobian at ``m`` transposed: a matrix product, or one backward."""
    if isinstance(likelihood.operator, Linear):
        return v @ likelihood.operator.matrix
    with torch.enable_grad():
        m = m.detach().requires_grad_()
        y = likelihood.operator(m)
        if not y.requires_grad:
            what = "a guided score needs an `operator` that can be differentiated"
            got = f"{likelihood.operator}, whose answer has no gradient"
            raise ValueError(checks.complaint(what, got, "Nonlinear(torch.square, 'square')"))
        return torch.autograd.grad(y, m, v)[0]


def transported(likelihood: Likelihood, V: Spread, x: State) -> Float[Tensor, "*#batch m m"] | None:
    """A V A', for the V that :func:`matched_score` takes; none, with any operator, where V is 0."""
    if not isinstance(V, DenoisingPosterior):
        V = checks.as_tensor("V", V, likelihood.y, CALL)
        checks.spread("V", V, x, CALL)
        if V.ndim == 0 and V == 0:
            return None
    matrix = require_linear("a matched Gaussian with V != 0", likelihood).matrix
    if isinstance(V, DenoisingPosterior):
        return V.projected_cov(matrix)
    return V * matrix @ matrix.mT if V.ndim == 0 else matrix @ V @ matrix.mT
