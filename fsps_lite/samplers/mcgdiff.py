"""Monte Carlo guided diffusion: a particle filter in which y is a coordinate of some x_t."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.samplers.kernels import bridge_kernel, draw
from fsps_lite.samplers.particles import Runs
from fsps_lite.samplers.sampler import Sampler, linear_only
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.types import State, Time

CALL = "MCGDiff(prior, likelihood, particles=64, kappa=1e-4)"
WHY = "it works in the singular directions of the matrix"


@dataclass(frozen=True)
class MCGDiff(Sampler):
    """A particle filter that takes y for a coordinate of x_tau (Cardoso et al., 2024).

    With A = U S V', y_i = (U'y)_i / S_i has the noise n_i = noise_std / S_i. So alpha y_i is a draw
    of coordinate i of V'x_tau at the time tau_i at which sigma / alpha = n_i. For t >= tau_i its
    potential is N(alpha_t y_i, v_t), with v_t = sigma_t^2 (1 - SNR(t) / SNR(tau_i)) + kappa
    (alpha_t / alpha_tau)^2. The proposal is the ancestral step N(mu, c^2) times the potential at s;
    a particle weighs the integral of this product over its potential at t. Below tau_i the
    coordinate is free.

    As published, the last weight is p(y | x_0) over the potentials at tau, so that the product of
    all weights is p(y | x_0). That is right for very many particles. For a small kappa it counts y
    twice: the particles at tau lie within sqrt(kappa) of alpha y, where the potential cannot be
    divided out again, and x_0 then has the law of the posterior before it is weighed by p(y | x_0).
    On two_atoms that squares the odds: the weight of -1 falls to .008 in place of .083.
    ``final_weights`` = False leaves this factor out. The law is then p(x_0 | coordinate i of
    V'x_tau_i = alpha y_i for all i), the posterior as kappa falls to 0, up to the error of the
    ancestral steps below tau. A coordinate whose noise is above that of t[0] is never held; it
    weighs the last particles by its own likelihood.

    Filtering posterior sampling (Dou and Song, 2024) is not built here. It draws a path y_t from y,
    and weighs each step by N(y_s; A x_s, alpha_s^2 noise_std^2 I). All these y_s hold the one noise
    of y, and are weighed as if each had its own: with many particles y counts once for each step.
    On two_atoms, with 20 steps and 2,000 particles, the weight of -1 is below .01.

    Published: kappa = 1e-4, in units of x^2; 64 to 10,000 particles, resampled in each step. The
    tau_i are added to the grid. The answer has the runs, as :class:`TDS` has, and with the final
    weights also the weights and the log_evidence. Needs a Linear operator; raises ValueError for
    another, and unless 0 < kappa <= 1 and particles >= 1.
    """

    particles: int = 64
    kappa: int | float = 1e-4
    final_weights: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_only("MCGDiff", WHY, self.likelihood)
        checks.count("particles", self.particles, CALL)
        checks.positive("kappa", self.kappa, CALL)
        checks.number("kappa", self.kappa, CALL, most=1.0)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The measurement in the singular directions."""
        return Spectrum.of(self.likelihood, linear_only("MCGDiff", WHY, self.likelihood))

    @cached_property
    def taus(self) -> Float[Tensor, "d"]:
        """tau_i, at which sigma / alpha is the noise of y_i; 1 where it never is. ``(d,)``."""
        return self.prior.schedule.time_of(-2 * self.spectrum.noise.double().log())

    @cached_property
    def reached(self) -> Bool[Tensor, "d"]:
        """Which coordinates A sees with no more noise than sigma / alpha at t = 1. ``(d,)``."""
        least: Tensor = self.prior.schedule.log_snr(1.0)
        return self.spectrum.seen & (-2 * self.spectrum.noise.double().log() >= least)

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last particles, at t[-1], with their runs, and weights. ``(n, d)``."""
        self.check_run(x, t, generator)
        runs = Runs.of(len(x), self.particles, x)
        z, log_weights = self._started(x, t[0], generator)
        x, runs = self.spectrum.back(z), runs.weighed(log_weights)
        # of each coordinate, where it was held last; 0 where its noise is above all of the grid's
        held = torch.where(self._active(t[0]), self._log_potential(z, t[0]), 0.0)
        grid = self._with_taus(t)
        for now, after in zip(grid[:-1], grid[1:], strict=True):
            x, held, runs = self._stepped(x, held, runs, now, after, generator)
        return self._ended(x, held, runs, t)

    def _ended(self, x: State, held: State, runs: Runs, t: Float[Tensor, "T"]) -> Samples:
        """The last particles: weighed as published, or by what was never held alone."""
        spectrum, m = self.spectrum, self.prior.denoise(x, t[-1])
        never = spectrum.seen & ~self._active(t[0])
        if self.final_weights:
            last = self.likelihood.log_prob(m) - torch.where(spectrum.seen, held, 0.0).sum(-1)
            runs = runs.weighed(last)
            return Samples(x, t[-1], runs.shares.log(), runs.label, log_evidence=runs.evidence)
        if not bool(never.any()):
            return Samples(x, t[-1], runs=runs.label)
        apart = (spectrum.into(m) - spectrum.y) / spectrum.noise
        runs = runs.weighed(-0.5 * torch.where(never, apart**2, 0.0).sum(-1))
        return Samples(x, t[-1], runs.shares.log(), runs.label)

    def _stepped(
        self, x: State, held: State, runs: Runs, t: Time, s: Time, generator: torch.Generator
    ) -> tuple[State, State, Runs]:
        """The particles at s < t, the logs of their potentials, and the runs."""
        known = self.prior.schedule, self.prior.denoise(x, t), x, t, s
        mean, std = bridge_kernel(*known)
        z, on = self.spectrum.into(mean), self._active(s)
        ratio = torch.where(on, self._log_potential(z, s, std) - held, 0.0)
        runs, chosen = runs.weighed(ratio.sum(-1)).resampled(math.inf, generator)
        z = self._proposed(z[chosen], s, std, generator)
        return (
            self.spectrum.back(z),
            torch.where(on, self._log_potential(z, s), held[chosen]),
            runs,
        )

    def _active(self, t: Time) -> Tensor:
        """Which coordinates are held at t. ``(d,)``."""
        return self.reached & (self.taus <= t)

    def _potential(self, t: Time) -> tuple[Tensor, Tensor]:
        """Mean and variance of the potential of each coordinate. Each ``(d,)``."""
        schedule, spectrum = self.prior.schedule, self.spectrum
        kept = schedule.alpha(t) / schedule.alpha(self.taus)
        fresh = -torch.expm1(schedule.log_snr(t) - schedule.log_snr(self.taus))
        var = schedule.variance(t) * fresh + self.kappa * kept**2
        return schedule.alpha(t) * spectrum.y, var.to(spectrum.y.dtype)

    def _log_potential(self, z: State, t: Time, std: Tensor | float = 0.0) -> State:
        """log N(z; mean, var + std^2) of each coordinate: its potential, or a step's integral."""
        mean, var = self._potential(t)
        total = var + std**2
        return -0.5 * ((z - mean) ** 2 / total + (2 * math.pi * total).log())

    def _proposed(self, mu: State, t: Time, std: Tensor, generator: torch.Generator) -> State:
        """A draw of the ancestral step N(mu, std^2), times the potential where one is held."""
        mean, var = self._potential(t)
        gain = torch.where(self._active(t), std**2 / (std**2 + var), 0.0).to(mu.dtype)
        spread = torch.where(self._active(t), (var * gain).sqrt(), std).to(mu.dtype)
        moved: Tensor = mu + gain * (mean - mu) + spread * draw(mu, generator)
        return moved

    def _started(self, x: State, t: Time, generator: torch.Generator) -> tuple[State, Tensor]:
        """The cloud with held coordinates drawn anew, noise times potential, in V; its weight."""
        std, on = self.prior.schedule.sigma(t), self._active(t)
        nothing = torch.zeros_like(x)
        log_weights = torch.where(on, self._log_potential(nothing, t, std), 0.0).sum(-1)
        held = self._proposed(nothing, t, std, generator)
        return torch.where(on, held, self.spectrum.into(x)), log_weights

    def _with_taus(self, t: Float[Tensor, "T"]) -> Float[Tensor, "G"]:
        """The grid with the tau_i that lie in it."""
        inside = self.taus[self.reached & (self.taus > t[-1]) & (self.taus < t[0])]
        both: Tensor = torch.cat([t.double(), inside]).unique()  # rounded, a tau would be missed
        return both.flip(0)
