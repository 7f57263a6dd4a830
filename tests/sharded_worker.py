"""The ranks of tests/test_sharded.py: `python -m tests.sharded_worker RANKS FOLDER JOB ...`.

This process imports torch once and forks every rank of every job. FOLDER/JOB/RANK.pt holds what a
rank has saved, FOLDER/JOB/codes the exit codes of all.

Every job computes the same things from a sharded prior and from a whole one, and saves both.
"""

import json
import math
import os
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

import fsps_lite as fl
from fsps_lite import Empirical, ShardedEmpirical

T = 0.3


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def case(n, d, dtype):
    """Unequal weights, far from the origin; and a measurement."""
    g = seeded(n)
    atoms = (50 + torch.randn(n, d, generator=g, dtype=torch.float64)).to(dtype)
    prior = Empirical(atoms, torch.randn(n, generator=g, dtype=torch.float64).to(dtype))
    matrix = torch.randn(2, d, generator=g, dtype=torch.float64).to(dtype)
    operator = fl.Linear(matrix)
    likelihood = fl.Likelihood(operator, operator(atoms[0]) + 0.1, 0.5)
    alpha = float(fl.VP().alpha(T))
    clean = atoms[torch.arange(7) % n]
    x = alpha * clean + 0.5 * torch.randn(7, d, generator=g, dtype=torch.float64).to(dtype)
    return prior, likelihood, x


def answers(prior, likelihood, x):
    """All that a prior is asked for, and a run of an integrator."""
    vp, posterior = fl.VP(), prior.condition(likelihood)
    known = fl.Diffusion(prior, vp)
    truth = fl.Diffusion(posterior, vp)
    path = fl.ddpm(truth, vp, x, fl.times(vp, 10, start=T), generator=seeded(1))
    return {
        "score": truth.score(x, T),
        "log_prob": truth.log_prob(x, T),
        "product": truth.denoise_cov_product(x, T, torch.ones_like(x)),
        "projected": truth.projected_cov(x, T, likelihood.operator.matrix),
        "DPS": fl.DPS(known, likelihood)(x, T),
        "PiGDM": fl.PiGDM(known, likelihood)(x, T),
        "TMPD": fl.TMPD(known, likelihood)(x, T),
        "path": path.final,
        "effective size": torch.tensor(posterior.effective_size),
        "total variance": posterior.total_variance,
    }


def agreement():
    found = {}
    for dtype in (torch.float32, torch.float64):
        for n, d in ((2, 1), (301, 1), (2000, 5)):
            prior, likelihood, x = case(n, d, dtype)
            both = answers(ShardedEmpirical.of(prior), likelihood, x), answers(prior, likelihood, x)
            found[str(dtype), n, d] = both
    return found


def own_parts():
    """Each rank brings atoms of its own, and not as many as the other."""
    prior, likelihood, x = case(500, 3, torch.float64)
    cut = slice(0, 100) if dist.get_rank() == 0 else slice(100, 500)
    part = Empirical(prior.atoms[cut], prior.log_weights[cut])
    return answers(ShardedEmpirical(part), likelihood, x), answers(prior, likelihood, x)


class Within:
    """A likelihood that leaves only the first atoms any weight: those of rank 0."""

    def __init__(self, atoms):
        self.atoms = atoms

    def log_prob(self, x):
        inside = (x[:, None] == self.atoms).all(-1).any(-1)
        return torch.where(inside, 0.0, -math.inf).to(x.dtype)


def silent_rank():
    prior, _, x = case(40, 2, torch.float64)
    within = Within(prior.atoms[0::2][:5])
    shares = [p.condition(within) for p in (ShardedEmpirical.of(prior), prior)]
    scores = [fl.Diffusion(p, fl.VP()).score(x, T) for p in shares]
    try:
        shares[0].condition(Within(prior.atoms[:0]))
        error = "none"
    except ValueError as problem:
        error = str(problem)
    return *scores, error


def draws():
    prior, likelihood, x = case(6, 2, torch.float64)
    posterior = prior.condition(likelihood)
    sharded = ShardedEmpirical.of(prior).condition(likelihood)
    g = seeded(2)
    many = x[:1].expand(20_000, -1)
    cloud = sharded.sample(20_000, generator=g)
    denoised = fl.Diffusion(sharded, fl.VP()).sample_denoised(many, T, generator=g)
    alpha, sigma = fl.VP().alpha(T), fl.VP().sigma(T)
    expected = posterior.weights, posterior.logits(x[:1], alpha, sigma).softmax(-1)[0]
    return posterior.atoms, (cloud, denoised), expected


def traffic():
    """Bytes that the reductions of one score move, for few atoms and for many."""
    found, reduce = {}, dist.all_reduce
    for n in (100, 10_000):
        prior, likelihood, x = case(n, 4, torch.float32)
        truth = fl.Diffusion(ShardedEmpirical.of(prior).condition(likelihood), fl.VP())
        sizes = []

        def counted(value, op, group, async_op, sizes=sizes):
            sizes.append(value.numel() * value.element_size())
            return reduce(value, op, group, async_op)

        dist.all_reduce = counted
        truth.score(x, T)
        dist.all_reduce = reduce
        found[n] = sum(sizes)
    return found


def loss(sleeps):
    """Rank 1 ends, or sleeps; what rank 0 then says, and after how long."""
    prior, likelihood, x = case(50, 2, torch.float64)
    sharded = ShardedEmpirical.of(prior, timeout=2.0).condition(likelihood)
    if dist.get_rank() == 1:
        time.sleep(8 if sleeps else 0)
        os._exit(1)
    start = time.monotonic()
    try:
        fl.Diffusion(sharded, fl.VP()).score(x, T)
        error = "none"
    except RuntimeError as problem:
        error = str(problem)
    return error, time.monotonic() - start


def everything():
    return {job.__name__: job() for job in (agreement, own_parts, silent_rank, draws, traffic)}


JOBS = {"all": everything, "lost": lambda: loss(False), "late": lambda: loss(True)}


def work(job, rank, ranks, folder):
    """Be one rank, to the end."""
    store = dist.FileStore(str(folder / "store"), ranks)
    wait = timedelta(seconds=60)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=wait)
    torch.save(JOBS[job](), folder / f"{rank}.pt")
    if job == "all":
        dist.barrier()
    os._exit(0)  # a group that has lost a rank would wait for it


def fork(*task):
    """The number of a process that does this; an error ends it with the code 2."""
    process = os.fork()
    if process:
        return process
    try:
        work(*task)
    finally:
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
        os._exit(2)


if __name__ == "__main__":
    ranks, folder, jobs = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    torch.set_num_threads(1)
    processes = {}
    for job in jobs:
        (folder / job).mkdir()
        processes[job] = [fork(job, rank, ranks, folder / job) for rank in range(ranks)]
    for job in jobs:
        codes = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in processes[job]]
        (folder / job / "codes").write_text(json.dumps(codes))
