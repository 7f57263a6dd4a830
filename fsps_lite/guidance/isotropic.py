"""The variance of an isotropic Gaussian that stands for p(x_0 | x_t)."""

import math

from torch import Tensor

from fsps_lite.schedules import Schedule
from fsps_lite.types import Time


def isotropic_var(schedule: Schedule, t: Time, data_var: int | float) -> Tensor:
    """r_t^2 = sigma^2 data_var / (sigma^2 + alpha^2 data_var), in units of x^2; 0 for 0.

    It is the variance of x_0 given x_t for a Gaussian x_0 with the variance ``data_var`` in every
    direction, as in :class:`~fsps_lite.PiGDM`; sigma^2 / alpha^2 for an infinite one.
    """
    known = 1 / data_var if data_var else math.inf
    return 1 / (known + schedule.log_snr(t).exp())
