"""Samplers that are no score under an integrator: one shape for all."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import check_known
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.operators import Linear
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.trajectory import march
from fsps_lite.types import State, Time, Where

CALL = "DDRM(problem.diffusion, problem.likelihood)"
ANY = "DAPS(prior, likelihood), PnPDM, REDDiff or TDS, which take any operator"


@dataclass(frozen=True)
class Sampler(ABC):
    """A published procedure that draws from p(x_0 | y), and is no score under an integrator.

    Like a :class:`Guidance`, it knows the signal through ``prior`` and the measurement through
    ``likelihood``, and nothing else; its other fields are the parameters of the publication, with
    the published values. The class is a method of ``diagnose``, ``compare`` and ``calibrate``.
    Raises TypeError unless both are of their kind and have one dtype, and ValueError for a batch of
    y, which only some of the :class:`StepSampler` take, with a row for each particle.
    """

    prior: Diffusion
    likelihood: Likelihood

    def __post_init__(self) -> None:
        check_known(self.prior, self.likelihood, CALL)
        if not isinstance(self, StepSampler):  # its particles are of one run, and so of one y
            one_y(type(self).__name__, self.likelihood)

    @abstractmethod
    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """Samples, from the cloud ``x`` at time t[0], ``(n, d)``, along the falling grid ``t``."""

    def to(self, where: Where) -> "Sampler":
        """The same sampler with prior and likelihood in another dtype, or on another device."""
        return replace(self, prior=self.prior.to(where), likelihood=self.likelihood.to(where))


@dataclass(frozen=True)
class StepSampler(Sampler):
    """A sampler that steps along the grid: x_t becomes x_s, and nothing else is remembered."""

    @abstractmethod
    def step(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        """A cloud at time s < t from the cloud ``x`` at time t; both are ``(n, d)``."""

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last cloud of the march along ``t``, at the time t[-1], with its path."""
        checks.generator(generator)
        path = march(lambda x, t, s: self.step(x, t, s, generator=generator), x, t)
        return Samples(path.final, time=path.t[-1], path=path)


def one_y(name: str, likelihood: Likelihood) -> None:
    """Raise ValueError where y is a batch."""
    if likelihood.y.ndim > 1:
        what, got = f"{name} takes one measurement y of shape (m,)", tuple(likelihood.y.shape)
        call = "[DDRM(prior, replace(likelihood, y=y)) for y in likelihood.y]"
        raise ValueError(checks.complaint(what, got, call))


def linear_only(name: str, why: str, likelihood: Likelihood) -> Linear:
    """The operator of ``likelihood``; raises UnsupportedLikelihood unless it is Linear.

    The message says ``why``, and names the samplers that take any operator.
    """
    if not isinstance(likelihood.operator, Linear):
        what = f"{name} needs a Linear operator: {why}"
        raise UnsupportedLikelihood(checks.complaint(what, likelihood.operator, ANY))
    return likelihood.operator
