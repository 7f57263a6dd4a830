"""Diagnose any sampler: what it believes, what it does, beside the exact one."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.examination import MEASURES
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.kinds import Kind, Scored, Stepped
from fsps_lite.diagnosis.method import CALL, Method, kind_of, name_of
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import STOP, Found, Integrator, Run, Sampling, exact_of, run_of
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, dpm_solver
from fsps_lite.types import Time

FEWEST = 2.0  # atoms of effective size, below which a posterior of samples says nothing of spread
ENOUGH = 21  # atoms: fewer are a prior that is meant, and no sample of one


def diagnose(
    problem: Problem,
    method: Method,
    *,
    n: int = 2000,
    steps: int = 250,
    seed: int = 0,
    start: float | None = None,
    stop: float = STOP,
    integrator: Integrator = dpm_solver,
    grid: Float[Tensor, "T"] | None = None,
    start_from: Float[Tensor, "n d"] | None = None,
) -> Report:
    """Run ``method`` beside the exact posterior and report every difference with its error.

    ``method(prior, likelihood)`` returns a posterior score: a class such as DPS, or a function. A
    method of another kind is a :class:`Scored`, a :class:`Stepped`, a :class:`Drawn` or
    :class:`Samples`; the report says which rows its kind does not allow.
    ``n`` particles take ``steps`` steps of ``integrator``, even in log-SNR from ``start`` to
    ``stop``, or those of a ``grid`` of your own; and once more with twice the steps, to tell the
    method from the integrator. The default comes nearest to the law of an exact score, of all
    integrators with as many scores (benchmarks/integrators.py). The exact sampler starts from the
    same noise, or from the cloud ``start_from``, and uses the same random numbers.
    """
    how = Sampling(n, steps, seed, start, stop, integrator, grid, start_from)
    return compared(problem, {name_of(method): method}, how)[0]


def compare(
    problem: Problem,
    methods: Mapping[str, Method],
    *,
    n: int = 2000,
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
    kinds = {name: kind_of(problem, method) for name, method in methods.items()}
    for kind in kinds.values():  # a wrong one is refused before any long run
        if isinstance(kind, Scored | Stepped):
            kind.made(how.task(problem, finer=False))
    exact = cache(lambda: exact_of(problem, MEASURES, how))
    return tuple(_told(problem, name, kind, how, exact) for name, kind in kinds.items())


def _told(
    problem: Problem, name: str, kind: Kind, how: Sampling, exact: Callable[[], Run]
) -> Report:
    """The report on one method; samples have no steps to tell of."""
    found = run_of(problem, kind, MEASURES, how, exact)
    settings = how.settings | {"n": len(found.ended)}
    if isinstance(kind, Samples):
        settings.pop("steps")
    return _report(name, settings, found)


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


def _report(name: str, settings: Mapping[str, int], found: Run) -> Report:
    """Two samplers' numbers and curves, side by side."""
    expected = found.exact.findings if found.exact else {}
    told = [_beside(found.findings.get(id), expected.get(id)) for id in expected | found.findings]
    findings = tuple(one for one in told if isinstance(one, Finding))
    curves = tuple(one for one in told if isinstance(one, Curve))
    missing = tuple(one for one in found.findings.values() if isinstance(one, Missing))
    notes = *_few(found.problem), *_notes(found), *_misses(findings), *_absent(missing)
    stars = not any(_few(found.problem))
    return Report(found.problem.name, name, settings, findings, curves, notes, stars, missing)


def _absent(missing: Sequence[Missing]) -> Iterator[str]:
    """Which rows are not there, by the reason."""
    for why in dict.fromkeys(one.why for one in missing):
        yield f"missing, as {why}: {'; '.join(one.label for one in missing if one.why == why)}"


def _beside(mine: Found | None, exact: Found | None) -> Finding | Curve | None:
    """What was found on the method, with the exact sampler's in its ``null``."""
    if isinstance(mine, Finding):
        return replace(
            mine, null=mine.null or (exact.value if isinstance(exact, Finding) else None)
        )
    if isinstance(mine, Curve):
        return replace(mine, null=exact.value if isinstance(exact, Curve) else None)
    if isinstance(exact, Curve) and mine is None:  # of a method that lost all its particles
        return replace(exact, value=torch.full_like(exact.x, torch.nan), null=exact.value)
    return None


def _notes(found: Run) -> Iterator[str]:
    """Sentences that a reader must not miss."""
    for one, which in ((found, ""), (found.finer, " with twice the steps")):
        if one is not None and not bool(one.alive.all()):
            lost, n = int((~one.alive).sum()), len(one.ended)
            yield f"{lost} of {n} particles diverged{which} and are left out of the rest"
    for id, fine in (found.finer.findings if found.finer else {}).items():
        coarse = found.findings.get(id, fine)
        if id != "diverged" and isinstance(fine, Finding) and isinstance(coarse, Finding):
            error = math.hypot(coarse.value.error, fine.value.error)
            if abs(coarse.value.value - fine.value.value) > 3 * error:
                moved = f"{coarse.value}, with twice as many {fine.value}"
                yield f"the number of steps matters: {fine.label} {moved}"
    prior, posterior = found.problem.prior, found.problem.posterior.prior
    if isinstance(posterior, Empirical) and isinstance(prior, Empirical):
        size, count = posterior.effective_size, len(posterior.atoms)
        yield f"the posterior's effective size is {size:.1f} of {count} atoms"


def _misses(findings: Sequence[Finding]) -> Iterator[str]:
    """Where the exact sampler itself is wrong, and what to do."""
    other = "or start_from=problem.posterior.sample(n, 1.0, generator=g)"
    missed = [finding for finding in findings if finding.missed]
    for one in missed[:1]:
        rest = f", and {len(missed) - 1} more" if len(missed) > 1 else ""
        yield (
            f"the exact sampler misses the truth: {one.label} {one.null}, truth {one.truth:.4g}"
            f"{rest}. Take more steps, {other}"
        )
    for one in findings:
        if one.id == "start" and one.significant:
            yield (
                f"the noise at the start is not the truth's there: {one.value} nats. Scale the "
                f"data, take a schedule that forgets more, {other}"
            )


def _few(problem: Problem) -> Iterator[str]:
    """Whether so few atoms count that nothing can be told of the posterior's width."""
    posterior = problem.posterior.prior
    if not isinstance(posterior, Empirical) or not isinstance(problem.prior, Empirical):
        return
    size, count = posterior.effective_size, len(posterior.atoms)
    if size < FEWEST and count >= ENOUGH:
        yield (
            f"no stars: the posterior's effective size is {size:.1f} of {count} atoms, and so few "
            "do not say how wide it is. Take more atoms, or more noise_std"
        )
