"""Particles in independent runs: their weights, and which of them go on."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite.types import LogDensity


@dataclass(frozen=True)
class Runs:
    """Runs of a particle filter, side by side in one cloud.

    ``label``, ``(n,)``, is the run of each particle, in rising order. ``log_weights``, ``(n,)``,
    are the weights that have been gathered since a run was last resampled, and ``log_evidence``,
    ``(R,)``, is the log of the product of their means at those moments. In nats.
    """

    label: Int[Tensor, "n"]
    log_weights: Float[Tensor, "n"]
    log_evidence: Float[Tensor, "R"]

    @classmethod
    def of(cls, n: int, size: int, like: Tensor) -> "Runs":
        """``n`` particles in runs of nearly ``size``, and at least two, to know an error."""
        count = max(2, round(n / size))
        label = torch.arange(n, device=like.device) * count // n
        return cls(label, like.new_zeros(n), like.new_zeros(count))

    def weighed(self, log_ratio: LogDensity) -> "Runs":
        """With the weights multiplied; a particle whose ratio is NaN has diverged, and weighs 0."""
        log_weights = self.log_weights + log_ratio
        lost = log_weights.isnan() | (log_weights == torch.inf)
        return replace(self, log_weights=torch.where(lost, -torch.inf, log_weights))

    @property
    def sizes(self) -> Float[Tensor, "R"]:
        """How many particles each run has."""
        return self._total(torch.ones_like(self.log_weights))

    @property
    def shares(self) -> Float[Tensor, "n"]:
        """The weights of the particles, which sum to 1 in each run; even where all are lost."""
        top = self._top()
        weights = (self.log_weights - top[self.label]).exp()
        total = self._total(weights)[self.label]
        return torch.where(total > 0, weights / total, 1 / self.sizes[self.label])

    @property
    def log_means(self) -> Float[Tensor, "R"]:
        """The log of the mean weight of each run."""
        top = self._top()
        weights = (self.log_weights - top[self.label]).exp()
        return top + (self._total(weights) / self.sizes).log()

    @property
    def effective_sizes(self) -> Float[Tensor, "R"]:
        """1 / sum of squared shares in each run (Kong, 1992)."""
        return 1 / self._total(self.shares.square())

    @property
    def evidence(self) -> Float[Tensor, "R"]:
        """The log of each run's estimate of p(y)."""
        return self.log_evidence + self.log_means

    def resampled(
        self, below: float, generator: torch.Generator
    ) -> tuple["Runs", Int[Tensor, "n"]]:
        """Resample, systematically, each run whose effective size is under ``below`` of its size.

        Returns the runs and the index of the particle that stands in each place (Kitagawa, 1996).
        """
        poor = self.effective_sizes < below * self.sizes
        places = torch.arange(len(self.label), device=self.label.device)
        if not bool(poor.any()):
            return self, places
        chosen = torch.where(poor[self.label], self._systematic(generator), places)
        moved = torch.where(poor, self.evidence, self.log_evidence)
        left = torch.where(poor[self.label], 0.0, self.log_weights)
        return replace(self, log_weights=left, log_evidence=moved), chosen

    def _systematic(self, generator: torch.Generator) -> Int[Tensor, "n"]:
        """Each particle as often as its share of the run says, rounded up or down."""
        ends = self.shares.double().cumsum(0)  # run r ends at r + 1, up to rounding
        sizes = self.sizes.long()
        first = sizes.cumsum(0) - sizes  # of the particles of each run
        u = torch.rand(len(sizes), generator=generator, dtype=ends.dtype, device=ends.device)
        within = torch.arange(len(ends), device=ends.device) - first[self.label]
        places = self.label + (within + u[self.label]) / sizes[self.label]
        picked = torch.searchsorted(ends, places, right=True)
        return picked.clamp(first[self.label], (first + sizes - 1)[self.label])

    def _total(self, values: Tensor) -> Tensor:
        return torch.zeros_like(self.log_evidence).index_add(0, self.label, values)

    def _top(self) -> Tensor:
        """The largest log-weight of each run; 0 where all are lost."""
        low = torch.full_like(self.log_evidence, -torch.inf)
        top = low.scatter_reduce(0, self.label, self.log_weights, "amax")
        return torch.where(top.isfinite(), top, 0.0)
