"""Networks of others as a prior: whatever they predict, the mean of x_0 is read off it.

A network is asked at the level s = sigma / alpha of its own training: it sees u = a x_0 + b eps
with b / a = s, which is x_t in another scale, and each function below says what it answers.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from inspect import Signature, signature

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.networks.adapted import CALL, Adapted, Network, Outside, Read
from fsps_lite.networks.levels import Level, Levels, Preconditioned, Times
from fsps_lite.priors import Denoiser
from fsps_lite.schedules import FlowMatching


def eps_prediction(
    network: Network,
    levels: Levels,
    shape: tuple[int, ...],
    *,
    outside: Outside = "extend",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """A network that predicts the noise: E[x_0] = (u - b eps) / a (Ho et al., 2020).

    ``network(u, condition)`` takes ``(n, *shape)`` and ``(n,)`` and answers ``(n, *shape)``.
    ``shape`` is (C, H, W), or (d,) for a network of rows. ``levels`` are a :class:`Table` or
    :class:`Times`. The condition is whole numbers where the levels are a table. The prior takes
    clouds in ``dtype``, float32 or float64; a module computes in the dtype and on the device of its
    own weights. Below the lowest level s_min the mean is x + (s / s_min)^2 (m(s_min) - x), for x =
    x_t / alpha; above the highest it is asked at x s_max / s. With ``outside="error"`` it raises
    ValueError there, and always where the answer has another shape or dtype, or is not finite.
    1 / a amplifies the rounding of a float32 network at high noise: 2e-5 of the data's size.
    """
    return _prior(network, levels, shape, _of_eps, outside, dtype)


def x0_prediction(
    network: Network,
    levels: Levels,
    shape: tuple[int, ...],
    *,
    outside: Outside = "extend",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """A network that predicts x_0 itself. The rest is as for :func:`eps_prediction`."""
    return _prior(network, levels, shape, _of_x0, outside, dtype)


def v_prediction(
    network: Network,
    levels: Levels,
    shape: tuple[int, ...],
    *,
    outside: Outside = "extend",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """A network that predicts v = a eps - b x_0 (Salimans and Ho, 2022): E[x_0] = a u - b v.

    a^2 + b^2 = 1; where it is not, the mean is divided by it. The rest is as for
    :func:`eps_prediction`.
    """
    return _prior(network, levels, shape, _of_v, outside, dtype)


def flow_prediction(
    network: Network,
    shape: tuple[int, ...],
    *,
    levels: Levels | None = None,
    outside: Outside = "extend",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """A network that predicts eps - x_0, where u = (1 - t) x_0 + t eps (Lipman et al., 2023).

    E[x_0] = u - t (eps - x_0). It is told t, from .001 to .999; ``levels`` are other :class:`Times`
    of ``FlowMatching()``. For a network whose time runs from noise to data, give ``Times(
    FlowMatching(), condition=lambda t: 1 - t)`` and a network with the sign turned. The rest is as
    for :func:`eps_prediction`.
    """
    levels = Times(FlowMatching(), 1e-3, 0.999) if levels is None else levels
    return _prior(network, levels, shape, _of_flow, outside, dtype)


def edm(
    network: Network,
    shape: tuple[int, ...],
    *,
    sigma_data: float = 0.5,
    levels: tuple[float, float] = (0.002, 80.0),
    outside: Outside = "extend",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """The network F inside the preconditioning of (Karras et al., 2022), for x = x_t / alpha.

    E[x_0] = sigma_data^2 / S x + s sigma_data / sqrt(S) F(x / sqrt(S), ln(s) / 4), where S = s^2 +
    sigma_data^2. ``levels`` are the lowest and the highest s that it was trained for. A network
    that has its preconditioning inside, and is told s, is an :func:`x0_prediction` with the levels
    ``Times(VE(), 0.03, condition=lambda t: float(VE().sigma(t)))``. The rest is as for
    :func:`eps_prediction`.
    """
    call = "edm(network, (3, 32, 32), sigma_data=0.5, levels=(0.002, 80.0))"
    checks.number("sigma_data", sigma_data, call)
    checks.positive("sigma_data", sigma_data, call)
    if not isinstance(levels, tuple) or len(levels) != 2:
        what = "`levels` must be the lowest and the highest s"
        raise TypeError(checks.complaint(what, checks.described(levels), call))
    for name, level in zip(("levels[0]", "levels[1]"), levels, strict=True):
        checks.number(name, level, call)
        checks.positive(name, level, call)
    known = Preconditioned(*levels, sigma_data)
    return _prior(network, known, shape, _Edm(sigma_data), outside, dtype)


def _of_eps(u: Tensor, eps: Tensor, at: Level) -> Tensor:
    return (u - at.b * eps) / at.a


def _of_x0(u: Tensor, x0: Tensor, at: Level) -> Tensor:
    return x0


def _of_v(u: Tensor, v: Tensor, at: Level) -> Tensor:
    return (at.a * u - at.b * v) / (at.a**2 + at.b**2)


def _of_flow(u: Tensor, flow: Tensor, at: Level) -> Tensor:
    return (u - at.b * flow) / (at.a + at.b)


@dataclass(frozen=True)
class _Edm:
    """c_skip x + c_out F, in terms of u = c_in x."""

    sigma_data: float

    def __call__(self, u: Tensor, answer: Tensor, at: Level) -> Tensor:
        return self.sigma_data * at.a * (self.sigma_data * u + at.s * answer)


def _prior(
    network: Network,
    levels: Levels,
    shape: tuple[int, ...],
    read: Read,
    outside: Outside,
    dtype: torch.dtype,
) -> Denoiser:
    _check(network, levels, shape, dtype)
    if outside not in ("extend", "error"):
        what = "`outside` must be 'extend' or 'error'"
        raise ValueError(checks.complaint(what, repr(outside), CALL))
    if not levels.lowest < levels.highest:
        what = "`levels` must go from a lower one to a higher one"
        raise ValueError(checks.complaint(what, (levels.lowest, levels.highest), CALL))
    fn = Adapted(network, levels, tuple(shape), read, outside, dtype)
    return Denoiser(fn, math.prod(shape), dtype)


def _check(network: Network, levels: Levels, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    checks.function("network", network, CALL)
    asked = network.forward if isinstance(network, torch.nn.Module) else network
    with suppress(ValueError):  # what is written in C does not say what it takes
        _check_arguments(signature(asked))
    if not isinstance(levels, Levels) or isinstance(levels, type):
        what = "`levels` must be a Table or Times: the noise levels of the network's training"
        raise TypeError(checks.complaint(what, checks.described(levels), CALL))
    checks.kind("shape", shape, tuple, CALL)
    checks.count("len(shape)", len(shape), CALL)
    for size in shape:
        checks.count("shape", size, CALL)
    if dtype not in (torch.float32, torch.float64):
        what = "`dtype` must be torch.float32 or torch.float64"
        raise TypeError(checks.complaint(what, repr(dtype), CALL))


def _check_arguments(known: Signature) -> None:
    try:
        known.bind(None, None)
    except TypeError as error:
        call = "lambda u, condition: network(u)"
        what = "`network` must take two arguments, the noisy images and the condition of each"
        raise TypeError(checks.complaint(what, error, call)) from None
