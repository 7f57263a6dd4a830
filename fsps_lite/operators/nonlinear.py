"""Operators that are any function."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import Measurement, State


@dataclass(frozen=True)
class Nonlinear:
    """A(x) = fn(x) for any function that maps ``(*batch, d)`` to ``(*batch, m)`` row by row.

    ``name`` stands in reports and error messages.
    """

    fn: Callable[[Tensor], Tensor]
    name: str

    def __call__(self, x: State) -> Measurement:
        checks.floating("x", x, "operator(torch.zeros(5, 1))")
        y = self.fn(x)
        if not isinstance(y, Tensor) or y.shape[:-1] != x.shape[:-1] or y.ndim != x.ndim:
            out = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            got = f"{tuple(x.shape)} -> {out}"
            what = f"`fn` of Nonlinear {self.name!r} must map (*batch, d) to (*batch, m)"
            call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
            raise ValueError(checks.complaint(what, got, call))
        return y
