"""One step of the families' samplers in azula and deepinv beside ours, from the same noise."""

import numpy as np
import pytest
import torch
from azula.guidance.diffpir import DiffPIRDenoiser
from azula.guidance.pgdm import PGDMSampler
from azula.guidance.repaint import RePaintSampler
from azula.guidance.tds import TDSSampler
from deepinv.sampling import DDRM

import fsps_lite as fl
from fsps_lite.peers import azula, deepinv
from tests.peers.agreement import apart, seeded
from tests.peers.figures import record
from tests.peers.test_azula import EPS, noise_like

LINEAR = ("two_atoms", "trimodal", "one_coordinate", "rank_deficient", "digits_masked")


def known(problem):
    return problem.diffusion, problem.likelihood


def same_noise(patch, generator, scale=1.0):
    """``torch.randn_like`` draws what our steps draw, times ``scale``."""
    patch.setattr(torch, "randn_like", lambda like, **_: scale * noise_like(like, generator))


def moved(problem, iterations, t):
    """E[x_0 | x_t] after the data step of either, and the largest difference."""
    prior, likelihood = known(problem)
    x = problem.posterior.sample(20, t, generator=seeded())
    ours = fl.DiffPIR(prior, likelihood, lam=10.0).restored(prior.denoise(x, t), t)
    mine = azula.denoiser(prior), likelihood.y, likelihood.operator, likelihood.noise_std**2
    theirs = DiffPIRDenoiser(*mine, solver="cg", iterations=iterations)
    time = torch.tensor(t, dtype=torch.float64)
    return apart(theirs(x, time).mean, ours)


def test_the_data_step_of_diffpir_is_ours_once_it_has_converged():
    worst, one = 0.0, 0.0
    for name in LINEAR:
        problem = getattr(fl.problems, name)()
        for t in (0.9, 0.5, 0.2):
            # the matrix has the eigenvalue lam / s^2, and one more for each singular value
            values = torch.linalg.svdvals(problem.likelihood.operator.matrix)
            worst = max(worst, moved(problem, len(values.round(decimals=9).unique()) + 1, t))
    for t in (0.9, 0.5, 0.2):
        one = max(one, moved(fl.problems.digits_blurred(), 1, t))
    record("azula DiffPIRDenoiser, data step of DiffPIR", worst)
    record("azula DiffPIRDenoiser with one iteration, on digits_blurred", one)
    assert worst < 1e5 * EPS
    assert one > 0.01  # its default is another step


def test_a_step_of_repaint_is_ours():
    problem = fl.problems.one_coordinate()
    prior, likelihood = known(problem)
    x = prior.sample(20, 0.5, generator=seeded())
    seen = likelihood.operator.matrix.sum(0) > 0
    y = likelihood.y @ likelihood.operator.matrix
    sampler = RePaintSampler(azula.denoiser(prior), y, seen, iterations=1, eta=1.0)
    time = torch.tensor([0.5, 0.45], dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        g = seeded(1)
        patch.setattr(torch, "randn_like", lambda like: noise_like(x, g))
        theirs = sampler.step(x, *time)
    ours = fl.RePaint(prior, likelihood).step(x, *time, generator=seeded(1))
    record("azula RePaintSampler.step, RePaint", apart(theirs, ours))
    assert apart(theirs, ours) < 1e3 * EPS


def test_a_step_of_tds_proposes_and_weighs_as_ours():
    """Before it resamples, which it does in every step."""
    problem, (t, s) = fl.problems.two_atoms(), torch.tensor([0.5, 0.45], dtype=torch.float64)
    prior, likelihood = known(problem)
    x = problem.posterior.sample(20, 0.5, generator=seeded())

    def twist(m, level):
        spread = likelihood.noise_std**2 + level**2 / (1 + level**2)  # of PiGDM
        return torch.distributions.Normal(m, spread.sqrt()).log_prob(likelihood.y)

    def sample(self):
        return self.loc + self.scale * noise_like(self.loc, seeded(1))

    carry, ours = {}, fl.TDS(prior, likelihood, twist=fl.PiGDM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "multinomial", lambda w, n, replacement: torch.arange(n))
        patch.setattr("azula.guidance.tds.Normal.sample", sample)
        theirs = TDSSampler(azula.denoiser(prior), twist).step(x, t, s, carry)
    ahead, log_ratio = ours.proposed(x, t, s, seeded(1))
    worst = max(apart(theirs, ahead), apart(carry["log_w"], log_ratio - ours.guess(x, t)))
    record("azula TDSSampler.step, TDS.proposed", worst)
    assert worst < 1e4 * EPS


@pytest.mark.parametrize("scale", [2**0.5, 1.0])
def test_a_step_of_ddrm_is_ours_with_noise_that_is_too_small(scale):
    """It draws noise divided by the root of 2; with that put right it is ours, to float32."""
    problem = fl.problems.digits_masked(noise_std=0.9)
    prior, likelihood = known(problem)
    schedule, grid = problem.schedule, torch.tensor([0.5, 0.45], dtype=torch.float64)
    levels = (schedule.sigma(grid) / schedule.alpha(grid)).numpy()
    y = likelihood.y.float().expand(20, -1)
    with pytest.MonkeyPatch.context() as patch:
        same_noise(patch, seeded(1), scale)
        theirs = DDRM(deepinv.denoiser(prior), sigmas=np.asarray(levels))(
            y, deepinv.physics(likelihood)
        )
    sampler, g = fl.DDRM(prior, likelihood), seeded(1)
    spectrum, eps = sampler.spectrum, noise_like(torch.zeros(20, 64).float(), g).double()
    seen = spectrum.seen.double()
    std = (levels[0] ** 2 - torch.where(spectrum.seen, spectrum.noise, 0.0) ** 2).sqrt()
    x = schedule.alpha(grid[0]) * spectrum.back(seen * spectrum.y + std * eps)
    with pytest.MonkeyPatch.context() as patch:
        draw = noise_like(torch.zeros(20, 64).float(), g).double()
        patch.setattr("fsps_lite.samplers.ddrm.draw", lambda *_: draw)
        ours = prior.denoise(sampler.step(x, *grid, generator=g), grid[1])
    off, right = apart(theirs.double(), ours), scale > 1
    name = "its noise put right" if right else "as it is"
    record(f"deepinv DDRM, one step, {name}", off)
    assert off < 1e-4 if right else off > 0.01


def test_pgdm_knows_no_noise_of_y():
    """A published form, for a y without noise: on a Gaussian it ends at y, without any spread."""
    problem = fl.problems.gaussian()
    grid = fl.times(problem.schedule, 100)
    x = problem.schedule.noise(50, 1, generator=seeded())
    likelihood = problem.likelihood
    sampler = PGDMSampler(
        azula.denoiser(problem.diffusion), likelihood.y, likelihood.operator, lambda v: v
    )
    for t, s in zip(grid[:-1], grid[1:], strict=True):
        x = sampler.step(x, t, s)
    assert float(x.std()) < 1e-3 * likelihood.noise_std
    assert apart(x / problem.schedule.alpha(grid[-1]), likelihood.y.expand_as(x)) < 1e-2
