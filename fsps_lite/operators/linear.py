"""Linear operators: a matrix, or two functions in its place."""

import math
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.pairs import CALL, Map, along, asked, check_adjoint
from fsps_lite.types import Measurement, State, Where

LARGEST = 2**22  # entries of the largest matrix that is formed from two functions


@dataclass(frozen=True)
class Linear:
    """A(x) = matrix x + offset.

    ``matrix`` is ``(m, d)`` in units of y over units of x; ``offset`` is ``(m,)`` in units of y.
    :meth:`of` takes two functions in place of a matrix. Raises ValueError or TypeError when matrix
    and offset disagree in shape or dtype, or are not finite.
    """

    matrix: Float[Tensor, "m d"]
    offset: Float[Tensor, "m"] | None = None

    def __post_init__(self) -> None:
        call = "Linear(torch.eye(2), offset=torch.zeros(2))"
        checks.floating("matrix", self.matrix, call)
        checks.shape("matrix", self.matrix, ("m", "d"), call)
        checks.finite("matrix", self.matrix, call)
        _check_offset(self, call)

    @staticmethod
    def of(
        apply: Map,
        adjoint: Map,
        *,
        dim: int,
        out: int,
        dtype: torch.dtype = torch.float64,
        offset: Float[Tensor, "m"] | None = None,
    ) -> "Linear":
        """A(x) = apply(x) + offset, where no matrix is made: ``apply`` is A, ``adjoint`` is A'.

        ``apply`` maps ``(n, d)`` to ``(n, m)`` and ``adjoint`` maps back, row by row, with d =
        ``dim`` and m = ``out``. Both answer in the dtype and on the device of their input: for a
        tensor of your own, write ``kernel.to(x)``, because :meth:`to` cannot move it. The gradient
        with respect to x comes from ``adjoint``; no other tensor gets a gradient. Raises ValueError
        where <A x, y> and <x, A' y> differ in float64 for random x and y, and where a function
        answers in another shape or dtype or writes into its input.
        """
        return MatrixFree((apply, adjoint), (out, dim), dtype, offset)

    @property
    def dim(self) -> int:
        """d, the dimension of the signal."""
        return self.matrix.shape[1]

    @property
    def out(self) -> int:
        """m, the number of measurements."""
        return self.matrix.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        return self.matrix.dtype

    @property
    def small(self) -> bool:
        """Whether ``matrix`` exists, or is small enough to be formed."""
        return True

    def __call__(self, x: State) -> Measurement:
        """A(x) for each row of ``x``. ``(*batch, m)``, units of y."""
        y = self.apply(x)
        return y if self.offset is None else y + self.offset

    def apply(self, x: State) -> Measurement:
        """A x, without the offset. ``(*batch, m)``."""
        return self._forth(self._checked("x", x, self.dim, "operator"))

    def adjoint(self, y: Measurement) -> State:
        """A' y, the transpose of the matrix times y. ``(*batch, d)``."""
        return self._back(self._checked("y", y, self.out, "operator.adjoint"))

    def to(self, where: Where) -> "Linear":
        """The same operator in another dtype, or on another device."""
        checks.place(where)
        offset = None if self.offset is None else self.offset.to(where)
        return Linear(self.matrix.to(where), offset)

    def _forth(self, x: Tensor) -> Tensor:
        return x @ self.matrix.mT

    def _back(self, y: Tensor) -> Tensor:
        return y @ self.matrix

    def _checked(self, name: str, value: Tensor, size: int, asked: str) -> Tensor:
        call = f"{asked}(torch.zeros(5, {size}, dtype={self.dtype}))"
        checks.floating(name, value, call)
        for k in (2, 3):  # an image that is not flattened
            if value.ndim >= k and math.prod(value.shape[-k:]) == size != value.shape[-1]:
                call = f"{asked}({name}.flatten({-k}))"
        checks.shape(name, value, (*value.shape[:-1], size), call)
        checks.same_dtype(name, value, "the matrix", self.dtype, call)
        return value


class MatrixFree(Linear):
    """What :meth:`Linear.of` makes. ``matrix`` is formed on first use, where it is small."""

    functions: tuple[Map, Map]
    sizes: tuple[int, int]
    _like: Tensor  # of the dtype and on the device of the operator
    __eq__, __hash__ = object.__eq__, object.__hash__  # those of Linear would make the matrix

    def __init__(
        self,
        functions: tuple[Map, Map],
        sizes: tuple[int, int],
        dtype: torch.dtype,
        offset: Float[Tensor, "m"] | None,
    ) -> None:
        for name, size in zip(("out", "dim"), sizes, strict=True):
            checks.count(name, size, CALL)
        known = {"functions": functions, "sizes": sizes, "offset": offset}
        vars(self).update(known | {"_like": torch.empty(0, dtype=dtype, device="cpu")})
        _check_offset(self, CALL)
        check_adjoint(*self._maps, *sizes)

    def __repr__(self) -> str:
        return f"Linear.of(dim={self.dim}, out={self.out}, dtype={self.dtype})"

    @property
    def dim(self) -> int:
        return self.sizes[1]

    @property
    def out(self) -> int:
        return self.sizes[0]

    @property
    def dtype(self) -> torch.dtype:
        return self._like.dtype

    @property
    def small(self) -> bool:
        return self.out * self.dim <= LARGEST

    @cached_property
    def matrix(self) -> Float[Tensor, "m d"]:
        """``(m, d)``, formed column by column; raises ValueError for more than 2^22 entries."""
        if not self.small:
            what = "no `matrix` so large is made: use `apply` and `adjoint`, as DPS and ZetaDPS do"
            got = f"an operator of {self.out} x {self.dim} numbers"
            raise ValueError(checks.complaint(what, got, "operator.apply(x)"))
        with torch.inference_mode(False):  # it is kept, and later calls may need gradients
            eye = torch.eye(self.dim, dtype=self.dtype, device=self._like.device)
            return self._forth(eye).mT.contiguous()

    def to(self, where: Where) -> "Linear":
        """The same functions for another dtype or device: they follow their input."""
        checks.place(where)
        moved, kept = object.__new__(MatrixFree), dict(vars(self))
        kept.pop("matrix", None)
        offset = None if self.offset is None else self.offset.to(where)
        vars(moved).update(kept | {"_like": self._like.to(where), "offset": offset})
        return moved

    @property
    def _maps(self) -> tuple[Map, Map]:
        (apply, adjoint), (out, dim) = self.functions, self.sizes
        return partial(asked, "apply", apply, out), partial(asked, "adjoint", adjoint, dim)

    def _forth(self, x: Tensor) -> Tensor:
        return along(x, self._maps, self.out)

    def _back(self, y: Tensor) -> Tensor:
        return along(y, self._maps[::-1], self.dim)


def _check_offset(operator: Linear, call: str) -> None:
    if operator.offset is not None:
        checks.floating("offset", operator.offset, call)
        checks.shape("offset", operator.offset, (operator.out,), call)
        checks.same_dtype("offset", operator.offset, "the matrix", operator.dtype, call)
        checks.finite("offset", operator.offset, call)
