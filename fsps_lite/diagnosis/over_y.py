"""What the checks see that the field uses where it has no truth: over all y, by x* alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.diagnosis.finding import Finding
from fsps_lite.diagnosis.pairs import Pairs
from fsps_lite.estimate import Estimate
from fsps_lite.measures.coverage import (
    central_ranks,
    contraction,
    covered,
    tarp_ranks,
    z_scores,
)
from fsps_lite.measures.ranks import RankTest, rank_of, rank_test

LEVEL = 0.9  # of the regions whose coverage is counted
BAND = 0.99  # of the bands around ECDFs of ranks


@dataclass(frozen=True)
class RankCheck:
    """Whether ranks of x* are uniform: among the method's draws, and among exact ones."""

    label: str
    method: RankTest
    exact: RankTest
    told: bool = True  # False where the draws are no independent draws

    @property
    def significant(self) -> bool:
        """Whether the method's ranks leave the band."""
        return self.told and bool(self.method.rejected)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """One row of a table, with the two p-values."""
        mine, exact = (f"p = {float(test.p_value):.3f}" for test in (self.method, self.exact))
        return self.label, mine, exact, "", "*" if self.significant else ""


def over_all_y(
    pairs: Pairs, mine: Float[Tensor, "Y L d"], g: torch.Generator
) -> tuple[tuple[Finding, ...], tuple[RankCheck, ...]]:
    """What the checks see that need no exact draws; those of exact draws stand beside."""
    own, exact = Seen.of(pairs, mine, g), Seen.of(pairs, pairs.exact, g)
    both = zip(own.findings(), exact.findings(), strict=True)
    draws = mine.shape[1]

    def check(label: str) -> RankCheck:
        one, other = (
            rank_test(s.ranks[label], draws, generator=g, level=BAND) for s in (own, exact)
        )
        return RankCheck(label, one, other)

    findings = tuple(replace(mine, null=exact.value) for mine, exact in both)
    return findings, tuple(check(label) for label in own.ranks)


@dataclass(frozen=True)
class Seen:
    """What the field's checks see of one set of draws."""

    shown: str  # the coordinate of intervals, z-scores and contraction
    ranks: Mapping[str, Tensor]
    central: Tensor
    z: Tensor
    shrunk: Tensor
    draws: int

    @classmethod
    def of(cls, pairs: Pairs, x: Float[Tensor, "Y L d"], g: torch.Generator) -> "Seen":
        both = torch.cat([pairs.truth[:, None], x], 1)  # the truth is the first
        ranks = {
            label: rank_of(value[:, 0], value[:, 1:], generator=g)
            for label, value in _numbers(pairs, both)
        }
        other = pairs.problem.diffusion.sample(len(x), pairs.stop, generator=g)
        ranks["TARP ranks"] = tarp_ranks(pairs.truth, x, other, generator=g)
        j = pairs.coordinates[0]
        central = central_ranks(ranks[f"ranks of x[{j}]"], x.shape[1], generator=g)
        schedule, known = pairs.problem.schedule, pairs.prior_variances[j]
        variance = schedule.alpha(pairs.stop) ** 2 * known + schedule.variance(pairs.stop)
        z, shrunk = z_scores(pairs.truth[:, j], x[..., j]), contraction(x[..., j], variance)
        return cls(f"x[{j}]", ranks, central, z, shrunk, x.shape[1])

    def findings(self) -> Iterator[Finding]:
        """Coverage, z-scores and contraction."""
        for label, id, ranks in (
            (f"central intervals of {self.shown}", "central", self.central),
            ("highest density", "hpd", self.draws - self.ranks["ranks of log p(x | y)"]),
            ("TARP regions", "tarp", self.ranks["TARP ranks"]),
        ):
            value = covered(ranks, self.draws, LEVEL)
            yield Finding(f"coverage of 90 % {label}", value, id=id, truth=LEVEL)
        yield Finding(f"mean square z-score of {self.shown}", Estimate.of(self.z**2), id="z")
        yield Finding(f"contraction of {self.shown}", Estimate.of(self.shrunk), id="contraction")


def _numbers(pairs: Pairs, x: Float[Tensor, "Y K d"]) -> Iterator[tuple[str, Tensor]]:
    """The numbers of a point that are ranked, each ``(Y, K)``."""
    prior = pairs.problem.diffusion.log_prob(x.flatten(0, 1), pairs.stop)
    for j in pairs.coordinates:
        yield f"ranks of x[{j}]", x[..., j]
    yield "ranks of log p(x)", prior.reshape(x.shape[:2])
    yield "ranks of log p(y | x)", pairs.log_likelihood(x)
    yield "ranks of log p(x | y)", pairs.log_posterior(x)
