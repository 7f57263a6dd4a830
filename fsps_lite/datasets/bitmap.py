"""One picture from a PNG or JPEG file: 8 bits of grey or of each colour, or a sentence."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fsps_lite import checks

if TYPE_CHECKING:
    from PIL import Image

MODES = ("L", "RGB")  # 8 bits of grey, or of each colour
PNG = b"\x89PNG\r\n\x1a\n"
DEPTH = 24  # the byte of a PNG file that says how many bits each colour has
CALL = "files.load('folder'), with PNG or JPEG files of one size"
CALL_DEPTH = (
    "np.save('pictures.npy', np.stack([np.array(Image.open(file)) for file in "
    "sorted(Path('folder').glob('*.png'))])), which keeps all bits, and files.load('pictures.npy')"
)


def bitmap(file: Path, size: tuple[int, int] | None = None, grey: bool = False) -> np.ndarray:
    """``(H, W)`` or ``(3, H, W)`` bytes, turned as a viewer shows them.

    ``size`` = (H, W) resizes the picture, ``grey`` takes the colour away. Raises ValueError for an
    alpha channel, more than 8 bits, other colours than red, green and blue, and a damaged file.
    """
    from PIL import Image

    picture = _opened(file)
    if "A" in picture.getbands() or "transparency" in picture.info:
        what = f"{file.name} has an alpha channel: what lies behind the picture is not said"
        call = "Image.open(file).convert('RGB').save(file), which drops it"
        raise ValueError(checks.complaint(what, f"the mode {picture.mode}", call))
    kept = picture if picture.mode in MODES else _of_eight_bits(file, picture)
    kept = kept.convert("L") if grey else kept
    kept = kept if size is None else kept.resize(size[::-1], Image.Resampling.BOX)
    array = np.array(kept)
    return array if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _opened(file: Path) -> "Image.Image":
    """A picture as a viewer shows it: a camera that was turned says so in the file."""
    from PIL import Image, ImageOps  # not at the top: it comes with matplotlib, and is slow

    try:
        deep = _bits(file) > 8
        with Image.open(file) as picture:
            picture.load()
            turned = ImageOps.exif_transpose(picture)
    except Exception as error:  # of many kinds, where a file is damaged
        what = f"{file.name} cannot be read as a picture: it is damaged, or no picture"
        raise ValueError(checks.complaint(what, str(error), CALL)) from None
    if deep:
        _refuse_depth(file, turned.mode)
    return turned


def _bits(file: Path) -> int:
    """How many bits a PNG file has for each colour; Pillow drops half of 16 without a word."""
    with file.open("rb") as opened:
        head = opened.read(DEPTH + 1)
    return head[DEPTH] if head.startswith(PNG) else 8


def _refuse_depth(file: Path, mode: str) -> None:
    what = f"{file.name} must have 8 bits for each colour of a pixel"
    upper = "Image.open(file).convert('RGB').save(file), which keeps the upper 8"
    call = upper if "RGB" in mode else CALL_DEPTH
    raise ValueError(checks.complaint(what, f"16 or more, in the mode {mode}", call))


def _of_eight_bits(file: Path, picture: "Image.Image") -> "Image.Image":
    """A picture of another mode as "L" or "RGB", where nothing is lost by that; else raises."""
    if picture.mode[0] in "IF":
        _refuse_depth(file, picture.mode)
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "P":
        return picture.convert("RGB")
    what = f"{file.name} must be grey or red, green and blue"
    call = "Image.open(file).convert('RGB').save(file)"
    raise ValueError(checks.complaint(what, f"the mode {picture.mode}", call))
