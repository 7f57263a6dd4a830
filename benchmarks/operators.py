"""What large linear problems cost, beside what was promised: python -m benchmarks.operators.

On one thread. "over" is the memory that a call needs at most, over that of its data.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import fsps_lite as fl
from benchmarks.case import peak

SHAPE = 3, 256, 256
D = 3 * 256 * 256


@dataclass(frozen=True)
class Row:
    """Seconds of one call, MB that it needs, MB of its data, and the most of each."""

    name: str
    call: Callable[[], object]
    data_mb: float
    most_s: float
    most_over: float | None = None

    def measure(self) -> tuple[float, float | None]:
        start = time.perf_counter()
        self.call()
        seconds = time.perf_counter() - start
        return seconds, peak(self.call)

    def text(self) -> str:
        seconds, mb = self.measure()
        most = f"{self.most_over * self.data_mb:.0f}" if self.most_over else ""
        over = "-" if mb is None else f"{mb:.0f}"
        return f"{self.name:<52} {seconds:>7.2f} {self.most_s:>5g} {over:>8} {most:>8}"


def conditioning(noise_std: float | torch.Tensor = 10.0) -> Row:
    """50,000 atoms of 1,024 float32 numbers, conditioned on half of them."""
    atoms = torch.randn(50_000, 1024, generator=torch.Generator().manual_seed(0))
    prior, observed = fl.Empirical.from_samples(atoms), torch.arange(1024) < 512
    operator = fl.mask(observed, dtype=torch.float32)
    likelihood = fl.Likelihood(operator, operator(atoms[0]), noise_std)
    megabytes = atoms.numel() * 4e-6
    full = isinstance(noise_std, torch.Tensor)
    name = "the same, with correlated noise" if full else "condition 50,000 x 1,024 atoms on half"
    return Row(name, lambda: prior.condition(likelihood), megabytes, 1.0, 1.0)


def guided(method: type[fl.Guidance], operator: fl.Linear, name: str, most: float) -> Row:
    """Twenty steps on an image, with the denoiser of a standard Gaussian."""
    g = torch.Generator().manual_seed(0)
    denoiser = fl.Denoiser(lambda x, a, s: a * x / (a**2 + s**2), dim=D)
    prior = fl.Diffusion(denoiser, fl.VP())
    x = torch.randn(1, D, generator=g, dtype=torch.float64)
    likelihood = fl.Likelihood(operator, operator(x[0]), 0.1)
    grid = fl.times(prior.schedule, 20)

    def run() -> None:
        end = fl.ddim(method(prior, likelihood), prior.schedule, x, grid).x[-1]
        assert end.isfinite().all()

    return Row(f"20 steps of {method.__name__}, {name}", run, 8e-6 * D, most)


def rows() -> list[Callable[[], Row]]:
    half = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) < 0.5
    return [
        conditioning,
        lambda: conditioning(10 * torch.eye(512) + torch.ones(512, 512).tril(-1) / 100),
        lambda: guided(fl.DPS, fl.mask(half), "half of 3 x 256 x 256 pixels", 10.0),
        lambda: guided(fl.PiGDM, fl.mask(half), "the same", 10.0),
        lambda: guided(fl.TMPD, fl.mask(half), "the same", 20.0),
        lambda: guided(fl.DPS, fl.blur(SHAPE, 2.0), "a blur of them", 20.0),
        lambda: guided(fl.PiGDM, fl.downsample(SHAPE, 4), "blocks of 4 x 4", 20.0),
        lambda: guided(fl.PiGDM, fl.fourier_samples(half), "half of their Fourier samples", 20.0),
    ]


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'':<52} {'s':>7} {'most':>5} {'over, MB':>8} {'most':>8}")
    for row in rows():
        print(row().text(), flush=True)


if __name__ == "__main__":
    main()
