"""Where a method goes in time on one problem, and where in y it fails on two."""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import problems
from fsps_lite.diagnosis import Drawn, Stepped, failure_map
from fsps_lite.diagnosis.cell_files import rounded
from fsps_lite.diagnosis.cells import ran
from fsps_lite.diagnosis.counted import Counted
from fsps_lite.diagnosis.measured import Evidence, measured, with_measurement
from fsps_lite.diagnosis.method import Method, kind_of
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.likelihood import UnsupportedLikelihood
from fsps_lite.measures.groups import resampled
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples
from tools.gallery.methods import EXACT

FORMAT = 1
TIMES, BINS, REACH = 24, 41, 4.1  # modes and atoms lie in the middle of a bin of width .2
FAILS = (problems.trimodal, problems.two_atoms)
COUNT, TAIL = 24, 5e-4  # measurements, and the share of p(y) beyond them at each end
N, STEPS, STOP = 1000, 60, 0.01
FINE = 50  # places in a bin, at which an exact density is added up
HOW = Sampling(N, STEPS, 0)
NO_PATH = "its particles have no path on the grid: the sampler has steps of its own"


def truth(problem: Problem, t: float) -> Float[Tensor, "B"]:
    """The mass of the exact law in each bin at time ``t``. ``(B,)``."""
    edge = torch.linspace(-REACH, REACH, BINS * FINE + 1, dtype=torch.float64)
    middle = (edge[:-1] + edge[1:]) / 2
    density = problem.posterior.log_prob(middle[:, None], t).exp()
    return density.reshape(BINS, FINE).sum(-1) * float(edge[1] - edge[0])


def counts(x: Tensor) -> Tensor:
    """How many particles lie in each bin. ``(B,)``."""
    inside = x[:, 0][x[:, 0].isfinite()].double()
    return torch.histc(inside, BINS, -REACH, REACH)


def path_times(t: Tensor) -> list[int]:
    """The indices of the times of a grid that are shown."""
    return torch.linspace(0, len(t) - 1, TIMES).round().long().tolist()


def path_of(method: Method) -> tuple[dict[str, object] | None, str]:
    """The histograms of the cloud along its path, or None and the reason."""
    problem = problems.trimodal()
    found = ran(problem, method, Counted(problem.prior, []), HOW)
    if found.path is None:
        return None, NO_PATH
    looks = path_times(found.path.t)
    rows = [counts(found.path.x[k]).long().tolist() for k in looks]
    return _histogram(problem, found.path.t[looks], rows), ""


def path_of_truth() -> dict[str, object]:
    """The same of the exact law, as expected counts."""
    problem = problems.trimodal()
    t = HOW.times(problem.schedule, False)
    t = t[path_times(t)]
    rows = [(N * truth(problem, float(one))).round().long().tolist() for one in t]
    return _histogram(problem, t, rows)


def _histogram(problem: Problem, t: Tensor, rows: list[list[int]]) -> dict[str, object]:
    y = [rounded(v, 6) for v in measured(problem).y.tolist()]
    times = [rounded(float(one)) for one in t]
    shown = {"problem": problem.name, "y": y, "t": times, "x": [-REACH, REACH], "n": N}
    return {**shown, "counts": rows}


@cache
def places(make: object) -> tuple[Tensor, Tensor]:
    """An even grid of y that holds 99.9 % of p(y), and p(y) there."""
    assert callable(make)
    evidence = Evidence(make())
    ends = evidence.quantiles(torch.tensor([TAIL, 1 - TAIL], dtype=torch.float64))
    y = torch.linspace(float(ends[0]), float(ends[1]), COUNT, dtype=torch.float64)
    return y, evidence.density(y)


def failures(make: object, method: Method, name: str) -> dict[str, object]:
    """The total variation at each y: of the law where there is one, else of clouds."""
    assert callable(make)
    y, p = places(make)
    problem = make()
    shown: dict[str, object] = {"y": _plain(y), "p": _plain(p)}
    law = _law(problem, None if name == EXACT else method, y)
    if law is not None:
        found = {"by": "law", "tv": _plain(law), "null": None}
        tv = law
    else:
        tv, null = _clouds(problem, method, y)
        found = {"by": "cloud", "tv": _plain(tv), "null": _plain(null)}
    return {**shown, **found, "expected": rounded(float((p @ tv) / p.sum()))}


def _law(problem: Problem, method: Method | None, y: Tensor) -> Tensor | None:
    """By law; None for a method that has none."""
    if method is not None:
        drawn = not callable(method) or isinstance(kind_of(problem, method), Drawn | Stepped)
        if drawn:
            return None
    try:
        return failure_map(problem, method, y=y, steps=STEPS, stop=STOP).tv
    except UnsupportedLikelihood:
        raise
    except ValueError:  # the law leaves every interval
        return None


def _clouds(problem: Problem, method: Method, y: Tensor) -> tuple[Tensor, Tensor]:
    """By the bins of clouds, with as many exact draws beside them. Each ``(Y,)``."""
    rows = []
    for k, one in enumerate(y):
        asked = with_measurement(problem, one.reshape(1))
        how = Sampling(N, STEPS, k, stop=STOP)
        g = torch.Generator().manual_seed(k + 1)
        found = ran(asked, method, Counted(asked.prior, []), how)
        exact, mass = asked.posterior.sample(N, STOP, generator=g), truth(asked, STOP)
        clouds = (_plainly(found, asked, g), exact)
        rows.append([float((counts(x) / N - mass).abs().sum() / 2) for x in clouds])
    tv, null = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    return tv, null


def _plainly(found: Samples, problem: Problem, g: torch.Generator) -> Tensor:
    """The cloud at the time STOP, without weights."""
    x = found.noised(problem.schedule, max(STOP, float(found.time)), generator=g)
    if found.log_weights is None:
        return x
    return resampled(x, found.log_weights.double().softmax(0), len(x), generator=g)


def _plain(values: Tensor) -> list[float | None]:
    return [rounded(float(v)) if math.isfinite(float(v)) else None for v in values]
