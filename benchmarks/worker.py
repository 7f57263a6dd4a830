"""Times of a few cases, asked for one by one on standard input: run beside an older library.

``python benchmarks/worker.py`` with the library of a commit on the path; each line names a case,
and is answered by the seconds of the processor that one call took. Only what both have is called.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count

import torch

import fsps_lite as fl

SIGMAS = (1.0, 2.0, 4.0, 6.0)  # over alpha: steps that were float64, and need it no longer


def time_at(ratio: float) -> float:
    """When sigma / alpha of VP() is that: from alpha^2 = 1 / (1 + ratio^2)."""
    log_alpha_bar, slope = math.log1p(ratio**2), 20.0 - 0.01
    return (math.sqrt(0.01**2 + 2 * slope * log_alpha_bar) - 0.01) / slope


def changing(x: torch.Tensor) -> Iterator[torch.Tensor]:
    """A cloud that is never the same twice."""
    return (x * (1 + i * 2**-20) for i in count(1))


def wide() -> Callable[[], object]:
    """Scores of 5,000 float32 atoms of 784 numbers, smooth as images are."""
    g = torch.Generator().manual_seed(0)
    atoms = torch.randn(5000, 784, generator=g).cumsum(1)
    known = fl.Diffusion(fl.Empirical.from_samples(atoms / atoms.std()), fl.VP())
    steps = [(time_at(s), changing(known.sample(256, time_at(s), generator=g))) for s in SIGMAS]
    return lambda: [known.score(next(x), t) for t, x in steps]


def dps() -> Callable[[], object]:
    """DPS on the digits, over the times of a run."""
    prior, g = fl.digits.load().prior, torch.Generator().manual_seed(0)
    atoms = prior.atoms
    matrix = torch.eye(64, dtype=atoms.dtype)[::2]
    likelihood = fl.Likelihood(fl.Linear(matrix), matrix @ atoms[3], 0.5)
    known = fl.Diffusion(prior, fl.VP())
    method = fl.DPS(known, likelihood)
    times = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7]
    steps = [(t, changing(known.sample(500, t, generator=g))) for t in times]
    return lambda: [method(next(x), t) for t, x in steps]


def ancestral() -> Callable[[], object]:
    """A hundred ancestral steps of 2,000 particles on the trimodal problem."""
    problem = fl.problems.trimodal()
    g = torch.Generator().manual_seed(0)
    clouds = changing(torch.randn(2000, 1, generator=g, dtype=torch.float64))
    grid = torch.linspace(1.0, 1e-3, 101, dtype=torch.float64)
    posterior = problem.posterior
    return lambda: fl.ddpm(posterior, problem.schedule, next(clouds), grid, generator=g)


def diagnosis(name: str) -> Callable[[], object]:
    """A report on one problem of the gallery."""
    problem, seeds = getattr(fl.problems, name)(), count()
    return lambda: fl.diagnose(problem, fl.DPS, seed=next(seeds), n=2000, steps=250)


CASES = {"wide": wide, "dps": dps, "ancestral": ancestral}


def case(name: str) -> Callable[[], object]:
    return diagnosis(name.removeprefix("diagnose ")) if " " in name else CASES[name]()


def main() -> None:
    torch.set_num_threads(1)
    ready: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            ready[name] = case(name)
            ready[name]()
        start = time.process_time()
        ready[name]()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
