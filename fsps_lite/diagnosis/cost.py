"""What a run costs: how often the score and the prior are asked, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from torch import Generator

from fsps_lite.diagnosis.kinds import Step
from fsps_lite.diagnosis.patience import Patience
from fsps_lite.tally import Tally, counting
from fsps_lite.types import PosteriorScore, State, Time


@dataclass(frozen=True)
class Cost:
    """The cost of one run of ``n`` particles, along the grid of a report.

    ``scores`` are evaluations of the method's score, ``denoised`` are questions to the prior, each
    a forward pass of a denoiser, and ``backward`` are products with its Jacobian or covariance,
    each a backward pass; all of them for the whole cloud. ``seconds`` is the time that it took, and
    ``exact_seconds`` that of the exact sampler. ``whole`` is that of all that the report needed
    beyond the exact sampler: both runs, the direct draws and the measures.
    """

    n: int
    scores: int
    denoised: int
    backward: int
    seconds: float
    exact_seconds: float = 0.0
    whole: float = 0.0

    @property
    def counts(self) -> str:
        """The counts, which are the same on every machine."""
        return (
            f"{self.scores} scores, {self.denoised} denoiser calls, {self.backward} backward "
            f"passes, each of {self.n} particles"
        )

    def __str__(self) -> str:
        times = f"{self.seconds:.2f} s, beside {self.exact_seconds:.2f} s of the exact sampler"
        return f"a run: {self.counts}, in {times}; the whole report {self.whole:.1f} s"


@dataclass
class Meter:
    """Counts while a method runs with ``n`` particles; ``cost`` reads it.

    Calls with fewer particles are trials, and do not count.
    """

    n: int
    patience: Patience | None = None
    scores: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The time inside counts."""
        before = perf_counter()
        yield
        self.seconds += perf_counter() - before

    def score(self, score: PosteriorScore) -> PosteriorScore:
        """The same score, which counts how often it is asked."""

        def asked(x: State, t: Time) -> State:
            if len(x) != self.n:
                return score(x, t)
            self.scores += 1
            with self.counting():
                return score(x, t)

        return asked

    def step(self, step: Step) -> Step:
        """The same step, which counts what it asks of the prior."""

        def taken(x: State, t: Time, s: Time, *, generator: Generator) -> State:
            with self.counting():
                return step(x, t, s, generator=generator)

        return taken

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Questions to the prior count inside."""
        with counting(self.tally):
            yield
        if self.patience is not None:
            self.patience.called()

    @property
    def cost(self) -> Cost:
        """What was counted."""
        return Cost(self.n, self.scores, self.tally.denoised, self.tally.backward, self.seconds)
