"""A folder of pictures, as PNG or JPEG; folders inside it are labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets.bitmap import CALL, bitmap

SUFFIXES = (".png", ".jpg", ".jpeg")
OTHERS = (".bmp", ".gif", ".heic", ".tif", ".tiff", ".webp")  # pictures too, which are not read
MOST_NUMBERS = 2**29  # of all pictures together: 4 GB in float64
MOST_SIDE = 2**14
CALL_LABELS = "files.load('folder'), with files in folder/cat and folder/dog, and no deeper"
CALL_MIXED = "files.load('folder', size=(32, 32), grey=True), which makes them alike"


def folder_of_pictures(
    folder: Path, *, size: tuple[int, int] | None = None, grey: bool = False
) -> tuple[Tensor, Tensor | None, tuple[str, ...]]:
    """Images ``(N, H, W)`` or ``(N, 3, H, W)`` as bytes, labels ``(N,)`` or None, their names.

    The files are taken in the order of their names. ``size`` = (H, W) resizes them, ``grey`` takes
    the colour away. Raises ValueError, as :func:`fsps_lite.datasets.files.load` says.
    """
    if size is not None:
        checks.kind("size", size, tuple, CALL_MIXED)
        for part in size:
            checks.count("size", part, CALL_MIXED, most=MOST_SIDE)
        checks.shape("size", torch.empty(size, device="meta"), ("H", "W"), CALL_MIXED)
    files, labelled = _pictures(folder), _folders(folder)
    if labelled and files:
        what = f"{folder.name} must hold pictures, or folders of pictures, not both"
        got = f"{files[0].name} beside the folder {labelled[0].name}"
        raise ValueError(checks.complaint(what, got, CALL_LABELS))
    if not labelled:
        return _stacked(folder, files, size, grey), None, ()
    groups = [_group(part) for part in labelled]
    images = _stacked(folder, [file for group in groups for file in group], size, grey)
    labels = torch.repeat_interleave(torch.tensor([len(group) for group in groups], device="cpu"))
    return images, labels, tuple(part.name for part in labelled)


def _visible(folder: Path) -> list[Path]:
    """What is in a folder and is not hidden: a name that begins with a dot is the system's."""
    return sorted(part for part in folder.iterdir() if not part.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [part for part in _visible(folder) if part.is_dir()]


def _pictures(folder: Path) -> list[Path]:
    """The files to read; raises where there are pictures that would be left out."""
    files = [part for part in _visible(folder) if not part.is_dir()]
    other = next((file for file in files if file.suffix.lower() in OTHERS), None)
    if other is not None:
        what = f"the pictures of {folder.name} must be PNG or JPEG files"
        call = "Image.open(file).save('name.png'), once for each"
        raise ValueError(checks.complaint(what, other.name, call))
    return [file for file in files if file.suffix.lower() in SUFFIXES]


def _group(folder: Path) -> list[Path]:
    """The files of one label; raises where there are none, or deeper folders."""
    files, deeper = _pictures(folder), _folders(folder)
    if deeper or not files:
        what = f"the folder {folder.name} is a label, and must hold PNG or JPEG files only"
        got = f"the folder {deeper[0].name} in it" if deeper else "none"
        raise ValueError(checks.complaint(what, got, CALL_LABELS))
    return files


def _stacked(
    folder: Path, files: Sequence[Path], size: tuple[int, int] | None, grey: bool
) -> Tensor:
    """All pictures in one tensor; raises unless there is one, and all are of one shape."""
    if not files:
        what = f"the folder {folder.name} must hold PNG or JPEG files"
        found = ", ".join(part.name for part in _visible(folder)[:3])
        raise ValueError(checks.complaint(what, f"none, but {found or 'nothing'}", CALL))
    first = bitmap(files[0], size, grey)
    if len(files) * first.size > MOST_NUMBERS:
        what = f"the pictures of {folder.name} must be {MOST_NUMBERS:,} numbers together at most"
        got = f"{len(files)} pictures of {_told(first)}"
        raise ValueError(checks.complaint(what, got, CALL_MIXED))
    images = np.empty((len(files), *first.shape), first.dtype)
    for file, room in zip(files, images, strict=True):
        image = bitmap(file, size, grey)
        if image.shape != first.shape:
            what = f"the pictures of {folder.name} must be of one size, all grey or all in colour"
            got = f"{_told(first)} in {files[0].name} and {_told(image)} in {file.name}"
            raise ValueError(checks.complaint(what, got, CALL_MIXED))
        room[...] = image
    return torch.from_numpy(images)


def _told(image: np.ndarray) -> str:
    colours = "in colour" if image.ndim == 3 else "grey"
    return f"{image.shape[-2]} x {image.shape[-1]} pixels {colours}"
