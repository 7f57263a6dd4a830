"""Pictures as data: rows of numbers, with what is needed to look at them again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.partition import Partition
from fsps_lite.priors import Empirical

CALL = "Pictures.of(images), with images of shape (N, H, W) or (N, C, H, W)"


@dataclass(frozen=True)
class Pictures:
    """N pictures as rows, minus the mean picture, over one number.

    ``images`` is ``(N, d)`` and ``shape`` is ``(H, W)`` or ``(C, H, W)``. ``mean``, ``(d,)``, and
    ``scale`` lead back to brightness = scale * image + mean, in the units of the source. With
    labels, ``labels`` is ``(N,)`` and indexes ``names``; otherwise it is None.
    """

    images: Float[Tensor, "N d"]
    shape: tuple[int, ...]
    mean: Float[Tensor, "d"]
    scale: float
    labels: Int[Tensor, "N"] | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        images: Tensor,
        labels: Int[Tensor, "N"] | None = None,
        *,
        names: Sequence[str] = (),
        dtype: torch.dtype = torch.float64,
    ) -> "Pictures":
        """Centre and scale ``images``, ``(N, H, W)`` or ``(N, C, H, W)``: their mean variance is 1.

        ``images`` may be of any real dtype. ``names`` default to "0", "1", ... Raises ValueError
        for other shapes, NaN, labels that do not fit, and pictures that are all the same.
        """
        checks.kind("images", images, Tensor, CALL)
        if images.ndim not in (3, 4) or not images.numel():
            what = "`images` must have shape (N, H, W) or (N, C, H, W)"
            raise ValueError(checks.complaint(what, tuple(images.shape), CALL))
        flat = images.flatten(1).to(dtype)
        checks.finite("images", flat, CALL)
        mean = flat.mean(0)
        rest = flat - mean
        scale = float(rest.square().mean().sqrt())
        if scale == 0:
            what = "`images` must differ: pictures that are all the same have no scale"
            raise ValueError(checks.complaint(what, f"{len(images)} equal ones", CALL))
        named = _names(labels, names, len(images))
        return cls(rest.div_(scale), tuple(images.shape[1:]), mean, scale, labels, named)

    @property
    def prior(self) -> Empirical:
        """Equal weights on all pictures."""
        return Empirical.from_samples(self.images)

    @property
    def partition(self) -> Partition:
        """The labels as parts of signal space: a point is what its nearest picture is.

        Raises ValueError where the pictures have no labels.
        """
        if self.labels is None:
            call = "Pictures.of(images, labels).partition"
            raise ValueError(checks.complaint("a partition needs `labels`", "none", call))
        return Partition.of_labels(self.images, self.labels, names=self.names)

    def brightness(self, image: Float[Tensor, "*batch d"]) -> Tensor:
        """Pictures to look at, ``(*batch, H, W)`` or ``(*batch, H, W, C)``, as they were loaded."""
        call = "data.brightness(data.images[:5])"
        checks.floating("image", image, call)
        checks.shape("image", image, (*image.shape[:-1], len(self.mean)), call)
        shown: Tensor = (self.scale * image + self.mean.to(image)).unflatten(-1, self.shape)
        return shown if len(self.shape) == 2 else shown.movedim(-3, -1)

    def split(self, held_out: int, *, seed: int = 0) -> tuple["Pictures", "Pictures"]:
        """The pictures in two parts, drawn by ``seed``: the rest, and ``held_out`` of them.

        Both are centred and scaled by the first, which alone may be seen. Raises ValueError unless
        ``held_out`` is at least 1 and leaves two.
        """
        call = "seen, held_out = data.split(100, seed=0)"
        checks.count("held_out", held_out, call, most=max(1, len(self.images) - 2))
        checks.seed(seed, call)
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))
        rest, out = order[:-held_out], order[-held_out:]
        raw = (self.scale * self.images + self.mean).unflatten(-1, self.shape)
        labels = (None, None) if self.labels is None else (self.labels[rest], self.labels[out])
        seen = Pictures.of(raw[rest], labels[0], names=self.names, dtype=self.images.dtype)
        others = (raw[out].flatten(1) - seen.mean) / seen.scale
        return seen, Pictures(others, self.shape, seen.mean, seen.scale, labels[1], self.names)


def _names(labels: Tensor | None, names: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of the labels; raises where labels and names do not fit the pictures."""
    call = "Pictures.of(images, labels, names=['cat', 'dog']), with labels 0 and 1"
    if labels is None:
        if names:
            raise ValueError(checks.complaint("`names` need `labels`", names, call))
        return ()
    checks.kind("labels", labels, Tensor, call)
    checks.shape("labels", labels, (count,), call)
    if labels.is_floating_point() or labels.dtype == torch.bool or int(labels.min()) < 0:
        what = "`labels` must be whole numbers from 0"
        raise ValueError(checks.complaint(what, f"{labels.dtype}, from {labels.min()}", call))
    named = tuple(names) or tuple(str(k) for k in range(int(labels.max()) + 1))
    if int(labels.max()) >= len(named):
        what = f"`names` must hold one name for each of {int(labels.max()) + 1} labels"
        raise ValueError(checks.complaint(what, named, call))
    return named
