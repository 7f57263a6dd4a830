"""Two functions in place of a matrix: checks of what they answer, and their derivatives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fsps_lite import checks

Map = Callable[[Tensor], Tensor]
AGREE = 1e-10  # of <A x, y> and <x, A' y>, relative to the lengths: float64 rounds to 1e-16
CALL = "Linear.of(lambda x: x[:, :2], lambda y: torch.cat([y, 0 * y], 1), dim=4, out=2)"


class _Along(torch.autograd.Function):
    """A linear map: its derivative is the map itself, and its gradient is the adjoint."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, there: Map, back: Map) -> Tensor:
        return there(x.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.there, ctx.back = inputs[1:]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return _Along.apply(slope, ctx.back, ctx.there), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def jvp(ctx: Any, change: Tensor, *_: None) -> Any:
        return _Along.apply(change, ctx.there, ctx.back)  # type: ignore[no-untyped-call]


def along(v: Tensor, maps: tuple[Map, Map], size: int) -> Tensor:
    """The first of two maps, applied to all rows of a cloud at once.

    The second map is the adjoint of the first, and gives the gradient.
    """
    rows = v.reshape(-1, v.shape[-1])
    answer: Tensor = _Along.apply(rows, *maps)  # type: ignore[no-untyped-call]
    return answer.reshape(*v.shape[:-1], size)


def asked(name: str, function: Map, size: int, v: Tensor) -> Tensor:
    """The answer of a user's function to ``v``; raises ValueError on a wrong shape or dtype."""
    answer, wanted = function(v), (len(v), size)
    told = (tuple(answer.shape), answer.dtype) if isinstance(answer, Tensor) else type(answer)
    if told != (wanted, v.dtype):
        what = f"`{name}` must answer {tuple(v.shape)} with {wanted}, in the dtype it is given"
        raise ValueError(checks.complaint(what, told, CALL))
    return answer


def check_adjoint(there: Map, back: Map, out: int, dim: int) -> None:
    """The dot-product test: raise unless <A x, y> = <x, A' y> for two random rows.

    It also finds a function that adds an offset, and one that mixes rows.
    """
    own = torch.Generator("cpu").manual_seed(0)
    known: dict[str, Any] = {"generator": own, "dtype": torch.float64, "device": own.device}
    x, y = (torch.randn(2, n, **known) for n in (dim, out))
    forth, back_again = there(kept := x.clone()), back(also := y.clone())
    if not (torch.equal(kept, x) and torch.equal(also, y)):
        what = "`apply` and `adjoint` must leave their input as it is"
        raise ValueError(checks.complaint(what, "one that was written into", CALL))
    pair = (forth * y).sum(-1), (x * back_again).sum(-1)
    lengths = [v.norm(dim=-1) for v in (forth, y, x, back_again)]
    size = lengths[0] * lengths[1] + lengths[2] * lengths[3]
    if not bool(((pair[0] - pair[1]).abs() <= AGREE * size).all()):
        what = "`adjoint` must be the transpose of `apply`, a linear function: <A x, y> = <x, A' y>"
        got = f"{pair[0][0]:.9g} and {pair[1][0]:.9g} for a random x and y in float64"
        raise ValueError(checks.complaint(what, got, CALL))
