"""Pairs (x*, y) of the joint, and exact draws at each y: what every calibration compares with."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite.diagnosis.batches import batch_of, posteriors
from fsps_lite.diagnosis.measured import measured
from fsps_lite.diffusion import Diffusion
from fsps_lite.measures.classifiers import crossed_variation
from fsps_lite.partition import Nearest
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem

NULLS = 19  # exact clouds at each y, beside which a method's is judged: 1 in 20 is the farthest
SEEN = 2  # coordinates of x that are ranked, and of x and y that a classifier is shown
ALIKE = 0.99  # of the largest variance: the first coordinate that has it is taken
COMPARED = 5  # of the exact clouds, which say what is usual at a y


@dataclass(frozen=True)
class Pairs:
    """x* at the time ``stop``, y, and exact draws at each y: 1 set, and 20 more."""

    problem: Problem
    posteriors: Diffusion
    stop: Tensor
    truth: Float[Tensor, "Y d"]
    y: Float[Tensor, "Y m"]
    exact: Float[Tensor, "Y L d"]
    null: Float[Tensor, "Y 20 L d"]

    @classmethod
    def of(
        cls, problem: Problem, count: int, draws: int, stop: Tensor, g: torch.Generator
    ) -> "Pairs":
        clean = problem.prior.sample(count, generator=g)
        y = measured(problem).simulate(clean, generator=g)
        eps = torch.randn(clean.shape, generator=g, dtype=clean.dtype, device=g.device)
        schedule = problem.schedule
        truth = schedule.alpha(stop) * clean + schedule.sigma(stop) * eps
        many = posteriors(problem, y)
        drawn = many.sample((NULLS + 2) * draws, stop, generator=g).transpose(0, 1)
        sets = drawn.reshape(count, NULLS + 2, draws, -1)
        return cls(problem, many, stop, truth.to(clean.dtype), y, sets[:, 0], sets[:, 1:])

    @cached_property
    def coordinates(self) -> tuple[int, ...]:
        """All coordinates of x, if they are two at most; else the two that vary most a priori."""
        variances, chosen = self.prior_variances.clone(), []
        if len(variances) <= SEEN:
            return tuple(range(len(variances)))
        for _ in range(SEEN):
            chosen.append(int((variances >= ALIKE * variances.max()).nonzero()[0, 0]))
            variances[chosen[-1]] = -1.0
        return tuple(chosen)

    @cached_property
    def prior_variances(self) -> Float[Tensor, "d"]:
        """Of each coordinate of x_0 under the prior."""
        prior = self.problem.prior
        if isinstance(prior, Empirical):
            points, own = prior.atoms, torch.zeros_like(prior.atoms)
        else:
            points, own = prior.means, prior.covs.diagonal(dim1=-2, dim2=-1)
        apart = points - prior.weights @ points
        return prior.weights @ (apart.square() + own)

    def log_posterior(self, x: Float[Tensor, "Y K d"]) -> Float[Tensor, "Y K"]:
        """log p(x_stop = x | y), in nats."""
        return self.posteriors.log_prob(x.transpose(0, 1), self.stop).mT

    def log_likelihood(self, x: Float[Tensor, "Y K d"]) -> Float[Tensor, "Y K"]:
        """log p(y | x_0 = x / alpha), in nats."""
        known = measured(self.problem)
        return known.noise.log_prob(self.y[:, None] - known.operator(self.clean(x)))

    def clean(self, x: Tensor) -> Tensor:
        """x / alpha, in the dtype of the prior."""
        return (x / self.problem.schedule.alpha(self.stop)).to(self.problem.prior.dtype)

    def members(self, x: Float[Tensor, "*sets d"]) -> Int[Tensor, "*sets"]:
        """The part of each point; one more than the last where it lies in none."""
        parts = self.problem.parts
        assert parts is not None
        found = parts.members(self.clean(x).reshape(-1, x.shape[-1])).reshape(x.shape[:-1])
        return found.where(found >= 0, len(parts.names))

    @cached_property
    def weights(self) -> Float[Tensor, "2 Y K"]:
        """The weights of the parts at each y: of the atoms, or twice of half the exact draws."""
        parts, prior = self.problem.parts, self.problem.prior
        assert parts is not None
        if isinstance(prior, Empirical):
            shares = prior.condition_each(batch_of(self.problem, self.y)).log_weights.double()
            of_atoms = self.one_hot(self.members(prior.atoms * self.alpha))
            return (shares.softmax(-1) @ of_atoms).expand(2, -1, -1)
        counted = self.one_hot(self.members(self.null))  # (Y, 20, L, K)
        return torch.stack([counted[:, k::2].mean((1, 2)) for k in (0, 1)])

    def variation(self, x: Float[Tensor, "Y L d"]) -> tuple[Tensor, Tensor]:
        """The total variation between parts at each y, from below and from above."""
        return crossed_variation(self.members(x), self.weights)

    def counted(self, x: Float[Tensor, "*sets L d"]) -> Float[Tensor, "*sets K"]:
        """The share of each cloud in each part."""
        return self.one_hot(self.members(x)).mean(-2)

    def one_hot(self, members: Tensor) -> Tensor:
        """Shares of one point: 1 in its own part. The last part is that of points in none."""
        parts = self.problem.parts
        assert parts is not None
        return torch.nn.functional.one_hot(members, len(parts.names) + 1).double()

    @property
    def alpha(self) -> Tensor:
        return self.problem.schedule.alpha(self.stop)

    def features(self, x: Float[Tensor, "Y L d"]) -> Float[Tensor, "Y L F"]:
        """What a classifier is told of (x, y): what the exact posteriors say of it."""
        usual = self.null[:, :COMPARED].flatten(1, 2)
        known, level = self.log_weight(x), self.log_weight(usual).mean(-1, keepdim=True)
        told = [known, known - level, self.log_likelihood(x)]
        for j in self.coordinates:
            told += [x[..., j], self._ranked(x[..., j], j)]
        told += [self.y[:, j, None].expand_as(known) for j in range(min(SEEN, self.y.shape[-1]))]
        if self.problem.parts is not None:
            part = self.members(x)
            told += [part, self.weights.mean(0).gather(1, part)]
        return torch.stack([one.to(known.dtype) for one in told], -1)

    def log_weight(self, x: Float[Tensor, "Y K d"]) -> Float[Tensor, "Y K"]:
        """log p(x | y); of atoms that of the nearest one, without the noise at the time stop."""
        prior = self.problem.prior
        if not isinstance(prior, Empirical):
            return self.log_posterior(x)
        log_weights = prior.condition_each(batch_of(self.problem, self.y)).log_weights
        place = Nearest(prior.atoms, torch.arange(len(prior.atoms), device=x.device))
        nearest = place(self.clean(x).flatten(0, 1)).reshape(x.shape[:-1]).clamp(min=0)
        return log_weights.log_softmax(-1).gather(1, nearest)

    def _ranked(self, value: Float[Tensor, "Y L"], j: int) -> Float[Tensor, "Y L"]:
        """The share of exact draws at the same y below each value of x[j]."""
        usual = self.null[..., j].flatten(1).sort(-1).values.contiguous()
        return torch.searchsorted(usual, value.contiguous()).to(value) / usual.shape[1]
