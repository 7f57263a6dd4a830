"""Answers to bad input: each says what is wrong, what was got, and the corrected call.

Not part of the public interface. A particle that diverged is a finding and not bad input, so the
values of a state are never checked here: only what it is (dtype and shape).
"""

from dataclasses import fields, is_dataclass

import torch
from torch import Tensor

ADVICE = "Call it like this:"
LONGEST = 500  # letters of what was got: a matrix may have millions


def complaint(what: str, got: object, call: str) -> str:
    """The one form of our error messages."""
    text = str(got)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"{what}, got {text}. {ADVICE} {call}"


def floating(name: str, value: object, call: str) -> None:
    """``value`` must be a tensor of a floating dtype."""
    if not isinstance(value, Tensor):
        raise TypeError(complaint(f"`{name}` must be a torch.Tensor", type(value).__name__, call))
    if not value.is_floating_point():
        raise TypeError(complaint(f"`{name}` must have a floating dtype", value.dtype, call))


def finite(name: str, value: Tensor, call: str) -> None:
    """``value`` must hold numbers only: no NaN, no infinity."""
    if value.numel() and all(end.isfinite() for end in value.detach().aminmax()):
        return  # without a temporary of the size of ``value``
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


def same_dtype(name: str, value: Tensor, other: str, dtype: torch.dtype, call: str) -> None:
    """``value`` must have the dtype of ``other``: mixed precision is a choice, not an accident."""
    if value.dtype != dtype:
        what = f"`{name}` must have the dtype of {other}, {dtype}"
        raise TypeError(complaint(what, value.dtype, call))


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
    entries = torch.as_tensor(value, dtype=torch.float64, device=device)
    above = entries >= 0 if zero else entries > 0
    if not bool((above & torch.isfinite(entries)).all()):
        what = f"`{name}` must be {'zero or more' if zero else 'positive'} and finite"
        got = value.tolist() if isinstance(value, Tensor) else value
        raise ValueError(complaint(what, got, call))


def count(name: str, value: int, call: str) -> None:
    """``value`` must be a whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(complaint(f"`{name}` must be a whole number above 0", repr(value), call))


def scalar_time(t: object, call: str) -> None:
    """``t`` must be one time: the whole cloud is at the same noise level."""
    if isinstance(t, Tensor) and t.ndim:
        what = "`t` must be one number in [0, 1] for the whole cloud"
        raise ValueError(complaint(what, f"a tensor of shape {tuple(t.shape)}", call))


def writes(one: object) -> list[int]:
    """How often torch wrote into each tensor of a dataclass; in inference mode nobody counts."""
    if isinstance(one, Tensor):
        return [0 if one.is_inference() else one._version]
    parts = fields(one) if is_dataclass(one) else ()
    return [count for part in parts for count in writes(getattr(one, part.name))]


def transformed(x: Tensor) -> bool:
    """Whether ``torch.func`` is tracing ``x``: such a tensor has no memory of its own."""
    try:
        x.data_ptr()
    except RuntimeError:
        return True
    return False
