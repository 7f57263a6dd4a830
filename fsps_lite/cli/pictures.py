"""Somebody's own pictures as a problem, and the network that was trained on them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fsps_lite import networks
from fsps_lite.cli.clouds import read
from fsps_lite.cli.names import find_problem, made
from fsps_lite.cli.unknown import Unknown, unknown
from fsps_lite.datasets import digits, files
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear, Nonlinear, blur, downsample, mask
from fsps_lite.problems import Problem
from fsps_lite.types import Prior

Operator = Linear | Nonlinear
SHARE = 20  # of so many pictures one is held out, as for `python -m fsps_lite.networks train`
DIGITS = "digits_"  # how the problems of the gallery begin whose held-out pictures are known
NETWORK = (
    "a Denoiser, or a function without arguments that returns one, such as "
    "networks.eps_prediction(network, Table.of_betas(betas), (1, 28, 28))"
)
ALONE = ("operator", "noise_std", "picture", "size", "grey")  # options that need --data
PROBLEM, OPERATOR, NOISE_STD = "trimodal", "half", 1.0


@dataclass(frozen=True)
class Asked:
    """What a command is about: a problem, and a learned denoiser with data that it has not seen."""

    problem: Problem
    network: Prior | None = None
    held_out: Tensor | None = None


def asked(options: argparse.Namespace) -> Asked:
    """The problem of ``--problem``, or of the pictures of ``--data``; and ``--network``.

    Raises Unknown where the options do not go together.
    """
    if options.data is None:
        _refuse(options, ALONE, "--data")
        problem, held_out = find_problem(options.problem or PROBLEM), None
        if (options.problem or "").startswith(DIGITS):
            held_out = digits.load().held_out
    elif options.problem is not None:
        raise Unknown("--problem and --data exclude each other: both name a prior")
    else:
        problem, held_out = _of_pictures(options)
    if options.network is None:
        _refuse(options, ("held_out",), "--network")
        return Asked(problem)
    if options.held_out is not None:
        held_out = _held_out(options.held_out, problem)
    return Asked(problem, find_network(options.network), held_out)


def _of_pictures(options: argparse.Namespace) -> tuple[Problem, Tensor]:
    """One of the pictures that are held out is measured; the others are held out, too."""
    try:
        size = None if options.size is None else (options.size[0], options.size[1])
        data = files.load(options.data, size=size, grey=bool(options.grey))
    except FileNotFoundError as error:
        raise Unknown(str(error)) from error
    seen, others = data.split(max(2, len(data.images) // SHARE))
    index = options.picture or 0
    if not 0 <= index < len(others.images):
        last = len(others.images) - 1
        raise Unknown(f"--picture must be one of those held out, from 0 to {last}, got {index}")
    operator = find_operator(options.operator or OPERATOR, seen.shape)
    std = NOISE_STD if options.noise_std is None else options.noise_std
    image, g = others.images[index], torch.Generator().manual_seed(index)
    y = Likelihood(operator, torch.zeros_like(operator(image)), std).simulate(image, generator=g)
    parts = None if seen.labels is None else seen.partition
    known = Likelihood(operator, y, std)
    return Problem(Path(options.data).stem, seen.prior, known, partition=parts), others.images


def find_network(name: str) -> Prior:
    """A file that ``networks.save`` wrote, or ``module:name``: a prior, or what makes one.

    Raises Unknown where there is none.
    """
    if Path(name).suffix == ".npz" or ":" not in name:
        try:
            return networks.load(name)
        except FileNotFoundError as error:
            what = f"no file {name!r} with the weights of a network; your own is module:name"
            raise Unknown(what) from error
    found = made(name, (Prior,), NETWORK)
    assert isinstance(found, Prior)
    return found


def find_operator(name: str, shape: tuple[int, ...]) -> Operator:
    """An operator for pictures of this shape: by name, or ``module:make``, called with the shape.

    Raises Unknown where there is none.
    """
    if ":" not in name:
        if name not in OPERATORS:
            raise Unknown(unknown("operator", name, OPERATORS) + "; your own is module:make")
        return OPERATORS[name](shape)
    what = "a function of the shape that returns a Linear or a Nonlinear"
    found = made(name, (Linear, Nonlinear), what, shape)
    assert isinstance(found, Linear | Nonlinear)
    return found


def _half(shape: tuple[int, ...]) -> Operator:
    """The lower half of the picture is seen."""
    seen = torch.zeros(shape, dtype=torch.bool)
    seen[..., shape[-2] // 2 :, :] = True
    return mask(seen)


OPERATORS: dict[str, Callable[[tuple[int, ...]], Operator]] = {
    "half": _half,
    "downsample": lambda shape: downsample(shape, 2),  # type: ignore[arg-type]
    "blur": lambda shape: blur(shape, 1.5),  # type: ignore[arg-type]
}


def _held_out(name: str, problem: Problem) -> Tensor:
    """Rows of a file in the units of the problem, or of ``module:name``."""
    if ":" not in name:
        return read(name, dtype=problem.prior.dtype).x
    what = "a tensor (M, d), or a function without arguments that returns one"
    found = made(name, (Tensor,), what)
    assert isinstance(found, Tensor)
    return found


def _refuse(options: argparse.Namespace, names: tuple[str, ...], needed: str) -> None:
    """Raise where an option was given that says nothing without another."""
    for name in names:
        if vars(options)[name] is not None:
            raise Unknown(f"--{name.replace('_', '-')} needs {needed}")
