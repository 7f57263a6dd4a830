"""Ranks of the truth among a sampler's draws, and whether they are uniform, as they should be."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fsps_lite import checks

SIMULATED = 2000  # sets of uniform ranks that say how far an ECDF strays
CALL = "rank_of(truth, draws, generator=g), where they are (Y,) and (Y, L)"


@dataclass(frozen=True)
class RankTest:
    """The ECDF of ranks among ``L`` draws, and the band that holds all of it at once.

    ``ecdf[i - 1]`` is the share of the ranks below i, ``(*batch, L)``. If the ranks are uniform, it
    stays between ``lower`` and ``upper``, each ``(L,)``, with a probability of ``level``.
    ``p_value``, ``(*batch,)``, is the share of simulated uniform sets that stray as far.
    """

    ecdf: Float[Tensor, "*batch L"]
    lower: Float[Tensor, "L"]
    upper: Float[Tensor, "L"]
    p_value: Float[Tensor, "*batch"]
    level: float

    @property
    def rejected(self) -> Bool[Tensor, "*batch"]:
        """Whether the ECDF leaves the band anywhere."""
        slack = 1e-9  # of counts over Y: both sides are multiples of 1 / Y
        below, above = self.ecdf < self.lower - slack, self.ecdf > self.upper + slack
        return (below | above).any(-1)


def rank_of(
    truth: Float[Tensor, "Y"], draws: Float[Tensor, "Y L"], *, generator: torch.Generator
) -> Int[Tensor, "Y"]:
    """How many of the draws for each y lie below the truth: 0 to L. ``(Y,)``.

    Ties are broken at random: among k equal draws, each of the k + 1 ranks is as probable. If truth
    and draws are of one posterior, all ranks are equally probable (Talts, 2018). ``truth`` is any
    number of x*, such as a coordinate or a log-density; ``draws`` is the same number of each draw.
    Raises ValueError where a value is NaN, or the sizes differ.
    """
    checks.generator(generator)
    checks.floating("truth", truth, CALL)
    checks.floating("draws", draws, CALL)
    checks.shape("draws", draws, ("Y", "L"), CALL)
    checks.shape("truth", truth, (len(draws),), CALL)
    for name, value in (("truth", truth), ("draws", draws)):
        if bool(value.isnan().any()):
            what = f"`{name}` must not be NaN, which has no rank"
            raise ValueError(checks.complaint(what, f"{int(value.isnan().sum())} NaN", CALL))
    below = (draws < truth[:, None]).sum(-1)
    equal = (draws == truth[:, None]).sum(-1)
    u = torch.rand(len(draws), generator=generator, dtype=torch.float64, device=generator.device)
    return below + (u * (equal + 1)).floor().long()


def rank_test(
    ranks: Int[Tensor, "*batch Y"], draws: int, *, generator: torch.Generator, level: float = 0.95
) -> RankTest:
    """Whether ranks ``(*batch, Y)`` among ``draws`` draws are uniform on 0, ..., draws.

    The band is that of (Säilynoja, 2022): at each i the count of ranks below i is binomial, and the
    one tail probability that all i share is the one at which 2,000 simulated sets of uniform ranks
    stay inside with a probability of ``level``. It is thus known to about .005 at .95. Raises
    ValueError where a rank is not one of 0, ..., draws.
    """
    call = "rank_test(rank_of(truth, draws, generator=g), draws.shape[1], generator=g)"
    checks.generator(generator)
    checks.count("draws", draws, call)
    checks.number("level", level, call, least=0.5, most=0.9999)
    if not ranks.numel() or ranks.is_floating_point() or ranks.min() < 0 or ranks.max() > draws:
        what = f"`ranks` must be whole numbers from 0 to {draws}"
        raise ValueError(checks.complaint(what, checks.described(ranks), call))
    count, device = ranks.shape[-1], ranks.device
    under, over = _tails(count, draws, device)
    size = SIMULATED, count
    uniform = torch.randint(draws + 1, size, generator=generator, device=generator.device)
    null = _strayed(_counts(uniform.to(device), draws), under, over)
    counts = _counts(ranks, draws)
    p_value = (null <= _strayed(counts, under, over)[..., None] * (1 + 1e-9)).double().mean(-1)
    gamma = null.quantile(1 - level) * (1 - 1e-9)
    inside = (under >= gamma) & (over >= gamma)
    number = torch.arange(count + 1, dtype=torch.float64, device=device)
    lower = torch.where(inside, number, float(count)).amin(-1) / count
    upper = torch.where(inside, number, 0.0).amax(-1) / count
    return RankTest(counts.double() / count, lower, upper, p_value, level)


def _counts(ranks: Int[Tensor, "*batch Y"], draws: int) -> Int[Tensor, "*batch L"]:
    """How many ranks lie below i = 1, ..., draws."""
    found = torch.zeros(*ranks.shape[:-1], draws + 1, dtype=torch.long, device=ranks.device)
    return found.scatter_add(-1, ranks, torch.ones_like(ranks)).cumsum(-1)[..., :-1]


def _tails(count: int, draws: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """P(K <= k) and P(K >= k) of binomials of ``count`` with share i / (draws + 1).

    Each ``(L, count + 1)``: a row for each i, a column for each k.
    """
    k = torch.arange(count + 1, dtype=torch.float64, device=device)
    i = torch.arange(1, draws + 1, dtype=torch.float64, device=device)[:, None] / (draws + 1)
    ways = math.lgamma(count + 1) - torch.lgamma(k + 1) - torch.lgamma(count - k + 1)
    mass = (ways + k * i.log() + (count - k) * torch.log1p(-i)).exp()
    return mass.cumsum(-1), mass.flip(-1).cumsum(-1).flip(-1)


def _strayed(counts: Int[Tensor, "*batch L"], under: Tensor, over: Tensor) -> Tensor:
    """The smallest tail probability of a set's counts over all i. ``(*batch,)``."""
    row = torch.arange(counts.shape[-1], device=counts.device)
    return torch.minimum(under[row, counts], over[row, counts]).amin(-1)
