"""Which arithmetic an average over atoms needs, so that its score is right to 1e-6."""

import torch

from fsps_lite.types import Scale

UNIT = 2.0**-24  # the relative rounding of float32
DOUBLE = 2.0**-53  # that of float64
ERROR = 1e-6  # what the score may be wrong by, over the largest score
FEW = 256  # atoms: below, float64 costs nothing that one could notice


def arithmetic(
    dtype: torch.dtype, count: int, radius: float, alpha: Scale, sigma: Scale
) -> torch.dtype:
    """Float32 where the rounding of the logits cannot show, else float64.

    A logit is alpha (x - alpha c).(a - c) / sigma^2 and more, c the centre of the atoms: rounding
    moves it by about  UNIT (alpha radius / sigma)^2,  radius the largest |a - c|. A wrong logit
    moves the mean within the atoms that compete for x_t, which lie within a few sigma / alpha of
    each other, so the score, over the largest score, errs by no more than this; measured, by half
    of it. Where the bound is above ``ERROR``, as it is near t = 0, the answer is float64; and for
    float64 atoms always. A matrix product that somebody has allowed to be less exact than float32
    is not trusted at all.
    """
    bound = UNIT * float(alpha * radius / sigma) ** 2
    single = dtype == torch.float32 and count >= FEW and bound <= ERROR
    return torch.float32 if single and _matmul_is_float32() else torch.float64


def cancels(size: float, radius: float, alpha: Scale, sigma: Scale) -> bool:
    """Whether products round too much in float64 too: logits, by the bound above, or alpha m - x.

    ``size`` is the largest |a|: an error of DOUBLE size in alpha m - x is one of the score, which
    is about 1 / sigma, of DOUBLE alpha size / sigma, relative.
    """
    logits = float(alpha * radius / sigma) ** 2
    return DOUBLE * max(logits, float(alpha * size / sigma)) > ERROR


def _matmul_is_float32() -> bool:
    """``torch.set_float32_matmul_precision("medium")`` makes logits wrong by a third of a nat."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set for one backend only
        return False
