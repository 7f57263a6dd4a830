"""Patches of two photographs as a prior: real images, of any small size, up to a million of them.

The photographs ship with scikit-learn, so that nothing is downloaded.
"""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.priors import Empirical

HELD_OUT = 1000  # patches that nobody has seen
STRIP = 64  # columns on the right of each photograph, of which those are cut
CALL = "patches.load(100_000, side=8)"


@dataclass(frozen=True)
class Patches:
    """Square patches of one colour of one photograph, ``(N, side^2)``, in float32.

    ``images`` and ``held_out`` are brightness minus the mean patch, over one number that makes the
    mean variance of the seen 1. The held-out ones come from a strip of each photograph that no seen
    one touches. ``mean`` and ``scale`` lead back to brightness: scale * image + mean, 0 to 255.
    """

    images: Float[Tensor, "N p"]
    held_out: Float[Tensor, "M p"]
    mean: Float[Tensor, "p"]
    scale: float
    side: int

    @property
    def prior(self) -> Empirical:
        """Equal weights on the patches that are not held out."""
        return Empirical.from_samples(self.images)

    def brightness(self, image: Float[Tensor, "*batch p"]) -> Float[Tensor, "*batch s s"]:
        """An image to look at, ``(*batch, side, side)``: 0 is black and 255 is white."""
        call = "data.brightness(data.images[0]), where data = patches.load(1000)"
        checks.floating("image", image, call)
        checks.shape("image", image, (*image.shape[:-1], self.side**2), call)
        return (self.scale * image + self.mean).reshape(*image.shape[:-1], self.side, self.side)


def load(count: int = 100_000, *, side: int = 8, seed: int = 0) -> Patches:
    """``count`` different patches of ``side`` x ``side`` pixels, drawn by ``seed``. No download.

    Raises ValueError where the photographs hold fewer, or a side does not fit the strip.
    """
    checks.count("side", side, CALL, most=STRIP)
    places = len(_seen(side))
    checks.count("count", count, CALL, most=places)
    checks.seed(seed, CALL)
    g = torch.Generator().manual_seed(seed)
    seen = _cut(_seen(side)[torch.randperm(places, generator=g)[:count]], side)
    others = _unseen(side)
    held_out = _cut(others[torch.randperm(len(others), generator=g)[:HELD_OUT]], side)
    mean = seen.mean(0)
    scale = float((seen - mean).square().mean().sqrt())
    if scale == 0:
        what = "patches of one brightness have no scale: draw more of them, or larger ones"
        raise ValueError(checks.complaint(what, f"count={count}, side={side}", CALL))
    images, rest = (part.sub_(mean).div_(scale) for part in (seen, held_out))
    return Patches(images, rest, mean, scale, side)


def _cut(places: Int[Tensor, "n 3"], side: int) -> Float[Tensor, "n p"]:
    """The patches whose corners lie at these (photograph, row, column)."""
    which, row, column = (places[:, i, None, None] for i in range(3))
    down, right = torch.arange(side)[:, None], torch.arange(side)
    return _photographs()[which, row + down, column + right].flatten(1).float()


def _seen(side: int) -> Int[Tensor, "n 3"]:
    images, rows, columns = _photographs().shape
    return _corners(images, rows - side + 1, 0, columns - STRIP - side + 1)


def _unseen(side: int) -> Int[Tensor, "n 3"]:
    images, rows, columns = _photographs().shape
    return _corners(images, rows - side + 1, columns - STRIP, columns - side + 1)


def _corners(images: int, rows: int, first: int, last: int) -> Int[Tensor, "n 3"]:
    axes = torch.arange(images), torch.arange(rows), torch.arange(first, last)
    return torch.cartesian_prod(*axes)


@cache
def _photographs() -> Tensor:
    """Each colour of each, as bytes: (6, 427, 640)."""
    from sklearn.datasets import load_sample_images  # not at the top: it takes a second

    return (
        torch.stack([torch.tensor(image) for image in load_sample_images().images])
        .permute(0, 3, 1, 2)
        .flatten(0, 1)
    )
