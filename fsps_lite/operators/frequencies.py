"""Which Fourier coefficients of an image are measured: some at random, and the lowest always."""

import torch
from jaxtyping import Bool
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.images import Side, image_shape

CALL = "fourier_samples(fourier_mask(8, share=0.3, generator=g))"


def fourier_mask(
    side: Side, share: float, *, low: int = 1, generator: torch.Generator
) -> Bool[Tensor, "*shape"]:
    """A random choice of about ``share`` of the frequencies, for :func:`fourier_samples`.

    The answer has the shape of the image, ``(H, W)`` or ``(C, H, W)`` as ``side`` says, in the
    order of ``torch.fft.fft2``. All frequencies below ``low`` cycles along both sides are in it,
    and others are drawn, each together with its opposite, until ``share`` of all is reached. All
    channels have the same. Raises ValueError unless 0 < share <= 1, and where ``low`` alone takes
    more than ``share``.
    """
    shape = image_shape(side, CALL)
    checks.number("share", share, CALL, least=0.0, most=1.0)
    checks.count("low", low, CALL, least=0)
    checks.generator(generator)
    device = generator.device
    cycles = [(torch.fft.fftfreq(n, device=device) * n).round().abs() for n in shape[1:]]
    kept = (cycles[0][:, None] < low) & (cycles[1] < low)
    wanted = round(float(share) * kept.numel())
    if wanted < max(1, int(kept.sum())):
        what = "`share` must leave room for a frequency, and for all below `low`"
        got = f"share={share} of {kept.numel()} and low={low}, which takes {int(kept.sum())}"
        raise ValueError(checks.complaint(what, got, CALL))
    drawn = torch.rand(shape[1:], generator=generator, dtype=torch.float64, device=device)
    place = torch.arange(kept.numel(), device=device).reshape(kept.shape)
    first = torch.minimum(place, place.flip((-2, -1)).roll((1, 1), (-2, -1)))
    both = drawn.flatten()[first]  # one number for k and -k
    both[kept] = -1.0
    chosen = both <= both.flatten().sort().values[wanted - 1]
    flat = not isinstance(side, tuple) or len(side) == 2
    return chosen if flat else chosen.expand(shape).clone()
