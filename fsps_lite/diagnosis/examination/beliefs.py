"""The belief: the error of the score under the true p(x_t | y), and what stopping early gives."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fsps_lite.diagnosis.examination.paths import OF_DATA, looked_at
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.lens import is_data
from fsps_lite.diagnosis.run import Found, Run
from fsps_lite.estimate import Estimate
from fsps_lite.measures import early_stopping, score_error
from fsps_lite.problems import Problem
from fsps_lite.samplers import Trajectory
from fsps_lite.types import PosteriorScore

STOPS = 25  # times at which stopping early is tried, at most
PATHS = 500  # particles for the score error


def beliefs(run: Run) -> Iterator[Found]:
    """The error of the score under the true p(x_t | y), 0 for the exact score; then the stops.

    Both use one stream of random numbers, as in version 0.1. A score of a grid is not asked at the
    last time of the grid, where no step begins.
    """
    g = run.generator(1)
    if run.score is None:
        why = f"{'samples have' if run.kind == 'samples' else f'a {run.kind} has'} no score"
        yield Missing("path KL", "path_kl", why)
        yield Missing("score error", "score_error", why)
    elif run.path is not None:
        yield from misbelief(run, run.score, looked_at(run, run.path).t, g)
    if run.why_no_path:
        yield Missing("distance if stopped", "stopped", run.why_no_path)
    if run.path is not None:
        yield stopped(run.problem, looked_at(run, run.path, STOPS), g)


def misbelief(
    run: Run, score: PosteriorScore, t: Tensor, g: torch.Generator
) -> Iterator[Finding | Curve]:
    """The error of the score, summed up and at each time.

    The path KL is the median over paths: few paths may have nearly all of the mean. An exact score
    has 0 on every path, so a sign test judges it.
    """
    t, posterior = t if run.anywhere else t[:-1], run.problem.posterior
    median, above, relative = Estimate(0.0, 0.0), False, torch.zeros_like(t)
    if score is not posterior:
        n = OF_DATA if is_data(run.problem.prior) else PATHS
        found = score_error(score, posterior, t, n=n, generator=g)
        median, above, relative = found.median, found.above_rounding, found.relative
    row = "path KL", median, None, "nats, median"
    yield Finding(*row, id="path_kl", truth=0.0, differs=above)
    yield Curve("score_error", "score error", t.cpu(), relative.sqrt().cpu())


def stopped(problem: Problem, path: Trajectory, g: torch.Generator) -> Curve:
    """The distance of the denoised cloud to the posterior, if the run stopped earlier."""
    clean = problem.posterior.sample(path.x.shape[1], 0.0, generator=g)
    stops = early_stopping(path, problem.diffusion, clean, generator=g)
    return Curve("stopped", "distance if stopped", path.t.cpu(), stops.denoised.cpu())
