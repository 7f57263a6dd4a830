"""Handwritten digits as a prior: 1,700 images of 8 x 8 pixels, and 97 more that nobody has seen."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.partition import Partition
from fsps_lite.priors import Empirical

SIDE = 8
HELD_OUT = 97


@dataclass(frozen=True)
class Digits:
    """The digits of (Alpaydin and Kaynak, 1998), which ship with scikit-learn.

    ``images`` is ``(1700, 64)`` and ``held_out`` ``(97, 64)``: pixels minus the mean image, over
    one number that makes their mean variance 1. ``labels`` and ``held_out_labels`` are 0 to 9.
    ``mean`` and ``scale`` lead back to ink: ink = scale * image + mean, from 0 to 16.
    """

    images: Float[Tensor, "N 64"]
    labels: Int[Tensor, "N"]
    held_out: Float[Tensor, "M 64"]
    held_out_labels: Int[Tensor, "M"]
    mean: Float[Tensor, "64"]
    scale: float

    @property
    def prior(self) -> Empirical:
        """Equal weights on the images that are not held out."""
        return Empirical.from_samples(self.images)

    @property
    def partition(self) -> Partition:
        """The ten digits as parts of the space of images: a point is what its nearest image is."""
        names = [str(digit) for digit in range(10)]
        return Partition.of_labels(self.images, self.labels, names=names, noun="digit")

    def ink(self, image: Float[Tensor, "*batch 64"]) -> Float[Tensor, "*batch 8 8"]:
        """An image to look at: 0 is paper and 16 is full ink."""
        call = "digits.ink(digits.images[0])"
        checks.floating("image", image, call)
        checks.shape("image", image, (*image.shape[:-1], SIDE * SIDE), call)
        return (self.scale * image + self.mean).reshape(*image.shape[:-1], SIDE, SIDE)

    def label_weights(self, weights: Float[Tensor, "N"]) -> Float[Tensor, "10"]:
        """The total weight on the images of each digit, for weights on ``images``. ``(10,)``."""
        call = "digits.label_weights(posterior.weights)"
        checks.floating("weights", weights, call)
        checks.shape("weights", weights, (len(self.labels),), call)
        return weights.new_zeros(10).index_add(0, self.labels, weights)


def load() -> Digits:
    """The digits, centred and scaled by the images that are not held out. No download.

    Which are held out is drawn, as the last of the file come from other writers than the rest. Each
    call makes new tensors: whoever writes into them changes only his own.
    """
    pixels, digit = _file()
    g = torch.Generator("cpu").manual_seed(0)
    order = torch.rand(len(pixels), generator=g, device="cpu").argsort()
    ink, labels = torch.from_numpy(pixels)[order], torch.from_numpy(digit).long()[order]
    seen = ink[:-HELD_OUT]
    mean = seen.mean(0)
    scale = float((seen - mean).square().mean().sqrt())
    images = (ink - mean) / scale
    return Digits(
        images=images[:-HELD_OUT],
        labels=labels[:-HELD_OUT],
        held_out=images[-HELD_OUT:],
        held_out_labels=labels[-HELD_OUT:],
        mean=mean,
        scale=scale,
    )


@cache
def _file() -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(1797, 64)``, in float64 as all our numbers, and digits, as the file orders them."""
    from sklearn.datasets import load_digits  # not at the top: it takes a second

    raw = load_digits()
    return raw.data, raw.target
