"""x_0 given x_t when x_0 is one of N atoms: attention, once or twice."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import SMALLEST, DenoisingPosterior
from fsps_lite.engine import attention, precision
from fsps_lite.engine.attention import Attended, Indices, Keys
from fsps_lite.engine.covariances import along_cov, summed_moments, unpacked
from fsps_lite.engine.draws import pick
from fsps_lite.engine.runs import (
    HANDFUL,
    SMALLEST_MASS,
    attend_in_runs,
    exponentials,
    heavy,
)
from fsps_lite.types import LogDensity, Scale, State

BLOCK = 4096  # atoms that are turned to float64 at a time
FEW = 2**20  # weights, of all rows: they are kept from the mean to the covariance
KEPT = 2**23  # numbers: of more, a second copy in memory costs more than to make it anew


class Centred:
    """Atoms about their mean, subtracted in float64, block by block; a few are kept so."""

    def __init__(self, atoms: Float[Tensor, "N d"]):
        self.atoms = atoms
        sums = (block.double().sum(0) for block in atoms.split(BLOCK))
        self.centre = sum(sums, atoms.new_zeros((), dtype=torch.float64)) / len(atoms)
        self.squares, self.largest = self._sizes()
        self.radius = float(self.squares.detach().max().sqrt())
        self.size = self.radius + float(self.centre.detach().norm())  # no atom is larger

    def __getstate__(self) -> dict[str, object]:
        """Without the tree, which another process plants for itself, where it pays."""
        return {name: kept for name, kept in vars(self).items() if name != "_tree"}

    def keys(self, dtype: torch.dtype) -> Keys:
        """Kept if they are few; else made of the atoms again, of as many as are asked for."""
        if self.atoms.numel() > KEPT:
            return Converted(self.atoms, self.centre, dtype)
        return self._exact if dtype == torch.float64 else self._rounded

    def products(self, queries: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch N"]:
        """queries keys', in float64."""
        keys = self.keys(torch.float64)
        parts = [queries @ keys[rows].mT for rows in attention.slices(len(keys), self.run(keys))]
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]

    def run(self, keys: Keys) -> int:
        """How many of them to ask for at a time."""
        return len(keys) if isinstance(keys, Tensor) else BLOCK

    def _sizes(self) -> tuple[Float[Tensor, "N"], float]:
        """|a|^2 of each, and the largest coordinate of any.

        Written into one tensor: small ones that stay would leave holes in the memory.
        """
        squares, largest = self.atoms.new_empty(len(self.atoms), dtype=torch.float64), 0.0
        for k, block in enumerate(self._blocks):
            ends = block.detach().aminmax()
            largest = max(largest, float(-ends[0]), float(ends[1]))
            squares[k * BLOCK : k * BLOCK + len(block)] = block.square().sum(-1)
        return squares, largest

    @cached_property
    def _exact(self) -> Float[Tensor, "N d"]:
        return self.atoms.to(torch.float64, copy=True).sub_(self.centre)

    @cached_property
    def _rounded(self) -> Float[Tensor, "N d"]:
        return torch.cat([block.to(self.atoms.dtype) for block in self._blocks])

    @property
    def _blocks(self) -> Iterator[Tensor]:
        return (block.double() - self.centre for block in self.atoms.split(BLOCK))

    def question(
        self, x: State, log_weights: Float[Tensor, "*Y N"], alpha: Scale, sigma: Scale
    ) -> tuple[State, Float[Tensor, "*Y N"]]:
        """Queries and bias, of which queries keys' + bias are the logits of ``x``."""
        alpha, sigma = precision.number(alpha), precision.number(sigma)
        ratio = alpha / sigma
        bias = log_weights.double().log_softmax(-1) - 0.5 * (ratio * ratio) * self.squares
        return (x - alpha * self.centre).mul_(alpha / (sigma * sigma)), bias


@dataclass(frozen=True)
class Converted:
    """The same, converted block by block when they are asked for: no copy of them all exists."""

    atoms: Float[Tensor, "N d"]
    centre: Float[Tensor, "d"]
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self.atoms)

    def __getitem__(self, rows: Indices) -> Float[Tensor, "n d"]:
        return (self.atoms[rows].double() - self.centre).to(self.dtype)


@dataclass(frozen=True, eq=False)
class AtomPosterior(DenoisingPosterior):
    """An atom, by the softmax of the logits; in float32 inside, all or the values, where it may."""

    centred: Centred
    log_weights: Float[Tensor, "*Y N"]

    def __post_init__(self) -> None:
        super().__post_init__()
        if float(self.sigma) < SMALLEST:
            what = "atoms have a density only under noise: `sigma` must be above 0, by 1e-150"
            call = "prior.denoise(x, alpha=0.8, sigma=0.6)"
            raise ValueError(checks.complaint(what, float(self.sigma), call))

    @cached_property
    def _mean(self) -> State:
        return self.centred.centre + self._attended.mean.reshape(self.x.shape)

    @property
    def _score(self) -> State:
        """In place: for large clouds memory is what takes the time."""
        alpha, sigma = precision.number(self.alpha), precision.number(self.sigma)
        return (alpha * self._mean).sub_(self.x).div_(sigma * sigma)

    @cached_property
    def _log_evidence(self) -> LogDensity:
        square = (self._x - self.alpha * self.centred.centre).square().sum(-1)
        log_norm = 0.5 * self.x.shape[-1] * math.log(2 * math.pi * float(self.sigma) ** 2)
        log_sum = self._attended.log_sum.reshape(square.shape)
        return log_sum - 0.5 * square / self.sigma**2 - log_norm

    @attention.flushed()
    def _cov_product(self, v: State) -> State:
        """sum_i w_i (a_i - m) (a_i - m).v: the mean is subtracted after the sums."""
        (queries, _), keys = self._question, self._keys
        along = v.expand(self.x.shape).reshape(queries.shape).to(queries.dtype)
        mean, answers = self._attended.mean, []
        for rows, columns in self._weights(keys):
            m, a = mean[rows], along[rows]
            parts = (along_cov(w, keys[atoms], a, m) for atoms, w in columns)
            answers.append(sum(parts, m.new_zeros(())))
        return torch.cat(answers).double().reshape(self.x.shape)

    @attention.flushed()
    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        """A Cov A' by products of pairs of coordinates of A a_i: one pass, and no (d, d) matrix.

        In float64, because the square of the mean is subtracted from a mean of squares.
        """
        seen = self.centred.products(matrix.double())
        parts = [summed_moments(seen, columns) for _, columns in self._weights(self._keys)]
        first, second = (torch.cat(part) for part in zip(*parts, strict=True))
        m = len(matrix)
        return unpacked(first, second).reshape(*self.x.shape[:-1], m, m)

    def logits(self, rows: slice | EllipsisType = ...) -> Float[Tensor, "*batch N"]:
        """Whose softmax is p(atom_i | x_t = x), in float64: all of them, for some of the rows."""
        x, scales = self._x[rows], (self.alpha, self.sigma)
        queries, bias = self.centred.question(x, self.log_weights, *scales)
        return self.centred.products(queries) + bias

    def _draw(self, generator: torch.Generator) -> State:
        """An atom, by the softmax of the logits."""
        atoms = self.centred.atoms

        def draw(rows: slice) -> Tensor:
            weights = self.logits(rows).to(atoms.dtype).softmax(-1)
            return atoms[pick(weights, generator)]

        return torch.cat([draw(rows) for rows in attention.blocks(len(self.x), len(atoms))])

    @cached_property
    def _question(self) -> tuple[Tensor, Tensor]:
        """Queries ``(B, d)`` in the arithmetic that it needs, and the bias in float64."""
        scales = self.alpha, self.sigma
        queries, bias = self.centred.question(self.x, self.log_weights, *scales)
        return queries.reshape(-1, self.x.shape[-1]).to(self.arithmetic), bias

    @property
    def _keys(self) -> Keys:
        return self.centred.keys(self.arithmetic)

    @cached_property
    def arithmetic(self) -> torch.dtype:
        """What the logits are computed in."""
        return precision.arithmetic(*self._kind, self.centred.radius, self.alpha, self.sigma)

    @property
    def arithmetic_of_values(self) -> torch.dtype:
        """What the weights, and the averages by them, are computed in."""
        if self.arithmetic != torch.float64:
            return self.arithmetic
        return precision.of_values(*self._kind, self.centred.largest, self.alpha, self.sigma)

    @property
    def _kind(self) -> tuple[torch.dtype, int, int]:
        count, dim = self.centred.atoms.shape
        return self.centred.atoms.dtype, count, dim

    @cached_property
    def _attended(self) -> Attended:
        return self._over_all()

    def _over_all(self) -> Attended:
        """Of all atoms, in the arithmetic that is exact enough."""
        (queries, bias), keys = self._question, self._keys
        if isinstance(keys, Tensor) and self._few(keys):
            return self._few_attended[1]
        if self.arithmetic != torch.float64:
            return attend_in_runs(queries, keys, bias, precision.RUN)
        if self.arithmetic_of_values == torch.float64:
            return attend_in_runs(queries, keys, bias, self.centred.run(keys))
        values = self.centred.keys(torch.float32)
        return attend_in_runs(queries, keys, bias, precision.RUN, values=values)

    def _few(self, keys: Tensor) -> bool:
        """Whether all weights are few enough to be kept for the covariance too."""
        wide = len(keys) >= precision.FEW and keys.shape[-1] >= precision.WIDE
        few = (wide or len(keys) <= HANDFUL) and keys.dtype == torch.float64
        few &= 0 < len(keys) * len(self._question[0]) <= min(FEW, attention.BLOCK)
        return few and attention.plain(self._question[0], keys, self._question[1])

    @cached_property
    @attention.flushed()
    def _few_attended(self) -> tuple[tuple[Indices, Float[Tensor, "B n"]], Attended]:
        """p(atom | x_t = x) of all rows at once, of the atoms that count; and the answer."""
        (queries, bias), keys = self._question, self.centred.keys(torch.float64)[:]
        weights, mass, top = exponentials(queries, keys, bias)
        some = heavy(weights) if keys.shape[-1] >= precision.WIDE else slice(None)
        weights = weights[:, some].mul_(mass.clamp(min=SMALLEST_MASS).reciprocal_())
        return (some, weights), Attended(weights @ keys[some], (mass.log() + top).squeeze(-1))

    def _weights(self, keys: Keys) -> Iterator[tuple[slice, Iterator[tuple[Indices, Tensor]]]]:
        queries, bias = self._question
        if "_few_attended" in vars(self):
            return iter([(slice(None), iter([self._few_attended[0]]))])
        return attention.weights(queries, keys, bias, self._attended.log_sum)
