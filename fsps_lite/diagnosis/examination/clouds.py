"""The last cloud: how many particles are left, how far it is from the posterior, how wide."""

from collections.abc import Iterator

import torch

from fsps_lite.diagnosis.examination.parts import OF_PARTS, hallucinated, weights
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.run import Run
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.measures.groups import resampled
from fsps_lite.measures.spread import spread_ratio
from fsps_lite.types import State

WHY_NO_PARTS = "the problem has no parts, which Problem(..., partition=) names"


def diverged(run: Run) -> Iterator[Finding]:
    """The number of particles that diverged; all other measures leave them out."""
    lost = Estimate(float((~run.alive).sum()), 0.0)
    yield Finding("diverged particles", lost, id="diverged")


def last_cloud(run: Run) -> Iterator[Finding | Missing]:
    """The last cloud, compared with as many draws of the true posterior."""
    if len(run.cloud) < 2:
        return
    x, told = evened(run), run.independent
    apart = distance(x, run.reference.truth, generator=run.generator(9), given=True)
    yield Finding("distance", apart, unit="units of x", id="distance", told=told)
    ratio = spread_ratio(x, run.problem.posterior, run.stop)
    yield Finding("spread ratio at the end", ratio, id="spread_end", truth=1.0, told=told)
    if run.reference.parts is None:
        yield from (Missing(*row, WHY_NO_PARTS) for row in OF_PARTS)
        return
    yield from weights(run, run.reference.parts)
    yield from hallucinated(run, run.reference.parts)


def evened(run: Run) -> State:
    """The cloud itself, or as many particles that weigh the same, drawn by the weights."""
    x, g = run.cloud, run.generator(4)
    return x if run.log_weights is None else resampled(x, run.weights, len(x), generator=g)


def quantiles(run: Run) -> Iterator[Curve]:
    """The quantiles of the first coordinate, for samples that come without a path."""
    if run.went is None and run.marginals is None:
        x = run.ended[:, 0].sort().values.cpu()
        share = (torch.arange(len(x), dtype=torch.float64, device="cpu") + 0.5) / len(x)
        yield Curve("quantiles", "quantiles of x[0]", share, x, axis="probability")
