"""Whose error it is: the network's, or that of the approximate guidance."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.crossed import Crossed
from fsps_lite.diagnosis.decomposition import Cell, Decomposition
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.variations import multinomial_floor, total_variation_of_parts
from fsps_lite.networks.errors import picture_errors
from fsps_lite.problems import Problem
from fsps_lite.types import Prior, State

LEVELS = (0.2, 0.5, 1.0, 2.0, 8.0)  # of sigma / alpha, at which held-out data are denoised
CALL = "decompose(problem, networks.load(), DPS, held_out=data.held_out)"


def decompose(
    problem: Problem,
    network: Prior,
    method: Method,
    *,
    n: int = 200,
    steps: int = 100,
    seed: int = 0,
    held_out: Float[Tensor, "M d"] | None = None,
) -> Decomposition:
    """Run the method with the exact and with a learned denoiser, and each with exact guidance.

    ``problem`` has the data prior, and ``network`` is a prior that is known by its denoiser, of the
    same dimension and dtype. The exact guidance is the difference of the two exact scores, of
    posterior and prior. ``n`` particles take ``steps`` steps. Clouds are told apart by the parts of
    the problem, such as labels, or by sliced W1 where it has none. With ``held_out``, data that
    neither prior has seen, it says whether what the network changes is generalisation or error.
    Raises TypeError for finished samples, which ask no denoiser, and ValueError for held-out data
    that are not finite.
    """
    checks.count("n", n, CALL, least=2)
    checks.count("steps", steps, CALL)
    check(problem, network, held_out, CALL)
    how = Sampling(n=n, steps=steps, seed=seed)
    return decomposed(Crossed(problem, network, how), method, held_out)


def decomposed(
    crossed: Crossed, method: Method, held_out: Float[Tensor, "M d"] | None
) -> Decomposition:
    """The same, for runs that are made like this."""
    judge = Judge(crossed)
    return Decomposition(
        exact=judge.cell(crossed.neither),
        network=judge.cell(crossed.learned),
        approximation=judge.cell(crossed.approximate(method)),
        both=judge.cell(crossed.both(method)),
        floor=judge.floor,
        gains=() if held_out is None else _gains(crossed, held_out),
    )


@dataclass(frozen=True)
class Judge:
    """Compares clouds with the exact posterior at the time where the runs stop."""

    crossed: Crossed

    def cell(self, cloud: State) -> Cell:
        """What a report says of one cloud, ``(n, d)``."""
        alive = cloud.isfinite().all(-1)
        lost = 1 - float(alive.double().mean())
        some, g = int(alive.sum()) > 1, self._generator(0)
        truth = self._truth[0]
        far = distance(cloud[alive], truth, generator=g) if some else Estimate(math.inf, math.nan)
        error = share_error(lost, len(cloud)) if lost else 0.0
        return Cell(self.total_variation(cloud), far, Estimate(lost, error))

    def total_variation(self, cloud: State) -> Estimate | None:
        """Between the shares of the parts and their weights; None without parts."""
        parts = self.crossed.problem.parts
        if parts is None:
            return None
        weights, drawn = self._weights
        shares = parts.shares(cloud / self._alpha)[0]
        return total_variation_of_parts(shares, weights, len(cloud), drawn)

    @property
    def floor(self) -> tuple[float | None, Estimate]:
        """What as many exact draws have: of total variation on average, and a sliced W1."""
        apart = distance(*self._truth, generator=self._generator(0))
        if self.crossed.problem.parts is None:
            return None, apart
        weights, drawn = self._weights
        return multinomial_floor(weights, self._n, against_draws=drawn is not None), apart

    @cached_property
    def _weights(self) -> tuple[Float[Tensor, "K"], int | None]:
        """The exact weights of the parts, or the shares of exact draws, and of how many."""
        parts = self.crossed.problem.parts
        assert parts is not None
        known = parts.weights(self.crossed.problem.posterior.prior)
        if known is not None:
            return known, None
        return parts.shares(self._draws(0) / self._alpha)[0], self._n

    @cached_property
    def _truth(self) -> tuple[State, State]:
        return self._draws(1), self._draws(2)

    def _draws(self, stream: int) -> State:
        posterior, g = self.crossed.problem.posterior, self._generator(stream)
        return posterior.sample(self._n, self.crossed.stop, generator=g)

    def _generator(self, stream: int) -> torch.Generator:
        device, seed = self.crossed.problem.device, self.crossed.how.seed
        return torch.Generator(device).manual_seed(seed + stream)

    @property
    def _n(self) -> int:
        return self.crossed.how.particles(self.crossed.problem)

    @property
    def _alpha(self) -> Tensor:
        return self.crossed.problem.schedule.alpha(self.crossed.stop)


def _gains(crossed: Crossed, held_out: Tensor) -> tuple[tuple[float, Estimate], ...]:
    """At each level, how much larger the error of the data prior is, picture by picture."""
    problem = crossed.problem

    def errors(prior: Prior, s: float) -> Float[Tensor, "n"]:
        g = torch.Generator(problem.device).manual_seed(crossed.how.seed)
        return picture_errors(prior, held_out, s, generator=g)

    pairs = ((s, errors(problem.prior, s), errors(crossed.network, s)) for s in LEVELS)
    return tuple((s, Estimate.of(exact - net)) for s, exact, net in pairs)


def check(problem: Problem, network: Prior, held_out: Tensor | None, call: str) -> None:
    """Raise unless the three belong together."""
    checks.kind("problem", problem, Problem, call)
    checks.kind("network", network, Prior, call)
    if network.dim != problem.prior.dim:
        what = f"`network` must be a prior in {problem.prior.dim} dimensions, as the problem's"
        raise ValueError(checks.complaint(what, network.dim, call))
    checks.same_dtype("network", network.dtype, "the problem's prior", problem.prior.dtype, call)
    if held_out is None:
        return
    checks.state("held_out", held_out, problem.prior.dim, problem.prior.dtype, call)
    lost = int((~held_out.isfinite()).sum())
    if lost:
        raise ValueError(
            checks.complaint("`held_out` must be finite", f"{lost} that are not", call)
        )
