"""Diagnose any sampler: what it believes, what it does, beside the exact one."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.examination import MEASURES
from fsps_lite.diagnosis.finding import Curve, Finding
from fsps_lite.diagnosis.method import CALL, Method, name_of, score_of
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import STOP, Run, run_of
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.types import PosteriorScore


def diagnose(
    problem: Problem, method: Method, *, n: int = 2000, steps: int = 250, seed: int = 0
) -> Report:
    """Run ``method`` beside the exact posterior and report every difference with its error.

    ``method(prior, likelihood)`` returns a posterior score: a class such as DPS, or a function.
    ``n`` particles take ``steps`` ancestral steps on an even log-SNR grid, twice: once more with
    twice the steps, to tell the method from the integrator. The exact sampler starts from the same
    noise and uses the same random numbers.
    """
    return compare(problem, {name_of(method): method}, n=n, steps=steps, seed=seed)[0]


def compare(
    problem: Problem,
    methods: Mapping[str, Method],
    *,
    n: int = 2000,
    steps: int = 250,
    seed: int = 0,
) -> tuple[Report, ...]:
    """A :class:`Report` for each of ``{name: method}``, all against one exact run."""
    checks.kind("problem", problem, Problem, CALL)
    checks.kind("methods", methods, Mapping, "compare(problem, {'DPS': DPS})")
    checks.count("n", n, CALL)
    checks.count("steps", steps, CALL)
    checks.seed(seed, CALL)
    _check_names(*methods)
    scores = {name: score_of(problem, method) for name, method in methods.items()}
    settings = {"n": n, "steps": steps, "seed": seed}
    exact = run_of(problem, problem.posterior, MEASURES, n, steps, seed)

    def report(name: str, score: PosteriorScore) -> Report:
        done = run_of(problem, score, MEASURES, n, steps, seed, exact=exact)
        return _report(name, settings, done, exact)

    return tuple(report(name, score) for name, score in scores.items())


def diagnose_samples(
    problem: Problem, samples: Float[Tensor, "n d"], *, name: str = "samples", seed: int = 0
) -> Report:
    """The half of a report that needs no score: for a sampler that hands in draws of p(x_0 | y).

    The samples ``(n, d)`` get the little noise that is left where :func:`diagnose` stops, and are
    compared with as many exact draws.
    """
    call = "diagnose_samples(problem, samples, name='my sampler')"
    checks.kind("problem", problem, Problem, call)
    checks.seed(seed, call)
    _check_names(name)
    checks.state("samples", samples, problem.prior.dim, problem.prior.dtype, call)
    checks.shape("samples", samples, ("n", problem.prior.dim), call)
    g, schedule = torch.Generator(problem.device).manual_seed(seed), problem.schedule
    exact = problem.posterior.sample(len(samples), STOP, generator=g)
    eps = torch.randn(samples.shape, generator=g, dtype=samples.dtype, device=g.device)
    noisy = schedule.alpha(STOP) * samples + schedule.sigma(STOP) * eps
    found, null = (Run(problem, x, seed, MEASURES) for x in (noisy, exact))
    return _report(name, {"n": len(samples), "seed": seed}, found, null)


def _check_names(*names: object) -> None:
    """A name is printed, and no method's is that of what it is compared with."""
    for name in names:
        checks.kind("name", name, str, "compare(problem, {'DPS': DPS, 'mine': DPS})")
    if "exact" in names:
        what = "a method may not be called 'exact', which is the `name` of what it is compared with"
        raise ValueError(checks.complaint(what, list(names), "compare(problem, {'DPS': DPS})"))


def _report(name: str, settings: Mapping[str, int], found: Run, exact: Run) -> Report:
    """Two samplers' numbers and curves, side by side."""
    ids = exact.findings | found.findings
    told = [_beside(found.findings.get(id), exact.findings.get(id)) for id in ids]
    findings = tuple(one for one in told if isinstance(one, Finding))
    curves = tuple(one for one in told if isinstance(one, Curve))
    return Report(found.problem.name, name, settings, findings, curves, tuple(_notes(found)))


def _beside(mine: Finding | Curve | None, exact: Finding | Curve | None) -> Finding | Curve | None:
    """What was found on the method, with the exact sampler's in its ``null``."""
    if isinstance(mine, Finding):
        return replace(
            mine, null=mine.null or (exact.value if isinstance(exact, Finding) else None)
        )
    if isinstance(mine, Curve):
        return replace(mine, null=exact.value if isinstance(exact, Curve) else None)
    if isinstance(exact, Curve):  # of a method that lost all its particles
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
