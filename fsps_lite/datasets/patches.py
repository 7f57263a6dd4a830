"""Patches of photographs as a prior: real images, of any small size, up to millions of them.

The photographs ship with scikit-learn, and more of them with scikit-image, so that nothing is
downloaded. Pictures of your own will do too.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets.mapped import Facts, Mapped
from fsps_lite.priors import Empirical

HELD_OUT = 1000  # patches that nobody has seen
STRIP = 64  # columns on the right of each photograph, of which those are cut
ROWS = 2**16  # patches that are cut at a time
IN_SKIMAGE = ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "rocket")
CALL = "patches.load(100_000, side=8)"
CALL_OWN = "patches.load(1000, pictures=[torch.rand(200, 300), torch.rand(200, 300, 3)])"


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


def load(
    count: int = 100_000,
    *,
    side: int = 8,
    seed: int = 0,
    pictures: Sequence[Tensor] | None = None,
    file: str | Path | None = None,
) -> Patches:
    """``count`` different patches of ``side`` x ``side`` pixels, drawn by ``seed``. No download.

    ``pictures`` are ``(H, W)`` or ``(H, W, C)``, of any sizes, such as :func:`scikit_image` gives;
    if they are not given, the photographs of scikit-learn. With a ``file`` the patches are written
    there and memory-mapped: 4 bytes a pixel, on the disk; what they are is written beside it, into
    the same name with ".json". An equal call finds them again. The file appears as a whole, and who
    writes into the patches does not change it. Raises ValueError where the photographs hold fewer,
    or are too small for the strip and a patch; FileExistsError where the file holds something else.
    """
    checks.count("side", side, CALL, most=STRIP)
    planes = _photographs() if pictures is None else _planes(pictures, side)
    seen_places, others = Places(planes, side, held_out=False), Places(planes, side, held_out=True)
    checks.count("count", count, CALL, most=len(seen_places))
    checks.seed(seed, CALL)
    g = torch.Generator("cpu").manual_seed(seed)
    shape = count, side**2
    cut = partial(_cut, seen_places, torch.randperm(len(seen_places), generator=g, device="cpu"))
    if file is None:
        seen = torch.empty(shape, device="cpu")
        facts = cut(seen)
    else:
        seen, facts = Mapped(Path(file), shape, f"{seed} {_digest(planes)}").rows(cut)
    mean, scale = torch.tensor(facts["mean"], device="cpu"), float(facts["scale"])  # type: ignore[arg-type]
    held_out = others.cut(torch.randperm(len(others), generator=g, device="cpu")[:HELD_OUT])
    return Patches(seen, held_out.sub_(mean).div_(scale), mean, scale, side)


def _cut(places: "Places", order: Int[Tensor, "k"], seen: Float[Tensor, "N p"]) -> Facts:
    """Fill ``seen`` with the first patches in this order, centred and scaled; mean and scale."""
    for room, some in zip(seen.split(ROWS), order[: len(seen)].split(ROWS), strict=True):
        room.copy_(places.cut(some))
    mean = seen.mean(0)
    seen.sub_(mean)
    norms = [torch.linalg.vector_norm(room, dtype=torch.float64) for room in seen.split(ROWS)]
    scale = float(torch.stack(norms).norm()) / seen.numel() ** 0.5  # no copy of all in float64
    if scale == 0:
        what = "patches of one brightness have no scale: draw more of them, or larger ones"
        got = f"count={len(seen)}, side={places.side}"
        raise ValueError(checks.complaint(what, got, CALL))
    seen.div_(scale)
    return {"mean": mean.tolist(), "scale": scale}


def _digest(planes: Sequence[Tensor]) -> str:
    """A name for the photographs: others have another."""
    made = hashlib.sha256()
    for plane in planes:
        made.update(f"{tuple(plane.shape)} {plane.dtype}".encode())
        made.update(np.ascontiguousarray(plane.cpu().numpy()).tobytes())
    return made.hexdigest()


def scikit_image() -> tuple[Tensor, ...]:
    """Eight photographs that ship with scikit-image: ``patches.load(pictures=scikit_image())``.

    Each is ``(H, W)`` or ``(H, W, 3)``, from 0 to 255. They hold 3.2 million patches of 8 x 8.
    Raises ImportError where scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError as error:
        what = "these photographs ship with scikit-image, which is not installed"
        call = "python -m pip install scikit-image, or patches.load(1000), which needs none"
        raise ImportError(checks.complaint(what, str(error), call)) from None
    return tuple(torch.from_numpy(np.array(getattr(data, name)())) for name in IN_SKIMAGE)


@dataclass(frozen=True)
class Places:
    """Where a patch may lie in some planes: by plane, by row and by column."""

    planes: tuple[Tensor, ...]
    side: int
    held_out: bool  # in the strip on the right, or in the rest

    def __len__(self) -> int:
        return int(self._ends[-1])

    def cut(self, index: Int[Tensor, "n"]) -> Float[Tensor, "n p"]:
        """The patches that lie at these places."""
        answer = torch.empty(len(index), self.side**2, device="cpu")
        of = torch.searchsorted(self._ends, index, right=True)
        steps = torch.arange(self.side, device="cpu")
        for k in of.unique().tolist():
            rest = index[of == k] - (self._ends[k - 1] if k else 0)
            first, width = self._columns(k)
            row, column = rest // width, first + rest % width
            down, right = row[:, None, None] + steps[:, None], column[:, None, None] + steps
            answer[of == k] = self.planes[k][down, right].flatten(1).float()
        return answer

    def _columns(self, k: int) -> tuple[int, int]:
        """The first column in which a patch of plane ``k`` may begin, and how many there are."""
        width = self.planes[k].shape[1] - STRIP
        return (width, STRIP - self.side + 1) if self.held_out else (0, width - self.side + 1)

    @cached_property
    def _ends(self) -> Int[Tensor, "k"]:
        """How many places there are up to the end of each plane."""
        sizes = [len(p) - self.side + 1 for p in self.planes]
        counts = [rows * self._columns(k)[1] for k, rows in enumerate(sizes)]
        return torch.tensor(counts, device="cpu").cumsum(0)


def _planes(pictures: Sequence[Tensor], side: int) -> tuple[Tensor, ...]:
    """Each colour of each picture, ``(H, W)``; raises where one does not fit."""
    planes: list[Tensor] = []
    for picture in pictures:
        checks.kind("pictures", picture, Tensor, CALL_OWN)
        if picture.ndim not in (2, 3) or picture.ndim == 3 and picture.shape[-1] > 4:
            what = "each of `pictures` must have shape (H, W), or (H, W, C) with C up to 4"
            raise ValueError(checks.complaint(what, tuple(picture.shape), CALL_OWN))
        high, wide = picture.shape[:2]
        if high < side or wide < STRIP + side:
            what = f"each of `pictures` must have {side} rows and {STRIP + side} columns or more"
            raise ValueError(checks.complaint(what, tuple(picture.shape), CALL_OWN))
        checks.finite("pictures", picture.float(), CALL_OWN)
        planes += [picture] if picture.ndim == 2 else picture.unbind(-1)
    if not planes:
        raise ValueError(checks.complaint("`pictures` must hold a picture", "none", CALL_OWN))
    return tuple(planes)


@cache
def _photographs() -> tuple[Tensor, ...]:
    """Each colour of each that ships with scikit-learn, as bytes: six of (427, 640)."""
    from sklearn.datasets import load_sample_images  # not at the top: it takes a second

    photographs = [torch.from_numpy(np.array(image)) for image in load_sample_images().images]
    return tuple(plane for image in photographs for plane in image.unbind(-1))
