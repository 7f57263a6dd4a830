"""How well a classifier tells a method's draws from exact ones, at y that it has not seen."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate

CALL = "told_apart(exact, draws), where both are (Y, L, F)"
ROUNDS = 50  # trees, each of which mends what those before it have missed
LEAVES = 8  # of a tree: enough for three features to act together


def told_apart(
    exact: Float[Tensor, "Y L F"], draws: Float[Tensor, "Y L F"], *, folds: int = 3
) -> Estimate:
    """A lower bound for the total variation, expected over y, with its error.

    For any set A of pairs (x, y), the total variation between p(y) p(x | y) and p(y) q(x | y) is at
    least Q(A) - P(A). A is where boosted trees, trained at the other y, expect the method's draws
    (Friedman, 2001); so the bound holds for any features of (x, y), ``(Y, L, F)``. The error is
    that over y. A classifier that says of each point which law it is from is right with the
    probability (1 + Q(A) - P(A)) / 2, which is C2ST (Lopez-Paz and Oquab, 2017). Raises ValueError
    where the sizes differ, or there are fewer y than folds.
    """
    checks.floating("exact", exact, CALL)
    checks.shape("exact", exact, ("Y", "L", "F"), CALL)
    checks.floating("draws", draws, CALL)
    checks.shape("draws", draws, tuple(exact.shape), CALL)
    checks.count("folds", folds, CALL, least=2, most=len(exact))
    fold = torch.arange(len(exact), device=exact.device) % folds
    found = exact.new_zeros(len(exact), dtype=torch.float64)
    for k in range(folds):
        held = fold == k
        found[held] = _apart(exact[~held], draws[~held], exact[held], draws[held]).to(found)
    return Estimate.of(found)


def _apart(
    exact: Tensor, draws: Tensor, held_exact: Tensor, held_draws: Tensor
) -> Float[Tensor, "Y"]:
    """Q(A) - P(A) at each y that is held out."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    points = torch.cat([exact.flatten(0, 1), draws.flatten(0, 1)])
    sizes = exact[..., 0].numel(), draws[..., 0].numel()
    of = np.repeat([0.0, 1.0], sizes)
    trees = HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=LEAVES, early_stopping=False, random_state=0
    )
    trees.fit(points.cpu().numpy(), of)
    shares = []
    for held in (held_draws, held_exact):
        inside = trees.predict(held.flatten(0, 1).cpu().numpy())
        shares.append(torch.from_numpy(inside).reshape(held.shape[:2]).double().mean(-1))
    return shares[0] - shares[1]


def crossed_variation(
    members: Int[Tensor, "Y L"], reference: Float[Tensor, "2 Y K"]
) -> tuple[Float[Tensor, "Y"], Float[Tensor, "Y"]]:
    """The total variation of parts at each y, from below and from above. Each ``(Y,)``.

    ``members`` says in which of K parts each draw lies. ``reference`` are two estimates of the true
    weights, from independent draws, or twice the weights themselves. From above: the total
    variation between the shares and the weights, which exceeds the true one on average. From below:
    one half of the draws, and one reference, choose the parts that hold too much; the others say
    how much that is, which is unbiased for a sum that is no more than the total variation.
    """
    call = "crossed_variation(members, torch.stack([weights, weights]))"
    checks.shape("reference", reference, (2, len(members), "K"), call)
    checks.count("draws", members.shape[1], call, least=2)
    counted = torch.nn.functional.one_hot(members, reference.shape[-1]).double()
    above = (counted.mean(1) - reference.mean(0)).abs().sum(-1) / 2
    halves = counted[:, 0::2].mean(1), counted[:, 1::2].mean(1)
    below = torch.zeros_like(above)
    for chooses, tells in ((0, 1), (1, 0)):
        more = halves[chooses] > reference[chooses]
        below += ((halves[tells] - reference[tells]) * more).sum(-1) / 2
    return below, above
