"""Runs of methods and of the exact sampler, all from one cloud and with the same noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch

from fsps_lite import checks
from fsps_lite.diagnosis.cost import Meter
from fsps_lite.diagnosis.kinds import Kind, Scored, Stepped, integrated, marched
from fsps_lite.diagnosis.patience import Patience
from fsps_lite.diagnosis.reference import Reference
from fsps_lite.diagnosis.run import STOP, Measure, Name, Run
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diagnosis.task import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.samplers import Samples, Trajectory
from fsps_lite.types import PosteriorScore

NO_WEIGHT = 1e-12  # of all atoms together that the exact run leaves out


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs on one problem; what they share is made once.

    Every method gets the same start and the same noise, because every run begins with one seed.
    """

    problem: Problem
    measures: Sequence[Measure]
    how: Sampling

    @cached_property
    def shared(self) -> "Shared":
        """The exact draws with which clouds are compared, by the size of the cloud and the time."""
        return Shared(self.problem, self.how.seed)

    @cached_property
    def exact(self) -> Run:
        """The run of the exact sampler, with the integrator of the report."""
        posterior = self.problem.posterior
        score = lean(posterior)
        run = self._scored(Scored(lambda task: score))
        return replace(run, score=posterior)

    def of(self, kind: Kind) -> Run:
        """The run of a method, and one with twice the steps, beside the exact sampler.

        A cloud without a path is compared with direct draws instead.
        """
        if isinstance(kind, Scored):
            found = self._scored(kind)
            exact = self.exact if found.anywhere else replace(self.exact, anywhere=False)
            return replace(found, exact=exact)
        if isinstance(kind, Stepped):
            return replace(self._stepped(kind), exact=replace(self.exact, score=None, kind="step"))
        if isinstance(kind, Samples):
            return self._judged(kind, "samples", Meter(len(kind.x)))
        meter = Meter(self.how.particles(self.problem))
        with meter.running(), meter.counting():
            drawn = kind.drawn(self.how.task(self.problem, finer=False))
        found = self._judged(drawn, "sampler", meter)
        drawn = kind.drawn(self.how.task(self.problem, finer=True))
        finer = self._judged(drawn, "sampler", meter)
        assert found.exact is not None
        went = None if found.went is None else self.exact.went
        exact = replace(found.exact, went=went, finer=finer.exact)
        return replace(found, finer=replace(finer, went=None, exact=None), exact=exact)

    def _scored(self, kind: Scored) -> Run:
        tasks = self._tasks
        scores = [kind.made(task) for task in tasks]
        rule, meter = kind.integrator or self.how.integrator, self._meter(tasks[0])
        with meter.running():
            coarse = integrated(meter.score(scores[0]), tasks[0], rule)
        fine = integrated(scores[1], tasks[1], rule)
        anywhere = scores[0] is scores[1]  # one score for both grids belongs to neither
        found = self._along(coarse, fine, meter)
        return replace(found, score=scores[0], anywhere=anywhere)

    def _stepped(self, kind: Stepped) -> Run:
        tasks = self._tasks
        steps = [kind.made(task) for task in tasks]
        meter = self._meter(tasks[0])
        with meter.running():
            coarse = marched(meter.step(steps[0]), tasks[0])
        fine = marched(steps[1], tasks[1])
        return replace(self._along(coarse, fine, meter), step=steps[0], kind="step")

    def _meter(self, task: Task) -> Meter:
        """Of a run step by step, which says how long it will be."""
        return Meter(task.n, Patience(task.n, len(task.grid) - 1))

    @property
    def _tasks(self) -> list[Task]:
        return [self.how.task(self.problem, finer) for finer in (False, True)]

    def _along(self, coarse: Trajectory, fine: Trajectory, meter: Meter) -> Run:
        """A run with a path, and the finer one, of which only the last cloud is kept."""
        stop, cost = float(coarse.t[-1]), meter.cost
        ended = Run(self.problem, coarse.final, self.how.seed, self.measures, stop=stop)
        noise = self.how.start_from is None
        ended = replace(ended, started_from_noise=noise, shared=self.shared, cost=cost)
        return replace(ended, went=coarse, finer=replace(ended, ended=fine.final))

    def _judged(self, samples: Samples, kind: Name, meter: Meter) -> Run:
        """Samples with the noise of a level that the prior can see, beside as many exact draws."""
        problem, x = self.problem, samples.x
        call = "Samples(problem.prior.sample(1000, generator=g))"
        checks.state("samples", x, problem.prior.dim, problem.prior.dtype, call)
        g = torch.Generator(problem.device).manual_seed(self.how.seed)
        t = max(STOP, float(samples.time), problem.resolution)
        exact = problem.posterior.sample(len(x), t, generator=g)
        beside = Run(problem, exact, self.how.seed, self.measures, stop=t, kind=kind)
        beside = replace(beside, shared=self.shared)
        noisy = samples.noised(problem.schedule, t, generator=g)
        found = replace(beside, ended=noisy, went=samples.path, exact=beside)
        found = replace(found, log_weights=samples.log_weights, runs=samples.runs)
        return replace(found, cost=meter.cost)


class Shared:
    """References, by size and time; each is made once."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._made = cache(lambda n, stop: Reference(problem, n, stop, seed))

    def __call__(self, n: int, stop: float) -> Reference:
        return self._made(n, stop)


def lean(posterior: Diffusion) -> PosteriorScore:
    """The same posterior without the atoms that together weigh less than 1e-12.

    Where its own particles are, no score is changed by more than that share.
    """
    prior = posterior.prior
    if type(prior) is not Empirical:  # points of a quadrature are no data
        return posterior
    order = prior.log_weights.double().argsort(descending=True)
    share = prior.log_weights.double()[order].softmax(0)
    kept = order[share.flip(0).cumsum(0).flip(0) > NO_WEIGHT].sort().values
    if len(kept) == len(order):
        return posterior
    return Diffusion(Empirical(prior.atoms[kept], prior.log_weights[kept]), posterior.schedule)
