"""Twisted diffusion sampling: particles whose weights repair whatever guidance proposes them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.guidance import DPS, Guidance
from fsps_lite.samplers.kernels import bridge_kernel, drawn
from fsps_lite.samplers.particles import Runs
from fsps_lite.samplers.sampler import Sampler
from fsps_lite.samplers.samples import Samples
from fsps_lite.types import LogDensity, State, Time

CALL = "TDS(prior, likelihood, particles=64, twist=PiGDM)"


@runtime_checkable
class Twist(Protocol):
    """A guidance that knows its guess of log p(y | x_t) itself, with all that depends on x_t."""

    def log_likelihood(self, x: State, t: Time) -> LogDensity: ...


@dataclass(frozen=True)
class TDS(Sampler):
    """A particle filter of x_t with the target p(x_t) p~(y | x_t) at each t (Wu et al., 2023).

    p~ is the guess of a guidance, the ``twist``. A particle at t proposes x_s ~ q = N(mean of the
    ancestral step with the guided denoiser, c^2 I), and its weight is multiplied by

        p(x_s | x_t) p~(y | x_s) / (q(x_s) p~(y | x_t)),

    where p(x_s | x_t) is the ancestral step of the prior, with the same c. The first weights are
    p~(y | x_t[0]), and the last p~ is p(y | E[x_0 | x_s]). A run of ``particles`` is resampled
    where its effective size falls below ``threshold`` times its size. So whatever the twist, the
    weighted particles have the law of the ancestral steps given y, for many particles; and the mean
    of each run's evidence is p(y) for any number of them.

    For few, the law of a run is biased as 1 / particles where the weights have a variance. Those of
    DPS have none where the posterior is broad, because DPS proposes too narrowly: on a Gaussian in
    the plane, with two measurements and 25 steps, the power p of a weight has a mean for p < 1.18
    alone, and for p < 2.77 with PiGDM. The mean of the posterior is then off by .27, .27 and .18 of
    its standard deviations with 1, 16 and 64 particles, and by .14, .03 and .02 with PiGDM.

    Published: the twist p(y | E[x_0 | x_t]), which is DPS, or for a linear operator PiGDM with
    data_var = 0.12 (their tau^2); 2 to 64 particles; systematic resampling at 0.5. The cloud is
    split into runs as even as its size allows, and into two at least. The answer has the weights of
    the particles, which sum to 1 in each run, the runs, and the log_evidence of each. Particles of
    one run depend on each other. Raises TypeError where the twist has no log_likelihood, ValueError
    unless particles >= 1 and threshold is in [0, 1].
    """

    particles: int = 64
    twist: Callable[..., Guidance] = DPS
    threshold: int | float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("particles", self.particles, CALL)
        checks.number("threshold", self.threshold, CALL, least=0.0, most=1.0)
        if not isinstance(self.guidance, Guidance) or not isinstance(self.guidance, Twist):
            what = "`twist` must make a Guidance that has a log_likelihood(x, t)"
            raise TypeError(checks.complaint(what, checks.described(self.guidance), CALL))

    @cached_property
    def guidance(self) -> Guidance:
        """twist(prior, likelihood)."""
        return self.twist(self.prior, self.likelihood)

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last particles, at t[-1], with their weights, runs and log_evidence. ``(n, d)``."""
        self.check_run(x, t, generator)
        runs = Runs.of(len(x), self.particles, x)
        guessed = self.guess(x, t[0])
        runs = runs.weighed(guessed)
        for now, after in zip(t[:-1], t[1:], strict=True):
            runs, chosen = runs.resampled(self.threshold, generator)
            x, guessed = x[chosen], guessed[chosen]
            x, log_ratio = self.proposed(x, now, after, generator)
            ahead = self.final(x, after) if after == t[-1] else self.guess(x, after)
            runs, guessed = runs.weighed(log_ratio + ahead - guessed), ahead
        log_weights = runs.shares.log()
        return Samples(x, t[-1], log_weights, runs.label, log_evidence=runs.evidence)

    def proposed(
        self, x: State, t: Time, s: Time, generator: torch.Generator
    ) -> tuple[State, LogDensity]:
        """x_s from q, and log p(x_s | x_t) - log q(x_s). ``(n, d)`` and ``(n,)``."""
        at, schedule = self.prior.at(x, t), self.prior.schedule
        guided = at.mean + at.sigma**2 / at.alpha * self.guidance.guide(at, t)
        mean, std = bridge_kernel(schedule, at.mean, x, t, s)
        moved = drawn(bridge_kernel(schedule, guided, x, t, s)[0], std, generator)
        by_guided = bridge_kernel(schedule, guided, x, t, s)[0]
        apart = (moved - by_guided).square().sum(-1) - (moved - mean).square().sum(-1)
        return moved, apart / (2 * std**2)

    def guess(self, x: State, t: Time) -> LogDensity:
        """log p~(y | x_t = x), of the twist. ``(n,)``."""
        assert isinstance(self.guidance, Twist)
        return self.guidance.log_likelihood(x, t)

    def final(self, x: State, t: Time) -> LogDensity:
        """log p(y | E[x_0 | x_t = x]), which is p(y | x_0) where t is small. ``(n,)``."""
        return self.likelihood.log_prob(self.prior.denoise(x, t))
