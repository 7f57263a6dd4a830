"""Draws of a method at many measurements: all y in one pass where it can, else one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.kinds import Drawn, Scored, Step, Stepped, integrated, marched
from fsps_lite.diagnosis.measured import measured, with_measurement
from fsps_lite.diagnosis.method import Method, made_of
from fsps_lite.diagnosis.run import Integrator
from fsps_lite.diagnosis.task import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood
from fsps_lite.measures.groups import effective_size, resampled
from fsps_lite.operators import Linear
from fsps_lite.priors import Empirical
from fsps_lite.priors.many import SeparateBatch
from fsps_lite.problems import Problem
from fsps_lite.samplers import Sampler, Samples, StepSampler
from fsps_lite.types import PosteriorScore, State, Time

ROWS = 4096  # particles of a pass, at most
LOGITS = 2**20  # particles times atoms: as many fit into the cache
ENTRIES = 2**22  # of the covariances of y in a pass, one (m, m) for each particle
PATHS = 2**23  # numbers of the paths of a pass: 64 MB
AGREE = 1e-6  # of the largest answer: how far a pass over many y may be from one y alone
ASKED = 3  # measurements at which the two are compared
MANY = 20  # times as many weighted particles as draws: resampled ones are then nearly independent
CALL = "calibrate(problem, Drawn(lambda task: task.prior.sample(task.n, 0.0, generator=g)))"


@dataclass(frozen=True)
class Draws:
    """The draws ``x`` at each y, ``(Y, L, d)``, and whether they count as independent draws."""

    x: Float[Tensor, "Y L d"]
    independent: bool = True


def batch_of(problem: Problem, y: Float[Tensor, "Y m"]) -> Likelihood:
    """The likelihood of the problem, with all these y."""
    return replace(measured(problem), y=y)


def posteriors(problem: Problem, y: Float[Tensor, "Y m"]) -> Diffusion:
    """The exact posteriors at every y: clouds are ``(*batch, Y, d)``.

    They share atoms, or covariances. Where each has a quadrature of its own, they share nothing.
    """
    prior, likelihood = problem.prior, batch_of(problem, y)
    if isinstance(prior, Empirical) or isinstance(likelihood.operator, Linear):
        return Diffusion(prior.condition_each(likelihood), problem.schedule)
    each = tuple(with_measurement(problem, one).posterior.prior for one in y)
    return Diffusion(SeparateBatch(each), problem.schedule)


def drawing(problem: Problem, method: Method, call: str) -> Scored | Stepped | Drawn:
    """The method as a kind that can be asked at many y; raises TypeError where it cannot."""
    if isinstance(method, Samples):
        what = "finished samples belong to one y: `method` must draw at every y that it is given"
        raise TypeError(checks.complaint(what, "Samples", CALL))
    if isinstance(method, Scored | Stepped | Drawn):
        return method
    known = made_of(problem, method)  # which says what is wrong with it
    make: Callable[[Any, Any], Any] = method
    if isinstance(known, StepSampler):
        return Stepped(lambda task: make(task.prior, task.likelihood).step)
    if isinstance(known, Sampler):

        def draw(task: Task) -> Samples:
            sampler: Sampler = make(task.prior, task.likelihood)
            return sampler(task.start, task.grid, generator=task.generator)

        return Drawn(draw)
    return Scored(lambda task: make(task.prior, task.likelihood))


@dataclass(frozen=True)
class Asking:
    """How a method is asked at many y: the grid, the integrator of scores, and the noise."""

    problem: Problem
    kind: Scored | Stepped | Drawn
    t: Float[Tensor, "T"]
    integrator: Integrator
    generator: torch.Generator

    def draws(self, y: Float[Tensor, "Y m"], start: Float[Tensor, "Y L d"]) -> Draws:
        """The method's draws at each y, L particles from ``start`` along the grid."""
        if isinstance(self.kind, Drawn):
            pairs = zip(y, start, strict=True)
            found = [self._sampled(self.task(one, first), self.kind) for one, first in pairs]
            x, independent = zip(*found, strict=True)
            return Draws(torch.stack(x), all(independent))
        size = self.size(start.shape[1])
        pairs = zip(y.split(size), start.split(size), strict=True)
        return Draws(torch.cat([self._ended(*pair) for pair in pairs]))

    def size(self, draws: int) -> int:
        """How many y go in one pass."""
        prior, m = self.problem.prior, len(measured(self.problem).y)
        atoms = len(prior.atoms) if isinstance(prior, Empirical) else len(prior.means)
        room = LOGITS // atoms, ENTRIES // m**2, PATHS // (len(self.t) * prior.dim)
        return max(1, min(ROWS, *room) // draws)

    def task(self, y: Float[Tensor, "*Y m"], start: State) -> Task:
        """What the method is asked at one y, or, with a batch of y, at all of them."""
        known = self.problem.diffusion, replace(measured(self.problem), y=y)
        return Task(*known, self.t, start, self.generator)

    def made(self, task: Task) -> Any:
        """The score, or the step."""
        assert not isinstance(self.kind, Drawn)
        return self.kind.made(task)

    def _ended(self, y: Float[Tensor, "Y m"], start: Float[Tensor, "Y L d"]) -> Tensor:
        whole = self.at_once(y, start)
        if whole is not None:
            flat = start.transpose(0, 1).flatten(0, 1)
            ended = self._run(whole, self.task(y, flat))
            return ended.reshape(start.shape[1], len(y), -1).transpose(0, 1)
        tasks = [self.task(one, first) for one, first in zip(y, start, strict=True)]
        return torch.stack([self._run(self.made(task), task) for task in tasks])

    def _run(self, made: Any, task: Task) -> State:
        if isinstance(self.kind, Stepped):
            return marched(made, task).final
        rule = self.kind.integrator if isinstance(self.kind, Scored) else None
        return integrated(made, task, rule or self.integrator).final

    def at_once(
        self, y: Float[Tensor, "Y m"], start: Float[Tensor, "Y L d"]
    ) -> PosteriorScore | Step | None:
        """One score, or step, of a flat cloud for all y; None where the method takes one y only.

        Row i of the cloud ``(L Y, d)`` belongs to y[i % Y].
        """
        x = start.transpose(0, 1).contiguous()
        agrees = self._same_step if isinstance(self.kind, Stepped) else self._same_score
        chosen = torch.linspace(0, len(y) - 1, min(len(y), ASKED), device="cpu").long().tolist()
        try:
            made = self.made(self.task(y, x))
            alone = {k: self.made(self.task(y[k], x[:, k])) for k in chosen}
            if not agrees(made, alone, x):
                return None
        except Exception:  # whatever it is, the runs of each y alone say it again, or go well
            return None
        return flat_step(made, len(y)) if isinstance(self.kind, Stepped) else flat_score(made, x)

    def _same_score(
        self, whole: PosteriorScore, alone: Mapping[int, PosteriorScore], x: State
    ) -> bool:
        for t in (self.t[0], self.t[len(self.t) // 2]):
            answer = whole(x, t)
            if not all(_close(answer[:, k], one(x[:, k], t)) for k, one in alone.items()):
                return False
        return True

    def _same_step(self, whole: Step, alone: Mapping[int, Step], x: State) -> bool:
        """With the same noise: the one y alone is given the particles of all."""

        def noise() -> torch.Generator:
            return torch.Generator(self.problem.device).manual_seed(0)

        for i in (0, len(self.t) // 2):
            t, s = self.t[i], self.t[i + 1]
            answer = whole(x, t, s, generator=noise())
            for k, one in alone.items():
                other = one(x.flatten(0, 1), t, s, generator=noise()).reshape(x.shape)
                if not _close(answer[:, k], other[:, k]):
                    return False
        return True

    def _sampled(self, task: Task, kind: Drawn) -> tuple[State, bool]:
        """The draws of a sampler at one y, with the noise of the time at which all are compared."""
        samples, stop = kind.drawn(task), self.t[-1]
        x, independent = _unweighted(samples, task)
        schedule, g = self.problem.schedule, self.generator
        if float(samples.time) > float(stop) * (1 + 1e-9):
            what = f"draws are compared at t = {float(stop):.3g}, so `time` must not be later"
            call = f"calibrate(problem, method, stop={float(samples.time):.3g})"
            raise ValueError(checks.complaint(what, float(samples.time), call))
        shrunk = schedule.alpha(stop) / schedule.alpha(samples.time)
        rest = schedule.variance(stop) - shrunk**2 * schedule.variance(samples.time)
        eps = torch.randn(x.shape, generator=g, dtype=x.dtype, device=g.device)
        return shrunk * x + rest.clamp(min=0.0).sqrt() * eps, independent


def _unweighted(samples: Samples, task: Task) -> tuple[State, bool]:
    """``task.n`` draws, and whether they are nearly independent."""
    x, log_weights = samples.x, samples.log_weights
    if log_weights is None:
        if len(x) != task.n:
            what = "a sampler must return `task.n` draws at each y, or weighted particles"
            raise ValueError(checks.complaint(what, f"{len(x)} for {task.n}", CALL))
        return x, samples.runs is None
    weights = log_weights.double().softmax(0)
    enough = effective_size(weights) >= MANY * task.n and samples.runs is None
    return resampled(x, weights, task.n, generator=task.generator), enough


def flat_score(score: PosteriorScore, like: Float[Tensor, "L Y d"]) -> PosteriorScore:
    """A score of flat clouds, which also answers the first rows of one."""
    cloud = like.flatten(0, 1)

    def flat(x: State, t: Time) -> State:
        whole = x if len(x) == len(cloud) else torch.cat([x, cloud[len(x) :]])
        return score(whole.reshape(like.shape), t).flatten(0, 1)[: len(x)]

    return flat


def flat_step(step: Step, count: int) -> Step:
    """A step of flat clouds."""

    def flat(x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
        moved = step(x.reshape(-1, count, x.shape[-1]), t, s, generator=generator)
        return moved.reshape(x.shape)

    return flat


def _close(mine: Tensor, other: Tensor) -> bool:
    return bool(((mine - other).abs() <= AGREE * other.abs().max()).all())
