"""Errors for bad input: each says what is wrong, what was got, and the corrected call.

Not part of the public interface. A particle that diverged is a finding and not bad input. So the
values of a state are never checked here, only its dtype and its shape.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from numbers import Real

import numpy as np
import torch
from torch import Tensor

ADVICE = "Call it like this:"
LONGEST = 500  # letters of what was got that are shown: a matrix may have millions
LARGEST = torch.finfo(torch.float64).max
MOST = 10**9  # of anything that is counted: more would not fit into memory
FEW = 4  # rows on which a function is called twice
ROUNDING = 1e-3  # of an answer, relative: a function may use float32, and sum in another order


def complaint(what: str, got: object, call: str) -> str:
    """The text of an error: all our errors have this form."""
    text = str(got)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"{what}, got {text}. {ADVICE} {call}"


def floating(name: str, value: object, call: str) -> None:
    """``value`` must be a tensor of a floating dtype."""
    if not isinstance(value, Tensor):
        raise TypeError(complaint(f"`{name}` must be a torch.Tensor", type(value).__name__, call))
    if not value.is_floating_point():
        raise TypeError(complaint(f"`{name}` must have a floating dtype", value.dtype, call))
    if value.layout != torch.strided:
        raise TypeError(complaint(f"`{name}` must be a dense tensor", value.layout, call))


def array(name: str, value: object, call: str) -> Tensor:
    """A tensor of a floating dtype; a NumPy array of float32 or float64 is copied into one."""
    if isinstance(value, np.ndarray):
        if value.dtype in (np.float32, np.float64):
            return torch.tensor(np.ascontiguousarray(value))
        what = f"the array `{name}` must have the dtype float32 or float64"
        raise TypeError(complaint(what, value.dtype, call))
    floating(name, value, call)
    assert isinstance(value, Tensor)
    return value


def full_precision(name: str, value: Tensor, call: str) -> None:
    """``value`` must be float32 or float64: torch has no eigenvalues of other dtypes."""
    if value.dtype not in (torch.float32, torch.float64):
        what = f"`{name}` must have the dtype float32 or float64"
        raise TypeError(complaint(what, value.dtype, call))


def as_tensor(name: str, value: object, like: Tensor, call: str) -> Tensor:
    """A number, or a list or an array of numbers, as a tensor of the dtype of ``like``."""
    try:
        return torch.as_tensor(value, dtype=like.dtype, device=like.device)
    except (TypeError, ValueError, RuntimeError):
        what = f"`{name}` must be a number, or a tensor of numbers"
        raise TypeError(complaint(what, described(value), call)) from None


def described(value: object) -> str:
    """A wrong argument, in a few words."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Tensor | np.ndarray):
        return f"a tensor of shape {tuple(value.shape)}"
    plain = isinstance(value, str | int | float | complex | None)
    return repr(value) if plain else type(value).__name__


def kind(name: str, value: object, wanted: type | tuple[type, ...], call: str) -> None:
    """``value`` must be an instance of ``wanted``, and not the class itself."""
    if not isinstance(value, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        what = f"`{name}` must be of the kind {' or '.join(one.__name__ for one in kinds)}"
        raise TypeError(complaint(what, described(value), call))


def function(name: str, value: object, call: str) -> None:
    """``value`` must be callable, and no class: a class would make an object."""
    if not callable(value) or isinstance(value, Tensor | type):
        raise TypeError(complaint(f"`{name}` must be a function", described(value), call))


def generator(value: object, call: str = "torch.Generator().manual_seed(0)") -> None:
    """``value`` must be a generator of the caller's: there is no global one."""
    if not isinstance(value, torch.Generator):
        what = "`generator` must be a torch.Generator"
        raise TypeError(complaint(what, described(value), call))


def place(where: object) -> None:
    """``where`` must be a dtype, or a device that this machine has."""
    try:
        torch.empty(0, device="cpu").to(where)  # type: ignore[call-overload]
    except (RuntimeError, AssertionError, TypeError, ValueError):
        what = "`to` takes a dtype, or a device of this machine"
        raise ValueError(complaint(what, repr(where), "prior.to(torch.float32)")) from None


def like(name: str, value: object, x: Tensor, call: str, *, density: bool = False) -> None:
    """``value``, an answer about the cloud ``x``, must have its shape and dtype.

    A ``density`` has one number per row.
    """
    x = x[..., 0] if density else x
    if not isinstance(value, Tensor) or value.shape != x.shape or value.dtype != x.dtype:
        got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value)
        what = f"`{name}` must return a tensor like x, {tuple(x.shape)} {x.dtype}"
        raise ValueError(complaint(what, got, call))


def rowwise(
    name: str, fn: Callable[[Tensor], Tensor], x: Tensor, call: str, *, drawn: bool = False
) -> None:
    """``fn`` must compute each row from that row of ``x`` alone, and must not change ``x``.

    It is called twice: on a row among others, and on copies of that row. The two answers for the
    row must agree. With ``drawn``, a function that draws random numbers is accepted. Nothing is
    compared inside ``torch.func.vmap``.
    """
    with suppress(RuntimeError):  # an error of ``fn`` comes again in the real call
        _rowwise(name, fn, x, call, drawn)


def _rowwise(name: str, fn: Callable[[Tensor], Tensor], x: Tensor, call: str, drawn: bool) -> None:
    some, copies = x[:FEW].clone(), x[:1].expand_as(x[:FEW]).clone()
    before = written(some)
    among = fn(some)
    unwritten(name, some, before, call)
    if not apart(among[:1], fn(copies)[:1]):
        return
    what = f"`{name}` must answer each row by that row alone"
    if apart(among[:1], fn(x[:FEW].clone())[:1]):
        if drawn:
            return
        what = f"`{name}` must give the same answer each time"
    got = "another one; a network is switched by network.eval()"
    raise ValueError(complaint(what, got, call))


def apart(one: Tensor, other: Tensor) -> bool:
    """Whether two answers differ by more than rounding; False where one is not finite."""
    largest = max(float(one.abs().max()), float(other.abs().max()))
    return float((one - other).abs().max()) > ROUNDING * largest


def written(x: Tensor) -> int:
    """How often torch wrote into ``x``; 0 in inference mode, where torch does not count."""
    return 0 if x.is_inference() else x._version


def unwritten(name: str, x: Tensor, before: int, call: str) -> None:
    """``x``, the input of a call to ``name``, must not have been written into."""
    if written(x) != before:
        what = f"`{name}` must not write into x, but return a new tensor"
        raise ValueError(complaint(what, "an x that was changed in place", call))


def spread(name: str, V: Tensor, x: Tensor, call: str) -> None:
    """``V`` must be one variance, or a ``(d, d)`` matrix, or one matrix for each row of ``x``."""
    d = x.shape[-1]
    if V.ndim and tuple(V.shape) not in {(d, d), (*x.shape, d)}:
        what = f"`{name}` must be one variance, ({d}, {d}), or (*batch, {d}, {d}) with x's batch"
        raise ValueError(complaint(what, tuple(V.shape), call))
    if not V.ndim and V < 0:
        raise ValueError(complaint(f"the variance `{name}` must not be below 0", float(V), call))


def falls(name: str, t: object, call: str) -> None:
    """``t`` must be a grid of two or more times that decreases."""
    floating(name, t, call)
    assert isinstance(t, Tensor)
    if t.ndim != 1 or len(t) < 2 or not bool((t[1:] < t[:-1]).all()):
        got = f"{t.tolist()}" if t.numel() < 9 else f"{len(t)} times that do not"
        raise ValueError(complaint(f"`{name}` must be a grid that decreases", got, call))


def finite(name: str, value: Tensor, call: str) -> None:
    """``value`` must have no NaN and no infinity."""
    if value.numel() and all(end.isfinite() for end in value.detach().aminmax()):
        return  # no second tensor of this size
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        got = f"{bad} of {value.numel()} entries that are NaN or infinite"
        raise ValueError(complaint(f"`{name}` must be finite", got, call))


def shape(name: str, value: Tensor, wanted: tuple[int | str, ...], call: str) -> None:
    """``value`` must have the shape ``wanted``; a letter stands for any positive size."""
    sizes = tuple(value.shape)
    fits = len(sizes) == len(wanted) and all(
        size == want if isinstance(want, int) else size > 0
        for size, want in zip(sizes, wanted, strict=True)
    )
    if not fits:
        text = "(" + ", ".join(map(str, wanted)) + ("," if len(wanted) == 1 else "") + ")"
        raise ValueError(complaint(f"`{name}` must have shape {text}", sizes, call))


def even(name: str, value: Tensor, call: str) -> None:
    """The vector ``value`` must be a grid that rises in equal steps."""
    steps = value.diff()
    uneven = (steps - steps.mean()).abs().max() > 1e-2 * steps.mean() if len(steps) > 1 else True
    if uneven:
        got = f"{len(value)} values from {value[0]:.3g} to {value[-1]:.3g}"
        raise ValueError(complaint(f"`{name}` must be evenly spaced and rise", got, call))


def same_dtype(
    name: str, value: Tensor | torch.dtype, other: str, dtype: torch.dtype, call: str
) -> None:
    """``value`` must have the dtype of ``other``: precision is not mixed by accident."""
    got = value.dtype if isinstance(value, Tensor) else value
    if got != dtype:
        what = f"`{name}` must have the dtype of {other}, {dtype}"
        raise TypeError(complaint(what, got, call))


def state(name: str, x: Tensor, dim: int, dtype: torch.dtype, call: str) -> None:
    """``x`` must be a cloud of points in ``dim`` dimensions with the prior's dtype."""
    floating(name, x, call)
    if x.ndim < 1 or x.shape[-1] != dim:
        what = f"`{name}` must have shape (*batch, {dim})"
        raise ValueError(complaint(what, tuple(x.shape), call))
    same_dtype(name, x, "the prior", dtype, call)


def positive(name: str, value: Tensor | int | float, call: str, *, zero: bool = False) -> None:
    """Every entry of ``value`` must be a finite number above zero, or ``zero`` where allowed."""
    device = value.device if isinstance(value, Tensor) else "cpu"
    float64 = torch.zeros((), dtype=torch.float64, device=device)
    entries = as_tensor(name, value, float64, call)
    above = entries >= 0 if zero else entries > 0
    if not bool((above & torch.isfinite(entries)).all()):
        what = f"`{name}` must be {'zero or more' if zero else 'positive'} and finite"
        got = value.tolist() if isinstance(value, Tensor) else value
        raise ValueError(complaint(what, got, call))


def number(
    name: str, value: object, call: str, *, least: float = -LARGEST, most: float = LARGEST
) -> None:
    """``value`` must be one real number from ``least`` to ``most``; by default any finite one."""
    one = isinstance(value, Tensor) and value.ndim == 0 and not value.is_complex()
    if not one and (not isinstance(value, Real) or isinstance(value, bool)):
        raise TypeError(complaint(f"`{name}` must be one number", described(value), call))
    if not least <= float(value) <= most:  # type: ignore[arg-type]
        low = "" if least == -LARGEST else f" of at least {least:g}"
        high = "" if most in (LARGEST, math.inf) else f" and at most {most:g}"
        got = float(value)  # type: ignore[arg-type]
        raise ValueError(complaint(f"`{name}` must be a finite number{low}{high}", got, call))


def count(name: str, value: object, call: str, *, least: int = 1, most: int = MOST) -> None:
    """``value`` must be a whole number from ``least`` to ``most``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        high = f" and at most {most:,}" if whole and value > most else ""  # type: ignore[operator]
        what = f"`{name}` must be a whole number above {least - 1}{high}"
        raise ValueError(complaint(what, repr(value), call))


def seed(value: object, call: str) -> None:
    """``value`` must be a whole number that torch takes as a seed, with room for larger ones."""
    what = "`seed` must be a whole number below 2^62"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(complaint(what, described(value), call))
    if not abs(value) < 2**62:
        raise ValueError(complaint(what, value, call))


def scalar_time(t: object, call: str) -> None:
    """``t`` must be one time: the whole cloud has one noise level."""
    if isinstance(t, Tensor) and t.ndim:
        what = "`t` must be one number in [0, 1] for the whole cloud"
        raise ValueError(complaint(what, f"a tensor of shape {tuple(t.shape)}", call))


def writes(one: object) -> list[int]:
    """How often torch wrote into each tensor of a dataclass; 0 in inference mode."""
    return [written(x) for x in tensors(one)]


def tensors(one: object) -> list[Tensor]:
    """All tensors of a dataclass, and of the dataclasses in it."""
    if isinstance(one, Tensor):
        return [one]
    parts = fields(one) if is_dataclass(one) else ()
    return [x for part in parts for x in tensors(getattr(one, part.name))]


def transformed(x: Tensor) -> bool:
    """Whether ``torch.func`` is tracing ``x``: then ``x`` has no memory of its own."""
    try:
        x.data_ptr()
    except RuntimeError:
        return True
    return False
