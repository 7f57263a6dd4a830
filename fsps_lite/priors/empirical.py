"""A prior made of points: N atoms and their weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.draws import pick_many
from fsps_lite.engine.near import known
from fsps_lite.likelihood import Likelihood, refuse_batch, require_batch
from fsps_lite.moved import Moved
from fsps_lite.priors.answers import Answers
from fsps_lite.priors.many import EmpiricalBatch
from fsps_lite.types import LogDensity, LogLikelihood, Scale, State, Where

CALL = "Empirical.from_samples(torch.randn(1000, 2, dtype=torch.float64))"


@dataclass(frozen=True)
class Empirical(Answers):
    """p(x_0) = sum_i w_i delta(x_0 - atom_i): the prior as N points, with w = softmax(log_weights).

    ``atoms`` is ``(N, d)`` in units of x; ``log_weights`` is ``(N,)`` in nats, up to a constant,
    and may hold -inf. Conditioned on any measurement it stays empirical, and diffused it is a
    mixture of N equal Gaussians, so that everything below is exact for every N: the finite-sample
    posterior. Raises on wrong shapes or dtypes, NaN, no atoms, or no atom of positive weight.
    """

    atoms: Float[Tensor, "N d"]
    log_weights: Float[Tensor, "N"]
    sharded = Moved("prior.sharded")

    def __post_init__(self) -> None:
        checks.floating("atoms", self.atoms, CALL)
        checks.shape("atoms", self.atoms, ("N", "d"), CALL)
        checks.finite("atoms", self.atoms, CALL)
        _check_log_weights(self.log_weights, self.atoms)

    @classmethod
    def from_samples(cls, atoms: Float[Tensor, "N d"]) -> "Empirical":
        """Equal weights on the rows of ``atoms``, a tensor or a NumPy array, which is copied."""
        atoms = checks.array("atoms", atoms, CALL)
        if atoms.ndim != 2:
            call = "Empirical.from_samples(atoms.reshape(len(atoms), -1)), where a row is an image"
            checks.shape("atoms", atoms, ("N", "d"), call)
        return cls(atoms, atoms.new_zeros(len(atoms)))

    @classmethod
    def on_grid(
        cls, log_density: Callable[[State], LogDensity], axes: list[Float[Tensor, "_"]]
    ) -> "Empirical":
        """Quadrature: atoms on the product of ``axes`` (each evenly spaced), weighted by a density.

        Diffused to a sigma above the spacing h it is exact to about exp(-2 pi^2 (sigma / h)^2).
        """
        call = "Empirical.on_grid(density, [torch.linspace(-4, 4, 2001)])"
        if not isinstance(axes, list | tuple) or not axes:
            raise ValueError(checks.complaint("`axes` must name a grid", axes, call))
        for axis in axes:
            checks.floating("axes", axis, call)
            checks.shape("axes", axis, ("G",), call)
            checks.even("axes", axis, call)
        atoms = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)
        return cls(atoms, log_density(atoms))

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.atoms.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.atoms.dtype

    @property
    def weights(self) -> Float[Tensor, "N"]:
        """w, normalised. For display and for averages; never take its logarithm: it underflows."""
        return self.log_weights.softmax(0)

    @property
    def effective_size(self) -> float:
        """1 / sum_i w_i^2, the number of equal weights that would average as well (Kong, 1992)."""
        log_w = self.log_weights.double().log_softmax(0)
        return float((-torch.logsumexp(2 * log_w, 0)).exp())

    @property
    def total_variance(self) -> Float[Tensor, ""]:
        """The trace of the covariance: the mean square distance of a draw from the mean."""
        weights, atoms = self.log_weights.double().softmax(0), self.atoms.double()
        return (weights @ (atoms - weights @ atoms).square().sum(-1)).to(self.dtype)

    def to(self, where: Where) -> "Empirical":
        """The same prior in another dtype, or on another device."""
        checks.place(where)
        return replace(self, atoms=self.atoms.to(where), log_weights=self.log_weights.to(where))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        """Draw ``n`` atoms with their weights, with replacement. ``(n, d)``."""
        checks.count("n", n, "prior.sample(1000, generator=torch.Generator().manual_seed(0))")
        checks.generator(generator)
        return self.atoms[pick_many(self.log_weights, n, generator)]

    def condition(self, likelihood: LogLikelihood) -> "Empirical":
        """Bayes: multiply each weight by p(y | atom). Any object with ``log_prob(x)`` will do."""
        return replace(self, log_weights=self.log_weights + self.log_likelihood(likelihood))

    def condition_each(self, likelihood: Likelihood) -> EmpiricalBatch:
        """Bayes for a batch of y, ``(Y, m)``: the same atoms, and log-weights ``(Y, N)``.

        Raises TypeError unless the likelihood is a :class:`Likelihood` with a batch of y.
        """
        require_batch(likelihood, "prior")
        log_weights = self.log_weights + likelihood.log_prob_each(self.atoms)
        return EmpiricalBatch(self.atoms, log_weights, self._centred)

    def log_likelihood(self, likelihood: LogLikelihood) -> Tensor:
        """log p(y | atom_i), ``(N,)``; raises where a user's own likelihood answers wrongly."""
        if not isinstance(likelihood, LogLikelihood):
            call = "prior.condition(Likelihood(operator, y, noise_std=0.5))"
            got = type(likelihood).__name__
            raise TypeError(checks.complaint("`likelihood` must have a log_prob(x)", got, call))
        refuse_batch(likelihood)
        log_prob = likelihood.log_prob(self.atoms)
        call = "prior.condition(likelihood), where likelihood.log_prob(atoms) has shape (N,)"
        checks.floating("likelihood.log_prob(atoms)", log_prob, call)
        checks.shape("likelihood.log_prob(atoms)", log_prob, (len(self.atoms),), call)
        checks.same_dtype("likelihood.log_prob(atoms)", log_prob, "the atoms", self.dtype, call)
        return log_prob

    def logits(self, x: State, alpha: Scale, sigma: Scale) -> Float[Tensor, "*batch N"]:
        """log w_i - |x - alpha atom_i|^2 / (2 sigma^2), plus |x - alpha c|^2 / (2 sigma^2).

        Their softmax is p(atom_i | x_t = x). The square of x, the same for all atoms, is left out,
        and both are centred on c, the mean of the atoms: this costs one matrix product, and no
        ``(batch, N, d)`` array. Computed in float64, and so rounded by 1e-16 of the largest: near
        t = 0 that is much, and :meth:`given` computes other ones.
        """
        self.given(x, alpha, sigma)  # which says what is wrong with x
        products = AtomPosterior(x, alpha, sigma, self._centred, self.log_weights)
        return products.logits().to(x.dtype)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        """The same atoms, weighted by the softmax of the logits."""
        return known(x, alpha, sigma, self._centred, self.log_weights)

    @cached_property
    def _centred(self) -> Centred:
        return Centred(self.atoms)


def _check_log_weights(log_weights: Tensor, atoms: Tensor) -> None:
    call = "Empirical(atoms, log_weights=torch.zeros(len(atoms), dtype=atoms.dtype))"
    checks.floating("log_weights", log_weights, call)
    checks.shape("log_weights", log_weights, (len(atoms),), call)
    checks.same_dtype("log_weights", log_weights, "the atoms", atoms.dtype, call)
    if bool(log_weights.isnan().any()) or bool((log_weights == math.inf).any()):
        what = "`log_weights` must be below infinity and not NaN"
        raise ValueError(checks.complaint(what, log_weights.max().item(), call))
    if bool((log_weights == -math.inf).all()):
        what = (
            "`log_weights` must leave an atom some weight: y in the data's reach, or more noise_std"
        )
        raise ValueError(checks.complaint(what, "-inf for every atom", call))
