"""How often regions of a sampler's draws hold the truth, and how far the truth lies from them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.ranks import rank_of


def covered(ranks: Int[Tensor, "Y"], draws: int, level: float) -> Estimate:
    """The share of the y at which a one-sided region of this ``level`` holds the truth.

    ``ranks``, ``(Y,)``, are those of the truth among ``draws`` draws, by what the region grows
    with: by minus the log-density for highest density, by the distance to a reference for
    :func:`tarp_ranks`, and by :func:`central_ranks` for central intervals. Between two ranks the
    region is drawn at random, which makes the share equal to ``level`` for exact draws. The error
    is binomial: pairs (x*, y) are independent, their draws do not matter.
    """
    call = "covered(ranks, draws, 0.9)"
    checks.count("draws", draws, call)
    checks.number("level", level, call, least=0.0, most=1.0)
    checks.shape("ranks", ranks, ("Y",), call)
    inside = (level * (draws + 1) - ranks).clamp(0, 1).double()
    share = float(inside.mean())
    return Estimate(share, share_error(share, len(ranks)))


def central_ranks(
    ranks: Int[Tensor, "Y"], draws: int, *, generator: torch.Generator
) -> Int[Tensor, "Y"]:
    """Ranks by the distance from the middle of the draws, for central intervals. ``(Y,)``.

    The two ranks at equal distance from the middle become two neighbours in random order, so that
    uniform ranks stay uniform.
    """
    checks.generator(generator)
    checks.count("draws", draws, "central_ranks(ranks, draws, generator=g)")
    apart = (
        2 * ranks - draws
    ).abs()  # draws, draws - 2, ...: each twice, but for a 0 in the middle
    flip = torch.randint(2, ranks.shape, generator=generator, device=generator.device)
    return torch.where(apart > 0, apart - flip.to(ranks.device), 0)


def tarp_ranks(
    truth: Float[Tensor, "Y d"],
    draws: Float[Tensor, "Y L d"],
    references: Float[Tensor, "Y d"],
    *,
    generator: torch.Generator,
) -> Int[Tensor, "Y"]:
    """Ranks of the truth by its distance from a reference point, one for each y. ``(Y,)``.

    If the draws are of the posterior, the ranks are uniform for every reference that does not
    depend on the truth, and :func:`covered` equals each level (Lemos, 2023). Distances are
    Euclidean, in units of x. Raises ValueError where the sizes differ.
    """
    call = "tarp_ranks(truth, draws, references, generator=g), where draws are (Y, L, d)"
    checks.floating("draws", draws, call)
    checks.shape("draws", draws, ("Y", "L", "d"), call)
    for name, value in (("truth", truth), ("references", references)):
        checks.floating(name, value, call)
        checks.shape(name, value, (len(draws), draws.shape[-1]), call)
    far = (draws - references[:, None]).norm(dim=-1)
    return rank_of((truth - references).norm(dim=-1), far, generator=generator)


def z_scores(truth: Float[Tensor, "Y"], draws: Float[Tensor, "Y L"]) -> Float[Tensor, "Y"]:
    """(mean of the draws - truth) / their standard deviation, for each y. ``(Y,)``, no unit.

    Its mean square is 1 for a Gaussian posterior and many exact draws. For two narrow modes a
    z-score may be large and mean nothing. Raises ValueError for fewer than two draws, or equal
    ones.
    """
    call = "z_scores(truth, draws), where they are (Y,) and (Y, L)"
    spread = _variances(draws, call)
    checks.shape("truth", truth, (len(draws),), call)
    if not bool((spread > 0).all()):
        what = "the `draws` at each y must differ: a z-score divides by their deviation"
        raise ValueError(checks.complaint(what, f"{int((spread == 0).sum())} y without", call))
    return (draws.mean(-1) - truth) / spread.sqrt()


def contraction(
    draws: Float[Tensor, "Y L"], prior_variance: float | Float[Tensor, ""]
) -> Float[Tensor, "Y"]:
    """1 - variance of the draws / variance of the prior, for each y. ``(Y,)``; may be below 0."""
    call = "contraction(draws, prior_variance=1.0)"
    checks.positive("prior_variance", prior_variance, call)
    return 1 - _variances(draws, call) / prior_variance


def _variances(draws: Tensor, call: str) -> Tensor:
    checks.floating("draws", draws, call)
    checks.shape("draws", draws, ("Y", "L"), call)
    checks.count("draws.shape[1]", draws.shape[1], call, least=2)
    return draws.var(-1)
