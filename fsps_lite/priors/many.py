"""The posteriors of one prior at many measurements, which share its points."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.draws import pick_each
from fsps_lite.engine.many import Stacked, each_known
from fsps_lite.engine.mixtures import Components, MixturePosterior
from fsps_lite.priors.answers import Answers
from fsps_lite.types import Prior, Scale, State, Where


@dataclass(frozen=True)
class EmpiricalBatch(Answers):
    """p(x_0 | y_j) = sum_i w_ji delta(x_0 - atom_i) for each of Y measurements.

    ``atoms`` is ``(N, d)`` in units of x, and ``log_weights`` is ``(Y, N)`` in nats, each row up to
    a constant. Every cloud is ``(*batch, Y, d)``: its rows j belong to y_j.
    """

    atoms: Float[Tensor, "N d"]
    log_weights: Float[Tensor, "Y N"]
    _seen: Centred | None = None

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.atoms.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.atoms.dtype

    def to(self, where: Where) -> "EmpiricalBatch":
        """The same posteriors in another dtype, or on another device."""
        checks.place(where)
        return EmpiricalBatch(self.atoms.to(where), self.log_weights.to(where))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """``n`` atoms of each posterior, with replacement. ``(n, Y, d)``."""
        checks.count("n", n, "posteriors.sample(1000, generator=g)")
        checks.generator(generator)
        return self.atoms[pick_each(self.log_weights, n, generator)]

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        _check_rows(x, len(self.log_weights))
        return each_known(x, alpha, sigma, self._centred, self.log_weights)

    @cached_property
    def _centred(self) -> Centred:
        return self._seen or Centred(self.atoms)


@dataclass(frozen=True)
class MixtureBatch(Answers):
    """p(x_0 | y_j) = sum_k w_jk N(x_0; mean_jk, cov_k) for each of Y measurements.

    ``log_weights`` is ``(Y, K)`` in nats, each row up to a constant, ``means`` is ``(Y, K, d)``,
    and ``covs``, ``(K, d, d)``, do not depend on y. Every cloud is ``(*batch, Y, d)``: its rows j
    belong to y_j.
    """

    log_weights: Float[Tensor, "Y K"]
    means: Float[Tensor, "Y K d"]
    covs: Float[Tensor, "K d d"]

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.means.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        return self.means.dtype

    def to(self, where: Where) -> "MixtureBatch":
        """The same posteriors in another dtype, or on another device."""
        checks.place(where)
        names = "log_weights", "means", "covs"
        return replace(self, **{name: getattr(self, name).to(where) for name in names})

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """``n`` points of each posterior: a component, then a point of it. ``(n, Y, d)``."""
        checks.count("n", n, "posteriors.sample(1000, generator=g)")
        checks.generator(generator)
        k = pick_each(self.log_weights, n, generator)
        means = self.means[torch.arange(k.shape[1], device=k.device), k]
        stds = self._components.variances.to(self.dtype).sqrt()[k.flatten()]
        noise = self._components.colour(k.flatten(), stds, generator)
        return means + noise.reshape(means.shape)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> MixturePosterior:
        _check_rows(x, len(self.log_weights))
        return MixturePosterior(x, alpha, sigma, self._components)

    @cached_property
    def _components(self) -> Components:
        return Components.of(self.log_weights, self.means, self.covs)


@dataclass(frozen=True)
class SeparateBatch(Answers):
    """Posteriors that share nothing, one for each y: they are asked one by one.

    Every cloud is ``(*batch, Y, d)``: its rows j belong to ``each[j]``.
    """

    each: tuple[Prior, ...]

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.each[0].dim

    @property
    def dtype(self) -> torch.dtype:
        return self.each[0].dtype

    def to(self, where: Where) -> "SeparateBatch":
        """The same posteriors in another dtype, or on another device."""
        return SeparateBatch(tuple(one.to(where) for one in self.each))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """``n`` draws of each posterior. ``(n, Y, d)``."""
        return torch.stack([one.sample(n, generator=generator) for one in self.each], -2)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        _check_rows(x, len(self.each))
        pairs = zip(self.each, x.unbind(-2), strict=True)
        return Stacked(x, alpha, sigma, [one.given(row, alpha, sigma) for one, row in pairs])


def _check_rows(x: Tensor, count: int) -> None:
    """A cloud for many y has one row for each of them, before the last dimension."""
    if x.ndim < 2 or x.shape[-2] != count:
        what = f"`x` must have shape (*batch, {count}, d): one row for each of {count} measurements"
        call = "posteriors.score(x.expand(100, len(y), d), 0.5)"
        raise ValueError(checks.complaint(what, tuple(x.shape), call))
