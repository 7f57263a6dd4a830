"""What every cloud of one size is compared with: exact draws, and what they say of the problem."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fsps_lite.measures.hallucinations import NEGLIGIBLE, explainable, explained, rarest
from fsps_lite.measures.variations import multinomial_floor
from fsps_lite.partition import Partition
from fsps_lite.problems import Problem
from fsps_lite.types import State

POOL = 20_000  # exact draws that say how much of the posterior lies where


@dataclass(frozen=True, eq=False)
class Reference:
    """The exact draws with which clouds of ``n`` particles at the time ``stop`` are compared.

    They are the same for the method, the exact sampler and the direct draws, which are therefore
    alike if the method is right. Everything is computed once.
    """

    problem: Problem
    n: int
    stop: float
    seed: int

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, the same at every call."""
        return torch.Generator(self.problem.device).manual_seed(self.seed + stream)

    @cached_property
    def truth(self) -> State:
        """As many exact draws. ``(n, d)``."""
        return self.problem.posterior.sample(self.n, self.stop, generator=self.generator(2))

    @cached_property
    def pool(self) -> State:
        """Many exact draws. ``(20000, d)``."""
        return self.problem.posterior.sample(POOL, self.stop, generator=self.generator(6))

    @cached_property
    def parts(self) -> Partition | None:
        """The parts that are counted."""
        return self.problem.parts

    @cached_property
    def known(self) -> Float[Tensor, "K"] | None:
        """The posterior's weight of each part, where it is known without sampling. ``(K,)``."""
        parts = self.parts
        return None if parts is None else parts.weights(self.problem.posterior.prior)

    @cached_property
    def shares(self) -> Float[Tensor, "K"]:
        """The share of the draws in each part. ``(K,)``."""
        assert self.parts is not None
        return self.parts.shares(self.truth / self.alpha)[0]

    @cached_property
    def floor(self) -> float:
        """The total variation between parts of as many exact draws, on average."""
        known = self.shares if self.known is None else self.known
        return multinomial_floor(known, self.n, against_draws=self.known is None)

    @cached_property
    def alpha(self) -> Tensor:
        """How much the signal is scaled at the time ``stop``."""
        return torch.as_tensor(self.problem.schedule.alpha(self.stop), device=self.problem.device)

    @cached_property
    def rare(self) -> Tensor:
        """The log-density below which the prior's own draws are the rarest."""
        return rarest(self.problem, self.stop, self.generator(7))

    @cached_property
    def absent(self) -> Bool[Tensor, "K"]:
        """The parts that the posterior does not have. ``(K,)``."""
        assert self.parts is not None
        return self.parts.shares(self.pool / self.alpha)[0] < NEGLIGIBLE

    @cached_property
    def expected(self) -> tuple[float, ...]:
        """The share of the many exact draws that count as hallucinated, in each way."""
        return tuple(
            float(flag.double().mean())
            for flag in self.hallucinating(self.pool, self.members(self.pool))
        )

    def members(self, x: State) -> Int[Tensor, "n"]:
        """The part of each particle. ``(n,)``."""
        assert self.parts is not None
        return self.parts.members(x / self.alpha)

    def hallucinating(self, x: State, k: Int[Tensor, "n"]) -> tuple[Bool[Tensor, "n"], ...]:
        """Which particles, of the parts ``k``, hallucinate, each ``(n,)``.

        They are on parts that the posterior does not have, on places that only the measurement
        would have, and nowhere. The last two are known only where the likelihood says what is
        explained.
        """
        clean, problem = x / self.alpha, self.problem
        lost = self.absent[k] & (k >= 0)
        if not explainable(problem.likelihood):
            return (lost,)
        improbable = ~(problem.diffusion.log_prob(x, self.stop) >= self.rare)
        fits = improbable.clone()  # what is probable counts in neither way
        if bool(improbable.any()):
            places = clean[improbable]
            fits[improbable] = explained(problem.likelihood, places, generator=self.generator(8))
        return lost, fits, improbable & ~fits
