"""Pictures from files: a folder of them, or arrays as NumPy, torch and MNIST store them.

Nothing that a file holds is ever executed. A pickle could be, so that pickles are refused.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets.folders import folder_of_pictures
from fsps_lite.datasets.idx import idx, is_idx
from fsps_lite.datasets.pictures import Pictures

CALL = "files.load('pictures.npz'), with the arrays images (N, H, W) and labels (N,)"
CONVERT = (
    "np.savez('pictures.npz', images=images, labels=labels), once, with what you read from it "
    "where you trust it: CIFAR's images are batch[b'data'].reshape(-1, 3, 32, 32)"
)
COLOURS = (1, 3)  # in the last axis, an image is taken for (H, W, C)


def load(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    size: tuple[int, int] | None = None,
    grey: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Pictures:
    """The pictures that ``path`` holds, centred and scaled, with their labels if there are any.

    - A folder of PNG and JPEG files. Where they lie in folders of their own, each folder is a
      label, and holds nothing else. ``size`` = (H, W) resizes them, ``grey`` takes the colour away.
      A picture is turned as its file says (EXIF). Files that are no pictures are passed over.
    - ``.npy``: an array ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)`` with C of 1 or 3. The
      colours are in the second axis where both could be.
    - ``.npz``, ``.pt``, ``.pth``: such an array, or two by the names ``images`` and ``labels``.
    - IDX files, as MNIST comes, also with ``.gz``.

    ``labels`` is a file with one whole number for each picture. ``dtype`` is that of the rows,
    float32 or float64. Raises ValueError, which names the file and the way out, for pictures of
    several sizes, colour beside grey, an alpha channel, a folder with 16 bits, a file that is
    corrupt, an empty folder, and pickles; FileNotFoundError for no file.
    """
    path = _existing(path)
    if path.is_dir():
        images, numbers, names = folder_of_pictures(path.resolve(), size=size, grey=grey)
    elif size is not None or grey:
        what = "`size` and `grey` are for folders of pictures"
        raise ValueError(checks.complaint(what, path.name, "files.load('pictures.npz')"))
    else:
        images, numbers = _arrays(path)
        names = ()
    if labels is not None:
        numbers, names = _labels(_existing(labels)), ()
    return Pictures.of(images, numbers, names=names, dtype=dtype)


def _existing(path: str | Path) -> Path:
    checks.kind("path", path, (str, Path), CALL)
    found = Path(path)
    if not found.exists():
        what = "`path` must be a file, or a folder of pictures"
        raise FileNotFoundError(checks.complaint(what, f"{path}, which does not exist", CALL))
    return found


def _arrays(path: Path) -> tuple[Tensor, Tensor | None]:
    """Images ``(N, H, W)`` or ``(N, C, H, W)``, and labels, from one file."""
    found = _read(path)
    if not isinstance(found, Mapping):
        return _images(found, path), None
    known = {"images", "labels"}
    if len(found) == 1 and not known & set(found):
        return _images(next(iter(found.values())), path), None
    if "images" not in found or set(found) - known:
        what = f"{path.name} must hold one array, or `images` and `labels`"
        raise ValueError(checks.complaint(what, sorted(found), CALL))
    labels = found.get("labels")
    return _images(found["images"], path), None if labels is None else _whole(labels, path)


def _labels(path: Path) -> Tensor:
    found = _read(path)
    if isinstance(found, Mapping):
        found = found.get("labels", next(iter(found.values()))) if len(found) == 1 else found
    return _whole(found, path)


def _read(path: Path) -> object:
    """What a file holds: an array, or arrays by name."""
    with path.open("rb") as file:
        head = file.read(2)
    reader = READERS.get(path.suffix.lower())
    if path.suffix.lower() in (".pkl", ".pickle") or (head[:1] == b"\x80" and reader is None):
        what = f"{path.name} is a pickle, which can run any program when it is opened"
        raise ValueError(checks.complaint(what, "a pickle", CONVERT))
    if reader is None and is_idx(path):
        return idx(path)
    if reader is None:
        what = f"{path.name} must be a folder of pictures, .npy, .npz, .pt, or IDX as of MNIST"
        raise ValueError(checks.complaint(what, f"a file that begins with {head!r}", CALL))
    return _opened(reader, path)


def _opened(reader: Callable[[Path], object], path: Path) -> object:
    try:
        return reader(path)
    except Exception as error:  # each library has its own kinds for a file that is damaged
        told = str(error).split("\n")[0]
        if any(word in str(error) for word in ("allow_pickle", "eights only", "WeightsUnpickler")):
            what = f"{path.name} holds objects and not only numbers: it is a pickle"
            raise ValueError(checks.complaint(what, "a pickle", CONVERT)) from None
        what = f"{path.name} cannot be read: it is damaged, or of another kind than its name says"
        raise ValueError(checks.complaint(what, told, CALL)) from None


def _npy(path: Path) -> object:
    with path.open("rb") as file:  # which NumPy leaves open where it is damaged
        return np.load(file, allow_pickle=False)


def _npz(path: Path) -> dict[str, object]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _pt(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: dict[str, Callable[[Path], object]] = {".npy": _npy, ".npz": _npz, ".pt": _pt, ".pth": _pt}


def _images(value: object, path: Path) -> Tensor:
    images = _tensor(value, path)
    if images.ndim not in (3, 4):
        what = f"the images of {path.name} must have shape (N, H, W) or (N, C, H, W)"
        call = "np.save('pictures.npy', images.reshape(-1, 8, 8)), for rows of 64 pixels"
        raise ValueError(checks.complaint(what, tuple(images.shape), call))
    if images.ndim == 3:
        _refuse_one_picture(images, path)
        return images
    colours = images.shape[1] if images.shape[1] in COLOURS else images.shape[-1]
    if colours not in COLOURS:
        what = f"the images of {path.name} must have 1 or 3 colours, and no alpha channel"
        call = "np.save('pictures.npy', images[..., :3]), for images (N, H, W, C)"
        raise ValueError(checks.complaint(what, f"the shape {tuple(images.shape)}", call))
    images = images if images.shape[1] in COLOURS else images.movedim(-1, 1)
    return images[:, 0] if colours == 1 else images


def _refuse_one_picture(images: Tensor, path: Path) -> None:
    """(H, W, C) would be read as H pictures of three or four columns."""
    if images.shape[-1] in (3, 4):
        what = f"the images of {path.name} must be (N, H, W), and look like one picture (H, W, C)"
        call = "np.save('pictures.npy', images[:, None]), if they are grey and that narrow"
        raise ValueError(checks.complaint(what, tuple(images.shape), call))


def _whole(value: object, path: Path) -> Tensor:
    labels = _tensor(value, path)
    if labels.is_floating_point() or labels.ndim != 1:
        what = f"the labels of {path.name} must be whole numbers, one for each picture"
        got = f"{labels.dtype} of shape {tuple(labels.shape)}"
        call = "labels.astype(int); for names, np.unique(names, return_inverse=True)[1]"
        raise ValueError(checks.complaint(what, got, call))
    return labels.long()


def _tensor(value: object, path: Path) -> Tensor:
    if isinstance(value, Tensor) and not value.is_complex() and not value.is_quantized:
        return value.detach().to_dense()
    with suppress(ValueError, TypeError):  # lists of other things are no array
        value = np.asarray(value) if isinstance(value, list | tuple) else value
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        return torch.from_numpy(np.ascontiguousarray(value.astype(_known(value))))
    what = f"{path.name} must hold arrays of real numbers"
    got = value.dtype if isinstance(value, np.ndarray | Tensor) else type(value).__name__
    raise ValueError(checks.complaint(what, got, CALL))


def _known(array: np.ndarray) -> np.dtype:
    """A dtype that every torch has, for what the array holds."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return np.dtype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        above = array.size and array.max() > np.iinfo(np.int64).max
        return np.dtype(np.float64 if above else np.int64)
    return array.dtype.newbyteorder("=")
