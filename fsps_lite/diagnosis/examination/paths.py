"""The path: how wide the cloud is on its way, and when it has settled."""

from collections.abc import Iterator

import torch

from fsps_lite.diagnosis.examination.clouds import WHY_NO_PARTS
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.lens import is_data
from fsps_lite.diagnosis.run import Found, Run
from fsps_lite.estimate import Estimate
from fsps_lite.measures import mode_history
from fsps_lite.measures.spread import spread_ratio, spreads, true_spread
from fsps_lite.samplers import Trajectory

LOOKS, LOOKS_AT_DATA = 100, 50  # times at which something is looked at, at most
OF_DATA = 250  # particles that are looked at on the way, where each look costs all of the data


def spread(run: Run) -> Iterator[Found]:
    """The spread divided by the true one, and this ratio at the time at which it is worst.

    The exact sampler is measured at the time at which the method is worst. A worst time of its own
    would be chosen by noise alone. Direct draws are: so is a method that is right.
    """
    seen = run.path or run.marginals
    if run.why_no_path and seen is None:
        yield Missing("spread ratio, worst over t", "spread_worst", run.why_no_path)
    if seen is None:
        return
    posterior, t = run.problem.posterior, seen.t
    ratio = spreads(seen.x) / true_spread(posterior, t)
    worst = int(ratio.log().abs().argmax())
    value = spread_ratio(seen.x[worst], posterior, t[worst])
    beside = run.exact.path if run.exact else None
    null = spread_ratio(beside.x[worst], posterior, t[worst]) if beside else None
    row = "spread ratio, worst over t", value, null
    yield Finding(*row, id="spread_worst", truth=1.0, told=run.independent)
    yield Curve("spread_ratio", "spread ratio", t.cpu(), ratio.cpu(), level=1.0)


def commitment(run: Run) -> Iterator[Finding | Missing]:
    """The time at which the particles have settled on the part in which they end."""
    parts = run.reference.parts
    if run.why_no_path or parts is None:
        yield Missing("commitment time", "commitment", run.why_no_path or WHY_NO_PARTS)
    if run.path is not None and parts is not None:
        history = mode_history(looked_at(run, run.path), run.problem.diffusion, parts)
        value = Estimate(history.commitment, history.commitment_error)
        yield Finding("commitment time", value, id="commitment", told=run.independent)


def looked_at(run: Run, path: Trajectory, most: int = LOOKS) -> Trajectory:
    """The times and the particles of a path that are looked at: fewer if the prior is of data."""
    if not is_data(run.problem.prior):
        return thinned(path, most)
    some = thinned(path, min(most, LOOKS_AT_DATA))
    return Trajectory(some.t, some.x[:, :OF_DATA])


def thinned(path: Trajectory, most: int) -> Trajectory:
    """A path at no more than ``most`` of its times, always with the first and the last."""
    pick = torch.linspace(0, len(path.t) - 1, min(most, len(path.t)), device="cpu").round().long()
    return Trajectory(path.t[pick], path.x[pick])
