"""How many evaluations of the exact score an integrator needs until chance hides its error.

    python -m benchmarks.integrators        prints a table, writes benchmarks/integrators.json

The distance is W1 on the line and sliced W1 in the plane, between a cloud that was sampled and
clouds of exact draws; the floor is the same between two exact clouds. An integrator has arrived
with the fewest evaluations whose mean distance is within 1.5 floors.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import fsps_lite as fl

N, CLOUDS, STOP, ARRIVED = 20_000, 4, 1e-3, 1.5
DIRECTIONS = 8  # for clouds in the plane
EVALUATIONS = (2, 10, 20, 30, 50, 100)
Integrator = Callable[..., fl.Trajectory]


def ddim(*known, generator):
    return fl.ddim(*known)


def heun(*known, generator):
    return fl.heun(*known)


# Each with the number of scores that a step costs.
INTEGRATORS = {
    "exact kernel": (fl.exact_kernel, 1),
    "DPM-Solver++ 2M, eta = 0.6": (fl.dpm_solver, 1),
    "DPM-Solver++ 2M, eta = 1": (partial(fl.dpm_solver, eta=1.0), 1),
    "DPM-Solver++ 2M, eta = 0": (partial(fl.dpm_solver, eta=0.0), 1),
    "Heun (ODE)": (heun, 2),
    "DDIM (ODE)": (ddim, 1),
    "ancestral (DDPM)": (fl.ddpm, 1),
    "Euler-Maruyama": (fl.euler_maruyama, 1),
}


def problems() -> list[fl.Problem]:
    """Those of the gallery on which a distance of clouds can be resolved: d = 1 and 2."""
    return [problem for make in fl.problems.GALLERY if (problem := make()).prior.dim <= 2]


def distance(x, y, generator) -> float:
    if x.shape[1] == 1:
        return fl.wasserstein1(x, y)
    return fl.sliced_wasserstein(x, y, generator=generator, directions=DIRECTIONS)


def mean_distance(clouds, truths, generator) -> float:
    pairs = [distance(x, y, generator) for x in clouds for y in truths if x is not y]
    return sum(pairs) / len(pairs)


def over_floor(problem, integrator: Integrator, steps: int, spacing: str, truths, floor) -> float:
    """The mean distance of ``CLOUDS`` sampled clouds to exact ones, over that of exact ones."""
    g = torch.Generator().manual_seed(steps)
    grid = fl.times(problem.schedule, steps, stop=STOP, spacing=spacing)
    clouds = []
    for _ in range(CLOUDS):
        start = problem.schedule.noise(N, problem.prior.dim, generator=g, dtype=problem.prior.dtype)
        path = integrator(problem.posterior, problem.schedule, start, grid, generator=g)
        clouds.append(path.final)
    return mean_distance(clouds, truths, g) / floor


def reference(problem) -> tuple[list[torch.Tensor], float]:
    """Clouds of exact draws, and how far apart chance puts them."""
    g = torch.Generator().manual_seed(0)
    truths = [problem.posterior.sample(N, STOP, generator=g) for _ in range(2 * CLOUDS)]
    return truths, mean_distance(truths, truths, g)


def curve(problem, integrator, cost, spacing, truths, floor) -> dict[int, float]:
    """Distance over floor by evaluations, until it has arrived."""
    found = {}
    for evaluations in EVALUATIONS:
        steps = evaluations // cost
        found[evaluations] = over_floor(problem, integrator, steps, spacing, truths, floor)
        if found[evaluations] <= ARRIVED:
            break
    return found


def table() -> dict:
    """{problem: {spacing: {integrator: {evaluations: distance over floor}}}}."""
    found = {}
    for problem in problems():
        truths, floor = reference(problem)
        found[problem.name] = {
            spacing: {
                name: curve(problem, integrator, cost, spacing, truths, floor)
                for name, (integrator, cost) in INTEGRATORS.items()
            }
            for spacing in ("log_snr", "time")
        }
    return found


def arrival(curve: dict[int, float]) -> str:
    """The evaluations with which it arrived, or how far it still was with the most."""
    last = max(curve)
    return str(last) if curve[last] <= ARRIVED else f"{curve[last]:.1f} at {last}"


def main() -> None:
    torch.set_num_threads(1)
    found = table()
    print(f"evaluations to come within {ARRIVED} floors (n = {N:,}): even in log-SNR / in time")
    print(f"{'':<24}" + "".join(f"{name:<26}" for name in found))
    for integrator in INTEGRATORS:
        cells = [
            " / ".join(arrival(row[spacing][integrator]) for spacing in ("log_snr", "time"))
            for row in found.values()
        ]
        print(f"{integrator:<24}" + "".join(f"{cell:<26}" for cell in cells), flush=True)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"n": N, "distance over floor": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
