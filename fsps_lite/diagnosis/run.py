"""What a sampler did on a problem, together with what the exact sampler did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.cost import Cost
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.kinds import Integrator as Integrator
from fsps_lite.diagnosis.kinds import Step
from fsps_lite.diagnosis.reference import Reference
from fsps_lite.problems import Problem
from fsps_lite.samplers import Trajectory
from fsps_lite.types import PosteriorScore, State

FAR = 1e6  # from 0, in units of x: further away, a particle has diverged
STOP = 1e-3  # the time at which a run ends
Name = Literal["score", "step", "sampler", "samples"]
Found = Finding | Curve | Missing


@dataclass(frozen=True)
class Run:
    """All that a measure may look at, the problem included.

    ``ended`` is the last cloud, ``(n, d)``, at the time ``stop``. ``kind`` says how the method
    samples. ``score`` or ``step`` produced the cloud, along the path ``went``; a method of another
    kind has none of them, and finished samples have no path. ``log_weights`` and ``runs`` are those
    of the particles, ``(n,)``, where they are weighted or depend on each other. A score that is
    not valid ``anywhere`` is one of a grid, and unknown at its last time. ``finer`` is the run with
    twice the steps, of which only the last cloud is kept. ``exact`` is the run of the exact
    sampler, from the same noise; in that run itself it is None. ``measures`` are the functions that
    look at the run. ``shared(n, stop)`` are the exact draws with which clouds of that size are
    compared. ``marginals`` are exact draws at several times, of a run of direct draws, which has
    no path. ``cost`` is what the run has cost.
    """

    problem: Problem
    ended: State
    seed: int
    measures: Sequence["Measure"]
    score: PosteriorScore | None = None
    went: Trajectory | None = None
    finer: "Run | None" = None
    exact: "Run | None" = None
    stop: float = STOP
    started_from_noise: bool = True
    kind: Name = "score"
    step: Step | None = None
    log_weights: Float[Tensor, "n"] | None = None
    runs: Tensor | None = None
    anywhere: bool = True
    shared: Callable[[int, float], Reference] | None = None
    marginals: Trajectory | None = None
    cost: Cost | None = None

    @cached_property
    def alive(self) -> Bool[Tensor, "n"]:
        """Which particles have not diverged. ``(n,)``."""
        length: Tensor = self.ended.norm(dim=-1)
        return length <= FAR

    @cached_property
    def cloud(self) -> State:
        """The last cloud without the particles that have diverged. ``(k, d)``."""
        return self.ended[self.alive]

    @property
    def independent(self) -> bool:
        """Whether the particles are independent draws that weigh the same."""
        return self.log_weights is None and self.runs is None

    @cached_property
    def weights(self) -> Float[Tensor, "k"]:
        """The weights of the cloud, which sum to 1. ``(k,)``, float64."""
        if self.log_weights is None:
            return torch.full_like(self.cloud[:, 0].double(), 1 / max(1, len(self.cloud)))
        return self.log_weights.to(self.ended.device)[self.alive].double().softmax(0)

    @cached_property
    def groups(self) -> Tensor:
        """The run of each particle of the cloud, ``(k,)``: one of its own if none was said."""
        if self.runs is None:
            return torch.arange(len(self.cloud), device=self.ended.device)
        return self.runs.to(self.ended.device)[self.alive]

    @cached_property
    def reference(self) -> Reference:
        """The exact draws with which the cloud is compared, as many as there are particles."""
        if self.shared is None:
            return Reference(self.problem, len(self.cloud), self.stop, self.seed)
        return self.shared(len(self.cloud), self.stop)

    @cached_property
    def members(self) -> Int[Tensor, "k"]:
        """The part of each particle of the cloud, where the problem has parts. ``(k,)``."""
        return self.reference.members(self.cloud)

    @cached_property
    def path(self) -> Trajectory | None:
        """The path of the particles that have not diverged.

        None where there is no path, or fewer than two particles are left, or the particles are
        weighted: their weights on the way are not known.
        """
        if self.went is None or len(self.cloud) < 2 or self.log_weights is not None:
            return None
        if bool(self.alive.all()):
            return self.went
        return Trajectory(self.went.t, self.went.x[:, self.alive])

    @property
    def why_no_path(self) -> str | None:
        """Why the kind of the method allows no path; None where it does."""
        if self.kind == "samples":
            return "samples have no path"
        if self.went is None:
            return f"the {self.kind} kept no path"
        if self.log_weights is not None:
            return "the weights of the particles on the way are not known"
        return None

    @cached_property
    def findings(self) -> dict[str, Found]:
        """What each measure finds, by its id.

        Raises ValueError where an id is missing or is used twice.
        """
        found: dict[str, Found] = {}
        for finding in (finding for measure in self.measures for finding in measure(self)):
            if not finding.id or finding.id in found:
                what = "each finding of a report needs an `id` of its own"
                call = 'Finding("mean of x[0]", value, id="mean_of_x")'
                raise ValueError(checks.complaint(what, repr(finding.id), call))
            found[finding.id] = finding
        return found

    def generator(self, stream: int) -> torch.Generator:
        """A new generator, the same for every run with this seed.

        Each measure takes a ``stream`` of its own.
        """
        return torch.Generator(self.problem.device).manual_seed(self.seed + stream)


Measure = Callable[[Run], Iterator[Found]]
