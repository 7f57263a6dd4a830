"""What was asked: held-out digits behind four operators, a prior, and the true label weights."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

import fsps_lite as fl
from fsps_lite.likelihood import Likelihood
from fsps_lite.problems import Problem

IMAGES = 20  # held-out digits, each with one measurement
LABELS = 10
OFF = 0.5  # further than this from every atom, in units of x, a draw is no atom: noise keeps below


def halves() -> tuple[fl.Linear, float]:
    """The lower half of the image."""
    return fl.mask(torch.arange(64) >= 32), 1.0


def moved() -> tuple[fl.Linear, float]:
    """A camera that moves by five pixels."""
    return fl.motion_blur(8, length=5.0, angle=0.6), 1.0


def scanned() -> tuple[fl.Linear, float]:
    """A quarter of the Fourier coefficients."""
    chosen = fl.fourier_mask(8, 0.25, generator=torch.Generator().manual_seed(0))
    return fl.fourier_samples(chosen), 0.5


def saturated() -> tuple[fl.Nonlinear, float]:
    """A detector of ink, from 0 to 16, that cannot tell more than 4."""
    data = fl.digits.load()
    ink = fl.Linear(data.scale * torch.eye(64, dtype=torch.float64), offset=data.mean)
    return fl.saturation(4.0, low=0.0, after=ink), 2.0


OPERATORS: Mapping[str, Callable[[], tuple[fl.Linear | fl.Nonlinear, float]]] = {
    "half hidden": halves,
    "motion blur": moved,
    "Fourier mask": scanned,
    "saturation": saturated,
}
GAUSSIANS = "half hidden, Gaussians"  # the same with two Gaussians a class for a prior


@dataclass(frozen=True)
class Asked:
    """A problem whose likelihood stands for all y, ``(Y, m)``, and the images behind them."""

    problem: Problem
    images: Float[Tensor, "Y 64"]
    y: Float[Tensor, "Y m"]

    def at(self, k: int) -> Problem:
        """The problem of one image."""
        known = self.problem.likelihood
        assert isinstance(known, Likelihood)
        return replace(self.problem, likelihood=replace(known, y=self.y[k]))

    def labels(self, x: Float[Tensor, "n 64"]) -> Float[Tensor, "n 10"]:
        """How likely each label is at each point: 0 or 1 on atoms. NaN counts for no label."""
        finite = x.isfinite().all(-1, keepdim=True)
        prior = self.problem.prior
        if isinstance(prior, fl.GaussianMixture):
            shares: Tensor = prior.responsibilities(x.where(finite, 0.0)).unflatten(
                -1, (LABELS, -1)
            )
            return shares.sum(-1) * finite
        near = fl.digits.load().partition.of(x.where(finite, 0.0))
        return torch.nn.functional.one_hot(near, LABELS).to(x.dtype) * finite

    def truth(self, k: int) -> "Truth":
        """What the exact posterior of one image says."""
        problem = self.at(k)
        posterior = problem.posterior.prior
        assert isinstance(posterior, fl.Empirical | fl.GaussianMixture)
        known = problem.likelihood
        assert isinstance(known, Likelihood)
        if isinstance(posterior, fl.GaussianMixture):
            weights = posterior.weights.unflatten(-1, (LABELS, -1)).sum(-1)
            x = posterior.sample(2000, generator=torch.Generator().manual_seed(k))
            w = x.new_full((len(x),), 1 / len(x))
            return Truth(weights, math.nan, spread(x, w), misfit(known, x, w))
        weights = fl.digits.load().label_weights(posterior.weights)
        x, w = posterior.atoms, posterior.weights
        return Truth(weights, posterior.effective_size, spread(x, w), misfit(known, x, w))


@dataclass(frozen=True)
class Truth:
    """Of one exact posterior: label weights, N_eff, variance and misfit."""

    labels: Float[Tensor, "10"]
    effective_size: float
    variance: float
    misfit: float


def spread(x: Float[Tensor, "n d"], w: Float[Tensor, "n"]) -> float:
    """The mean variance of a coordinate, for weights that sum to 1."""
    mean = w @ x
    return float((w @ (x - mean).square()).mean())


def misfit(known: Likelihood, x: Float[Tensor, "n d"], w: Float[Tensor, "n"]) -> float:
    """The mean square residual over that of the noise: 1 at the true signal, on average."""
    residual = known.noise.whiten(known.residual(x))
    return float(w @ residual.square().mean(-1))


@cache
def gaussians() -> fl.GaussianMixture:
    """Two Gaussians for each class."""
    data = fl.digits.load()
    return fl.fit_classes(data.images, data.labels)


@cache
def asked(name: str) -> Asked:
    """The problem of this name, and its measurements, which are the same at every call."""
    data = fl.digits.load()
    operator, noise_std = OPERATORS[name.split(",")[0]]()
    images = data.held_out[:IMAGES]
    silent = Likelihood(operator, torch.zeros_like(operator(images[0])), noise_std)
    y = silent.simulate(images, generator=torch.Generator().manual_seed(0))
    prior = gaussians() if name == GAUSSIANS else data.prior
    return Asked(Problem(name, prior, replace(silent, y=y[0])), images, y)
