"""azula: our priors as its denoisers, and its denoisers and samplers as our methods.

Written for azula 0.11.1. For example::

    from azula.guidance.tmpd import TMPDenoiser
    from fsps_lite.peers import azula

    def tmpd(prior, likelihood):
        mine = azula.denoiser(prior)
        guided = TMPDenoiser(mine, likelihood.y, likelihood.operator, likelihood.noise_std**2)
        return azula.score(guided, prior.schedule)

    print(fl.diagnose(fl.problems.two_atoms(), tmpd))
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis import Drawn, Samples, Stepped, Task
from fsps_lite.diagnosis.kinds import Step
from fsps_lite.diffusion import Diffusion
from fsps_lite.peers.packages import needed
from fsps_lite.peers.seeding import seeded
from fsps_lite.schedules import Schedule
from fsps_lite.types import PosteriorScore, Scale, State, Time

HALVINGS = 60  # of the times in [0, 1]: to the rounding of float64
EDGE = 1e-9  # of a noise level: the ends of two equal schedules may differ by rounding


def denoiser(prior: Diffusion) -> Any:
    """``prior`` as an ``azula.denoise.Denoiser``, on the schedule of the prior.

    All samplers and guided denoisers of azula take it. It is differentiable in x.
    """
    base, schedule = needed("azula.denoise"), prior.schedule

    class Exact(base.Denoiser):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.schedule = lambda t: (schedule.alpha(t), schedule.sigma(t))

        def forward(self, x_t: Tensor, t: Tensor) -> Any:
            return base.DiracPosterior(prior.denoise(x_t, t))

    return Exact()


def mean(denoiser: Any) -> Callable[[State, Scale, Scale], State]:
    """E[x_0 | x_t] of a denoiser of azula, as the ``fn`` of a :class:`~fsps_lite.Denoiser`.

    ``fn(x, alpha, sigma)`` asks it at the time at which its own sigma / alpha is the same, and for
    x on its own scale. Its sigma / alpha must rise with its time; raises ValueError for a noise
    level that it does not have.
    """

    def level(t: Tensor) -> Tensor:
        alpha, sigma = denoiser.schedule(t)
        found: Tensor = sigma / alpha
        return found

    def fn(x: State, alpha: Scale, sigma: Scale) -> State:
        low, high = x.new_zeros((), dtype=torch.float64), x.new_ones((), dtype=torch.float64)
        wanted = float(sigma / alpha)
        if not float(level(low)) * (1 - EDGE) <= wanted <= float(level(high)) * (1 + EDGE):
            what = "a denoiser of azula is asked at noise levels sigma / alpha of its own schedule"
            raise ValueError(checks.complaint(what, wanted, "diagnose(problem, method, start=0.9)"))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if float(level(middle)) > wanted else (middle, high)
        its_alpha, _ = denoiser.schedule(high)
        answer: Tensor = denoiser(x * (its_alpha / alpha), high).mean
        return answer

    return fn


def score(denoiser: Any, schedule: Schedule) -> PosteriorScore:
    """The score that a denoiser of azula implies on ``schedule``: (alpha m - x) / sigma^2.

    A guided denoiser, such as TMPDenoiser or MMPSDenoiser, gives the score of its posterior.
    """
    fn = mean(denoiser)

    def score(x: State, t: Time) -> State:
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return (alpha * fn(x, alpha, sigma) - x) / sigma**2

    return score


def stepped(make: Callable[[Task], Any]) -> Stepped:
    """``make(task)``, a sampler of azula with a ``step(x, t, s)``, as a method: step by step."""

    def made(task: Task) -> Step:
        sampler = make(task)

        def step(x: State, t: Time, s: Time, *, generator: torch.Generator) -> State:
            with seeded(generator):
                moved: Tensor = sampler.step(x, t, s)
            return moved

        return step

    made.__name__ = make.__name__
    return Stepped(made)


def drawn(make: Callable[[Task], Any], *, runs: int = 1) -> Drawn:
    """``make(task)``, a sampler of azula, as a method that is called for its last cloud.

    It takes as many steps as the grid of the task, between the same ends, even in t. The particles
    are made in ``runs`` independent calls: more than one, for a sampler whose particles depend on
    each other.
    """

    def draw(task: Task) -> Samples:
        sampler, grid = make(task), task.grid
        sampler.start, sampler.stop, sampler.steps = float(grid[0]), float(grid[-1]), len(grid) - 1
        sampler.silent, sampler.dtype, sampler.device = True, grid.dtype, grid.device
        starts = task.start.chunk(runs)
        with seeded(task.generator):
            ends = [sampler(start) for start in starts]
        sizes = torch.tensor([len(end) for end in ends])
        labels = torch.arange(len(ends)).repeat_interleave(sizes) if runs > 1 else None
        return Samples(torch.cat(ends), time=float(grid[-1]), runs=labels)

    draw.__name__ = make.__name__
    return Drawn(draw)
