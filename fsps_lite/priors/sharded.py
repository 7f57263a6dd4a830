"""A prior made of more points than one machine holds: each rank keeps some, and answers merge."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.priors.answers import Answers
from fsps_lite.priors.empirical import Empirical
from fsps_lite.types import LogDensity, LogLikelihood, Scale, State, Where

TIMEOUT = 60.0  # seconds that a rank waits for the others
CALL = "ShardedEmpirical.of(prior, timeout=60.0)"


@dataclass(frozen=True)
class ShardedEmpirical(Answers):
    """An :class:`Empirical` whose atoms are spread over the ranks of ``torch.distributed``.

    :meth:`of` spreads a prior; a rank that loads atoms of its own says ``ShardedEmpirical(part)``.
    ``part`` holds the atoms of this rank, with log-weights up to a constant that is the same on
    every rank; ``alive`` is false where none of them has weight. Every rank runs the same program:
    the same calls, with the same ``x`` and generators of the same seed, and gets the same answers.
    For a score, d + 2 numbers a row of ``x`` move, whatever N is. Raises RuntimeError where another
    rank is lost, or ``timeout`` seconds late.
    """

    part: Empirical
    alive: bool = True
    group: dist.ProcessGroup | None = None
    timeout: int | float = TIMEOUT

    def __post_init__(self) -> None:
        checks.positive("timeout", self.timeout, CALL)
        if not dist.is_initialized():
            what = "a sharded prior needs torch.distributed, which torchrun prepares"
            call = f'torch.distributed.init_process_group("gloo"); {CALL}'
            raise RuntimeError(checks.complaint(what, "no process group", call))
        if self._log_total == -math.inf:
            what = "some rank must have an atom of positive weight: y in the data's reach"
            call = "prior.condition(likelihood), with more noise_std"
            raise ValueError(checks.complaint(what, "-inf for every atom", call))

    @classmethod
    def of(
        cls,
        prior: Empirical,
        *,
        group: dist.ProcessGroup | None = None,
        timeout: int | float = TIMEOUT,
    ) -> "ShardedEmpirical":
        """Every R-th atom of ``prior`` on each of R ranks: call it on all, with the same atoms."""
        if not dist.is_initialized():
            return cls(prior)  # which says what is missing
        rank, ranks = dist.get_rank(group), dist.get_world_size(group)
        if len(prior.atoms) < ranks:
            what = f"each of the {ranks} ranks needs an atom"
            raise ValueError(checks.complaint(what, len(prior.atoms), f"{CALL} on fewer ranks"))
        own = slice(rank, None, ranks)
        return _of(prior.atoms[own], prior.log_weights[own], True, group, timeout)

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.part.dim

    @property
    def dtype(self) -> torch.dtype:
        return self.part.dtype

    @property
    def total_variance(self) -> Float[Tensor, ""]:
        """The trace of the covariance: the mean square distance of a draw from the mean."""
        part, weight = self.part.to(torch.float64), self._weight
        mean = part.weights @ part.atoms
        apart = mean - self._sum(weight * mean)
        return self._sum(weight * (part.total_variance + apart.square().sum())).to(self.dtype)

    @property
    def effective_size(self) -> float:
        """1 / sum_i w_i^2 over the atoms of all ranks (Kong, 1992)."""
        return 1 / float(self._sum(self._weight**2 / self.part.effective_size))

    def to(self, where: Where) -> "ShardedEmpirical":
        """The same prior in another dtype, or on another device (NCCL wants its own a rank)."""
        return replace(self, part=self.part.to(where))

    def condition(self, likelihood: LogLikelihood) -> "ShardedEmpirical":
        """Bayes, on each rank for its own atoms: a rank may be left with no weight at all."""
        log_w = self.part.log_weights + self.part.log_likelihood(likelihood)
        return _of(self.part.atoms, log_w, self.alive, self.group, self.timeout)

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """Draw ``n`` atoms with their weights, with replacement. ``(n, d)``."""
        checks.count("n", n, "prior.sample(1000, generator=torch.Generator().manual_seed(0))")
        checks.generator(generator)
        own = self.part.sample(n, generator=self._own(generator))
        return self._pick(own, self._weight.expand(n), generator)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> "ShardedPosterior":
        """What all ranks together know of x_0, merged at once: two reductions.

        Reading the parts then asks nobody, so that two ranks may read them in another order.
        """
        known = ShardedPosterior(x, alpha, sigma, self)
        _ = known._merged
        return known

    @property
    def log_mass(self) -> Float[Tensor, ""]:
        """The log of the weight of all atoms of this rank, in float64."""
        mass = self.part.log_weights.double().logsumexp(0)
        return mass if self.alive else torch.full_like(mass, -math.inf)

    @cached_property
    def _log_total(self) -> float:
        top = self._reduce(self.log_mass.clone(), dist.ReduceOp.MAX)
        if float(top) == -math.inf:
            return -math.inf
        return float(self._sum((self.log_mass - top).exp()).log() + top)

    @property
    def _weight(self) -> Float[Tensor, ""]:
        """The weight of this rank's atoms; those of all ranks sum to 1."""
        return (self.log_mass - self._log_total).exp()

    def _own(self, generator: torch.Generator) -> torch.Generator:
        """A generator of this rank's own; the shared one moves on alike on every rank."""
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        own = torch.Generator(generator.device)
        return own.manual_seed(int(seed) + dist.get_rank(self.group))

    def _pick(self, own: State, share: Float[Tensor, "n"], generator: torch.Generator) -> State:
        """In each row the atom of one rank, drawn by the shares, which all ranks get to know."""
        u = torch.rand(len(own), generator=generator, dtype=torch.float64, device=generator.device)
        rank, ranks = dist.get_rank(self.group), dist.get_world_size(self.group)
        shares = share.new_zeros(ranks, len(own))
        shares[rank] = share
        edges = self._sum(shares).cumsum(0)
        chosen = (u * edges[-1] >= edges).sum(0).clamp(max=ranks - 1)
        return self._sum(own.where((chosen == rank).unsqueeze(-1), 0.0))

    def _sum(self, value: Tensor) -> Tensor:
        return self._reduce(value.clone(), dist.ReduceOp.SUM)

    def _reduce(self, value: Tensor, op: dist.ReduceOp.RedOpType) -> Tensor:
        """``value``, reduced over the ranks in place; a rank that is gone is told of, in words."""
        try:
            work = dist.all_reduce(value, op, self.group, async_op=True)
            work.wait(timedelta(seconds=self.timeout))
        except RuntimeError as error:
            raise RuntimeError(
                f"rank {dist.get_rank(self.group)} waits for another that has ended, or has not "
                f"answered within {self.timeout:g} s. Every rank must make the same calls: start "
                "them anew, all together"
            ) from error
        return value


@dataclass(frozen=True, eq=False)
class ShardedPosterior(DenoisingPosterior):
    """What the ranks know, merged: each counts by its share of p(x_t = x). Methods communicate."""

    prior: ShardedEmpirical

    @property
    def _score(self) -> State:
        return self._merged[0] / self.sigma**2

    @property
    def _mean(self) -> State:
        return (self._x + self._merged[0]) / self.alpha

    @property
    def _log_evidence(self) -> LogDensity:
        return self._merged[1]

    @property
    def share(self) -> Float[Tensor, "*batch"]:
        """p(the atom is one of this rank | x_t = x)."""
        return self._merged[2]

    @property
    def dropped(self) -> LogDensity:
        """Of all ranks together."""
        return self._averaged(self._part.dropped)

    def _cov_product(self, v: State) -> State:
        """The covariance within ranks, plus the one between their means."""
        apart = self._part.mean - self._mean
        between = apart * (apart * v).sum(-1, keepdim=True)
        return self._averaged(self._part.cov_product(v) + between)

    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        apart = (self._part.mean - self._mean) @ matrix.mT
        between = apart.unsqueeze(-1) * apart.unsqueeze(-2)
        return self._averaged(self._part.projected_cov(matrix) + between)

    def _draw(self, generator: torch.Generator) -> State:
        """A rank by its share, and an atom of it."""
        own = self._part._draw(self.prior._own(generator))
        return self.prior._pick(own, self.share, generator)

    @cached_property
    def _part(self) -> DenoisingPosterior:
        return self.prior.part._given(self._x, self.alpha, self.sigma)

    @cached_property
    def _merged(self) -> tuple[State, LogDensity, Float[Tensor, "*batch"]]:
        """sigma^2 times the score, the log-density, and this rank's share: two reductions."""
        log_p = self._part.log_evidence + self.prior.log_mass
        top = self.prior._reduce(log_p.clone(), dist.ReduceOp.MAX)
        weight = (log_p - top).exp().unsqueeze(-1)
        pull = self.sigma**2 * self._part.score  # which is small near t = 0, unlike the mean
        sums = self.prior._sum(torch.cat([weight * pull, weight], dim=-1))
        pull, total = sums[..., :-1] / sums[..., -1:], sums[..., -1]
        return pull, top + total.log() - self.prior._log_total, weight.squeeze(-1) / total

    def _averaged(self, value: Tensor) -> Tensor:
        """The mean over ranks, by their shares."""
        more = value.ndim - self.share.ndim
        return self.prior._sum(self.share[(...,) + (None,) * more] * value)


def _of(
    atoms: Tensor, log_w: Tensor, alive: bool, group: dist.ProcessGroup | None, timeout: float
) -> ShardedEmpirical:
    """A part whose weights may all be -inf: it then stands aside."""
    alive = alive and bool((log_w > -math.inf).any())
    part = Empirical(atoms, log_w if alive else torch.zeros_like(log_w))
    return ShardedEmpirical(part, alive, group, timeout)
