"""What only exact draws at each y can see of a method."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.diagnosis.finding import Finding
from fsps_lite.diagnosis.pairs import NULLS, Pairs
from fsps_lite.estimate import Estimate
from fsps_lite.measures.classifiers import told_apart
from fsps_lite.measures.hallucinations import share_error

DIRECTIONS = 50  # along which clouds in more than one dimension are compared
FOLDS = 3  # of the y, on each of which a classifier is asked that has seen the others


def at_each_y(
    pairs: Pairs, mine: Float[Tensor, "Y L d"], g: torch.Generator
) -> tuple[Float[Tensor, "Y"], tuple[Finding, ...]]:
    """The excess of W1 at each y, and the findings beside exact draws."""
    u = torch.randn(mine.shape[-1], DIRECTIONS, generator=g, dtype=mine.dtype, device=g.device)
    u = u / u.norm(dim=0) if mine.shape[-1] > 1 else torch.ones_like(u[:, :1])
    own, exact, null = (_w1(x, pairs.null[:, :1], u) for x in _clouds(pairs, mine))
    excess = own - null.mean(-1, keepdim=True)
    told = Finding(
        "W1 at each y, over exact clouds",
        Estimate.of(excess[:, 0]),
        Estimate.of((exact - null.mean(-1, keepdim=True))[:, 0]),
        unit="units of x",
        id="w1",
        truth=0.0,
    )
    above = null.amax(-1, keepdim=True)
    own_share, exact_share = (_share((one > above)[:, 0]) for one in (own, exact))
    failed = f"share of p(y) where W1 exceeds {NULLS} exact ones"
    second = Finding(failed, own_share, exact_share, id="failed", truth=1 / (NULLS + 1))
    return excess[:, 0], (told, second, *_of_parts(pairs, mine), *_by_classifier(pairs, mine))


def _clouds(pairs: Pairs, mine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The method's, one exact, and the 19 others, each ``(Y, clouds, L, d)``."""
    return mine[:, None], pairs.exact[:, None], pairs.null[:, 1:]


def _w1(x: Float[Tensor, "Y C L d"], to: Float[Tensor, "Y 1 L d"], u: Tensor) -> Tensor:
    """The mean over directions of W1 between clouds of one size, ``(Y, C)``."""
    one, other = ((cloud @ u).sort(-2).values for cloud in (x, to))
    return (one - other).abs().mean((-2, -1)).double()


def _share(failed: Tensor) -> Estimate:
    share = float(failed.double().mean())
    return Estimate(share, share_error(share, len(failed)))


def _of_parts(pairs: Pairs, mine: Tensor) -> Iterator[Finding]:
    """The total variation between the weights of parts at each y: over exact, and its bracket."""
    parts = pairs.problem.parts
    if parts is None or len(parts.names) == 1:
        return
    reference = pairs.counted(pairs.null[:, :1])
    own, exact, null = (
        (pairs.counted(x) - reference).abs().sum(-1) / 2 for x in _clouds(pairs, mine)
    )
    value, beside = (Estimate.of(one[:, 0] - null.mean(-1)) for one in (own, exact))
    label = f"weights by {parts.noun} at each y, over exact clouds"
    yield Finding(label, value, beside, id="weights", truth=0.0)
    bounds = zip(pairs.variation(mine), pairs.variation(pairs.exact), strict=True)
    ends = (("parts_low", "at least", 0.0), ("parts_high", "at most", None))
    for (id, end, truth), both in zip(ends, bounds, strict=True):
        value, beside = (Estimate.of(one) for one in both)
        yield Finding(f"total variation by {parts.noun}, {end}", value, beside, id=id, truth=truth)


def _by_classifier(pairs: Pairs, mine: Tensor) -> Iterator[Finding]:
    """The total variation over y, from below, and the accuracy of the classifier that says so."""
    if len(mine) < 2 * FOLDS:
        return  # too few y to train on
    exact = pairs.features(pairs.exact)
    other = pairs.features(mine), pairs.features(pairs.null[:, -1])
    value, beside = (told_apart(exact, one, folds=FOLDS) for one in other)
    label = "total variation over y, at least"
    yield Finding(label, value, beside, id="tv", truth=0.0)
    right, chance = (Estimate((1 + one.value) / 2, one.error / 2) for one in (value, beside))
    yield Finding("accuracy of a classifier (C2ST)", right, chance, id="c2st", truth=0.5)
