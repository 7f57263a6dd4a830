"""How many atoms are enough: held-out letters and patches, asked of lenses of growing size."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

import fsps_lite as fl

LETTERS = (1_000, 4_000, 16_000, 64_000)
PATCHES = (10_000, 100_000, 1_000_000)
HELD_OUT = 200
NOISES = {"letters": 1.0, "patches": 0.25}
LEVEL = 0.9
BATCH = 8  # held-out signals at a time
DRAWS = 199  # exact draws at each


FEW = 5.0
Pair = tuple[float, float]  # a value and its error


@dataclass(frozen=True)
class Size:
    """A lens of so many atoms, asked for signals that it does not hold.

    ``few`` is the share of the signals at which N_eff is below 5. ``coverage`` is that of hidden
    pixels in 90 % intervals: over all signals, over those few, and over the others. ``label`` is
    the mean probability of the true label. Each with its error.
    """

    atoms: int
    effective_size: float  # the median
    few: float
    coverage: tuple[Pair, Pair, Pair]
    label: Pair | None = None


def covered(
    atoms: Float[Tensor, "N d"], images: Float[Tensor, "Y d"], noise_std: float, seed: int = 0
) -> tuple[Float[Tensor, "Y"], Float[Tensor, "Y"], Int[Tensor, "Y L"]]:
    """N_eff and the share of hidden pixels in 90 % intervals, for each image, and exact draws.

    The lower half is seen, with noise. The intervals are those of the draws, which are indices.
    """
    g = torch.Generator().manual_seed(seed)
    seen = torch.arange(atoms.shape[1]) >= atoms.shape[1] // 2
    lower, upper, sizes, shares, kept = atoms[:, seen].double(), atoms[:, ~seen], [], [], []
    noise = noise_std * torch.randn(len(images), int(seen.sum()), generator=g, dtype=torch.float64)
    y = images[:, seen].double() + noise
    for some, image in zip(y.split(BATCH), images.split(BATCH), strict=True):
        far = torch.cdist(some, lower).square()
        w = (-far / (2 * noise_std**2)).softmax(-1)
        chosen = w.multinomial(DRAWS, replacement=True, generator=g)
        sizes.append(1 / w.square().sum(-1))
        shares.append(inside(image[:, ~seen], upper[chosen], g))
        kept.append(chosen)
    return torch.cat(sizes), torch.cat(shares), torch.cat(kept)


def inside(
    truth: Float[Tensor, "B k"], draws: Float[Tensor, "B L k"], g: torch.Generator
) -> Float[Tensor, "B"]:
    """The share of coordinates whose rank among the draws lies in the middle 90 %."""
    below = (draws < truth[:, None]).sum(1)
    equal = (draws == truth[:, None]).sum(1)
    ties = torch.rand(truth.shape, generator=g, dtype=torch.float64)
    place = (below + (ties * (equal + 1)).floor() + 0.5) / (draws.shape[1] + 1)
    return ((place - 0.5).abs() < LEVEL / 2).double().mean(-1)


def of_letters(count: int) -> Size:
    """A lens of ``count`` letters, asked for letters that it does not hold."""
    data, others = fl.letters.load(count, side=12), fl.letters.load(HELD_OUT, side=12, seed=1)
    images = (others.scale * others.images + others.mean - data.mean) / data.scale
    sizes, shares, chosen = covered(data.images, images, NOISES["letters"])
    assert data.labels is not None
    assert others.labels is not None
    right = (data.labels[chosen] == others.labels[:, None]).double().mean(-1)
    return replace(summed(count, sizes, shares), label=_pair(right))


def of_patches(count: int) -> Size:
    """A lens of ``count`` patches of photographs, asked for patches of their right edge."""
    data = fl.patches.load(count, side=8)
    sizes, shares, _ = covered(data.images, data.held_out[:HELD_OUT], NOISES["patches"])
    return summed(count, sizes, shares)


def summed(count: int, sizes: Float[Tensor, "Y"], shares: Float[Tensor, "Y"]) -> Size:
    """Over all signals, over those with a small N_eff, and over the others."""
    few = sizes < FEW
    coverage = _pair(shares), _pair(shares[few]), _pair(shares[~few])
    return Size(count, _short(float(sizes.median())), float(few.double().mean()), coverage)


def sizes() -> Mapping[str, list[dict[str, object]]]:
    """All of them."""
    return {
        "letters": [asdict(of_letters(count)) for count in LETTERS],
        "patches": [asdict(of_patches(count)) for count in PATCHES],
    }


def _pair(values: Tensor) -> Pair:
    told = fl.Estimate.of(values)
    return _short(told.value), _short(told.error)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
