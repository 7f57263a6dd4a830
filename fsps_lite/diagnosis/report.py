"""Diagnose any sampler: what it believes, what it does, beside the exact one."""

import base64
import html
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis import examination as measure
from fsps_lite.diagnosis.examination import Measured
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import Guidance
from fsps_lite.likelihood import Likelihood
from fsps_lite.problems.problem import Problem
from fsps_lite.types import PosteriorScore

if TYPE_CHECKING:
    import matplotlib.figure

Method = Callable[[Diffusion, Likelihood], PosteriorScore]
CALL = "diagnose(problems.trimodal(), DPS)"
UNITS = {
    "distance": "units of x",
    "distance, twice the steps": "units of x",
    "path KL": "nats",
}
LEGEND = "* differs from the exact sampler by more than four standard errors"


@dataclass(frozen=True)
class Finding:
    """One number of a report: what was measured, on the method and on the exact sampler.

    ``null`` is the same quantity for the exact posterior, by the same code with the same number of
    particles: what the method is to be held against. ``unit`` is that of both.
    """

    name: str
    value: Estimate
    null: Estimate
    unit: str = ""

    @property
    def significant(self) -> bool:
        """Whether value and null differ by more than four of their joint standard errors."""
        error = math.hypot(self.value.error, self.null.error)
        return not abs(self.value.value - self.null.value) <= 4 * error

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row of a table: name and unit, the method, the exact sampler, a mark."""
        name = f"{self.name} ({self.unit})" if self.unit else self.name
        return name, str(self.value), str(self.null), "*" if self.significant else ""


@dataclass(frozen=True)
class Report:
    """What :func:`diagnose` found; prints as a table, draws itself, saves as JSON and as HTML.

    ``curves`` holds pairs (t, value), named "what, who", of the method and of the exact sampler.
    ``notes`` are sentences that a reader must not miss, such as a dependence on the number of
    steps.
    """

    problem: str
    method: str
    settings: Mapping[str, int]
    findings: tuple[Finding, ...]
    curves: Mapping[str, tuple[Tensor, Tensor]] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Finding:
        """The finding of this name; a wrong name lists those that exist."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        known = ", ".join(finding.name for finding in self.findings)
        raise KeyError(f"no finding called {name!r}; this report has: {known}")

    @property
    def title(self) -> str:
        """Who was examined on what, and how."""
        settings = ", ".join(f"{key} = {value}" for key, value in self.settings.items())
        return f"{self.method} on {self.problem} ({settings})"

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """The table, its head first."""
        return [("", self.method, "exact", ""), *(f.cells for f in self.findings)]

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in self.rows) for i in range(4)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in self.rows
        ]
        return "\n".join([self.title, "", *table, "", LEGEND, *(f"- {n}" for n in self.notes)])

    def _repr_html_(self) -> str:
        """The same as HTML, for notebooks."""
        head, *body = [[html.escape(cell) for cell in row] for row in self.rows]
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in (LEGEND, *self.notes))
        return (
            f"<p>{html.escape(self.title)}</p><table><thead><tr>"
            + "".join(f"<th>{cell}</th>" for cell in head)
            + f"</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
        )

    def figure(self) -> "matplotlib.figure.Figure":
        """The curves, one panel a quantity, the method beside the exact sampler."""
        from fsps_lite import plots

        return plots.report(self.curves)

    def save_json(self, path: str | Path) -> None:
        """All numbers and curves, for a machine; what is not finite is null."""
        numbers = [
            {
                "name": f.name,
                "unit": f.unit,
                "significant": f.significant,
                "value": _plain([f.value.value, f.value.error]),
                "null": _plain([f.null.value, f.null.error]),
            }
            for f in self.findings
        ]
        lines = {name: [_plain(c.tolist()) for c in pair] for name, pair in self.curves.items()}
        data = {
            "problem": self.problem,
            "method": self.method,
            "settings": dict(self.settings),
            "findings": numbers,
            "curves": lines,
            "notes": list(self.notes),
        }
        Path(path).write_text(json.dumps(data, indent=1, allow_nan=False), encoding="utf-8")

    def save_html(self, path: str | Path) -> None:
        """One page that needs nothing else: the table, and the figure inside it."""
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", metadata={"Software": None})
        image = base64.b64encode(buffer.getvalue()).decode()
        title = html.escape(f"{self.method} on {self.problem}")
        page = (
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
            "<style>body{font:16px sans-serif;max-width:60em;margin:2em auto}img{max-width:100%}"
            "td,th{padding:.2em 1em;text-align:left}</style></head>\n"
            f"<body><h1>{title}</h1>\n{self._repr_html_()}\n"
            f'<img alt="The curves of {title}, beside the exact sampler" '
            f'src="data:image/png;base64,{image}">\n</body>\n</html>\n'
        )
        Path(path).write_text(page, encoding="utf-8")


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
    checks.count("n", n, CALL)
    checks.count("steps", steps, CALL)
    if "exact" in methods:
        what = "a method may not be called 'exact', which is the name of what it is compared with"
        call = "compare(problem, {'DPS': DPS, 'mine': my_method})"
        raise ValueError(checks.complaint(what, list(methods), call))
    scores = {name: score_of(problem, method) for name, method in methods.items()}
    settings = {"n": n, "steps": steps, "seed": seed}

    reference = measure.run(problem, problem.posterior, **settings)
    exact = measure.sampler(problem, reference, seed)

    def report(name: str, score: PosteriorScore) -> Report:
        found, null = measure.sampler(problem, measure.run(problem, score, **settings), seed), exact
        if found.curves:  # the exact sampler is looked at when the method is worst
            ratio = found.curves["spread ratio"][1]
            then = {measure.WORST: measure.spread_when(problem, reference.path, ratio)}
            null = replace(exact, numbers=exact.numbers | then)
        return _report(problem, name, settings, found, null)

    return tuple(report(name, score) for name, score in scores.items())


def diagnose_samples(
    problem: Problem, samples: Float[Tensor, "n d"], *, name: str = "samples", seed: int = 0
) -> Report:
    """The half of a report that needs no score: for a sampler that hands in draws of p(x_0 | y).

    The samples ``(n, d)`` get the little noise that is left where :func:`diagnose` stops, and are
    compared with as many exact draws.
    """
    call = "diagnose_samples(problem, samples, name='my sampler')"
    checks.state("samples", samples, problem.prior.dim, problem.prior.dtype, call)
    checks.shape("samples", samples, ("n", problem.prior.dim), call)
    g, schedule = torch.Generator(problem.device).manual_seed(seed), problem.schedule
    exact = problem.posterior.sample(len(samples), measure.STOP, generator=g)
    eps = torch.randn(samples.shape, generator=g, dtype=samples.dtype, device=g.device)
    noisy = schedule.alpha(measure.STOP) * samples + schedule.sigma(measure.STOP) * eps
    found, null = (measure.samples(problem, x, seed) for x in (noisy, exact))
    return _report(problem, name, {"n": len(samples), "seed": seed}, found, null)


def name_of(method: Method) -> str:
    """How a method is called in a report: by its class or function."""
    return getattr(method, "__name__", type(method).__name__)


def score_of(problem: Problem, method: Method) -> PosteriorScore:
    """``method`` applied to what it may see; a score handed in by mistake is named as such."""
    if not callable(method) or isinstance(method, Tensor):
        what = "`method` must be called with (prior, likelihood) and return a score"
        raise TypeError(checks.complaint(what, type(method).__name__, CALL))
    if isinstance(method, Guidance | Diffusion):
        what = "`method` must be called with (prior, likelihood) and return a score, not be one"
        raise TypeError(checks.complaint(what, type(method).__name__, CALL))
    score = method(problem.diffusion, problem.likelihood)
    if not callable(score):
        what = "`method(prior, likelihood)` must return a score, a function of (x, t)"
        raise TypeError(checks.complaint(what, type(score).__name__, CALL))
    return score


def _report(
    problem: Problem, name: str, settings: Mapping[str, int], found: Measured, null: Measured
) -> Report:
    """Two samplers' numbers and curves, side by side."""
    findings = tuple(
        Finding(k, value, null.numbers[k], UNITS.get(k, "")) for k, value in found.numbers.items()
    )
    curves = {f"{what}, {name}": line for what, line in found.curves.items()}
    curves |= {f"{what}, exact": line for what, line in null.curves.items()}
    notes = tuple(measure.notes(problem, found, settings["n"]))
    return Report(problem.name, name, settings, findings, curves, notes)


def _plain(values: Iterable[float]) -> list[float | None]:
    """Numbers as JSON has them."""
    return [value if math.isfinite(value) else None for value in values]
