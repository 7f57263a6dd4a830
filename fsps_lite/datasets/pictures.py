"""Pictures as data: rows of numbers, with what is needed to look at them again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from fsps_lite import checks
from fsps_lite.partition import Partition
from fsps_lite.priors import Empirical

SHARE = 20  # of so many pictures one is held out
ROUNDING = 16.0  # in units of eps: pictures that differ by less are equal
MOST_LABELS = 100_000  # a label above it is a mistake, and its names would fill the memory
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

        ``images`` may be of any real dtype, and are copied; ``dtype`` is float32 or float64.
        ``names`` default to "0", "1", ... Raises ValueError for other shapes, NaN, labels that do
        not fit, and pictures that differ by no more than rounding.
        """
        rows, unit = _rows(*_checked(images, dtype), dtype)
        named = _names(labels, names, len(images))
        mean = rows.mean(0)
        rest = rows.sub_(mean)
        scale = float(rest.square().mean().sqrt())
        shape = tuple(images.shape[1:])
        return cls(rest.div_(scale), shape, mean * unit, scale * unit, labels, named)

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

    def split(self, held_out: int | None = None, *, seed: int = 0) -> tuple["Pictures", "Pictures"]:
        """The pictures in two parts, drawn by ``seed``: the rest, and ``held_out`` of them.

        By default, one of 20 is held out, and at least two. Both are centred and scaled by the
        first, which alone may be seen. Raises ValueError unless ``held_out`` is at least 1 and
        leaves two.
        """
        call = "seen, held_out = data.split(100, seed=0), of 102 pictures or more"
        if len(self.images) < 3:
            what = "a split must leave two pictures that are seen"
            raise ValueError(checks.complaint(what, f"{len(self.images)} pictures", call))
        held_out = max(2, len(self.images) // SHARE) if held_out is None else held_out
        checks.count("held_out", held_out, call, most=len(self.images) - 2)
        checks.seed(seed, call)
        g = torch.Generator("cpu").manual_seed(seed)
        order = torch.randperm(len(self.images), generator=g, device="cpu")
        rest, out = order[:-held_out], order[-held_out:]
        raw = (self.scale * self.images + self.mean).unflatten(-1, self.shape)
        labels = (None, None) if self.labels is None else (self.labels[rest], self.labels[out])
        seen = Pictures.of(raw[rest], labels[0], names=self.names, dtype=self.images.dtype)
        others = (raw[out].flatten(1) - seen.mean) / seen.scale
        return seen, Pictures(others, self.shape, seen.mean, seen.scale, labels[1], self.names)


def _checked(images: Tensor, dtype: torch.dtype) -> tuple[Shaped[Tensor, "N d"], float]:
    """The pictures as rows, and their largest absolute value; raises as :meth:`Pictures.of`."""
    checks.kind("images", images, Tensor, CALL)
    dense = images.layout == torch.strided and not images.is_complex()
    if images.ndim not in (3, 4) or not images.numel() or not dense:
        what = "`images` must be a dense, real tensor of shape (N, H, W) or (N, C, H, W)"
        raise ValueError(checks.complaint(what, checks.described(images), CALL))
    if dtype not in (torch.float32, torch.float64):
        what = "`dtype` must be torch.float32 or torch.float64"
        raise TypeError(
            checks.complaint(what, repr(dtype), "Pictures.of(images, dtype=torch.float64)")
        )
    raw = images.detach().flatten(1)
    if raw.is_floating_point():
        checks.finite("images", raw, CALL)
    largest = max(abs(float(end)) for end in raw.aminmax())
    if largest > torch.finfo(dtype).max:
        call = "Pictures.of(images, dtype=torch.float64)"
        got = f"values of {largest:.3g}"
        raise ValueError(checks.complaint(f"`images` must fit into {dtype}", got, call))
    return raw, largest


def _rows(raw: Shaped[Tensor, "N d"], largest: float, dtype: torch.dtype) -> tuple[Tensor, float]:
    """A copy of the rows over a power of two, ``(N, d)`` with values up to 1, and that power.

    It changes no digit of them, and then no square overflows or vanishes.
    """
    least, most = (math.frexp(end)[1] for end in (torch.finfo(dtype).tiny, torch.finfo(dtype).max))
    unit = 2.0 ** min(max(math.frexp(largest)[1], least), most - 2)
    rows = raw.to(dtype, copy=True).div_(unit)
    low, high = rows.aminmax(dim=0)
    if float((high - low).max()) <= ROUNDING * torch.finfo(dtype).eps:
        what = "`images` must hold two pictures or more that differ: they have no scale"
        got = f"{len(raw)} that are equal, up to rounding"
        raise ValueError(checks.complaint(what, got, CALL))
    return rows, unit


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
    checks.count("labels.max()", int(labels.max()), call, least=0, most=MOST_LABELS)
    named = tuple(names) or tuple(str(k) for k in range(int(labels.max()) + 1))
    if int(labels.max()) >= len(named):
        what = f"`names` must hold one name for each of {int(labels.max()) + 1} labels"
        raise ValueError(checks.complaint(what, named, call))
    return named
