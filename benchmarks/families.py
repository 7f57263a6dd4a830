"""The weight that each family gives to the atom at -1 of `two_atoms`, beside the truth, .083.

    python -m benchmarks.families           all, about two minutes on one core
    python -m benchmarks.families TDS       those whose name holds this text

Every method starts from the same noise and takes 250 steps, even in log-SNR; scores are run by
ancestral steps. The error is that of independent particles, or of independent runs.
"""

import math
import sys
import warnings
from collections.abc import Callable
from functools import partial

import torch

import fsps_lite as fl

N, STEPS = 4000, 250


def chosen(make: Callable, **parameters: object) -> Callable:
    """A method with other parameters."""
    return lambda prior, likelihood: make(prior, likelihood, **parameters)


flat = chosen(fl.PiGDM, data_var=math.inf)
METHODS = {
    "exact": lambda prior, likelihood: PROBLEM.posterior,
    "DPS": fl.DPS,
    "SDA, gamma .01": fl.SDA,
    "LGD, 1 draw": chosen(fl.LGD, draws=1),
    "LGD, 3 draws": chosen(fl.LGD, draws=3),
    "LGD, 10 draws": chosen(fl.LGD, draws=10),
    "LGD, 64 draws": chosen(fl.LGD, draws=64),
    "PiGDM": fl.PiGDM,
    "TMPD": fl.TMPD,
    "MMPS, 1 iteration": fl.MMPS,
    "DMPS": fl.DMPS,
    "DAPS, exact inner step": chosen(fl.DAPS, inner=None),
    "DAPS, exact, h = m": chosen(fl.DAPS, inner=None, ode_steps=1),
    "DAPS, tau .01": chosen(fl.DAPS, tau=0.01),
    "DAPS, tau = noise_std": fl.DAPS,
    "DiffPIR, lam 1, zeta 1": chosen(fl.DiffPIR, lam=1.0, zeta=1.0),
    "DiffPIR, lam 7, zeta .1": chosen(fl.DiffPIR, lam=7.0, zeta=0.1),
    "DiffPIR, lam .3, zeta 1": chosen(fl.DiffPIR, lam=0.3, zeta=1.0),
    "PnPDM": fl.PnPDM,
    "DDRM": fl.DDRM,
    "DDNMPlus": fl.DDNMPlus,
    "DDNM": fl.DDNM,
    "REDDiff": fl.REDDiff,
    "RePaint": fl.RePaint,
    "TDS, twist DPS": fl.TDS,
    "TDS, twist PiGDM": chosen(fl.TDS, twist=fl.PiGDM),
    "TDS, twist TMPD": chosen(fl.TDS, twist=fl.TMPD),
    "TDS, twist flat": chosen(fl.TDS, twist=flat),
    "MCGDiff": fl.MCGDiff,
    "MCGDiff, 1000 particles": chosen(fl.MCGDiff, particles=1000),
    "MCGDiff, no final weights": chosen(fl.MCGDiff, final_weights=False),
}
PROBLEM = fl.problems.two_atoms()


def samples(method: Callable, seed: int = 0) -> fl.Samples:
    """What a method answers from the common start."""
    grid, g = fl.times(PROBLEM.schedule, STEPS), torch.Generator().manual_seed(seed)
    x = PROBLEM.schedule.noise(N, 1, t=grid[0], generator=g)
    made = method(PROBLEM.diffusion, PROBLEM.likelihood)
    if isinstance(made, fl.Sampler):
        return made(x, grid, generator=g)
    return fl.Samples(fl.ddpm(made, PROBLEM.schedule, x, grid, generator=g).final, grid[-1])


def weight(found: fl.Samples) -> fl.Estimate:
    """The weight of -1, by runs where there are some."""
    low = (found.x[:, 0] < 0).double()
    if found.runs is None:
        share = float(low.mean())
        return fl.Estimate(share, math.sqrt(max(share * (1 - share), 1 / len(low)) / len(low)))
    mass = torch.ones_like(low) if found.log_weights is None else found.log_weights.exp()
    count = int(found.runs.max()) + 1
    total = partial(torch.zeros(count, dtype=low.dtype).index_add, 0, found.runs)
    return fl.Estimate.of(total(mass * low) / total(mass))


def main(wanted: str = "") -> None:
    """Print one line for each method."""
    warnings.filterwarnings("ignore", message=".*diverged")
    torch.set_num_threads(1)
    print(f"weight of -1; the truth is {fl.theory.true_weight(1.0, 0.3, 0.5):.4f}")
    for name, method in METHODS.items():
        if wanted in name:
            found = samples(method)
            print(f"{name:28}{weight(found)!s:>18}   spread {float(found.x.abs().std()):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
