"""Bad input: each answer names the argument, what was got, and a corrected call that runs.

A user has no shape checks at run time, so these tests switch them off and meet our own words.
"""

import math
import re
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import fsps_lite
from fsps_lite import (
    DPS,
    VE,
    VP,
    Cosine,
    Denoiser,
    Diffusion,
    Drawn,
    Empirical,
    FlowMatching,
    GaussianMixture,
    Guidance,
    Likelihood,
    Linear,
    Nonlinear,
    Partition,
    PiGDM,
    Problem,
    Samples,
    Schedule,
    Scored,
    StepDPS,
    Stepped,
    Trajectory,
    UnsupportedLikelihood,
    ZetaDPS,
    blur,
    bridge,
    ddpm,
    diagnose,
    diagnose_samples,
    digits,
    downsample,
    dpm_solver,
    energy_distance,
    euler_maruyama,
    exact_kernel,
    fourier_magnitude,
    fourier_samples,
    hallucination,
    heun,
    implied_density,
    law,
    march,
    mask,
    matched_score,
    mode_weights,
    plots,
    problems,
    projections,
    score_error,
    sliced_wasserstein,
    sweep,
    theory,
    times,
    total_variation,
    wasserstein1,
)
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")

F64 = {"dtype": torch.float64}
X = torch.zeros(3, 2, **F64)
LINE = torch.linspace(0, 1, 5, **F64).unsqueeze(-1)
GRID = torch.tensor([0.9, 0.5, 0.1], **F64)
ATOMS = Empirical.from_samples(torch.randn(6, 2, generator=seeded(0), **F64))
MIXTURE = GaussianMixture.isotropic(X[:2] + torch.eye(2, **F64), std=0.3)
EYE = torch.eye(2, **F64)
Y = torch.zeros(2, **F64)
OPERATOR = Linear(EYE)
IMAGES = torch.zeros(1, 3 * 256 * 256, **F64)
LARGE = mask((torch.arange(3 * 256 * 256) % 2 == 0).reshape(3, 256, 256))
LEARNED = Diffusion(Denoiser(lambda x, alpha, sigma: alpha * x, dim=IMAGES.shape[-1]), VP())
GUESS = PiGDM(LEARNED, Likelihood(LARGE, LARGE(IMAGES)[0], 0.5))
LIKELIHOOD = Likelihood(OPERATOR, Y, 0.5)
CURVED = Likelihood(Nonlinear(torch.square, "square"), Y, 0.5)
DIFFUSION = Diffusion(MIXTURE, VP())
NAN = torch.tensor([[0.0, math.nan]], **F64)
FLAT = torch.full((5,), 0.2, **F64)
PROBLEM = Problem("p", MIXTURE, LIKELIHOOD)
CLOUD = torch.randn(6, 2, generator=seeded(3), **F64)


def g():
    return seeded(0)


class Wrong:
    """A likelihood of the user's own that answers with the wrong thing."""

    def __init__(self, answer):
        self.answer = answer

    def log_prob(self, x):
        return self.answer


class Own:
    """A prior of the user's own, known by its denoiser."""

    dim, dtype = 2, torch.float64

    def __init__(self, fn):
        self.fn = fn

    def to(self, where):
        return self

    def denoise(self, x, alpha, sigma):
        return self.fn(x)


class Schedules(Schedule):
    """A schedule of the user's own."""

    def __init__(self, alpha, sigma):
        self._alpha, self._sigma = alpha, sigma

    def alpha(self, t):
        return self._alpha(t)

    def sigma(self, t):
        return self._sigma(t)


class Guide(Guidance):
    """A method of the user's own that answers with one number."""

    def guide(self, at, t):
        return torch.zeros(1, **F64)


def dropout(x, alpha, sigma):
    """A network that was left in training."""
    return x * torch.rand_like(x)


# What a corrected call may speak of: the names that our examples and chapters use.
NAMES = {
    **{name: getattr(fsps_lite, name) for name in fsps_lite.__all__},
    **{f.__name__: f for f in problems.GALLERY},
    "torch": torch,
    "g": g(),
    "x": X,
    "x0": X,
    "y": Y,
    "t": GRID,
    "p": FLAT,
    "q": FLAT,
    "grid": torch.arange(5, **F64),
    "schedule": VP(),
    "score": DIFFUSION,
    "diffusion": DIFFUSION,
    "operator": OPERATOR,
    "likelihood": LIKELIHOOD,
    "prior": ATOMS,
    "posterior": ATOMS.condition(LIKELIHOOD),
    "atoms": ATOMS.atoms,
    "modes": MIXTURE,
    "problem": PROBLEM,
    "np": np,
    "diagnose": lambda *args, **kwargs: None,  # the call is right, and its run takes long
    "compare": lambda *args, **kwargs: None,
    "sweep": lambda *args, **kwargs: None,
    "player": lambda *args, **kwargs: None,
    "density": lambda x: -x.square().sum(-1),
}


class OwnLikelihood:
    """A likelihood of one's own, which can do no more than it must."""

    def log_prob(self, x):
        return -x.square().sum(-1)


@dataclass
class Case:
    """A call, the error, what it must name, what it must show as got, and names for its answer."""

    call: object
    error: type
    name: str
    got: str
    names: dict = field(default_factory=dict)


V, T = ValueError, TypeError
CASES = {
    # times
    "t above 1": Case(lambda: DIFFUSION.score(X, 1.5), V, "t", "1.5"),
    "t below 0": Case(lambda: VP().alpha(-0.1), V, "t", "-0.1"),
    "t NaN": Case(lambda: Cosine().sigma(math.nan), V, "t", "nan"),
    "a t of many": Case(
        lambda: VP().alpha(torch.tensor([0.5, 2.0])), V, "t", "values from 0.5 to 2"
    ),
    "t a vector": Case(lambda: DIFFUSION.score(X, GRID), V, "t", "a tensor of shape (3,)"),
    "sample at a vector": Case(
        lambda: DIFFUSION.sample(4, GRID, generator=g()), V, "t", "a tensor of shape (3,)"
    ),
    "score at 0": Case(lambda: DIFFUSION.score(X, 0.0), V, "t", "0.0"),
    # schedules
    "beta_min": Case(lambda: VP(beta_min=-1.0), V, "beta_min", "-1.0"),
    "beta_max": Case(lambda: VP(beta_max=math.inf), V, "beta_max", "inf"),
    "sigma_max": Case(lambda: VE(sigma_max=0.0), V, "sigma_max", "0.0"),
    "power": Case(lambda: VE(power=math.nan), V, "power", "nan"),
    "noise n": Case(lambda: VP().noise(0, 1, generator=g()), V, "n", "0"),
    "noise dim": Case(lambda: VP().noise(3, 0, generator=g()), V, "dim", "0"),
    # states
    "x too narrow": Case(lambda: DIFFUSION.score(X[:, :1], 0.5), V, "x", "(3, 1)"),
    "x a number": Case(lambda: DIFFUSION.denoise(Y[0], 0.5), V, "x", "()"),
    "x of integers": Case(lambda: DIFFUSION.score(X.int(), 0.5), T, "x", "torch.int32"),
    "x of another dtype": Case(lambda: DIFFUSION.log_prob(X.float(), 0.5), T, "x", "torch.float32"),
    "x a list": Case(lambda: DIFFUSION.score([[0.0, 0.0]], 0.5), T, "x", "list"),
    "v of another shape": Case(
        lambda: DIFFUSION.denoise_cov_product(X, 0.5, X[:, :1]), V, "v", "(3, 1)"
    ),
    "v of another dtype": Case(
        lambda: DIFFUSION.denoise_cov_product(X, 0.5, X.float()), T, "v", "torch.float32"
    ),
    "one point to draw from": Case(
        lambda: DIFFUSION.sample_denoised(X[0], 0.5, generator=g()), V, "x", "(2,)"
    ),
    "prior x": Case(lambda: ATOMS.denoise(X[:, :1], 0.8, 0.6), V, "x", "(3, 1)"),
    "mixture x": Case(
        lambda: MIXTURE.log_prob(X.float(), 0.8, 0.6), T, "x", "torch.float32", {"prior": MIXTURE}
    ),
    "no noise on atoms": Case(lambda: ATOMS.log_prob(X, 1.0, 0.0), V, "sigma", "0.0"),
    "negative noise on atoms": Case(lambda: ATOMS.denoise(X, 1.0, -0.5), V, "sigma", "-0.5"),
    "no noise on a singular mixture": Case(
        lambda: GaussianMixture.isotropic(X, std=0.0).log_prob(X), V, "sigma", "0.0"
    ),
    "swapped": Case(lambda: Diffusion(VP(), MIXTURE), T, "prior", "VP"),
    # priors
    "no atoms": Case(lambda: Empirical.from_samples(torch.zeros(0, 2)), V, "atoms", "(0, 2)"),
    "atoms in a row": Case(lambda: Empirical.from_samples(torch.zeros(4)), V, "atoms", "(4,)"),
    "atoms a list": Case(lambda: Empirical.from_samples([1.0]), T, "atoms", "list"),
    "atoms of integers": Case(
        lambda: Empirical.from_samples(torch.ones(3, 1).int()), T, "atoms", "torch.int32"
    ),
    "atoms NaN": Case(
        lambda: Empirical.from_samples(NAN), V, "atoms", "1 of 2 entries that are NaN or infinite"
    ),
    "log_weights too short": Case(lambda: Empirical(X, Y), V, "log_weights", "(2,)"),
    "log_weights of another dtype": Case(
        lambda: Empirical(X, torch.zeros(3)), T, "log_weights", "torch.float32"
    ),
    "log_weights NaN": Case(
        lambda: Empirical(X, torch.tensor([0, math.nan, 0], **F64)), V, "log_weights", "nan"
    ),
    "log_weights infinite": Case(
        lambda: Empirical(X, torch.tensor([0, math.inf, 0], **F64)), V, "log_weights", "inf"
    ),
    "no weight left": Case(
        lambda: Empirical(X, torch.full((3,), -math.inf, **F64)),
        V,
        "log_weights",
        "-inf for every atom",
    ),
    "no weight left by y": Case(
        lambda: ATOMS.condition(Likelihood(OPERATOR, Y + 1e200, 0.5)),
        V,
        "log_weights",
        "-inf for every atom",
    ),
    "sample nothing": Case(lambda: ATOMS.sample(0, generator=g()), V, "n", "0"),
    "sample a half": Case(lambda: MIXTURE.sample(2.5, generator=g()), V, "n", "2.5"),
    "no axes": Case(lambda: Empirical.on_grid(MIXTURE.log_prob, []), V, "axes", "[]"),
    "a density that is a column": Case(
        lambda: Empirical.on_grid(lambda x: x, [LINE[:, 0]]), V, "log_weights", "(5, 1)"
    ),
    "means in a row": Case(lambda: GaussianMixture.isotropic(Y, std=0.3), V, "means", "(2,)"),
    "means of integers": Case(
        lambda: GaussianMixture.isotropic(X.int(), std=0.3), T, "means", "torch.int32"
    ),
    "means NaN": Case(
        lambda: GaussianMixture.isotropic(NAN, std=0.3), V, "means", "1 of 2 entries"
    ),
    "std negative": Case(
        lambda: GaussianMixture.isotropic(X, std=-0.3), V, "std", "[-0.3, -0.3, -0.3]"
    ),
    "std too short": Case(lambda: GaussianMixture.isotropic(X, std=Y + 1), V, "std", "(2,)"),
    "weights zero": Case(
        lambda: GaussianMixture.isotropic(X[:2], std=0.3, weights=Y), V, "weights", "[0.0, 0.0]"
    ),
    "weights a list": Case(
        lambda: GaussianMixture.isotropic(X[:2], std=0.3, weights=[1, 1]), T, "weights", "list"
    ),
    "covs asymmetric": Case(
        lambda: GaussianMixture(Y[:1], X[:1], torch.tensor([[[1.0, 0.5], [0.0, 1.0]]], **F64)),
        V,
        "covs",
        "[[[1.0, 0.5], [0.0, 1.0]]]",
    ),
    "covs indefinite": Case(
        lambda: GaussianMixture(Y[:1], X[:1], torch.tensor([[[1.0, 2.0], [2.0, 1.0]]], **F64)),
        V,
        "covs",
        "an eigenvalue of -1",
    ),
    "covs NaN": Case(
        lambda: GaussianMixture(Y[:1], X[:1], math.nan * EYE[None]), V, "covs", "4 of 4 entries"
    ),
    "covs of another shape": Case(
        lambda: GaussianMixture(Y, X[:2], EYE[None]), V, "covs", "(1, 2, 2)"
    ),
    "covs of another dtype": Case(
        lambda: GaussianMixture(Y[:1], X[:1], EYE[None].float()), T, "covs", "torch.float32"
    ),
    "mixture log_weights": Case(
        lambda: GaussianMixture(Y - math.inf, X[:2], EYE.expand(2, 2, 2)),
        V,
        "log_weights",
        "2 of 2 entries",
    ),
    "a mixture and a nonlinear operator": Case(
        lambda: MIXTURE.condition(CURVED),
        V,
        "GaussianMixture",
        "Nonlinear",
        {"prior": MIXTURE, "likelihood": CURVED},
    ),
    "a mixture and a likelihood of one's own": Case(
        lambda: MIXTURE.condition(Wrong(Y)),
        V,
        "GaussianMixture",
        "Wrong",
        {"prior": MIXTURE, "likelihood": CURVED},
    ),
    "condition on a number": Case(lambda: ATOMS.condition(3), T, "likelihood", "int"),
    "log_prob of a column": Case(
        lambda: ATOMS.condition(Wrong(torch.zeros(6, 1, **F64))),
        V,
        "likelihood.log_prob(atoms)",
        "(6, 1)",
    ),
    "log_prob of one number": Case(
        lambda: ATOMS.condition(Wrong(Y[0])), V, "likelihood.log_prob(atoms)", "()"
    ),
    "log_prob of another dtype": Case(
        lambda: ATOMS.condition(Wrong(torch.zeros(6))),
        T,
        "likelihood.log_prob(atoms)",
        "torch.float32",
    ),
    "log_prob a list": Case(
        lambda: ATOMS.condition(Wrong([0.0])), T, "likelihood.log_prob(atoms)", "list"
    ),
    "log_prob NaN": Case(
        lambda: ATOMS.condition(Wrong(torch.full((6,), math.nan, **F64))), V, "log_weights", "nan"
    ),
    # operators
    "matrix in a row": Case(lambda: Linear(Y), V, "matrix", "(2,)"),
    "matrix of integers": Case(lambda: Linear(EYE.int()), T, "matrix", "torch.int32"),
    "matrix NaN": Case(lambda: Linear(NAN), V, "matrix", "1 of 2 entries"),
    "matrix a list": Case(lambda: Linear([[1.0]]), T, "matrix", "list"),
    "offset too long": Case(lambda: Linear(EYE, torch.zeros(3, **F64)), V, "offset", "(3,)"),
    "offset of another dtype": Case(
        lambda: Linear(EYE, torch.zeros(2)), T, "offset", "torch.float32"
    ),
    "offset NaN": Case(lambda: Linear(EYE, NAN[0]), V, "offset", "1 of 2 entries"),
    "a signal too long": Case(lambda: OPERATOR(torch.zeros(5, 3, **F64)), V, "x", "(5, 3)"),
    "a signal of another dtype": Case(lambda: OPERATOR(X.float()), T, "x", "torch.float32"),
    "a signal of integers": Case(lambda: OPERATOR(X.int()), T, "x", "torch.int32"),
    "a nonlinear sum": Case(
        lambda: Nonlinear(lambda x: x.sum(), "total")(X), V, "fn", "(3, 2) -> ()"
    ),
    "a nonlinear number": Case(lambda: Nonlinear(lambda x: 3, "three")(X), V, "fn", "-> int"),
    "a nonlinear list": Case(
        lambda: Nonlinear(torch.square, "square")([0.0]),
        T,
        "x",
        "list",
        {"operator": CURVED.operator},
    ),
    "a mixture of large images": Case(
        lambda: GaussianMixture.isotropic(IMAGES, std=1.0),
        V,
        "means",
        "(1, 196608)",
        {"means": IMAGES, "Empirical": Empirical},
    ),
    "a mask of numbers": Case(lambda: mask(torch.ones(3)), T, "observed", "torch.float32"),
    "a mask of indices": Case(lambda: mask([0, 3]), T, "observed", "list of torch.int64"),
    "a ragged mask": Case(lambda: mask([[True], [True, False]]), T, "observed", "list: "),
    "a mask of one": Case(lambda: mask(True), T, "observed", "shape ()"),
    "frequencies on a line": Case(lambda: fourier_samples([True]), V, "sampled", "(1,)"),
    "frequencies nowhere": Case(lambda: fourier_samples([[False]]), V, "sampled", "none"),
    "no angles": Case(lambda: projections(8, []), V, "angles", "(0,)"),
    "an angle that is infinite": Case(lambda: projections(8, [math.inf]), V, "angles", "1 of 1"),
    "a video": Case(lambda: blur((2, 3, 8, 8), 1.0), V, "side", "(2, 3, 8, 8)"),
    "an image of half a side": Case(lambda: blur((8, 0.5), 1.0), V, "side", "0.5"),
    "an edge rule of another name": Case(lambda: blur(8, 1.0, edges="wrap"), V, "edges", "'wrap'"),
    "a blur of nothing": Case(lambda: blur(8), V, "width", "none"),
    "a blur of two things": Case(lambda: blur(8, 1.0, kernel=EYE), V, "width", "1.0"),
    "a blur wider than its image": Case(lambda: blur(8, 9.0, edges="periodic"), V, "width", "9.0"),
    "a kernel in a row": Case(lambda: blur(8, kernel=Y), V, "kernel", "(2,)"),
    "an average by a kernel without a sum": Case(
        lambda: blur(8, kernel=torch.tensor([[1.0, -1.0]])), V, "kernel", "edges='average'"
    ),
    "an adjoint of another operator": Case(
        lambda: Linear.of(torch.sin, torch.cos, dim=3, out=3), V, "adjoint", "float64"
    ),
    "an operator with an offset inside": Case(
        lambda: Linear.of(lambda x: x + 1, lambda y: y, dim=3, out=3), V, "adjoint", "float64"
    ),
    "an operator that sums over the cloud": Case(
        lambda: Linear.of(lambda x: x.sum(0).expand(len(x), -1), lambda y: y, dim=3, out=3),
        V,
        "adjoint",
        "float64",
    ),
    "an operator of another size": Case(
        lambda: Linear.of(lambda x: x, lambda y: y, dim=3, out=2), V, "apply", "(2, 3)"
    ),
    "an operator in one dtype only": Case(
        lambda: Linear.of(lambda x: x.float(), lambda y: y, dim=3, out=3), V, "apply", "float32"
    ),
    "an operator of NumPy": Case(
        lambda: Linear.of(lambda x: x.numpy(), lambda y: y, dim=3, out=3), V, "apply", "ndarray"
    ),
    "an operator that writes": Case(
        lambda: Linear.of(lambda x: x.mul_(2), lambda y: 2 * y, dim=3, out=3), V, "apply", "written"
    ),
    "an operator of no size": Case(
        lambda: Linear.of(lambda x: x, lambda y: y, dim=0, out=3), V, "dim", "0"
    ),
    "an offset of another size": Case(
        lambda: Linear.of(lambda x: x, lambda y: y, dim=2, out=2, offset=torch.zeros(3, **F64)),
        V,
        "offset",
        "(3,)",
    ),
    "the matrix of a large image": Case(
        lambda: LARGE.matrix, V, "matrix", "98304 x 196608", {"operator": LARGE, "x": IMAGES}
    ),
    "the noise of a large image": Case(
        lambda: Likelihood(LARGE, LARGE(IMAGES)[0], 0.5).noise_cov,
        V,
        "solve",
        "98304",
        {"likelihood": Likelihood(LARGE, LARGE(IMAGES)[0], 0.5), "r": LARGE(IMAGES)},
    ),
    "the guess of a large image": Case(
        lambda: GUESS.log_likelihood(IMAGES, 0.5),
        V,
        "guide",
        "98304",
        {"method": GUESS, "t": 0.5, "x": IMAGES},
    ),
    "an image that is no row": Case(
        lambda: OPERATOR(torch.zeros(3, 2, 1, **F64)),
        V,
        "x",
        "(3, 2, 1)",
        {"x": torch.zeros(3, 2, 1, **F64)},
    ),
    "an adjoint of a signal": Case(lambda: OPERATOR.adjoint(torch.zeros(3, **F64)), V, "y", "(3,)"),
    "a mask of nothing": Case(lambda: mask(torch.tensor([False])), V, "observed", "none"),
    "downsample unevenly": Case(lambda: downsample(8, 3), V, "factor", "3"),
    "downsample to nothing": Case(lambda: downsample(8, 0), V, "factor", "0"),
    "blur of no width": Case(lambda: blur(8, 0.0), V, "width", "0.0"),
    "an image of no side": Case(lambda: fourier_magnitude(-8), V, "side", "-8"),
    # likelihood
    "y too long": Case(lambda: Likelihood(OPERATOR, torch.zeros(3, **F64), 0.5), V, "y", "(3,)"),
    "y of three axes": Case(lambda: Likelihood(OPERATOR, X[None], 0.5), V, "y", "(1, 3, 2)"),
    "y a list": Case(lambda: Likelihood(OPERATOR, [0.0, 0.0], 0.5), T, "y", "list"),
    "y of integers": Case(lambda: Likelihood(OPERATOR, Y.int(), 0.5), T, "y", "torch.int32"),
    "y of another dtype": Case(
        lambda: Likelihood(OPERATOR, Y.float(), 0.5), T, "y", "torch.float32"
    ),
    "y NaN": Case(lambda: Likelihood(OPERATOR, NAN[0], 0.5), V, "y", "1 of 2 entries"),
    "no operator": Case(lambda: Likelihood(EYE, Y, 0.5), T, "operator", "a tensor"),
    "noise_std zero": Case(lambda: Likelihood(OPERATOR, Y, 0.0), V, "noise_std", "0.0"),
    "noise_std negative": Case(lambda: Likelihood(OPERATOR, Y, -1), V, "noise_std", "-1"),
    "noise_std NaN": Case(lambda: Likelihood(OPERATOR, Y, math.nan), V, "noise_std", "nan"),
    "noise_std infinite": Case(lambda: Likelihood(OPERATOR, Y, math.inf), V, "noise_std", "inf"),
    "a zero in noise_std": Case(lambda: Likelihood(OPERATOR, Y, Y), V, "noise_std", "[0.0, 0.0]"),
    "noise_std too long": Case(
        lambda: Likelihood(OPERATOR, Y, torch.ones(3, **F64)), V, "noise_std", "(3,)"
    ),
    "noise_std of another dtype": Case(
        lambda: Likelihood(OPERATOR, Y, torch.ones(2)), T, "noise_std", "torch.float32"
    ),
    "a covariance for noise_std": Case(
        lambda: Likelihood(OPERATOR, Y, torch.tensor([[2.0, 1.0], [1.0, 2.0]], **F64)),
        V,
        "noise_std",
        "[[2.0, 1.0], [1.0, 2.0]]",
        {"noise_cov": EYE},
    ),
    "a factor that is singular": Case(
        lambda: Likelihood(OPERATOR, Y, torch.tensor([[1.0, 0.0], [1.0, 0.0]], **F64)),
        V,
        "noise_std",
        "[1.0, 0.0]",
    ),
    "noise_cov indefinite": Case(
        lambda: Likelihood.with_cov(OPERATOR, Y, torch.tensor([[1.0, 2.0], [2.0, 1.0]], **F64)),
        V,
        "noise_cov",
        "[[1.0, 2.0], [2.0, 1.0]]",
    ),
    "noise_cov asymmetric": Case(
        lambda: Likelihood.with_cov(OPERATOR, Y, torch.tensor([[1.0, 0.5], [0.0, 1.0]], **F64)),
        V,
        "noise_cov",
        "[[1.0, 0.5], [0.0, 1.0]]",
    ),
    "noise_cov too large": Case(
        lambda: Likelihood.with_cov(OPERATOR, Y, torch.eye(3, **F64)), V, "noise_cov", "(3, 3)"
    ),
    "log_prob of a signal of another dtype": Case(
        lambda: CURVED.log_prob(X.float()), T, "x", "torch.float32", {"likelihood": CURVED}
    ),
    "an operator of another size than y": Case(
        lambda: CURVED.log_prob(X[:, :1]), V, "A(x)", "(3, 1)"
    ),
    # trajectories and integrators
    "a cloud in a row": Case(lambda: heun(DIFFUSION, VP(), X[0], GRID), V, "x", "(2,)"),
    "an empty cloud": Case(lambda: heun(DIFFUSION, VP(), X[:0], GRID), V, "x", "(0, 2)"),
    "a cloud of integers": Case(
        lambda: heun(DIFFUSION, VP(), X.int(), GRID), T, "x", "torch.int32"
    ),
    "a grid that grows": Case(
        lambda: march(lambda x, t, s: x, X, GRID.flip(0)), V, "t", "[0.1, 0.5, 0.9]"
    ),
    "a grid that stands still": Case(
        lambda: march(lambda x, t, s: x, X, FLAT[:2]), V, "t", "[0.2, 0.2]"
    ),
    "a grid of one": Case(lambda: march(lambda x, t, s: x, X, GRID[:1]), V, "t", "[0.9]"),
    "a grid of none": Case(lambda: march(lambda x, t, s: x, X, GRID[:0]), V, "t", "[]"),
    "a grid with NaN": Case(
        lambda: march(lambda x, t, s: x, X, NAN[0].flip(0)), V, "t", "[nan, 0.0]"
    ),
    "a long grid that grows": Case(
        lambda: march(lambda x, t, s: x, X, torch.linspace(0, 1, 50)), V, "t", "50 times"
    ),
    "a grid of integers": Case(
        lambda: march(lambda x, t, s: x, X, torch.tensor([1, 0])), T, "t", "torch.int64"
    ),
    "a grid that is a list": Case(lambda: march(lambda x, t, s: x, X, [1.0, 0.5]), T, "t", "list"),
    "a grid beyond 1": Case(lambda: heun(DIFFUSION, VP(), X, GRID + 0.5), V, "t", "1.4"),
    "eta above 1": Case(
        lambda: ddpm(DIFFUSION, VP(), X, GRID, generator=g(), eta=1.5), V, "eta", "1.5"
    ),
    "eta below 0": Case(
        lambda: dpm_solver(DIFFUSION, VP(), X, GRID, generator=g(), eta=-0.1), V, "eta", "-0.1"
    ),
    "eta NaN": Case(
        lambda: ddpm(DIFFUSION, VP(), X, GRID, generator=g(), eta=math.nan), V, "eta", "nan"
    ),
    "a score that sums": Case(
        lambda: euler_maruyama(lambda x, t: x.sum(-1), VP(), X, GRID, generator=g()),
        V,
        "score(x, t)",
        "(3,)",
    ),
    "a score of another dtype": Case(
        lambda: ddpm(lambda x, t: x.float(), VP(), X, GRID, generator=g()),
        V,
        "score(x, t)",
        "torch.float32",
    ),
    "a score that is a number": Case(
        lambda: heun(lambda x, t: 0.0, VP(), X, GRID), V, "score(x, t)", "float"
    ),
    "the kernel of a function": Case(
        lambda: exact_kernel(lambda x, t: x, VP(), X, GRID, generator=g()),
        T,
        "posterior",
        "function",
    ),
    "a bridge that runs back": Case(
        lambda: bridge(VP(), X, X, 0.3, 0.5, generator=g()), V, "s", "s=0.5, t=0.3"
    ),
    "no steps": Case(lambda: times(VP(), 0), V, "steps", "0"),
    "half a step": Case(lambda: times(VP(), 2.5), V, "steps", "2.5"),
    "True steps": Case(lambda: times(VP(), True), V, "steps", "True"),
    "stop above start": Case(
        lambda: times(VP(), 5, start=0.1, stop=0.5), V, "stop", "start=0.1, stop=0.5"
    ),
    "start above 1": Case(lambda: times(VP(), 5, start=1.1), V, "start", "start=1.1"),
    "stop below 0": Case(lambda: times(VP(), 5, stop=-0.1), V, "stop", "stop=-0.1"),
    "stop NaN": Case(lambda: times(VP(), 5, stop=math.nan), V, "stop", "nan"),
    "stop at 0 in log-SNR": Case(lambda: times(VP(), 5, stop=0.0), V, "stop", "stop=0.0"),
    "start with no signal": Case(
        lambda: times(FlowMatching(), 5, start=1.0), V, "start", "start=1.0"
    ),
    "start with hardly any signal": Case(
        lambda: times(Cosine(), 5, start=1.0), V, "start", "6.1e-17"
    ),
    "a spacing that is none": Case(lambda: times(VP(), 5, spacing="even"), V, "spacing", "'even'"),
    # metrics
    "w1 in the plane": Case(lambda: wasserstein1(X, X), V, "x", "(3, 2)"),
    "w1 of y in the plane": Case(lambda: wasserstein1(LINE, X), V, "y", "(3, 2)"),
    "w1 of nothing": Case(lambda: wasserstein1(LINE[:0], LINE), V, "x", "(0, 1)"),
    "w1 of integers": Case(lambda: wasserstein1(LINE.int(), LINE), T, "x", "torch.int32"),
    "w1 of two dtypes": Case(lambda: wasserstein1(LINE, LINE.float()), T, "y", "torch.float32"),
    "w1 weights too short": Case(
        lambda: wasserstein1(LINE, LINE, x_weights=Y),
        V,
        "x_weights",
        "(2,)",
        {"x": LINE, "y": LINE},
    ),
    "w1 weights that sum to 2": Case(
        lambda: wasserstein1(LINE, LINE, y_weights=2 * FLAT),
        V,
        "y_weights",
        "a sum of 2",
        {"x": LINE, "y": LINE},
    ),
    "w1 weights below 0": Case(
        lambda: wasserstein1(LINE[:2], LINE, x_weights=Y + torch.tensor([2.0, -1.0])),
        V,
        "x_weights",
        "a least of -1",
        {"x": LINE, "y": LINE},
    ),
    "w1 weights a list": Case(
        lambda: wasserstein1(LINE[:1], LINE, x_weights=[1.0]),
        T,
        "x_weights",
        "list",
        {"x": LINE, "y": LINE},
    ),
    "sliced in two dimensions": Case(
        lambda: sliced_wasserstein(X, LINE, generator=g()), V, "y", "(5, 1)"
    ),
    "sliced NaN": Case(lambda: sliced_wasserstein(NAN, X, generator=g()), V, "x", "1 of 2 entries"),
    "sliced in no direction": Case(
        lambda: sliced_wasserstein(X, X, generator=g(), directions=0),
        V,
        "directions",
        "0",
        {"y": X},
    ),
    "energy of one point": Case(lambda: energy_distance(X, X[:1]), V, "y", "1"),
    "energy NaN": Case(lambda: energy_distance(X, math.nan * X), V, "y", "6 of 6 entries"),
    "energy of two dtypes": Case(lambda: energy_distance(X, X.float()), T, "y", "torch.float32"),
    "variation of a wrong mass": Case(lambda: total_variation(FLAT, 3 * FLAT, 1.0), V, "q", "3"),
    "variation of NaN": Case(lambda: total_variation(math.nan * FLAT, FLAT, 1.0), V, "p", "nan"),
    "variation of two grids": Case(lambda: total_variation(FLAT, FLAT[:3], 1.0), V, "q", "(3,)"),
    "variation of lists": Case(lambda: total_variation([1.0], [1.0], 1.0), T, "p", "list"),
    "modes in another dimension": Case(lambda: mode_weights(LINE, MIXTURE), V, "x", "(5, 1)"),
    "modes in another dtype": Case(
        lambda: mode_weights(X.float(), MIXTURE), T, "x", "torch.float32"
    ),
    "parts of one name": Case(
        lambda: Partition(("a", "a"), lambda x: x[:, 0].long()), V, "names", "('a', 'a')"
    ),
    "parts without a function": Case(lambda: Partition(("a",), None), T, "of", "None"),
    "parts that are shares": Case(
        lambda: Partition(("a",), lambda x: x[:, 0]).members(X), T, "of(x)", "torch.float64"
    ),
    "parts beyond the names": Case(
        lambda: Partition(("a",), lambda x: torch.arange(len(x))).members(X), V, "of(x)", "0 to 2"
    ),
    "parts of the whole cloud": Case(
        lambda: Partition(("a",), lambda x: torch.zeros(1).long()).members(X), V, "of(x)", "(1,)"
    ),
    "labels of few atoms": Case(
        lambda: Partition.of_labels(X, torch.zeros(2).long(), names=["a"]),
        V,
        "labels",
        "(2,)",
        {"atoms": X, "labels": torch.zeros(3).long()},
    ),
    "a likelihood without a density": Case(
        lambda: Problem("mine", MIXTURE, "normal"),
        T,
        "likelihood",
        "'normal'",
        {"prior": MIXTURE, "likelihood": LIKELIHOOD},
    ),
    "a likelihood that stays where it is": Case(
        lambda: Problem("mine", MIXTURE, OwnLikelihood()).to(torch.float32),
        T,
        "to",
        "Own",
        {"prior": MIXTURE, "likelihood": LIKELIHOOD},
    ),
    "a likelihood that simulates nothing": Case(
        lambda: hallucination(
            X, X, Problem("mine", MIXTURE, OwnLikelihood()), 0.5, modes=MIXTURE, generator=g()
        ),
        T,
        "likelihood",
        "Own",
        {"prior": MIXTURE, "likelihood": LIKELIHOOD},
    ),
    "a partition that is none": Case(
        lambda: Problem("mine", MIXTURE, LIKELIHOOD, partition=["a"]),
        T,
        "partition",
        "list",
        {"prior": MIXTURE, "likelihood": LIKELIHOOD},
    ),
    # problems
    "a digit that is not there": Case(lambda: problems.digits_masked(index=97), V, "index", "97"),
    "a digit before the first": Case(lambda: problems.digits_blurred(index=-1), V, "index", "-1"),
    "label weights of few": Case(
        lambda: digits.load().label_weights(FLAT),
        V,
        "weights",
        "(5,)",
        {"digits": digits.load(), "posterior": digits.load().prior},
    ),
    "no truth beyond the plane": Case(
        lambda: (
            Problem(
                "cube",
                GaussianMixture.isotropic(torch.zeros(1, 3, **F64), std=1.0),
                Likelihood(CURVED.operator, torch.zeros(3, **F64), 0.5),
            ).posterior
        ),
        V,
        "GaussianMixture",
        "d = 3",
    ),
    # one kind each of the calls that users were seen to make
    "a generator that is none": Case(
        lambda: ATOMS.sample(3, generator=None), T, "generator", "None"
    ),
    "a seed for a generator": Case(
        lambda: sliced_wasserstein(X, X + 1, generator=0), T, "generator", "0"
    ),
    "noise of no generator": Case(lambda: VP().noise(3, 1, generator=None), T, "generator", "None"),
    "steps of no generator": Case(
        lambda: euler_maruyama(DIFFUSION, VP(), X, GRID, generator=None), T, "generator", "None"
    ),
    "measured without a generator": Case(
        lambda: LIKELIHOOD.simulate(X, generator=None), T, "generator", "None"
    ),
    "alpha below 0": Case(lambda: ATOMS.denoise(X, -0.8, 0.6), V, "alpha", "-0.8"),
    "sigma of two": Case(lambda: ATOMS.denoise(X, 0.8, Y + 0.6), T, "sigma", "shape (2,)"),
    "sigma below 0 of a mixture": Case(
        lambda: MIXTURE.denoise(X, 0.8, -0.6), V, "sigma", "-0.6", {"prior": MIXTURE}
    ),
    "an uneven axis": Case(
        lambda: Empirical.on_grid(MIXTURE.log_prob, [torch.tensor([0.0, 1.0, 5.0])]),
        V,
        "axes",
        "3 values",
    ),
    "an axis that is a list": Case(
        lambda: Empirical.on_grid(MIXTURE.log_prob, [[0.0, 1.0]]), T, "axes", "list"
    ),
    "a device that is not there": Case(
        lambda: ATOMS.to("float32"), V, "to", "'float32'", {"prior": ATOMS}
    ),
    "half a mixture": Case(
        lambda: GaussianMixture.isotropic(X.half(), std=0.3), T, "means", "torch.float16"
    ),
    "a std that is a word": Case(
        lambda: GaussianMixture.isotropic(X, std="0.3"), T, "std", "'0.3'"
    ),
    "a sparse matrix": Case(lambda: Linear(EYE.to_sparse()), T, "matrix", "torch.sparse_coo"),
    "images of samples": Case(
        lambda: Empirical.from_samples(torch.zeros(3, 8, 8)), V, "atoms", "(3, 8, 8)"
    ),
    "an array of integers": Case(
        lambda: Empirical.from_samples(np.ones((3, 2), dtype=int)), T, "atoms", "int64"
    ),
    "a denoiser that squeezes": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x.sum(-1, keepdim=True), 2), VP()).score(X, 0.5),
        V,
        "fn",
        "(3, 1)",
    ),
    "a denoiser of NumPy": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x.numpy(), 2), VP()).score(X, 0.5),
        V,
        "fn",
        "ndarray",
    ),
    "a denoiser that looks at the batch": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x - x.mean(0), 2), VP()).score(CLOUD, 0.5),
        V,
        "fn",
        "another one",
    ),
    "a denoiser that draws": Case(
        lambda: Diffusion(Denoiser(dropout, 2), VP()).score(CLOUD, 0.5), V, "fn", "network.eval()"
    ),
    "a denoiser that writes into its input": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x.mul_(0.5), 2), VP()).score(CLOUD, 0.5),
        V,
        "fn",
        "changed in place",
    ),
    "a denoiser without a gradient": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x.detach(), 2), VP()).denoise_vjp(X, 0.5, X),
        V,
        "fn",
        "without a gradient",
    ),
    "a network in float32": Case(
        lambda: Denoiser(torch.nn.Linear(2, 2), 2), T, "fn", "torch.float32"
    ),
    "a float32 function": Case(
        lambda: Diffusion(Denoiser(lambda x, a, s: x @ torch.eye(2), 2), VP()).score(X, 0.5),
        T,
        "fn",
        "dtype",
    ),
    "a denoiser that is numbers": Case(lambda: Denoiser(Y, 2), T, "fn", "shape (2,)"),
    "a denoiser of no dimension": Case(lambda: Denoiser(lambda x, a, s: x, 0), V, "dim", "0"),
    "no schedule": Case(lambda: Diffusion(MIXTURE, None), T, "schedule", "None"),
    "a problem for a prior": Case(lambda: Diffusion(PROBLEM, VP()), T, "prior", "Problem"),
    "a class for a prior": Case(
        lambda: Diffusion(GaussianMixture, VP()), T, "prior", "the class GaussianMixture"
    ),
    "a prior that answers one row": Case(
        lambda: Diffusion(Own(lambda x: x.mean(0, keepdim=True)), VP()).score(X, 0.5),
        V,
        "denoise",
        "(1, 2)",
    ),
    "a time that is a word": Case(lambda: DIFFUSION.score(X, "0.5"), T, "t", "'0.5'"),
    "betas that fall": Case(lambda: VP(20.0, 0.01), V, "beta_max", "0.01"),
    "a power that underflows": Case(lambda: VE(3.0, 80.0), V, "power", "80"),
    "a schedule that learns": Case(
        lambda: times(Schedules(lambda t: t, lambda t: 1 - t), 5), V, "schedule", "a log of"
    ),
    "a schedule of floats": Case(
        lambda: Schedules(lambda t: 1 - t, lambda t: t).log_snr(0.5), T, "alpha(t)", "float"
    ),
    "times of a number": Case(lambda: times(50), T, "schedule", "50"),
    "too many steps": Case(lambda: times(VP(), 10**10), V, "steps", "10000000000"),
    "an operator of another dtype": Case(
        lambda: Nonlinear(lambda x: x.float(), "single")(X), T, "single", "torch.float32"
    ),
    "an operator that compares": Case(
        lambda: Nonlinear(lambda x: x > 0, "sign")(X), T, "sign", "torch.bool"
    ),
    "an operator of complex numbers": Case(
        lambda: Nonlinear(torch.fft.fft, "fft")(X), T, "fft", "torch.complex128"
    ),
    "an operator that looks at the batch": Case(
        lambda: Nonlinear(lambda x: x - x.mean(0), "centred")(CLOUD), V, "centred", "another one"
    ),
    "an operator that writes into its input": Case(
        lambda: Nonlinear(lambda x: x.abs_(), "abs")(CLOUD), V, "abs", "changed in place"
    ),
    "a name before a function": Case(lambda: Nonlinear("square", abs), T, "fn", "'square'"),
    "an operator without a gradient": Case(
        lambda: DPS(DIFFUSION, Likelihood(Nonlinear(lambda x: x.detach(), "detached"), Y, 0.5))(
            X, 0.5
        ),
        UnsupportedLikelihood,
        "operator",
        "no gradient",
    ),
    "an operator that is a function": Case(
        lambda: Likelihood(lambda x: x.mean(0), Y, 0.5), T, "operator", "function"
    ),
    "a covariance of NumPy for noise_std": Case(
        lambda: Likelihood(OPERATOR, Y, np.array([[0.5, 0.9], [0.9, 0.5]])),
        V,
        "noise_std",
        "[[0.5, 0.9], [0.9, 0.5]]",
        {"noise_cov": EYE},
    ),
    "noise_std of three": Case(
        lambda: Likelihood(OPERATOR, Y, (0.5, 0.6, 0.7)), V, "noise_std", "(3,)"
    ),
    "another size than y in a guidance": Case(
        lambda: DPS(
            DIFFUSION, Likelihood(Nonlinear(lambda x: x.sum(-1, keepdim=True), "sum"), Y, 0.5)
        )(X, 0.5),
        V,
        "A(x)",
        "(3, 1)",
    ),
    "a problem with a denoiser": Case(
        lambda: Problem("p", Denoiser(lambda x, a, s: x, 2), LIKELIHOOD), T, "prior", "Denoiser"
    ),
    "a problem with no operator": Case(
        lambda: Problem("p", MIXTURE, Y), T, "likelihood", "a tensor of shape (2,)"
    ),
    "a problem in two dtypes": Case(
        lambda: Problem("p", MIXTURE.to(torch.float32), LIKELIHOOD), T, "prior", "torch.float32"
    ),
    "a method in two dtypes": Case(
        lambda: DPS(Diffusion(MIXTURE.to(torch.float32), VP()), LIKELIHOOD),
        T,
        "prior",
        "torch.float32",
    ),
    "a prior for a diffusion": Case(
        lambda: DPS(MIXTURE, LIKELIHOOD), T, "prior", "GaussianMixture"
    ),
    "V a vector": Case(lambda: matched_score(DIFFUSION, LIKELIHOOD, X, 0.5, Y + 1), V, "V", "(2,)"),
    "V of another batch": Case(
        lambda: matched_score(DIFFUSION, LIKELIHOOD, X, 0.5, EYE.expand(7, 2, 2)),
        V,
        "V",
        "(7, 2, 2)",
    ),
    "V below 0": Case(lambda: matched_score(DIFFUSION, LIKELIHOOD, X, 0.5, -1.0), V, "V", "-1.0"),
    "a guide of one number": Case(
        lambda: Guide(DIFFUSION, LIKELIHOOD)(X, 0.5),
        V,
        "guide(at, t)",
        "(1,)",
        {"prior": DIFFUSION},
    ),
    "a zeta of many": Case(
        lambda: ZetaDPS(DIFFUSION, LIKELIHOOD, torch.ones(3)),
        T,
        "zeta",
        "shape (3,)",
        {"prior": DIFFUSION},
    ),
    "a grid in the place of zeta": Case(
        lambda: StepDPS(DIFFUSION, LIKELIHOOD, GRID, 1.0),
        T,
        "zeta",
        "shape (3,)",
        {"prior": DIFFUSION},
    ),
    "a score before its schedule": Case(
        lambda: euler_maruyama(VP(), DIFFUSION, X, GRID, generator=g()), T, "score", "VP"
    ),
    "a score that writes into its input": Case(
        lambda: ddpm(lambda x, t: x.mul_(0.5), VP(), CLOUD, GRID, generator=g()),
        V,
        "score(x, t)",
        "changed in place",
    ),
    "a score that writes later": Case(
        lambda: ddpm(lambda x, t: x.mul_(0.5) if t < 0.6 else -x, VP(), CLOUD, GRID, generator=g()),
        V,
        "step(x, t, s)",
        "changed in place",
    ),
    "a score that looks at the batch": Case(
        lambda: heun(lambda x, t: x.mean(0) - x, VP(), CLOUD, GRID),
        V,
        "score(x, t)",
        "another one",
    ),
    "two schedules": Case(
        lambda: exact_kernel(DIFFUSION, VE(), X, GRID, generator=g()), V, "schedule", "VE("
    ),
    "two schedules of a method": Case(
        lambda: heun(DPS(DIFFUSION, LIKELIHOOD), Cosine(), X, GRID), V, "schedule", "Cosine("
    ),
    "a bridge from one point": Case(
        lambda: bridge(VP(), X[:1], X, 0.5, 0.4, generator=g()), V, "x0", "(1, 2)"
    ),
    "a step that sums": Case(
        lambda: march(lambda x, t, s: x.sum(0, keepdim=True), X, GRID), V, "step(x, t, s)", "(1, 2)"
    ),
    "a path of one cloud": Case(lambda: Trajectory(GRID, X), V, "x", "(3, 2)"),
    "a path at no time": Case(
        lambda: Trajectory(GRID, X.expand(3, 3, 2)).at(math.nan), V, "t", "nan"
    ),
    "a law of no resolution": Case(
        lambda: law(lambda x, t: -x, VP(), GRID, resolution=-1), V, "resolution", "-1"
    ),
    "a law that ends in points": Case(
        lambda: law(lambda x, t: -x, VP(), torch.tensor([1.0, 0.5, 0.0], **F64)), V, "t", "0.0"
    ),
    "a density cut off": Case(
        lambda: implied_density(lambda x, t: x, torch.linspace(-5, 5, 101, **F64), 0.3),
        V,
        "x",
        "of its maximum",
        {"score": lambda x, t: -x},
    ),
    "a score error of a squeezed score": Case(
        lambda: score_error(lambda x, t: -x.sum(-1), DIFFUSION, GRID, generator=g()),
        V,
        "score(x, t)",
        "(4,)",
    ),
    "a score error out of order": Case(
        lambda: score_error(
            DIFFUSION, DIFFUSION, torch.tensor([0.5, 0.1, 0.9], **F64), generator=g()
        ),
        V,
        "t",
        "[0.9, 0.1, 0.5]",
    ),
    "a seed that is a word": Case(lambda: diagnose(PROBLEM, DPS, seed="a"), T, "seed", "'a'"),
    "a seed that is too large": Case(
        lambda: diagnose(PROBLEM, DPS, seed=10**20), V, "seed", "1000"
    ),
    "a problem's name": Case(lambda: diagnose("trimodal", DPS), T, "problem", "'trimodal'"),
    "a method that is a score": Case(
        lambda: diagnose(PROBLEM, lambda x, t: -x), T, "method", "a function of (x, t)"
    ),
    "a score that is not made": Case(
        lambda: diagnose(PROBLEM, Scored(lambda task: None), n=9, steps=2), T, "make(task)", "None"
    ),
    "a step that is a cloud": Case(
        lambda: diagnose(PROBLEM, Stepped(lambda task: task.start), n=9, steps=2),
        T,
        "make(task)",
        "a tensor",
    ),
    "a step that is a class": Case(lambda: Stepped(DPS), T, "make", "the class DPS"),
    "a sampler that draws nothing": Case(
        lambda: diagnose(PROBLEM, Drawn(lambda task: None), n=9, steps=2), T, "draw(task)", "None"
    ),
    "a sampler of other signals": Case(
        lambda: diagnose(PROBLEM, Drawn(lambda task: task.start[:, :0]), n=9, steps=2),
        V,
        "draw(task)",
        "(9, 0)",
    ),
    "a path on another grid": Case(
        lambda: diagnose(
            PROBLEM,
            Drawn(lambda task: Samples(X, path=Trajectory(GRID, X.expand(3, 3, 2)))),
            n=3,
            steps=9,
        ),
        V,
        "path",
        "3 other times",
        {"path": Trajectory(GRID, X.expand(3, 3, 2))},
    ),
    "samples of weights and no particle": Case(
        lambda: Samples(X, log_weights=torch.full((3,), -math.inf, **F64)),
        V,
        "log_weights",
        "-inf",
    ),
    "samples of few weights": Case(
        lambda: Samples(X, log_weights=torch.zeros(2, **F64)), V, "log_weights", "(2,)"
    ),
    "samples of one run": Case(
        lambda: Samples(X, runs=torch.ones(3).long()), V, "runs", "only the run 1"
    ),
    "runs that are shares": Case(lambda: Samples(X, runs=X[:, 0]), T, "runs", "torch.float64"),
    "samples before the data": Case(lambda: Samples(X, time=-0.1), V, "time", "-0.1"),
    "samples called exact": Case(
        lambda: diagnose_samples(PROBLEM, X, name="exact"),
        V,
        "name",
        "exact",
    ),
    "a sweep of one problem": Case(
        lambda: sweep(PROBLEM, {"DPS": DPS}, seeds=[0]), T, "problems", "Problem"
    ),
    "jobs in words": Case(
        lambda: sweep([PROBLEM], {"DPS": DPS}, seeds=[0], jobs="2"), T, "jobs", "'2'"
    ),
    "half a digit": Case(lambda: problems.digits_masked(index=0.5), T, "index", "0.5"),
    "y of two in the gallery": Case(
        lambda: problems.gaussian(y=torch.tensor([1.0, 2.0])), T, "y", "shape (2,)"
    ),
    "a spread below 0": Case(
        lambda: theory.atom_weight(lambda C: -5.0, 1.0, 0.3, 0.5), V, "spread", "-4.75"
    ),
    "a dial that rounding hides": Case(
        lambda: theory.unbiased_dial(1.0, 0.3, 1e-6), V, "noise_std", "1e-06"
    ),
    "theory of arrays": Case(
        lambda: theory.true_weight(1.0, np.array([0.3, 0.4]), 0.5), T, "y", "shape (2,)"
    ),
    "curves of two lengths": Case(
        lambda: plots.curves({"a": (FLAT, FLAT[:2])}, xlabel="x", ylabel="y"), V, "lines", "(2,)"
    ),
    "curves with a gradient": Case(
        lambda: plots.curves({"a": (Y.clone().requires_grad_(), Y)}, xlabel="x", ylabel="y"),
        V,
        "lines",
        "requires_grad",
    ),
    "no bars": Case(lambda: plots.bars({}, [], ylabel="y"), V, "len(heights)", "0"),
    "bars that are not named": Case(
        lambda: plots.bars({"a": FLAT}, ["x"], ylabel="y"), V, "labels", "1"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_error_says_what_is_wrong_what_was_got_and_what_would_be_right(case):
    with pytest.raises(case.error) as caught:
        case.call()
    assert type(caught.value) is case.error
    message = str(caught.value)
    parts = re.fullmatch(r"(.+), got (.*)\. Call it like this: (.+)", message, flags=re.DOTALL)
    assert parts, message
    what, got, call = parts.groups()
    assert f"`{case.name}`" in what or (case.name[0].isupper() and case.name in what), message
    assert case.got in got, message
    # it runs as it stands, for somebody who has the names of our examples
    code = call.split(", where ")[0]
    eval(code, {**NAMES, **case.names})


def test_a_large_matrix_is_not_printed_whole():
    with pytest.raises(ValueError, match="definite, got") as caught:
        Likelihood.with_cov(
            Linear(torch.eye(300, **F64)), torch.zeros(300, **F64), -torch.eye(300, **F64)
        )
    assert len(str(caught.value)) < 1000


def test_bad_input_is_not_repaired():
    """A state may be NaN, for a particle may diverge: that is a finding and no mistake."""
    assert DIFFUSION.score(NAN, 0.5).isnan().all()
    assert ATOMS.denoise(NAN, 0.8, 0.6).isnan().all()
    assert LIKELIHOOD.log_prob(NAN).isnan().all()
