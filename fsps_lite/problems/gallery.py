"""The gallery: small inverse problems, each with one thing to teach.

Each function returns a :class:`~fsps_lite.Problem` in float64. Its arguments are the parameters
that are worth changing; ``noise_std`` is in units of y. The exact posterior is known for all.
"""

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets import digits
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear, Nonlinear, blur, downsample, fourier_magnitude, mask
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.problems.problem import Problem


def gaussian(*, prior_std: float = 1.0, y: float = 1.0, noise_std: float = 0.5) -> Problem:
    """One Gaussian, observed directly: several approximations are exact here."""
    return Problem(
        name="gaussian",
        prior=GaussianMixture.isotropic(column(0.0), std=prior_std),
        likelihood=Likelihood(IDENTITY, vector(y), noise_std),
        moral="On a Gaussian prior a method can look perfect.",
    )


def two_atoms(*, distance: float = 1.0, y: float = 0.3, noise_std: float = 0.5) -> Problem:
    """Two points at -distance and +distance: the posterior is one number."""
    return Problem(
        name="two_atoms",
        prior=Empirical.from_samples(column(-distance, distance)),
        likelihood=Likelihood(IDENTITY, vector(y), noise_std),
        moral="One number, the weight of an atom, is enough to tell the methods apart.",
    )


def trimodal(*, y: float = -1.8, noise_std: float = 0.3, width: float = 0.3) -> Problem:
    """Three modes at -1.8, 0.2 and 2.2, a linear operator, and a posterior with one mode."""
    return Problem(
        name="trimodal",
        prior=GaussianMixture.isotropic(column(-1.8, 0.2, 2.2), std=width),
        likelihood=Likelihood(IDENTITY, vector(y), noise_std),
        moral="A multimodal prior is enough to fail, though the posterior has one mode.",
    )


def unequal(*, y: float = 0.2, noise_std: float = 0.6) -> Problem:
    """A broad rare mode and a narrow common one: weights and widths both matter."""
    prior = GaussianMixture.isotropic(
        column(-1.0, 1.2), std=vector(0.5, 0.15), weights=vector(0.2, 0.8)
    )
    return Problem(
        name="unequal",
        prior=prior,
        likelihood=Likelihood(IDENTITY, vector(y), noise_std),
        moral="A method that ignores the weights of the prior is found out.",
    )


def one_coordinate(*, y: float = 0.4, noise_std: float = 0.4) -> Problem:
    """Three modes in the plane, of which only the first coordinate is seen."""
    means = torch.tensor([[1.0, 1.4], [1.0, -1.4], [-1.0, 0.0]], dtype=torch.float64)
    return Problem(
        name="one_coordinate",
        prior=GaussianMixture.isotropic(means, std=0.15),
        likelihood=Likelihood(mask(torch.tensor([True, False])), vector(y), noise_std),
        moral="An error in what is seen becomes the opposite error in what is not.",
    )


def rank_deficient(*, noise_std: float = 0.3) -> Problem:
    """Two measurements of the same sum in three dimensions, with correlated components."""
    means = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.5, -1.0]], dtype=torch.float64)
    factor = torch.tensor([[0.4, 0.0, 0.0], [0.3, 0.2, 0.0], [-0.2, 0.1, 0.3]], dtype=torch.float64)
    covs = torch.stack([factor @ factor.mT, 0.1 * torch.eye(3, dtype=torch.float64)])
    matrix = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]], dtype=torch.float64)
    return Problem(
        name="rank_deficient",
        prior=GaussianMixture(vector(0.6, 0.4).log(), means, covs),
        likelihood=Likelihood(Linear(matrix), vector(0.6, 1.0), noise_std),
        moral="What the operator cannot see, the prior must fill in.",
    )


def square(*, y: float = 1.0, noise_std: float = 0.3) -> Problem:
    """y = x^2: the sign is lost, and the prior must choose it."""
    return Problem(
        name="square",
        prior=GaussianMixture.isotropic(column(-1.2, 0.0, 1.0), std=0.15),
        likelihood=Likelihood(Nonlinear(torch.square, "square"), vector(y), noise_std),
        moral="A nonlinear operator has likelihood modes that the prior may not support.",
    )


def absolute(*, y: float = 1.0, noise_std: float = 0.3) -> Problem:
    """y = |x|: a kink, so that linearising at a point says nothing about the other side."""
    prior = GaussianMixture.isotropic(column(-2.0, 1.0), std=0.3)
    return Problem(
        name="absolute",
        prior=prior,
        likelihood=Likelihood(Nonlinear(torch.abs, "absolute"), vector(y), noise_std),
        moral="A gradient is blind to what lies behind a kink.",
    )


def digits_masked(*, index: int = 0, noise_std: float = 1.0) -> Problem:
    """A held-out digit of which only the lower half is seen."""
    moral = "Half an image leaves more than one digit possible."
    observed = torch.arange(64, device="cpu") >= 32
    return _digits("digits_masked", mask(observed), index, noise_std, moral)


def digits_downsampled(*, index: int = 0, noise_std: float = 0.5) -> Problem:
    """A held-out digit, averaged over blocks of 2 x 2 pixels."""
    moral = "Sixteen averages of sixty-four pixels still name most digits."
    return _digits("digits_downsampled", downsample(8, 2), index, noise_std, moral)


def digits_blurred(*, index: int = 0, noise_std: float = 0.5) -> Problem:
    """A held-out digit, out of focus."""
    moral = "A blur is invertible on paper, and not under noise."
    return _digits("digits_blurred", blur(8, 1.5), index, noise_std, moral)


def digits_fourier(*, index: int = 0, noise_std: float = 0.5) -> Problem:
    """The Fourier magnitudes of a held-out digit: where each stroke stands is lost."""
    moral = "Nonlinear in 64 dimensions, and the finite-sample posterior does not mind."
    return _digits("digits_fourier", fourier_magnitude(8), index, noise_std, moral)


GALLERY = (
    gaussian,
    two_atoms,
    trimodal,
    unequal,
    one_coordinate,
    rank_deficient,
    square,
    absolute,
    digits_masked,
    digits_downsampled,
    digits_blurred,
    digits_fourier,
)


def column(*values: float) -> Tensor:
    """Points on the line, ``(K, 1)``."""
    return vector(*values).unsqueeze(-1)


def vector(*values: float) -> Tensor:
    """The numbers that a caller gave one by one, as a vector ``(K,)``; raises for other things."""
    for value in values:
        checks.number("y", value, "trimodal(y=-1.8)")
    return torch.tensor(values, dtype=torch.float64)


IDENTITY = Linear(torch.eye(1, dtype=torch.float64))


def _digits(
    name: str, operator: Linear | Nonlinear, index: int, noise_std: float, moral: str
) -> Problem:
    """A measurement of held-out image ``index``; the noise is the same at every call.

    Raises ValueError where there is no such image.
    """
    data = digits.load()
    checks.kind("index", index, int, f"{name}(index=0)")
    if not 0 <= index < len(data.held_out):
        what = f"`index` must name one of the {len(data.held_out)} held-out images"
        raise ValueError(checks.complaint(what, index, f"{name}(index=0)"))
    image = data.held_out[index]
    silent = Likelihood(operator, torch.zeros_like(operator(image)), noise_std)
    y = silent.simulate(image, generator=torch.Generator("cpu").manual_seed(index))
    likelihood = Likelihood(operator, y, noise_std)
    return Problem(name, data.prior, likelihood, moral=moral, partition=data.partition)
