"""One Gaussian in place of p(x_0 | x_t): the family that most guided samplers belong to."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.conjugate import solved
from fsps_lite.guidance.guidance import Guidance, require_linear
from fsps_lite.guidance.transport import Covariance, product, projected
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.types import LogDensity, Measurement, Scale, State, Time

DIRECT = 512  # measurements: above, A V A' is not made but multiplied with
Treatment = Callable[[Tensor], Tensor]
CALL = "matched_score(diffusion, likelihood, x, 0.5, V=0.0)"
Spread = Scale | Float[Tensor, "*#batch d d"] | DenoisingPosterior


@dataclass(frozen=True)
class MatchedGaussian(Guidance):
    """p(y | x_t) ~ N(y; A(m), A V A' + noise_cov), with m = E[x_0 | x_t] and a V of your choice.

    A method of this family says what V is and nothing else: ``assumed_cov``. The gradient leaves
    out that V may depend on x_t, as the published methods do. Up to 512 measurements, A V A' is
    made, by a matrix or by m products, and factored; above, conjugate gradients solve with products
    alone (:mod:`fsps_lite.guidance.conjugate`: to which tolerance, and a row that misses it is
    NaN). With V = 0, and in the methods that take any operator, neither is needed.
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
        m = len(self.likelihood.y)
        return self.likelihood.y.new_zeros(m, m) if spread is None else spread

    def treated(self, spread: Float[Tensor, "*#batch m m"]) -> Float[Tensor, "*#batch m m"]:
        """A V A' as it is used under a learned prior: a method may mend what is no covariance."""
        return spread

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        treated = self.treated if at.learned else as_it_is
        return _score(at, self.likelihood, self.assumed_cov(at, t), treated)

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """The guess of log p(y | x_t = x) itself, in nats."""
        at = self.prior.at(x, t)
        treated = self.treated if at.learned else as_it_is
        return _log_likelihood(at, self.likelihood, self.assumed_cov(at, t), treated)


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


def as_it_is(spread: Tensor) -> Tensor:
    """A V A' without treatment."""
    return spread


def _score(
    at: DenoisingPosterior, likelihood: Likelihood, V: Spread, treated: Treatment = as_it_is
) -> State:
    """J' A' (A V A' + noise_cov)^-1 (y - A(m))."""
    residual = likelihood.residual(at.mean)
    return at.vjp(operator_vjp(likelihood, at.mean, _weighed(at, likelihood, V, residual, treated)))


def _weighed(
    at: DenoisingPosterior,
    likelihood: Likelihood,
    V: Spread,
    residual: Measurement,
    treated: Treatment,
) -> Measurement:
    """(A V A' + noise_cov)^-1 residual: by a factor up to DIRECT measurements, else by products."""
    noise = likelihood.noise
    if len(likelihood.y) <= DIRECT or _is_zero(V):
        spread = transported(likelihood, V, at.x)
        return noise.solve(residual, None if spread is None else treated(spread))
    known = _known(likelihood, V, at.x)
    return solved(lambda u: product(*known, u) + noise.cov_product(u), noise.solve, residual)


def _log_likelihood(
    at: DenoisingPosterior, likelihood: Likelihood, V: Spread, treated: Treatment = as_it_is
) -> LogDensity:
    residual, spread = likelihood.residual(at.mean), transported(likelihood, V, at.x)
    return likelihood.noise.log_prob(residual, None if spread is None else treated(spread))


def operator_vjp(likelihood: Likelihood, m: State, v: Measurement) -> State:
    """A'(m)' v, the operator's Jacobian at ``m`` transposed: its adjoint, or one backward."""
    if isinstance(likelihood.operator, Linear):
        return likelihood.operator.adjoint(v)
    with torch.inference_mode(False), torch.enable_grad():
        m = m.detach().clone().requires_grad_()
        y = likelihood.operator(m)
        if not y.requires_grad:
            what = "a guided score needs an `operator` that can be differentiated"
            got = f"{likelihood.operator}, whose answer has no gradient"
            raise ValueError(checks.complaint(what, got, "Nonlinear(torch.square, 'square')"))
        return torch.autograd.grad(y, m, v.clone())[0]


def transported(likelihood: Likelihood, V: Spread, x: State) -> Float[Tensor, "*#batch m m"] | None:
    """A V A', for the V that :func:`matched_score` takes; none, with any operator, where V is 0."""
    return None if _is_zero(V) else projected(*_known(likelihood, V, x))


def _is_zero(V: Spread) -> bool:
    """Whether it is the number 0: of a V a row nobody asks."""
    if isinstance(V, DenoisingPosterior) or (isinstance(V, Tensor) and V.ndim):
        return False
    return bool(V == 0)


def _known(likelihood: Likelihood, V: Spread, x: State) -> tuple[Linear, Covariance]:
    """A and V, a number as a tensor."""
    operator = require_linear("a matched Gaussian with V != 0", likelihood)
    if not isinstance(V, DenoisingPosterior):
        V = checks.as_tensor("V", V, likelihood.y, CALL)
        checks.spread("V", V, x, CALL)
    return operator, V
