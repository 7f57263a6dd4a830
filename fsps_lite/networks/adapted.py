"""A network of somebody else as the function of a Denoiser: asked in its own terms, and checked."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.networks.levels import Level, Levels
from fsps_lite.types import Scale, State

Network = Callable[[Tensor, Tensor], Tensor]  # (n, *shape) and (n,) to (n, *shape)
Read = Callable[[Tensor, Tensor, Level], Tensor]  # what the network saw, said, and where
Outside = Literal["extend", "error"]
USUAL = 1e6  # what a network sees is about 1; a particle that diverged is no fault of it
DTYPES = ("dtype", "Input type", "scalar type")  # in the errors of torch for mixed ones
CALL = "eps_prediction(network, Table.of_betas(betas), (1, 28, 28))"


@dataclass(frozen=True)
class Adapted:
    """The ``fn`` of a Denoiser: (x, alpha, sigma) in the network's own terms, and back."""

    network: Network
    levels: Levels
    shape: tuple[int, ...]
    read: Read
    outside: Outside
    dtype: torch.dtype

    def __call__(self, x: State, alpha: Scale, sigma: Scale) -> State:
        low, high = self.levels.lowest, self.levels.highest
        s = float(sigma) / float(alpha) if float(alpha) else inf
        if self.outside == "error" and not low * (1 - 1e-9) <= s <= high * (1 + 1e-9):
            what = f"the network knows noise levels sigma / alpha from {low:.4g} to {high:.4g}"
            call = "start and stop of the run inside them, or outside='extend'"
            raise ValueError(checks.complaint(what, f"{s:.4g}", call))
        clean = x.double() * (high / float(sigma)) if s > high else x.double() / float(alpha)
        parts = [w * self._asked(clean, at) for w, at in self.levels.near(min(max(s, low), high))]
        mean = sum(parts, torch.zeros_like(clean))
        return (clean + (s / low) ** 2 * (mean - clean) if s < low else mean).to(x.dtype)

    def _asked(self, x: Tensor, at: Level) -> Tensor:
        """E[x_0] for x = x_0 + s eps in float64, ``(*batch, d)``; the network in its own dtype."""
        u = (at.a * x).reshape(-1, *self.shape)
        told = u.to(self._own(u)).clone()
        kind = told.dtype if isinstance(at.condition, float) else torch.int64
        condition = torch.full((len(u),), at.condition, dtype=kind, device=told.device)
        before = checks.written(told)
        answer = self._answered(told, condition)
        checks.unwritten("network", told, before, CALL)
        _check_answer(answer, told, condition)
        return self.read(u, answer.to(u), at).reshape(x.shape)

    def _answered(self, told: Tensor, condition: Tensor) -> Tensor:
        try:
            return self.network(told, condition)
        except RuntimeError as error:
            if not any(word in str(error) for word in DTYPES):
                raise
            what = f"`network` must take {told.dtype}, and conditions of {condition.dtype}"
            call = "lambda u, c: network(u.float(), c).to(u.dtype), where it computes in float32"
            raise TypeError(checks.complaint(what, error, call)) from error

    def _own(self, u: Tensor) -> Tensor:
        """A tensor of the dtype in which the network computes, where it does."""
        weights = self.network.parameters() if isinstance(self.network, torch.nn.Module) else ()
        return next(iter(weights), u.new_empty(0, dtype=self.dtype))


def _check_answer(answer: object, told: Tensor, condition: Tensor) -> None:
    """``answer`` must be such as what the network was told, and finite where that is usual."""
    if not isinstance(answer, Tensor):
        what = "`network` must return a tensor"
        call = "lambda u, c: network(u, c).sample, or network(u, c)[0], where that is its answer"
        raise TypeError(checks.complaint(what, type(answer).__name__, call))
    if answer.shape != told.shape or answer.dtype != told.dtype:
        what = f"`network` must return a tensor like x, {tuple(told.shape)} {told.dtype}"
        call = "lambda u, c: network(u, c).to(u.dtype)"
        if answer.shape != told.shape:
            some = told.shape[1]
            call = f"lambda u, c: network(u, c)[:, :{some}], if it says a variance beside the mean"
        got = f"{tuple(answer.shape)} {answer.dtype}"
        raise ValueError(checks.complaint(what, got, call))
    if checks.transformed(told) or checks.transformed(answer):
        return
    usual = told.detach().flatten(1).abs().amax(-1) < USUAL
    lost = usual & ~answer.detach().flatten(1).isfinite().all(-1)
    if bool(lost.any()):
        what = "`network` must answer what is finite by what is finite"
        got = f"NaN or infinity in {int(lost.sum())} of {len(lost)}, told {condition[lost][0]}"
        raise ValueError(checks.complaint(what, got, CALL))
