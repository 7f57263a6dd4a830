"""Train a denoiser from the shell, and look how well it denoises.

    python -m fsps_lite.networks train --out digits.npz
    python -m fsps_lite.networks train FOLDER --out mine.npz --size 32 32 --steps 4000
    python -m fsps_lite.networks errors mine.npz FOLDER --size 32 32

Without a FOLDER or a file of pictures it is trained on the digits. A training that was stopped goes
on where it was when the same command is given again. One of 20 pictures is held out.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.datasets import digits, files
from fsps_lite.networks import weights
from fsps_lite.networks.errors import denoising_error
from fsps_lite.networks.training import train
from fsps_lite.priors import Empirical
from fsps_lite.saving import check_target
from fsps_lite.types import Prior

STOPPED = 130  # the exit status of a command that Control-C stopped
LEVELS = (0.2, 0.5, 1.0, 2.0, 8.0)
MOST_THREADS = 256
TOLD = 100  # steps between two lines of progress


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        checks.count("--threads", options.threads, "--threads 1", most=MOST_THREADS)
        torch.set_num_threads(options.threads)
        (_train if options.command == "train" else _errors)(options)
    except (ValueError, TypeError, FileNotFoundError) as error:
        if checks.ADVICE not in str(error):
            raise
        print(f"fsps_lite: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fsps_lite: stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fsps_lite.networks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="train a U-Net and write its weights")
    one.add_argument("pictures", nargs="?", help="a folder or a file (default: the digits)")
    one.add_argument("--out", required=True, help="the file of the weights, .npz")
    one.add_argument("--checkpoint", help="a file to go on from, which is kept (default: by OUT)")
    one.add_argument("--steps", type=int, default=4000)
    one.add_argument("--channels", type=int, default=16)
    one.add_argument("--seed", type=int, default=0)
    other = commands.add_parser("errors", help="the error on held-out pictures, level by level")
    other.add_argument("weights", help="the file of the weights")
    other.add_argument("pictures", nargs="?", help="a folder or a file (default: the digits)")
    for command in (one, other):
        command.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
        size = "resize the pictures of a folder"
        command.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help=size)
        command.add_argument("--grey", action="store_true", help="take their colour away")
    return parser


def _train(options: argparse.Namespace) -> None:
    call = "python -m fsps_lite.networks train --out digits.npz"
    check_target("--out", options.out, call)
    seen, _, shape = _data(options)
    checkpoint = Path(options.checkpoint or f"{options.out}.run.pt")
    trained = train(
        seen,
        shape,
        steps=options.steps,
        channels=options.channels,
        seed=options.seed,
        checkpoint=checkpoint,
        progress=Told(options.steps),
    )
    weights.save(trained, options.out)
    if options.checkpoint is None:
        checkpoint.unlink()
    print(f"The weights are in {options.out}.")


def _errors(options: argparse.Namespace) -> None:
    network = weights.load(options.weights)
    seen, held_out, shape = _data(options)
    if network.dim != seen.shape[1]:
        what = f"{options.weights} is a network of {network.dim} numbers, and must fit the pictures"
        call = "python -m fsps_lite.networks errors mine.npz FOLDER, the one of its training"
        raise ValueError(checks.complaint(what, f"pictures of shape {shape}", call))
    priors: tuple[Prior, Prior] = network, Empirical.from_samples(seen)
    print("noise level   network           empirical")
    for s in LEVELS:
        g = [torch.Generator("cpu").manual_seed(0) for _ in range(2)]
        pair = [
            denoising_error(prior, held_out, s, generator=one)
            for prior, one in zip(priors, g, strict=True)
        ]
        print(f"{s:11g}   {pair[0]!s:15}   {pair[1]}")


def _data(
    options: argparse.Namespace,
) -> tuple[Float[Tensor, "N d"], Float[Tensor, "M d"], tuple[int, int, int]]:
    """Those that may be seen, those that are held out, and their shape (C, H, W)."""
    if options.pictures is None:
        known = digits.load()
        return known.images, known.held_out, (1, digits.SIDE, digits.SIDE)
    size = None if options.size is None else (options.size[0], options.size[1])
    data = files.load(options.pictures, size=size, grey=options.grey)
    seen, held_out = data.split()
    channels, height, width = (1, *data.shape)[-3:]
    return seen.images, held_out.images, (channels, height, width)


@dataclass
class Told:
    """Says how far a training is, and how long it will still take."""

    steps: int
    first: int = 0
    losses: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, loss: float) -> None:
        self.first = self.first or done
        self.losses.append(loss)
        if done % TOLD and done != self.steps:
            return
        spent = time.monotonic() - self.started
        left = spent / (done - self.first + 1) * (self.steps - done)
        mean = sum(self.losses) / len(self.losses)
        print(f"step {done} of {self.steps}, loss {mean:.4f}, {left:.0f} s left", flush=True)
        self.losses.clear()


if __name__ == "__main__":
    sys.exit(main())
