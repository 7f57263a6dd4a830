"""Letters as a prior: those of matplotlib's own fonts, turned, sheared, sized and moved at random.

There are as many as one likes, of any size, each with its label; nothing is downloaded.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets.pictures import Pictures

NAMES = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmr10",
    "cmss10",
    "cmtt10",
)
TALL, FRAME = 36, 64  # pixels of a capital letter in the frame that it is drawn in
FINER = 2  # points that are averaged along each side of a pixel
TURN, SHEAR, MOVE = 0.25, 0.2, 0.12  # the most, in radians, in widths, in halves of the picture
SIZES = 0.6, 0.9  # of a letter, relative to one that fills its picture
ROWS = 4096  # letters that are drawn at a time
CALL = "letters.load(10_000, side=12, seed=0)"


def load(
    count: int = 10_000, *, side: int = 12, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Pictures:
    """``count`` capital letters of ``side`` x ``side`` pixels, in one of 12 fonts each.

    Letter, font and an affine map are drawn by ``seed``: a turn of up to .25 radians, a shear of up
    to .2, a size from .6 to .9 for each direction, a move of up to .12 of half a side. Brightness
    is from 0, paper, to 1, ink. Raises ValueError or TypeError on a wrong count, side or seed.
    """
    checks.count("count", count, CALL, least=2)
    checks.count("side", side, CALL, least=4, most=FRAME)
    checks.seed(seed, CALL)
    g = torch.Generator("cpu").manual_seed(seed)
    font, label = (
        torch.randint(n, (count,), generator=g, device="cpu") for n in (len(FONTS), len(NAMES))
    )
    maps = _maps(torch.rand(count, 6, generator=g, dtype=torch.float64, device="cpu"))
    which = font * len(NAMES) + label
    parts = zip(which.split(ROWS), maps.split(ROWS), strict=True)
    images = torch.cat([_drawn(_glyphs()[k], some, side).to(dtype) for k, some in parts])
    return Pictures.of(images, label, names=NAMES, dtype=dtype)


def _maps(u: Float[Tensor, "n 6"]) -> Float[Tensor, "n 2 3"]:
    """Affine maps from the picture to the frame of the letter, for uniform numbers ``u``."""
    turn, shear, across, down = (2 * u[:, i] - 1 for i in (0, 1, 4, 5))
    sizes = SIZES[0] + (SIZES[1] - SIZES[0]) * u[:, 2:4]
    cos, sin, zero = (TURN * turn).cos(), (TURN * turn).sin(), torch.zeros_like(turn)
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    sheared = torch.stack(
        [torch.stack([zero + 1, SHEAR * shear], -1), torch.stack([zero, zero + 1], -1)], -2
    )
    matrix = TALL / FRAME * (rotation @ sheared) / sizes[:, None]
    shift = matrix @ (MOVE * torch.stack([across, down], -1)[..., None])
    return torch.cat([matrix, shift], -1)


def _drawn(
    glyphs: Float[Tensor, "n f f"], maps: Float[Tensor, "n 2 3"], side: int
) -> Float[Tensor, "n s s"]:
    """Each letter through its map, averaged over the area of each pixel."""
    size = [len(maps), 1, FINER * side, FINER * side]
    grid = torch.nn.functional.affine_grid(maps.float(), size, align_corners=False)
    seen = torch.nn.functional.grid_sample(glyphs[:, None], grid, align_corners=False)
    return torch.nn.functional.avg_pool2d(seen, FINER)[:, 0]


@cache
def _glyphs() -> Float[Tensor, "k f f"]:
    """Every letter of every font in the middle of a frame; font by font. From 0 to 1."""
    from matplotlib import get_data_path  # not at the top: it takes half a second
    from matplotlib.ft2font import FT2Font

    frames = torch.zeros(len(FONTS) * len(NAMES), FRAME, FRAME, device="cpu")
    for i, name in enumerate(FONTS):
        font = FT2Font(str(Path(get_data_path(), "fonts", "ttf", f"{name}.ttf")))
        font.set_size(TALL / 0.7, 72)  # a capital is about .7 of the size of its font
        for j, letter in enumerate(NAMES):
            font.set_text(letter)
            font.draw_glyphs_to_bitmap(antialiased=True)
            ink = torch.from_numpy(np.array(font.get_image()))
            top, left = ((FRAME - n) // 2 for n in ink.shape)
            frame = frames[i * len(NAMES) + j]
            frame[top : top + ink.shape[0], left : left + ink.shape[1]] = ink / 255
    return frames
