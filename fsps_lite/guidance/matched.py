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
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.operators import Linear
from fsps_lite.types import LogDensity, Measurement, Scale, State, Time

DIRECT = 512  # the most measurements for which A V A' is formed
Treatment = Callable[[Tensor], Tensor]
CALL = "matched_score(diffusion, likelihood, x, 0.5, V=0.0)"
Spread = Scale | Float[Tensor, "*#batch d d"] | DenoisingPosterior


@dataclass(frozen=True)
class MatchedGaussian(Guidance):
    """p(y | x_t) ~ N(y; A(m), A V A' + noise_cov), with m = E[x_0 | x_t] and a V of your choice.

    A method of this family defines V in ``assumed_cov``, and nothing else. The gradient treats V as
    a constant, though V may depend on x_t; so do the published methods. For at most 512
    measurements, A V A' is formed as a matrix and factored. For more, conjugate gradients solve the
    system from products alone, and a row that misses their tolerance is NaN
    (:mod:`fsps_lite.guidance.conjugate`). Where V is the number 0, neither is needed, and the
    operator may be any.
    """

    @abstractmethod
    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Spread:
        """V, the covariance that the method believes p(x_0 | x_t = x) to have. Units of x^2.

        Return one variance, or a ``(d, d)`` matrix, or ``(*batch, d, d)`` with one matrix per row,
        or ``at``. Here ``at`` stands for Cov[x_0 | x_t = x], which is then never formed.
        """

    def predicted_cov(self, at: DenoisingPosterior, t: Time) -> Float[Tensor, "*#batch m m"]:
        """A V A', the covariance of A x_0 if p(x_0 | x_t) has the covariance V. Units of y^2.

        ``(m, m)`` for all rows, or ``(*batch, m, m)``. Raises ValueError for more than 4096
        measurements.
        """
        spread = transported(self.likelihood, self.assumed_cov(at, t), at.x)
        m = self.likelihood.noise.size
        return self.likelihood.y.new_zeros(m, m) if spread is None else spread

    def treated(self, spread: Float[Tensor, "*#batch m m"]) -> Float[Tensor, "*#batch m m"]:
        """A V A' as it is used under a learned prior.

        A method may repair here what is not a covariance.
        """
        return spread

    def weighed(self, at: DenoisingPosterior, V: Spread, residual: Measurement) -> Measurement:
        """(A V A' + noise_cov)^-1 residual, row by row. ``(*batch, m)``."""
        return _weighed(at, self.likelihood, V, residual, self._treatment(at))

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' A' (A V A' + noise_cov)^-1 (y - A(m)), with J = dm/dx_t. ``(*batch, d)``."""
        return _score(at, self.likelihood, self.assumed_cov(at, t), self._treatment(at))

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """The guess of log p(y | x_t = x) itself, in nats. ``(*batch,)``."""
        at = self.prior.at(x, t)
        return _log_likelihood(at, self.likelihood, self.assumed_cov(at, t), self._treatment(at))

    def _treatment(self, at: DenoisingPosterior) -> Treatment:
        """What is done with A V A': only a learned prior's is treated."""
        return self.treated if at.learned else as_it_is


def matched_score(prior: Diffusion, likelihood: Likelihood, x: State, t: Time, V: Spread) -> State:
    """The gradient in x_t of log N(y; A(m), A V A' + noise_cov), with V held fixed.

    m = E[x_0 | x_t]. ``V`` is the covariance that a method believes p(x_0 | x_t) to have, in units
    of x^2: one variance for all directions, a ``(d, d)`` matrix, or ``(*batch, d, d)`` with one
    matrix per row. V = 0 is DPS and takes any operator (Chung et al., 2023); V = Cov[x_0 | x_t] is
    TMPD (Boys et al., 2024). ``x`` and the answer are ``(*batch, d)``. Raises ValueError for any V
    but 0 when the operator is not Linear.
    """
    return _score(prior.at(x, t), likelihood, V)


def matched_log_likelihood(
    prior: Diffusion, likelihood: Likelihood, x: State, t: Time, V: Spread
) -> LogDensity:
    """log N(y; A(m), A V A' + noise_cov), the guess of log p(y | x_t = x) itself, in nats.

    ``(*batch,)``. ``V`` is as in :func:`matched_score`, which is the gradient of this with V held
    fixed. Raises ValueError as it does, and for more than 4096 measurements unless V is 0.
    """
    return _log_likelihood(prior.at(x, t), likelihood, V)


def as_it_is(spread: Tensor) -> Tensor:
    """A V A' without a change."""
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
    """(A V A' + noise_cov)^-1 residual, row by row.

    By a Cholesky factor for at most DIRECT measurements, else by conjugate gradients.
    """
    noise = likelihood.noise
    if noise.size <= DIRECT or _is_zero(V):
        spread = transported(likelihood, V, at.x)
        return noise.solve(residual, None if spread is None else treated(spread))
    known = _known(likelihood, V, at.x)
    return solved(lambda u: product(*known, u) + noise.cov_product(u), noise.solve, residual)


def _log_likelihood(
    at: DenoisingPosterior, likelihood: Likelihood, V: Spread, treated: Treatment = as_it_is
) -> LogDensity:
    """log N(residual; 0, A V A' + noise_cov), in nats."""
    residual, spread = likelihood.residual(at.mean), transported(likelihood, V, at.x)
    return likelihood.noise.log_prob(residual, None if spread is None else treated(spread))


def operator_vjp(likelihood: Likelihood, m: State, v: Measurement) -> State:
    """The transposed Jacobian of the operator at ``m``, times v: ``(*batch, d)``.

    A Linear operator has its adjoint; for any other, autograd computes it. Raises
    UnsupportedLikelihood where the operator has no gradient.
    """
    if isinstance(likelihood.operator, Linear):
        return likelihood.operator.adjoint(v)
    with torch.inference_mode(False), torch.enable_grad():
        m = m.detach().clone().requires_grad_()
        y = likelihood.operator(m)
        if not y.requires_grad:
            what = "a guided score needs an `operator` that can be differentiated"
            got = f"{likelihood.operator}, whose answer has no gradient"
            call = "Nonlinear(torch.square, 'square')"
            raise UnsupportedLikelihood(checks.complaint(what, got, call))
        return torch.autograd.grad(y, m, v.clone())[0]


def transported(likelihood: Likelihood, V: Spread, x: State) -> Float[Tensor, "*#batch m m"] | None:
    """A V A', for the V that :func:`matched_score` takes; None where V is the number 0.

    With V = 0 any operator is taken.
    """
    return None if _is_zero(V) else projected(*_known(likelihood, V, x))


def _is_zero(V: Spread) -> bool:
    """Whether V is the number 0; a matrix, or one per row, is never looked at."""
    if isinstance(V, DenoisingPosterior) or (isinstance(V, Tensor) and V.ndim):
        return False
    return bool(V == 0)


def _known(likelihood: Likelihood, V: Spread, x: State) -> tuple[Linear, Covariance]:
    """A, and V, where a number has become a tensor."""
    operator = require_linear("a matched Gaussian with V != 0", likelihood)
    if not isinstance(V, DenoisingPosterior):
        V = checks.as_tensor("V", V, likelihood.y, CALL)
        checks.spread("V", V, x, CALL)
    return operator, V
