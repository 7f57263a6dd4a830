"""A prior that is known by its denoiser alone, as a trained network knows it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from fsps_lite import checks, tally
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.priors.answers import Answers
from fsps_lite.types import LogDensity, Scale, State, Where

CALL = "Denoiser(lambda x, alpha, sigma: alpha * x, dim=2)"
CALL_DTYPE = "Denoiser(lambda x, alpha, sigma: alpha * x, dim=2, dtype=torch.float32)"


@dataclass(frozen=True)
class Denoiser(Answers):
    """E[x_0 | x_t] as a function ``fn(x, alpha, sigma)``: a network, or a function of your own.

    ``fn`` maps a cloud ``(*batch, d)`` and the two scales to a cloud. Products with the covariance
    cost one backward pass through it: Cov[x_0 | x_t] = sigma^2 / alpha J' (Tweedie; Efron, 2011).
    A denoiser knows no density and cannot draw x_0: those calls raise.
    """

    fn: Callable[[Tensor, Scale, Scale], Tensor]
    dim: int
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        checks.function("fn", self.fn, CALL)
        checks.count("dim", self.dim, CALL)
        checks.kind("dtype", self.dtype, torch.dtype, CALL)
        weights = self.fn.parameters() if isinstance(self.fn, torch.nn.Module) else ()
        for weight in weights:
            checks.same_dtype("fn", weight, "the Denoiser", self.dtype, CALL_DTYPE)

    def to(self, where: Where) -> "Denoiser":
        """The same function: networks are not recast, and are moved by whoever made them."""
        return self

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> "DenoiserPosterior":
        if x.ndim > 1 and len(x) and "_examined" not in vars(self):
            object.__setattr__(self, "_examined", True)
            with torch.no_grad():
                checks.rowwise("fn", lambda x: self._answer(x, alpha, sigma), x, CALL)
        return DenoiserPosterior(x, alpha, sigma, self)

    def _answer(self, x: State, alpha: Scale, sigma: Scale) -> State:
        """One row for each row, or a sentence; ``x`` is in the dtype of ``fn``."""
        try:
            answer = self.fn(x, alpha, sigma)
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            what = f"`fn` must take the Denoiser's dtype, {self.dtype}"
            raise TypeError(checks.complaint(what, str(error), CALL_DTYPE)) from error
        checks.like("fn", answer, x, CALL)
        return answer

    def _check_differentiable(self, x: State, alpha: Scale, sigma: Scale) -> None:
        """Once: where autograd sees no way back, the covariance would silently be 0."""
        if "_differentiable" in vars(self):
            return
        some = x.detach().reshape(-1, self.dim)[: checks.FEW].to(self.dtype)
        try:
            asked = some.clone().requires_grad_()
        except RuntimeError:  # inside torch.func.vmap: another time
            return
        object.__setattr__(self, "_differentiable", True)
        with torch.enable_grad():
            answer = self._answer(asked, alpha, sigma)
        if not answer.requires_grad and checks.apart(answer, self._answer(some + 1, alpha, sigma)):
            what = "the covariance of a Denoiser needs an `fn` that can be differentiated"
            raise ValueError(checks.complaint(what, "an answer without a gradient", CALL))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        raise NotImplementedError(_unknown("samples of x_0"))


@dataclass(frozen=True, eq=False)
class DenoiserPosterior(DenoisingPosterior):
    """One call of ``fn``, and one backward pass through it for each product."""

    prior: Denoiser
    learned: ClassVar[bool] = True

    @cached_property
    def _mean(self) -> State:
        """Under ``torch.no_grad`` no way back is kept: it costs memory, and may not be needed."""
        kept = torch.is_grad_enabled() or "_way_back" in vars(self)
        return self._way_back[0] if kept else self._fn(self._x)

    def vjp(self, v: State) -> State:
        with tally.asked(backward=1):
            return self._pulled(self._checked(v)).to(self.x.dtype)

    def _cov_product(self, v: State) -> State:
        """sigma^2 / alpha J' v."""
        return self.sigma**2 / self.alpha * self._pulled(v)

    def _pulled(self, v: State) -> State:
        self.prior._check_differentiable(self._x, self.alpha, self.sigma)
        with torch.set_grad_enabled(self._wanted):
            pulled: State = self._way_back[1](v)[0]
            return pulled

    @cached_property
    def _way_back(self) -> tuple[State, Callable[[State], tuple[State]]]:
        """The answer, and the function that pulls back through it."""
        with torch.set_grad_enabled(self._wanted):  # not in a network's own weights
            answer, pull_back = torch.func.vjp(self._fn, self._x)[:2]
            return answer, pull_back

    @property
    def _wanted(self) -> bool:
        """Whether somebody will differentiate the answers in ``x``."""
        return torch.is_grad_enabled() and self.x.requires_grad

    @property
    def _log_evidence(self) -> LogDensity:
        raise NotImplementedError(_unknown("the density of x_t"))

    def _draw(self, generator: torch.Generator) -> State:
        raise NotImplementedError(_unknown("samples of x_0 given x_t"))

    def _fn(self, x: State) -> State:
        known = x.to(self.prior.dtype)
        return self.prior._answer(known, self.alpha, self.sigma).to(x.dtype)


def _unknown(what: str) -> str:
    call = "Empirical.from_samples(x), with samples of the prior"
    return checks.complaint(f"a Denoiser does not know {what}", "its mean only", call)
