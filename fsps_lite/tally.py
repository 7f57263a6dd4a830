"""Counts how often a prior is asked, while somebody wants to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Tally:
    """How often a prior was asked what it knows of x_0, and for products with its Jacobian."""

    denoised: int = 0
    backward: int = 0


_current: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    """Inside, every question to a prior is counted in ``tally``, and in no other."""
    token = _current.set(tally)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def asked(*, denoised: int = 0, backward: int = 0) -> Iterator[None]:
    """Add to the tally that is open, if there is one; what is asked inside does not count again."""
    tally = _current.get()
    if tally is None:
        yield
        return
    tally.denoised += denoised
    tally.backward += backward
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def watch(x: Tensor) -> None:
    """Count each backward pass that arrives at ``x``, if a tally is open."""
    tally = _current.get()
    if tally is None or not x.requires_grad:
        return

    def arrived(gradient: Tensor) -> None:
        tally.backward += 1

    x.register_hook(arrived)
