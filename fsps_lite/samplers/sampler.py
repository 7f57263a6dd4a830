"""Samplers that are no score under an integrator: one shape for all."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import check_known
from fsps_lite.likelihood import Likelihood
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
    Raises TypeError unless both are of their kind and have one dtype.
    """

    prior: Diffusion
    likelihood: Likelihood

    def __post_init__(self) -> None:
        check_known(self.prior, self.likelihood, CALL)

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


def linear_only(name: str, why: str, likelihood: Likelihood) -> Linear:
    """The operator of ``likelihood``; raises ValueError unless it is Linear.

    The message says ``why``, and names the samplers that take any operator.
    """
    if not isinstance(likelihood.operator, Linear):
        what = f"{name} needs a Linear operator: {why}"
        raise ValueError(checks.complaint(what, likelihood.operator, ANY))
    return likelihood.operator
