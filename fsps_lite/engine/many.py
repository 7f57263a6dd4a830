"""x_0 given x_t under many posteriors that share their atoms: one set of weights for each y."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine import attention, precision
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.draws import pick
from fsps_lite.engine.near import known
from fsps_lite.types import LogDensity, Scale, State

BLOCK = attention.BLOCK  # logits in memory at a time


@dataclass(frozen=True, eq=False)
class ManyAtoms(AtomPosterior):
    """An atom, where x is ``(*batch, Y, d)`` and x[..., j, :] weighs the atoms by row j.

    ``log_weights`` is ``(Y, N)``. All is computed in float64, by products: one pass for all y.
    """

    @cached_property
    def _sums(self) -> tuple[State, LogDensity]:
        """The mean about the centre, and the log of the sum of the weights."""
        parts = self._over(lambda rows, w, log_sum: (w @ self._atoms, log_sum))
        means, log_sums = (torch.cat(part) for part in zip(*parts, strict=True))
        return means.reshape(self.x.shape), log_sums.reshape(self.x.shape[:-1])

    @cached_property
    def _mean(self) -> State:
        return self.centred.centre + self._sums[0]

    @cached_property
    def _log_evidence(self) -> LogDensity:
        far = (self._x - self.alpha * self.centred.centre) / self.sigma
        log_norm = self.x.shape[-1] * math.log(math.sqrt(2 * math.pi) * float(self.sigma))
        return self._sums[1] - 0.5 * far.square().sum(-1) - log_norm

    def _cov_product(self, v: State) -> State:
        """sum_i w_i (a_i - m) (a_i - m).v: the mean is subtracted after the sums."""
        along = v.expand(self.x.shape).reshape(-1, *self.x.shape[-2:])
        means = self._sums[0].reshape(along.shape)

        def product(rows: slice, w: Tensor, log_sum: Tensor) -> Tensor:
            mean = means[rows]
            share = along[rows] @ self._atoms.mT - (along[rows] * mean).sum(-1, keepdim=True)
            share = share * w
            return share @ self._atoms - share.sum(-1, keepdim=True) * mean

        return torch.cat(self._over(product)).reshape(self.x.shape)

    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        return DenoisingPosterior._projected_cov(self, matrix)

    def _draw(self, generator: torch.Generator) -> State:
        def draw(rows: slice, w: Tensor, log_sum: Tensor) -> Tensor:
            return pick(w.reshape(-1, w.shape[-1]), generator)

        return self.centred.atoms[torch.cat(self._over(draw))].reshape(self.x.shape)

    def _over(self, fn: Callable[[slice, Tensor, Tensor], Any]) -> list[Any]:
        """``fn`` of rows of clouds, their weights ``(r, Y, N)`` and the logs of their sums."""
        queries, bias = self.centred.question(self._x, self.log_weights, self.alpha, self.sigma)
        queries = queries.reshape(-1, *self.x.shape[-2:])
        answers = []
        for rows in attention.slices(len(queries), BLOCK // self.log_weights.numel()):
            logits = (queries[rows] @ self._atoms.mT).add_(bias)
            log_sum = logits.logsumexp(-1)
            answers.append(fn(rows, logits.sub_(log_sum.unsqueeze(-1)).exp_(), log_sum))
        return answers

    @property
    def _atoms(self) -> Float[Tensor, "N d"]:
        return self.centred.keys(torch.float64)[:]


@dataclass(frozen=True, eq=False)
class Stacked(DenoisingPosterior):
    """One posterior for each y, each asked alone: x[..., j, :] belongs to ``each[j]``."""

    each: Sequence[DenoisingPosterior]

    @cached_property
    def _mean(self) -> State:
        return torch.stack([one._mean for one in self.each], -2)

    @property
    def _score(self) -> State:
        return torch.stack([one._score for one in self.each], -2)

    @cached_property
    def _log_evidence(self) -> LogDensity:
        return torch.stack([one._log_evidence for one in self.each], -1)

    def _cov_product(self, v: State) -> State:
        pairs = zip(self.each, v.expand(self.x.shape).unbind(-2), strict=True)
        return torch.stack([one._cov_product(part) for one, part in pairs], -2)

    def _draw(self, generator: torch.Generator) -> State:
        drawn = [one._draw(generator) for one in self.each]
        return torch.stack(drawn, -2)


def each_known(
    x: State, alpha: Scale, sigma: Scale, centred: Centred, log_weights: Float[Tensor, "Y N"]
) -> DenoisingPosterior:
    """What is known of an atom under each y; one by one where products cancel, near t = 0."""
    if precision.cancels(centred.size, centred.radius, alpha, sigma):
        pairs = zip(x.unbind(-2), log_weights, strict=True)
        return Stacked(x, alpha, sigma, [known(p, alpha, sigma, centred, w) for p, w in pairs])
    return ManyAtoms(x, alpha, sigma, centred, log_weights)
