"""A detector that saturates: it cannot tell more than its most from its most."""

import math

from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.linear import Linear
from fsps_lite.operators.nonlinear import Nonlinear

CALL = "saturation(high=1.0, low=-1.0)"


def saturation(high: float, *, low: float = -math.inf, after: Linear | None = None) -> Nonlinear:
    """A(x) = min(max(x, low), high), pixel by pixel, or the same of ``after(x)``; m = d, or its m.

    In units of x, or of what ``after`` measures. Where it saturates, the derivative is 0: there a
    gradient says nothing of x. It takes images of any shape. Raises ValueError unless low < high.
    """
    checks.number("high", high, CALL)
    checks.number("low", low, CALL, least=-math.inf)
    if not low < high:
        what = "`low` must be below `high`"
        raise ValueError(checks.complaint(what, f"low={low}, high={high}", CALL))
    checks.kind("after", after, (Linear, type(None)), "saturation(1.0, after=blur(8, 1.0))")

    def saturated(x: Tensor) -> Tensor:
        seen = x if after is None else after(x)
        return seen.clamp(float(low), float(high))

    return Nonlinear(saturated, f"saturation({low:g}, {high:g})")
