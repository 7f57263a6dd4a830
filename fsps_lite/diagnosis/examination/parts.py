"""The weights of parts, and the particles that are where the posterior has none."""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fsps_lite.diagnosis.finding import Finding, Missing
from fsps_lite.diagnosis.reference import POOL
from fsps_lite.diagnosis.run import Run
from fsps_lite.estimate import Estimate
from fsps_lite.measures.groups import effective_size, grouped_share
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.variations import total_variation_of_parts
from fsps_lite.partition import Partition

FEWEST_RUNS = 10  # with fewer, an error over runs is too uncertain for a star
FEWEST_EFFECTIVE = 8  # the same, of runs of unequal weight: 1 / sum of their squared weights
WHY_UNEXPLAINED = "the likelihood has no y and simulate(x, generator=), to say what is explained"
OF_PARTS = (
    ("weights of parts", "weights"),
    ("total variation between parts", "total_variation"),
    ("hallucinations", "hallucinated"),
)
HALLUCINATED = ("prior", "likelihood", "nowhere")


def weights(run: Run, parts: Partition) -> Iterator[Finding]:
    """The share of the cloud in each part, and the total variation between all parts.

    Where the posterior does not know the weights of the parts, those of as many exact draws stand
    for them. In the total variation, the truth is what as many exact draws have on average: its
    multinomial floor.
    """
    reference = run.reference
    known, member = reference.known, run.members
    shares = [share_of(member == k, run) for k in range(len(parts.names))]
    for k, name in enumerate(parts.names):
        row = f"weight of {parts.noun} {name}", shares[k]
        true = None if known is None else float(known[k])
        yield of_share(Finding(*row, id=f"weight_{name}", truth=true), run)
    if len(parts.names) > 1:
        expected = reference.shares if known is None else known
        drawn = reference.n if known is None else None
        found = expected.new_tensor([one.value for one in shares])
        n = effective_size(run.weights)
        apart = total_variation_of_parts(found, expected, n, drawn)
        row = f"total variation between {parts.noun}s", apart
        one = of_share(Finding(*row, id="total_variation", truth=reference.floor), run)
        yield replace(one, told=run.independent)


def share_of(inside: Tensor, run: Run) -> Estimate:
    """The share of the cloud that is ``inside``, ``(k,)``, with the error that its kind has."""
    if run.independent:
        share = float(inside.double().mean())
        return Estimate(share, share_error(share, len(inside)))
    return grouped_share(inside, run.weights, run.groups)


def of_share(finding: Finding, run: Run) -> Finding:
    """The finding of a share, which is judged by its own error too if particles are dependent."""
    grain, grouped = 1 / len(run.cloud), not run.independent
    return replace(finding, told=judgeable(run), grain=grain, grouped=grouped)


def judgeable(run: Run) -> bool:
    """Whether the error of a share is known well enough for a star.

    It takes ten runs, and an effective number of eight, by their weights: where few runs carry all,
    the jackknife states too small an error.
    """
    if run.independent:
        return True
    label = torch.unique(run.groups, return_inverse=True)[1]
    mass = run.weights.new_zeros(int(label.max()) + 1).index_add(0, label, run.weights)
    return len(mass) >= FEWEST_RUNS and effective_size(mass) >= FEWEST_EFFECTIVE


def hallucinated(run: Run, parts: Partition) -> Iterator[Finding | Missing]:
    """The shares of the cloud that lie where the posterior has none, minus those of the truth."""
    labels = f"prior {parts.noun}s", "likelihood modes", "nowhere"
    flags, expected = run.reference.hallucinating(run.cloud, run.members), run.reference.expected
    for label, id, inside, null in zip(labels, HALLUCINATED, flags, expected, strict=False):
        row = f"hallucinated {label}", beyond(inside, null, run)
        yield of_share(Finding(*row, id=f"hallucinated_{id}"), run)
    for label, id in list(zip(labels, HALLUCINATED, strict=True))[len(flags) :]:
        yield Missing(f"hallucinated {label}", f"hallucinated_{id}", WHY_UNEXPLAINED)


def beyond(inside: Tensor, expected: float, run: Run) -> Estimate:
    """The share of the cloud ``inside``, minus that of many exact draws, with the error of both.

    The error of a share is that of the larger one: a share of 0 is no less certain than a share
    which is 0 in truth.
    """
    least = max(expected, 1 / POOL)
    of_pool = math.sqrt(least * (1 - least) / POOL)
    if not run.independent:
        share = grouped_share(inside, run.weights, run.groups)
        return Estimate(share.value - expected, math.hypot(share.error, of_pool))
    value = float(inside.double().mean())
    p = min(max(value, least), 1 - 1 / POOL)
    return Estimate(value - expected, math.hypot(math.sqrt(p * (1 - p) / len(inside)), of_pool))
