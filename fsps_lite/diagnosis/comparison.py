"""Diagnose any sampler: what it believes, what it does, beside the exact one."""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter

from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.crossed import Crossed
from fsps_lite.diagnosis.decomposing import check, decomposed
from fsps_lite.diagnosis.direct import Directs
from fsps_lite.diagnosis.examination import MEASURES
from fsps_lite.diagnosis.kinds import Integrator, Kind, Scored, Stepped
from fsps_lite.diagnosis.method import CALL, Method, kind_of, name_of
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import STOP
from fsps_lite.diagnosis.running import Runs
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diagnosis.telling import told
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, dpm_solver
from fsps_lite.types import Prior, Time

LEARNED = "diagnose(problem, DPS, network=networks.load(), held_out=data.held_out)"


def diagnose(
    problem: Problem,
    method: Method,
    *,
    n: int | None = None,
    steps: int = 250,
    seed: int = 0,
    start: float | None = None,
    stop: float = STOP,
    integrator: Integrator = dpm_solver,
    grid: Float[Tensor, "T"] | None = None,
    start_from: Float[Tensor, "n d"] | None = None,
    network: Prior | None = None,
    held_out: Float[Tensor, "M d"] | None = None,
) -> Report:
    """Run ``method`` beside the exact posterior and report every difference with its error.

    ``method(prior, likelihood)`` returns a posterior score: a class such as DPS, or a function. A
    method of another kind is a :class:`Scored`, a :class:`Stepped`, a :class:`Drawn` or
    :class:`Samples`; the report says which rows its kind does not allow.
    ``n`` particles (2,000; 400 where the atoms of the prior hold 50,000 numbers or more) take
    ``steps`` steps of ``integrator``, even in log-SNR from ``start`` to ``stop``, or those of a
    ``grid`` of your own; and once more with twice the steps, to tell the method from the
    integrator. The default comes nearest to the law of an exact score, of all
    integrators with as many scores (benchmarks/integrators.py). The exact sampler starts from the
    same noise, or from the cloud ``start_from``, and uses the same random numbers.

    With a ``network``, a prior that is known by its denoiser, the method sees it in place of the
    problem's prior, which stays the truth. The report then has the :class:`Decomposition` of
    :func:`decompose` too: what the network costs, and what the method. ``held_out``, ``(M, d)``,
    are data that neither has seen, to tell generalisation from error.
    """
    if network is not None:
        check(problem, network, held_out, LEARNED)
    elif held_out is not None:
        raise ValueError(checks.complaint("`held_out` needs a `network`", "none", LEARNED))
    how = Sampling(n, steps, seed, start, stop, integrator, grid, start_from, network)
    report = compared(problem, {name_of(method): method}, how)[0]
    if network is None:
        return report
    found = decomposed(Crossed(problem, network, how), method, held_out)
    return replace(report, decomposition=found)


def compare(
    problem: Problem,
    methods: Mapping[str, Method],
    *,
    n: int | None = None,
    steps: int = 250,
    seed: int = 0,
    start: float | None = None,
    stop: float = STOP,
    integrator: Integrator = dpm_solver,
    grid: Float[Tensor, "T"] | None = None,
    start_from: Float[Tensor, "n d"] | None = None,
) -> tuple[Report, ...]:
    """A :class:`Report` for each of ``{name: method}``, all against one exact run."""
    how = Sampling(n, steps, seed, start, stop, integrator, grid, start_from)
    return compared(problem, methods, how)


def compared(problem: Problem, methods: Mapping[str, Method], how: Sampling) -> tuple[Report, ...]:
    """The same, for runs that are made like this."""
    checks.kind("problem", problem, Problem, CALL)
    checks.kind("methods", methods, Mapping, "compare(problem, {'DPS': DPS})")
    _check_names(*methods)
    seen = how.seen(problem)
    kinds = {name: kind_of(problem, method, seen) for name, method in methods.items()}
    for kind in kinds.values():  # a wrong one is refused before any long run
        if isinstance(kind, Scored | Stepped):
            kind.made(how.task(problem, finer=False))
    runs = Runs(problem, MEASURES, how)
    directs = Directs()
    return tuple(_told(runs, directs, name, kind) for name, kind in kinds.items())


def _told(runs: Runs, directs: Directs, name: str, kind: Kind) -> Report:
    """The report on one method; samples have no steps to tell of."""
    before = perf_counter()
    found = runs.of(kind)
    settings = runs.how.settings(runs.problem) | {"n": len(found.ended)}
    if isinstance(kind, Samples):
        settings.pop("steps")
    report = told(name, settings, found, directs.of(found))
    if report.cost is None:
        return report
    return replace(report, cost=replace(report.cost, whole=perf_counter() - before))


def diagnose_samples(
    problem: Problem,
    samples: Float[Tensor, "n d"],
    *,
    time: Time = 0.0,
    name: str = "samples",
    seed: int = 0,
) -> Report:
    """The half of a report that needs no score: for a sampler that hands in draws of p(x_time | y).

    ``time`` is where the sampler stopped, 0 if at the signal itself. The samples ``(n, d)`` get the
    noise of a level that the prior can see, a twentieth of the distance between its atoms, and are
    compared with as many exact draws of that level.
    """
    call = "diagnose_samples(problem, samples, name='my sampler')"
    checks.kind("problem", problem, Problem, call)
    checks.seed(seed, call)
    _check_names(name)
    checks.state("samples", samples, problem.prior.dim, problem.prior.dtype, call)
    checks.shape("samples", samples, ("n", problem.prior.dim), call)
    return compared(problem, {name: Samples(samples, time)}, Sampling(seed=seed))[0]


def _check_names(*names: object) -> None:
    """A name is printed, and no method's is that of what it is compared with."""
    for name in names:
        checks.kind("name", name, str, "compare(problem, {'DPS': DPS, 'mine': DPS})")
    if "exact" in names:
        what = "a method may not be called 'exact', which is the `name` of what it is compared with"
        raise ValueError(checks.complaint(what, list(names), "compare(problem, {'DPS': DPS})"))
