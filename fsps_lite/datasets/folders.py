"""A folder of pictures, as PNG or JPEG; folders inside it are labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fsps_lite import checks

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
MODES = ("L", "RGB")  # 8 bits of grey, or of each colour
CALL = "files.load('folder'), with PNG or JPEG files of one size"
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
            checks.count("size", part, CALL_MIXED)
        checks.shape("size", torch.empty(size), ("H", "W"), CALL_MIXED)
    labelled = sorted(part for part in folder.iterdir() if part.is_dir() and _pictures(part))
    files = _pictures(folder)
    if labelled and files:
        what = f"{folder.name} must hold pictures, or folders of pictures, not both"
        got = f"{files[0].name} beside {labelled[0].name}"
        raise ValueError(checks.complaint(what, got, CALL))
    if not labelled:
        return _stacked(folder, files, size, grey), None, ()
    groups = [_pictures(part) for part in labelled]
    images = _stacked(folder, [file for group in groups for file in group], size, grey)
    labels = torch.repeat_interleave(torch.tensor([len(group) for group in groups]))
    return images, labels, tuple(part.name for part in labelled)


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _stacked(
    folder: Path, files: Sequence[Path], size: tuple[int, int] | None, grey: bool
) -> Tensor:
    """All pictures in one tensor; raises unless there is one, and all are of one shape."""
    if not files:
        what = f"the folder {folder.name} must hold PNG or JPEG files"
        raise ValueError(checks.complaint(what, "none", CALL))
    images = [_read(file, size, grey) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            what = f"the pictures of {folder.name} must be of one size, all grey or all in colour"
            got = f"{_told(images[0])} in {files[0].name} and {_told(image)} in {file.name}"
            raise ValueError(checks.complaint(what, got, CALL_MIXED))
    return torch.tensor(np.stack(images))


def _told(image: np.ndarray) -> str:
    colours = "in colour" if image.ndim == 3 else "grey"
    return f"{image.shape[-2]} x {image.shape[-1]} pixels {colours}"


def _read(file: Path, size: tuple[int, int] | None, grey: bool) -> np.ndarray:
    """``(H, W)`` or ``(3, H, W)`` bytes of one picture."""
    from PIL import Image  # not at the top: it comes with matplotlib, and is slow to import

    try:
        with Image.open(file) as picture:
            picture.load()
            kept = picture if picture.mode in MODES else _of_eight_bits(file, picture)
            kept = kept.convert("L") if grey else kept
            if size is not None:
                kept = kept.resize(size[::-1], Image.Resampling.BOX)
            array = np.array(kept)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        what = f"{file.name} cannot be read as a picture: it is damaged, or no picture"
        raise ValueError(checks.complaint(what, str(error), CALL)) from None
    return array if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _of_eight_bits(file: Path, picture: "Image.Image") -> "Image.Image":
    """A picture of another mode as "L" or "RGB", where nothing is lost by that; else raises."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        what = f"{file.name} has an alpha channel: what lies behind the picture is not said"
        call = "Image.open(file).convert('RGB').save(file), which drops it"
        raise ValueError(checks.complaint(what, f"the mode {picture.mode}", call))
    if picture.mode[0] in "IF":
        what = f"{file.name} must have 8 bits for each colour of a pixel"
        call = "np.save('pictures.npy', arrays), which keeps 16 bits: files.load('pictures.npy')"
        raise ValueError(checks.complaint(what, f"the mode {picture.mode}", call))
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "P":
        return picture.convert("RGB")
    what = f"{file.name} must be grey or red, green and blue"
    call = "Image.open(file).convert('RGB').save(file)"
    raise ValueError(checks.complaint(what, f"the mode {picture.mode}", call))
