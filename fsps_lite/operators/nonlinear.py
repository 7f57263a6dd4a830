"""Operators given by any function."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import Measurement, State


@dataclass(frozen=True)
class Nonlinear:
    """A(x) = fn(x) for any function that maps ``(*batch, d)`` to ``(*batch, m)`` row by row.

    ``name`` appears in reports and error messages. Raises TypeError or ValueError where ``fn``
    answers in another shape or dtype, mixes rows, or writes into its input.
    """

    fn: Callable[[Tensor], Tensor]
    name: str

    def __post_init__(self) -> None:
        call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
        checks.function("fn", self.fn, call)
        checks.kind("name", self.name, str, call)

    def __call__(self, x: State) -> Measurement:
        """fn(x), ``(*batch, m)``; the first call also checks that ``fn`` works row by row."""
        checks.floating("x", x, "operator(torch.zeros(5, 1))")
        if x.ndim > 1 and len(x) and "_examined" not in vars(self):
            object.__setattr__(self, "_examined", True)
            call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
            with torch.no_grad():
                checks.rowwise(f"fn` of Nonlinear `{self.name}", self._answer, x, call)
        return self._answer(x)

    def _answer(self, x: State) -> Measurement:
        """fn(x); raises unless it has one row for each row, in the dtype of ``x``."""
        y = self.fn(x)
        if not isinstance(y, Tensor) or y.shape[:-1] != x.shape[:-1] or y.ndim != x.ndim:
            out = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            got = f"{tuple(x.shape)} -> {out}"
            what = f"`fn` of Nonlinear {self.name!r} must map (*batch, d) to (*batch, m)"
            call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
            raise ValueError(checks.complaint(what, got, call))
        call = "Nonlinear(lambda x: x.abs(), 'absolute')"
        checks.same_dtype(f"fn` of Nonlinear `{self.name}", y, "x", x.dtype, call)
        return y
