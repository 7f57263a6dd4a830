"""The sentences of a report that a reader must not miss."""

import math
from collections.abc import Iterator, Sequence

from fsps_lite.diagnosis.finding import Finding, Missing
from fsps_lite.diagnosis.lens import ENOUGH, HALVES, is_data, is_worn, worn
from fsps_lite.diagnosis.run import Run
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem

FEWEST = 2.0  # atoms of effective size, below which a posterior of samples says nothing of spread


def notes(
    name: str, run: Run, findings: Sequence[Finding], missing: Sequence[Missing]
) -> Iterator[str]:
    """All notes, those that decide whether the rest may be believed first."""
    yield from few(run.problem)
    yield from _steps(run)
    yield from _weights(run.problem)
    yield from _lens(findings)
    yield from _integrator(findings)
    yield from _misses(findings)
    yield from _absent(missing)
    yield from _cost(run)
    yield _one_y(name, run)


def few(problem: Problem) -> Iterator[str]:
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


def _steps(run: Run) -> Iterator[str]:
    """Which particles were lost, and what changes with twice the steps."""
    for one, which in ((run, ""), (run.finer, " with twice the steps")):
        if one is not None and not bool(one.alive.all()):
            lost, n = int((~one.alive).sum()), len(one.ended)
            yield f"{lost} of {n} particles diverged{which} and are left out of the rest"
    for id, fine in (run.finer.findings if run.finer else {}).items():
        coarse = run.findings.get(id, fine)
        if id != "diverged" and isinstance(fine, Finding) and isinstance(coarse, Finding):
            error = math.hypot(coarse.value.error, fine.value.error)
            if abs(coarse.value.value - fine.value.value) > 3 * error:
                moved = f"{coarse.value}, with twice as many {fine.value}"
                yield f"the number of steps matters: {fine.label} {moved}"


def _weights(problem: Problem) -> Iterator[str]:
    """How many atoms count, and whether averages over them may be believed."""
    posterior = problem.posterior.prior
    if not isinstance(posterior, Empirical) or not isinstance(problem.prior, Empirical):
        return
    shape, size = worn(problem)
    told = f"the posterior's effective size is {size:.1f} of {len(posterior.atoms)} atoms"
    if not is_data(problem.prior):
        yield told
        return
    yield f"{told}; the tail of its weights has k = {shape:.2f}"
    if is_worn(shape):
        yield "k is above 0.7: do not trust these atoms; fsps_lite.measures.leave_one_out says more"


def _listed(labels: Sequence[str]) -> str:
    """The first two, and how many more there are."""
    rest = f"; and {len(labels) - 2} more" if len(labels) > 2 else ""
    return "; ".join(labels[:2]) + rest


def _lens(findings: Sequence[Finding]) -> Iterator[str]:
    """Which differences other atoms could explain, and which rows do not say."""
    known = [one for one in findings if one.lens is not None]
    if not known:
        return
    yield f"lens: how much the truth of a row moves with the atoms, from {HALVES} random halves"
    within = [one.label for one in findings if one.verdict == "lens"]
    if within:
        yield f"no star, as within two of the lens's errors: {_listed(within)}"
    rest = [one.label for one in findings if one.significant and one.lens is None]
    rest = [label for label in rest if label != "diverged particles"]
    if rest:
        yield f"the error of the lens is not known for: {_listed(rest)}"


def _integrator(findings: Sequence[Finding]) -> Iterator[str]:
    """Which differences the exact score has too."""
    labels = [one.label for one in findings if one.verdict == "steps"]
    if labels:
        yield f"take more steps: the exact score in these is off in the same way: {_listed(labels)}"


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


def _absent(missing: Sequence[Missing]) -> Iterator[str]:
    """Which rows are not there, by the reason."""
    for why in dict.fromkeys(one.why for one in missing):
        yield f"missing, as {why}: {'; '.join(one.label for one in missing if one.why == why)}"


def _cost(run: Run) -> Iterator[str]:
    """What one run has cost; seconds are not printed, as they are others each time."""
    if run.cost is not None and run.kind != "samples":
        yield f"cost of a run: {run.cost.counts} (report.cost: seconds)"


def _one_y(name: str, run: Run) -> str:
    """That a report speaks of one y, and how to ask all of them."""
    said = "this speaks of one y, and another may have another verdict"
    if not isinstance(run.problem.likelihood, Likelihood):
        return f"{said}; the likelihood knows no other y"
    if run.kind == "samples":
        return f"{said}; calibrate(problem, method) asks all y of a method, and not of samples"
    method = name if name.isidentifier() else "method"
    return f"{said}; fsps_lite.calibrate(problem, {method}) asks all of them"
