"""Clouds of direct exact draws, seen by the measures as runs are: the null of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fsps_lite.diagnosis.examination.paths import thinned
from fsps_lite.diagnosis.finding import Finding
from fsps_lite.diagnosis.lens import HALVES, halves, is_data
from fsps_lite.diagnosis.nulls import DRAWS
from fsps_lite.diagnosis.run import Run
from fsps_lite.diffusion import Diffusion
from fsps_lite.samplers import Trajectory

LOOKS = 50  # times on the way at which direct draws are looked at, at most
Values = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Direct:
    """What the measures find in direct exact draws: the last cloud, and clouds on the way.

    ``run`` says how many particles there are, and at which times. A cloud on the way is alpha x_0 +
    sigma eps, of the same x_0 and eps at each time.
    """

    run: Run

    @cached_property
    def values(self) -> Values:
        """For each id, its value in each of 99 draws of the posterior."""
        g = self.run.generator(20)
        if len(self.run.cloud) < 2:  # nothing is left that could be compared
            return {}
        return self._examined([self.run.problem.posterior] * DRAWS, g)

    @cached_property
    def of_halves(self) -> Values:
        """For each id, its value in a draw of the posterior of each of 40 half-samples of atoms.

        Empty where the prior is not made of data.
        """
        problem, g = self.run.problem, self.run.generator(21)
        if not is_data(problem.prior):
            return {}
        return self._examined(halves(problem, HALVES, generator=g), g)

    def _examined(self, posteriors: list[Diffusion], g: torch.Generator) -> Values:
        found: dict[str, list[float]] = {}
        for posterior in posteriors:
            for finding in self._drawn(posterior, g).findings.values():
                if isinstance(finding, Finding):
                    found.setdefault(finding.id, []).append(finding.value.value)
        return {id: tuple(values) for id, values in found.items()}

    def _drawn(self, posterior: Diffusion, g: torch.Generator) -> Run:
        """A run without a path, of as many particles as ``run`` has left."""
        run, schedule = self.run, self.run.problem.schedule
        x0 = posterior.prior.sample(len(run.cloud), generator=g)
        eps = torch.randn(x0.shape, generator=g, dtype=x0.dtype, device=x0.device)
        stop = run.stop
        ended = schedule.alpha(stop) * x0 + schedule.sigma(stop) * eps
        drawn = Run(run.problem, ended, run.seed, run.measures, stop=stop, kind="samples")
        return replace(drawn, shared=run.shared, marginals=self._on_the_way(x0, eps))

    def _on_the_way(self, x0: Tensor, eps: Tensor) -> Trajectory | None:
        if self._times is None:
            return None
        schedule, t = self.run.problem.schedule, self._times
        alpha, sigma = (
            scale(t).to(x0)[:, None, None] for scale in (schedule.alpha, schedule.sigma)
        )
        return Trajectory(t, alpha * x0 + sigma * eps)

    @cached_property
    def _times(self) -> Tensor | None:
        path = self.run.path
        return None if path is None else thinned(path, LOOKS).t


class Directs:
    """Direct draws by the size, the last time and the grid of a run; each is made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, float, tuple[float, ...]], Direct] = {}

    def of(self, run: Run) -> Direct:
        """Those with which this run is compared."""
        t = () if run.path is None else tuple(run.path.t.tolist())
        return self._made.setdefault((len(run.cloud), run.stop, t), Direct(run))
