"""What is examined: a function of prior and likelihood that returns a score, or another kind."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.kinds import Drawn, Kind, Scored, Stepped
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance import Guidance
from fsps_lite.problems import Problem
from fsps_lite.samplers import Sampler, Samples, StepSampler
from fsps_lite.types import PosteriorScore

# of a prior, and of what it takes for a likelihood: a Likelihood, for all of this library
ScoreMethod = Callable[[Diffusion, Any], PosteriorScore]
SamplerMethod = Callable[[Diffusion, Any], Sampler]
Method = ScoreMethod | SamplerMethod | Kind
CALL = "diagnose(problems.trimodal(), DPS)"


def name_of(method: Method) -> str:
    """The name of a method in a report: that of its class or function."""
    if isinstance(method, Samples):
        return "samples"
    made: object = method
    if isinstance(method, Scored | Stepped):
        made = method.make
    elif isinstance(method, Drawn):
        made = method.draw
    return getattr(made, "__name__", type(made).__name__)


def kind_of(problem: Problem, method: Method, prior: Diffusion | None = None) -> Kind:
    """The method as one of the kinds; raises TypeError where it is none.

    A function of (prior, likelihood) returns one score, or one :class:`Sampler`, which serves every
    grid. It sees ``prior``, such as a learned denoiser, in place of the problem's, if it is given.
    """
    if isinstance(method, Scored | Stepped | Drawn | Samples):
        return method
    return kind_made(made_of(problem, method, prior))


def kind_made(made: PosteriorScore | Sampler) -> Scored | Stepped | Drawn:
    """The kind of what a function of (prior, likelihood) has made."""
    if isinstance(made, StepSampler) and made.once:
        step = made.step
        return Stepped(lambda task: step)
    if isinstance(made, Sampler):
        sampler = made
        return Drawn(lambda task: sampler(task.start, task.grid, generator=task.generator))
    score = made
    return Scored(lambda task: score)


def _called(
    problem: Problem, method: ScoreMethod | SamplerMethod, prior: Diffusion | None
) -> PosteriorScore | Sampler:
    """method(prior, likelihood); raises TypeError for a function of (x, t), a score itself."""
    names = list(inspect.signature(method).parameters) if inspect.isfunction(method) else []
    if names == ["x", "t"]:
        what = "`method` must be called with (prior, likelihood) and return a score, not be one"
        call = "diagnose(problems.trimodal(), lambda prior, likelihood: lambda x, t: -x)"
        raise TypeError(checks.complaint(what, f"a function of ({', '.join(names)})", call))
    return method(problem.diffusion if prior is None else prior, problem.likelihood)


def made_of(
    problem: Problem, method: ScoreMethod | SamplerMethod, prior: Diffusion | None = None
) -> PosteriorScore | Sampler:
    """method(prior, likelihood); raises TypeError where either is not what it should be."""
    if not callable(method) or isinstance(method, Tensor):
        what = "`method` must be called with (prior, likelihood) and return a score"
        raise TypeError(checks.complaint(what, type(method).__name__, CALL))
    if isinstance(method, Guidance | Diffusion | Sampler):
        what = "`method` must be called with (prior, likelihood) and return a score, not be one"
        raise TypeError(checks.complaint(what, type(method).__name__, CALL))
    made = _called(problem, method, prior)
    if not callable(made):
        what = "`method(prior, likelihood)` must return a score, a function of (x, t)"
        raise TypeError(checks.complaint(what, type(made).__name__, CALL))
    return made


def score_of(problem: Problem, method: ScoreMethod | SamplerMethod) -> PosteriorScore:
    """The score that ``method`` makes; raises TypeError for a sampler, which has none."""
    made = made_of(problem, method)
    if isinstance(made, Sampler):
        what = "`method(prior, likelihood)` must return a score here, and a sampler has none"
        raise TypeError(checks.complaint(what, type(made).__name__, "diagnose(problem, method)"))
    return made


def score_method(method: Method, call: str) -> ScoreMethod | SamplerMethod:
    """A function of (prior, likelihood); raises TypeError for the other kinds of methods."""
    if isinstance(method, Scored | Stepped | Drawn | Samples):
        what = "`method` must be a function of (prior, likelihood) here, which returns a score"
        raise TypeError(checks.complaint(what, type(method).__name__, call))
    return method
