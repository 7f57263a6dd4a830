"""Which arithmetic an average over atoms needs, so that its score is right to 1e-6."""

import math

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import Scale

UNIT = 2.0**-24  # the relative rounding of float32
DOUBLE = 2.0**-53  # that of float64
ERROR = 1e-6  # what the score may be wrong by, over the largest score
FEW = 256  # atoms: below, float64 costs nothing that one could notice
WIDE = 16  # dimensions: in fewer, sums of float32 err by up to sqrt(N) roundings
LONG = 256  # dimensions: in fewer, values of float32 show in where a run ends
RUN = 2048  # terms of a sum in float32, at most; of such sums, one in float64


def arithmetic(
    dtype: torch.dtype, count: int, dim: int, radius: float, alpha: Scale, sigma: Scale
) -> torch.dtype:
    """Float32 where neither the logits nor the sums can show its rounding, else float64.

    A logit is alpha (x - alpha c).(a - c) / sigma^2 and more, c the centre of the atoms: rounding
    moves it by about  UNIT (alpha radius / sigma)^2,  radius the largest |a - c|. A wrong logit
    moves the mean within the atoms that compete for x_t, which lie within a few sigma / alpha of
    each other, so the score, over the largest score, errs by no more than this; measured, by half
    of it. Where the bound is above ``ERROR``, as it is near t = 0, the answer is float64; and for
    float64 atoms always.

    The sum over atoms rounds too. In few dimensions a matrix product adds its terms one after the
    other, and the error grows with their number: below ``WIDE`` dimensions the answer is float64.
    In more it adds many side by side, and sums of ``RUN`` terms, themselves summed in float64,
    leave at most 3 UNIT alpha radius / sigma: less than ``ERROR`` wherever the bound of the logits
    is. A matrix product that somebody has allowed to be less exact than float32 is not trusted.
    """
    bound = UNIT * _over(float(alpha) * radius, sigma) ** 2
    single = _may_be_single(dtype, count, dim) and bound <= ERROR
    return torch.float32 if single else torch.float64


def of_values(
    dtype: torch.dtype, count: int, dim: int, largest: float, alpha: Scale, sigma: Scale
) -> torch.dtype:
    """Of the weights and the values, where the logits are in float64.

    ``largest`` is the largest coordinate of an atom from the centre. A value rounds by UNIT times
    its size, and the score, over 1 / sigma, by alpha / sigma times that, times the 2.5 by which
    sums of ``RUN`` terms grow at most (measured). The rounding of a weight is that of its logit,
    less the largest: UNIT p |log p|, which is less than UNIT.

    Below ``LONG`` dimensions the values are float64 all the same. There a run has particles that
    pass between atoms, and such a particle amplifies a rounding a hundred times: at d = 64 clouds
    ended 1e-5 apart, at d = 784 6e-8 (measured).
    """
    error = 2.5 * UNIT * largest * _over(float(alpha), sigma)
    single = _may_be_single(dtype, count, dim) and dim >= LONG and error <= ERROR
    return torch.float32 if single else torch.float64


def _may_be_single(dtype: torch.dtype, count: int, dim: int) -> bool:
    """Whether anything may be computed in float32 at all."""
    enough = dtype == torch.float32 and count >= FEW and dim >= WIDE
    return enough and _matmul_is_float32()


def cancels(size: float, radius: float, alpha: Scale, sigma: Scale) -> bool:
    """Whether products round too much in float64 too: logits, by the bound above, or alpha m - x.

    ``size`` is the largest |a|: an error of DOUBLE size in alpha m - x is one of the score, which
    is about 1 / sigma, of DOUBLE alpha size / sigma, relative.
    """
    logits = _over(float(alpha) * radius, sigma) ** 2
    return DOUBLE * max(logits, _over(float(alpha) * size, sigma)) > ERROR


def number(scale: Scale) -> Scale:
    """``scale`` as a Python number where it is no more: products of tensors cost ten times as much.

    The digits are the same. It stays a tensor where it has a gradient, or another dtype or device.
    """
    if not isinstance(scale, Tensor) or scale.dtype != torch.float64 or not scale.is_cpu:
        return scale
    return scale if scale.requires_grad or checks.transformed(scale) else float(scale)


def _over(value: float, sigma: Scale) -> float:
    return value / float(sigma) if float(sigma) > 0 else math.inf


def _matmul_is_float32() -> bool:
    """``torch.set_float32_matmul_precision("medium")`` makes logits wrong by a third of a nat."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set for one backend only
        return False
