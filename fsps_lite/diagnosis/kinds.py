"""The kinds of methods, by what they return: a score, a step, or a cloud."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.task import Task
from fsps_lite.samplers import Samples, Trajectory, march
from fsps_lite.types import PosteriorScore, State, Time

Integrator = Callable[..., Trajectory]  # (score, schedule, x, t), and a generator if it draws
SCORED = "Scored(lambda task: StepDPS(task.prior, task.likelihood, 0.02, task.grid))"
STEPPED = "Stepped(lambda task: lambda x, t, s, generator: x + 0.0)"
DRAWN = "Drawn(lambda task: task.prior.sample(task.n, 0.0, generator=task.generator))"


@runtime_checkable
class Step(Protocol):
    """One step of a sampler: ``x``, ``(n, d)``, at the time ``t`` becomes a cloud at ``s`` < t."""

    def __call__(self, x: State, t: Time, s: Time, *, generator: torch.Generator) -> State: ...


@dataclass(frozen=True)
class Scored:
    """A method that returns a score, ``make(task)``, for each grid that a report runs.

    It is for a score that needs the grid, such as :class:`~fsps_lite.StepDPS`. It is asked at the
    times of the grid before the last, and nowhere else. ``integrator`` runs it, or the integrator
    of the report if it is None.
    """

    make: Callable[[Task], PosteriorScore]
    integrator: Integrator | None = None

    def __post_init__(self) -> None:
        checks.function("make", self.make, SCORED)
        checks.kind("integrator", self.integrator, (Callable, type(None)), SCORED)  # type: ignore[arg-type]

    def made(self, task: Task) -> PosteriorScore:
        """The score; raises TypeError where there is none."""
        score = self.make(task)
        _check_made(score, "a score, a function of (x, t)", SCORED)
        return score


@dataclass(frozen=True)
class Stepped:
    """A method that returns a step, ``make(task)``: x_s = step(x_t, t, s, generator=g).

    The step is called once for each pair of neighbours of the grid.
    """

    make: Callable[[Task], Step]

    def __post_init__(self) -> None:
        checks.function("make", self.make, STEPPED)

    def made(self, task: Task) -> Step:
        """The step; raises TypeError where there is none."""
        step = self.make(task)
        _check_made(step, "a step, a function of (x, t, s, generator)", STEPPED)
        return step


@dataclass(frozen=True)
class Drawn:
    """A method that draws: ``draw(task)`` returns its last cloud, ``(n, d)``, or :class:`Samples`.

    With :class:`Samples` it can say at which time it stopped, the weights and the runs of the
    particles, and, where ``task.keep_path``, their path along ``task.grid``.
    """

    draw: Callable[[Task], State | Samples]

    def __post_init__(self) -> None:
        checks.function("draw", self.draw, DRAWN)

    def drawn(self, task: Task) -> Samples:
        """The samples; raises ValueError or TypeError where they do not fit the task."""
        found = self.draw(task)
        samples = found if isinstance(found, Samples) else None
        if samples is None:
            checks.kind("draw(task)", found, (Tensor, Samples), DRAWN)
            checks.floating("draw(task)", found, DRAWN)
            assert isinstance(found, Tensor)
            checks.shape("draw(task)", found, ("n", task.prior.prior.dim), DRAWN)
            samples = Samples(found)
        path = samples.path
        if path is not None and not torch.equal(path.t.cpu(), task.grid.cpu()):
            what = "the `path` of a sampler must lie on the grid of the task"
            call = "Samples(path.final, path=path), where path = march(step, task.start, task.grid)"
            raise ValueError(checks.complaint(what, f"{len(path.t)} other times", call))
        return samples


Kind = Scored | Stepped | Drawn | Samples


def _check_made(found: object, wanted: str, call: str) -> None:
    """What ``make(task)`` returned must be a function; a tensor can be called, and is none."""
    if not callable(found) or isinstance(found, Tensor):
        what = f"`make(task)` must return {wanted}"
        raise TypeError(checks.complaint(what, checks.described(found), call))


def integrated(score: PosteriorScore, task: Task, integrator: Integrator) -> Trajectory:
    """The path of the start under a score; the probability flow draws no noise."""
    known = score, task.schedule, task.start, task.grid
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")  # the report counts them
        if "generator" in inspect.signature(integrator).parameters:
            return integrator(*known, generator=task.generator)
        return integrator(*known)


def marched(step: Step, task: Task) -> Trajectory:
    """The path of the start, step by step."""

    def one(x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return step(x, t, s, generator=task.generator)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")
        return march(one, task.start, task.grid)
