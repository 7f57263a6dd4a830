"""x_0 given x_t near t = 0, where products cancel: sums over the few points near x_t."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import SMALLEST, DenoisingPosterior
from fsps_lite.engine import attention, precision
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.draws import pick
from fsps_lite.engine.pruned import PrunedPosterior, pays
from fsps_lite.engine.smooth import SmoothPosterior, smooth
from fsps_lite.engine.tree import planted
from fsps_lite.types import LogDensity, Scale, State

NATS = 50.0  # an atom whose weight is this much below the largest does not count


@dataclass(frozen=True, eq=False)
class NearPosterior(DenoisingPosterior):
    """All is said in z = (alpha a - x_t) / sigma of the points a: numbers of size 1.

    A subclass finds, for some rows of x_t, those z ``(r, k, d)`` and the logits ``(r, k)``,
    log w - |z|^2 / 2, and says how many rows it takes at a time.
    """

    @abstractmethod
    def _near(self, x: Float[Tensor, "r d"]) -> tuple[Tensor, Tensor]: ...

    @property
    @abstractmethod
    def _rows(self) -> list[slice]: ...

    @property
    def _score(self) -> State:
        """E[z] / sigma."""
        return self._sums[0] / self.sigma

    @cached_property
    def _mean(self) -> State:
        return (self._x + self.sigma * self._sums[0]) / self.alpha

    @property
    def _log_evidence(self) -> LogDensity:
        d = self.x.shape[-1]
        return self._sums[1] - d * math.log(math.sqrt(2 * math.pi) * float(self.sigma))

    def _cov_product(self, v: State) -> State:
        """E[(z - E z) (z - E z).v] sigma^2 / alpha^2."""
        along, parts = v.expand(self.x.shape).reshape(-1, v.shape[-1]), []
        for rows, z, share in self._parts:
            apart = z - (share * z).sum(-2, keepdim=True)
            parts.append((share * apart * (apart @ along[rows].unsqueeze(-1))).sum(-2))
        return (self.sigma / self.alpha) ** 2 * torch.cat(parts).reshape(self.x.shape)

    def _draw(self, generator: torch.Generator) -> State:
        parts = []
        for _, z, share in self._parts:
            index = pick(share.squeeze(-1), generator)
            parts.append(z[torch.arange(len(z), device=z.device), index])
        return (self._x + self.sigma * torch.cat(parts)) / self.alpha

    @cached_property
    def _sums(self) -> tuple[State, LogDensity]:
        """E[z], and the log of the sum of the weights."""
        means, log_sums = [], []
        for rows in self._rows:
            z, logits = self._near(self._flat[rows])
            means.append((logits.softmax(-1).unsqueeze(-1) * z).sum(-2))
            log_sums.append(logits.logsumexp(-1))
        mean, log_sum = torch.cat(means), torch.cat(log_sums)
        return mean.reshape(self.x.shape), log_sum.reshape(self.x.shape[:-1])

    @property
    def _parts(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows, their z, and the share of each, ``(r, k, 1)``."""
        for rows in self._rows:
            z, logits = self._near(self._flat[rows])
            yield rows, z, logits.softmax(-1).unsqueeze(-1)

    @property
    def _flat(self) -> Float[Tensor, "n d"]:
        return self._x.reshape(-1, self.x.shape[-1])


@dataclass(frozen=True, eq=False)
class NearAtoms(NearPosterior):
    """An atom. Products say which atoms may count, differences what they weigh."""

    centred: Centred
    log_weights: Float[Tensor, "N"]

    def _near(self, x: Float[Tensor, "r d"]) -> tuple[Tensor, Tensor]:
        scales, count = (self.alpha, self.sigma), len(self.centred.atoms)
        queries, bias = self.centred.question(x, self.log_weights, *scales)
        rough = self.centred.products(queries) + bias
        lowest = rough.amax(-1) - NATS - 2 * self._rounding(queries)
        traced = checks.transformed(rough)  # such a tensor does not tell its numbers
        some = count if traced else int((rough >= lowest.unsqueeze(-1)).sum(-1).max())
        index = rough.topk(max(1, some), -1).indices
        atoms = self.centred.atoms[index].double()
        z = (atoms - x.unsqueeze(-2) - (1 - self.alpha) * atoms) / self.sigma  # exact near x
        log_weights = self.log_weights.double().log_softmax(0)[index]
        return z, log_weights - z.square().sum(-1) / 2

    @property
    def dropped(self) -> LogDensity:
        """Each atom that does not count has e^-NATS of the share of another."""
        share = len(self.centred.atoms) * math.exp(-NATS)
        return self.x.new_full(self.x.shape[:-1], share)

    def _rounding(self, queries: Float[Tensor, "r d"]) -> Float[Tensor, "r"]:
        """What the products may be wrong by, in nats."""
        radius, terms = self.centred.radius, queries.shape[-1] + 8
        sizes = queries.norm(dim=-1) * radius + (self.alpha / self.sigma * radius) ** 2
        rounding: Tensor = terms * precision.DOUBLE * sizes
        return rounding

    @property
    def _rows(self) -> list[slice]:
        return attention.blocks(len(self._flat), self.centred.atoms.numel())


def known(
    x: State, alpha: Scale, sigma: Scale, centred: Centred, log_weights: Float[Tensor, "N"]
) -> DenoisingPosterior:
    """What is known of an atom: by products, or by differences where products cancel.

    Of many atoms by those alone that may count, or of the line by few places, where that pays.
    """
    checks.number("sigma", sigma, "prior.denoise(x, alpha=0.8, sigma=0.6)", least=0.0)
    if float(sigma) < SMALLEST:  # where it refuses
        return AtomPosterior(x, alpha, sigma, centred, log_weights)
    if precision.cancels(centred.size, centred.radius, alpha, sigma):
        return NearAtoms(x, alpha, sigma, centred, log_weights)
    if smooth(x, alpha, sigma, centred):
        return SmoothPosterior(x, alpha, sigma, centred, log_weights)
    if pays(x, alpha, sigma, centred, log_weights):
        tree = planted(centred, log_weights)
        return PrunedPosterior(x, alpha, sigma, centred, log_weights, tree)
    return AtomPosterior(x, alpha, sigma, centred, log_weights)
