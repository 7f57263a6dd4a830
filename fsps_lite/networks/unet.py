"""A small U-Net: a network from noisy images to images, at two resolutions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fsps_lite import checks

FEATURES = 16  # pairs of waves by which the network sees the noise level
WIDE = 48  # numbers in which it keeps it
GROUPS = 4  # of channels that are normalised together
CALL = "UNet((1, 8, 8))"


class Block(nn.Module):
    """x + f(x), with f two convolutions, scaled and shifted by the noise level."""

    def __init__(self, channels: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.level = nn.Linear(WIDE, 2 * channels)
        nn.init.zeros_(self.convs[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Float[Tensor, "n w"]) -> Tensor:
        scale, shift = self.level(level)[..., None, None].chunk(2, dim=1)
        inner = self.convs[0](nn.functional.silu(self.norms[0](x)))
        inner = self.norms[1](inner) * (1 + scale) + shift
        answer: Tensor = x + self.convs[1](nn.functional.silu(inner))
        return answer


class Whole(nn.Module):
    """Two layers that see all pixels at once: under much noise a picture is known as a whole."""

    def __init__(self, pixels: int, width: int):
        super().__init__()
        self.layers = nn.ModuleList((nn.Linear(pixels, width), nn.Linear(width, width)))
        self.level = nn.Linear(WIDE, 2 * width)
        self.last = nn.Linear(width, pixels)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Float[Tensor, "n C H W"], level: Float[Tensor, "n w"]) -> Tensor:
        scale, shift = self.level(level).chunk(2, dim=1)
        inner = nn.functional.silu(self.layers[0](x.flatten(1)) * (1 + scale) + shift)
        answer: Tensor = self.last(nn.functional.silu(self.layers[1](inner)))
        return answer.reshape(x.shape)


class UNet(nn.Module):
    """A network for images ``(n, C, H, W)``, with a noise level each (Ronneberger et al., 2015).

    It sees the image at full and at half resolution, and as a whole. ``level`` is ``(n,)``; its
    size should be about 1: that of :func:`fsps_lite.networks.edm` is ln(s) / 4. The answer has the
    shape of the image; an odd H or W is padded by a line of zeros. For digits of 8 x 8 it has
    167,000 weights. Raises ValueError unless ``channels`` is a multiple of 4.
    """

    def __init__(self, shape: tuple[int, int, int], channels: int = 16):
        super().__init__()
        _check(shape, channels)
        self.shape, self.channels = tuple(shape), channels
        small, large = channels, 2 * channels
        waves = torch.linspace(0.5, 8.0, FEATURES)
        self.register_buffer("waves", waves, persistent=False)
        self.level = nn.Sequential(nn.Linear(2 * FEATURES, WIDE), nn.SiLU(), nn.Linear(WIDE, WIDE))
        self.first = nn.Conv2d(shape[0], small, 3, padding=1)
        self.down = nn.Conv2d(small, large, 2, stride=2)
        self.whole = Whole(shape[0] * shape[1] * shape[2], 16 * channels)
        self.up = nn.ConvTranspose2d(large, small, 2, stride=2)
        self.join = nn.Conv2d(2 * small, small, 1)
        self.blocks = nn.ModuleList(Block(c) for c in (small, large, small))
        self.last = nn.Conv2d(small, shape[0], 3, padding=1)
        nn.init.zeros_(self.last.weight)

    waves: Tensor

    def forward(
        self, x: Float[Tensor, "n C H W"], level: Float[Tensor, "n"]
    ) -> Float[Tensor, "n C H W"]:
        angles = level[:, None] * self.waves
        known = self.level(torch.cat([angles.sin(), angles.cos()], 1))
        height, width = x.shape[-2:]
        whole_blocks = nn.functional.pad(x, (0, width % 2, 0, height % 2))
        fine = self.blocks[0](self.first(whole_blocks), known)
        coarse = self.blocks[1](self.down(fine), known)
        joined = self.join(torch.cat([fine, self.up(coarse)], 1))
        answer: Tensor = self.last(nn.functional.silu(self.blocks[2](joined, known)))
        seen_whole: Tensor = self.whole(x, known)
        return answer[..., :height, :width] + seen_whole


def _check(shape: tuple[int, int, int], channels: int) -> None:
    if not isinstance(shape, tuple) or len(shape) != 3:
        what = "`shape` must be that of an image, (C, H, W)"
        raise ValueError(checks.complaint(what, shape, CALL))
    for size in shape:
        checks.count("shape", size, CALL)
    checks.count("channels", channels, CALL)
    if channels % GROUPS:
        what = f"`channels` must be a multiple of {GROUPS}"
        raise ValueError(checks.complaint(what, channels, "UNet((1, 8, 8), channels=16)"))
