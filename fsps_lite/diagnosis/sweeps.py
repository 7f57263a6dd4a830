"""Many reports, for each problem, each method and each seed, on several cores."""

from collections.abc import Mapping, Sequence, Sized

import torch

from fsps_lite import checks
from fsps_lite.diagnosis.comparison import compared
from fsps_lite.diagnosis.kinds import Integrator
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import STOP
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.problems import Problem
from fsps_lite.samplers import dpm_solver

CALL = "sweep([problems.trimodal()], {'DPS': DPS}, seeds=[0, 1, 2], jobs=2)"


def sweep(
    problems: Sequence[Problem],
    methods: Mapping[str, Method],
    *,
    seeds: Sequence[int],
    n: int | None = None,
    steps: int = 250,
    start: float | None = None,
    stop: float = STOP,
    integrator: Integrator = dpm_solver,
    jobs: int | None = None,
) -> tuple[Report, ...]:
    """:func:`compare` for each problem and each seed, in ``jobs`` processes of one thread each.

    The reports come in the order of problems, then seeds, then methods, and are the same as those
    of a plain loop. ``jobs=None`` is one process. Inside ``joblib.parallel_config(backend=...)``,
    it is what that backend decides: Dask's machines, or Ray's after
    ``ray.util.joblib.register_ray()``. Raises ValueError unless there are a problem, a method and a
    seed.
    """
    from joblib import Parallel, delayed

    _check(problems, methods, seeds, jobs)
    tasks = [
        delayed(_compare)(problem, methods, Sampling(n, steps, seed, start, stop, integrator))
        for problem in problems
        for seed in seeds
    ]
    found = Parallel(n_jobs=jobs)(tasks)
    return tuple(report for reports in found for report in reports)


def _check(problems: Sized, methods: Sized, seeds: Sized, jobs: int | None) -> None:
    checks.kind("problems", problems, Sequence, CALL)
    checks.kind("methods", methods, Mapping, CALL)
    checks.kind("seeds", seeds, Sequence, CALL)
    checks.kind("jobs", jobs, (int, type(None)), CALL)
    if not (problems and methods and seeds):
        what = "`sweep` needs a problem, a method and a seed at least"
        got = f"{len(problems)}, {len(methods)} and {len(seeds)}"
        raise ValueError(checks.complaint(what, got, CALL))


def _compare(problem: Problem, methods: Mapping[str, Method], how: Sampling) -> tuple[Report, ...]:
    """One task, on one thread, because the other tasks use the other cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return compared(problem, methods, how)
    finally:
        torch.set_num_threads(threads)
