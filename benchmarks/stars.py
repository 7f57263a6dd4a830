"""How often a report has a star where it should have none, and where it should.

    python -m benchmarks.stars            goes on where it was stopped, writes benchmarks/stars.json
    python -m benchmarks.stars --seconds 300    stops after that time

False alarms: a sampler that is right, in every kind, on every problem of the gallery, against the
exact sampler. Each cluster is one `compare` of COPIES samplers a kind, which share the exact run
and the direct draws, and nothing else; so its reports are not independent of each other. Scores and
steps take few ancestral steps, with noise of their own: there the exact sampler itself is off the
truth. Power: one report a seed, of methods that are wrong. Beside the rule of the library stands
the one before it: four joint standard errors. The path KL is left out of both: it has no noise.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import torch

import fsps_lite as fl
from fsps_lite.samplers.kernels import ddpm_kernel, drawn

PLACE = Path(__file__).with_suffix(".json")
TABLE = PLACE.with_suffix(".md")
N, STEPS, COPIES = 200, 30, 6
CLUSTERS, OF_DATA = 4, 1  # seeds a problem; for those with data
RUNS, ANCESTORS = 20, 2  # of dependent particles, and different ones in each run
POWER, SEEDS = 200, 20  # particles and reports for the power
KINDS = {
    "score": "a score, in other noise",
    "step": "a step, in other noise",
    "samples": "finished samples",
    "runs": "dependent particles, two ancestors a run",
    "weighted": "weighted draws of the prior",
    "smc": "weighted and resampled within runs",
}
ROWS = {"distance": "distance", "spread_end": "spread at the end", "weight": "any weight"}
Make = Callable[[int], object]  # a seed -> a method


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posterior(task: fl.Task) -> fl.Diffusion:
    return fl.Diffusion(task.prior.prior.condition(task.likelihood), task.schedule)


def kinds(problem: fl.Problem) -> dict[str, Make]:
    """A sampler that is right, by its kind, made from a seed."""
    exact = problem.posterior

    def score(seed: int) -> fl.Scored:
        def run(score, schedule, x, t, *, generator):
            g = torch.Generator().manual_seed(seed)
            first = schedule.noise(len(x), x.shape[1], t=t[0], generator=g, dtype=x.dtype)
            return fl.ddpm(score, schedule, first, t, generator=g)

        return fl.Scored(lambda task: fl.Diffusion(exact.prior, exact.schedule), integrator=run)

    def step(seed: int) -> fl.Stepped:
        def made(task: fl.Task):
            def one(x, t, s, generator):
                g = torch.Generator().manual_seed(seed + int(1e9 * t))  # the same when asked again
                return drawn(*ddpm_kernel(exact, task.schedule, x, t, s), g)

            return one

        return fl.Stepped(made)

    def samples(seed: int) -> fl.Samples:
        return fl.Samples(exact.prior.sample(N, generator=generator(seed)))

    def runs(seed: int) -> fl.Samples:
        """Copies of few ancestors in each run."""
        x = exact.prior.sample(RUNS * ANCESTORS, generator=generator(seed))
        each = N // RUNS // ANCESTORS
        return fl.Samples(
            x.repeat_interleave(each, 0), runs=torch.arange(RUNS).repeat_interleave(N // RUNS)
        )

    def weighted(seed: int) -> fl.Samples:
        """Draws of the prior with the weights of the likelihood."""
        x = problem.prior.sample(N, generator=generator(seed))
        return fl.Samples(x, log_weights=problem.likelihood.log_prob(x))

    def smc(seed: int) -> fl.Samples:
        """In each run, draws of the prior resampled by the likelihood; it weighs its evidence."""
        g, size = generator(seed), N // RUNS
        x = problem.prior.sample(RUNS * size * 10, generator=g).reshape(RUNS, size * 10, -1)
        logs = problem.likelihood.log_prob(x.flatten(0, 1)).reshape(RUNS, -1)
        picked = logs.double().softmax(1).multinomial(size, True, generator=g)
        kept = x.gather(1, picked[..., None].expand(-1, -1, x.shape[-1])).flatten(0, 1)
        evidence = logs.logsumexp(1).repeat_interleave(size)
        return fl.Samples(
            kept, log_weights=evidence, runs=torch.arange(RUNS).repeat_interleave(size)
        )

    made = {"score": score, "step": step, "samples": samples, "runs": runs}
    return made | {"weighted": weighted, "smc": smc}


def before(finding: fl.Finding) -> bool:
    """What the rule of four joint standard errors says of the same numbers."""
    return replace(finding, direct=None, lens=None, differs=None).significant


def counted(reports: list[fl.Report]) -> dict[str, object]:
    """How many reports, and how many with a star by either rule, in any row and in each."""
    rows: dict[str, list[int]] = {}
    new = old = 0
    for report in reports:
        judged = [f for f in report.findings if f.judged and f.id != "path_kl"]
        for f in report.findings:
            if f.judged:
                id = "weight" if f.id.startswith("weight_") else f.id
                row = rows.setdefault(id, [0, 0, 0])
                for k, one in enumerate((True, f.significant, before(f))):
                    row[k] += one
        new += any(f.significant for f in judged)
        old += any(before(f) for f in judged)
    return {"reports": len(reports), "new": new, "old": old, "rows": rows}


def false_alarms(make: Callable[[], fl.Problem], seed: int) -> dict[str, object]:
    """One cluster on one problem, by kind."""
    problem = make()
    makers = kinds(problem)
    methods = {
        f"{kind} {copy}": maker(10_000 + 100 * seed + 17 * copy + k)
        for k, (kind, maker) in enumerate(makers.items())
        for copy in range(COPIES)
    }
    how = {"n": N, "steps": STEPS, "seed": seed, "integrator": fl.ddpm}
    reports = fl.compare(problem, methods, **how)
    of_kind = {kind: [r for r in reports if r.method.split()[0] == kind] for kind in makers}
    return {kind: counted(some) for kind, some in of_kind.items()}


def failures() -> dict[str, tuple[fl.Problem, object]]:
    """Methods that are wrong, where the prototype of this rule was tried."""
    between = fl.problems.trimodal(y=-0.8)
    return {
        "trimodal, y = -0.8, PiGDM (data_var = 1)": (between, fl.PiGDM),
        "trimodal, y = -0.8, PiGDM (flat)": (between, partial(fl.PiGDM, data_var=math.inf)),
        "two_atoms, DPS": (fl.problems.two_atoms(), fl.DPS),
    }


def power(problem: fl.Problem, method: object, seed: int) -> dict[str, object]:
    """One report on a wrong method."""
    return counted([fl.diagnose(problem, method, n=POWER, steps=STEPS, seed=seed)])


def jobs() -> Iterator[tuple[str, Callable[[], dict[str, object]]]]:
    """All work, each with the name under which its result is kept; what is slow comes last."""
    data = [make for make in fl.problems.GALLERY if "digits" in make.__name__]
    quick = [make for make in fl.problems.GALLERY if make not in data]
    for some, seeds in ((quick, CLUSTERS), (data, OF_DATA)):
        for seed, make in product(range(seeds), some):
            yield f"false {make.__name__} {seed}", partial(false_alarms, make, seed)
    for seed, (name, case) in product(range(SEEDS), failures().items()):
        yield f"power {name} {seed}", partial(power, *case, seed)


def summed(found: Mapping[str, object]) -> dict[str, list[int]]:
    """Reports on right samplers, those with a star, and by the rule before, by kind."""
    sums: dict[str, list[int]] = {}
    for name, result in found.items():
        for kind, one in result.items() if name.startswith("false") else ():
            total = sums.setdefault(kind, [0, 0, 0])
            for k, key in enumerate(("reports", "new", "old")):
                total[k] += one[key]
    return sums


def powers(found: Mapping[str, object]) -> Iterator[str]:
    """For each wrong method and each row: how many reports, and the share with a star in it."""
    for case in failures():
        reports = [one for name, one in found.items() if name.startswith(f"power {case}")]
        for id, label in ROWS.items():
            hits = [[bool(one["rows"][id][k]) for one in reports] for k in (1, 2)]
            new, old = (sum(hit) / len(reports) for hit in hits)
            yield f"| {case} | {label} | {len(reports)} | {new:.2f} | {old:.2f} |"


def scatter(found: Mapping[str, object]) -> tuple[float, float]:
    """The share of right samplers with a star, and its error over independent clusters."""
    clusters = [
        (sum(one["new"] for one in result.values()), sum(one["reports"] for one in result.values()))
        for name, result in found.items()
        if name.startswith("false")
    ]
    stars, reports = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*clusters, strict=True)
    )
    share = float(stars.sum() / reports.sum())
    error = float((stars - share * reports).square().sum().sqrt() / reports.sum())
    return share, error


def page(found: Mapping[str, object]) -> str:
    """Both tables, as the book shows them."""
    false = summed(found)
    share, error = scatter(found)
    total = [sum(column) for column in zip(*false.values(), strict=True)]
    lines = ["| a sampler that is right | reports | with a star | four joint standard errors |"]
    lines += ["|---|---|---|---|"]
    lines += [f"| {KINDS[kind]} | {a} | {b} | {c} |" for kind, (a, b, c) in false.items()]
    lines += [f"| all | {total[0]} | {total[1]} | {total[2]} |", ""]
    lines += [f"The share of false reports is {100 * share:.2f} ± {100 * error:.2f} %.", ""]
    lines += ["| a method that is wrong | row | reports | starred | four joint standard errors |"]
    lines += ["|---|---|---|---|---|", *powers(found)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stars")
    parser.add_argument("--seconds", type=float, default=math.inf)
    until = time.monotonic() + parser.parse_args().seconds
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found = json.loads(PLACE.read_text("utf-8")) if PLACE.exists() else {}
    for name, job in jobs():
        if time.monotonic() > until:
            break
        if name not in found:
            found[name] = job()
            PLACE.write_text(json.dumps(found, sort_keys=True) + "\n", "utf-8")
    TABLE.write_text(page(found), "utf-8")


if __name__ == "__main__":
    main()
