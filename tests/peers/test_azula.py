"""azula 0.11.1 beside this library: what agrees to rounding, and what a report says of the rest."""

import pytest
import torch
from azula.denoise import GaussianDenoiser
from azula.guidance.dps import DPSSampler
from azula.guidance.mmps import MMPSDenoiser
from azula.guidance.tds import TDSSampler
from azula.guidance.tmpd import TMPDenoiser
from azula.linalg.covariance import IsotropicCovariance
from azula.noise import CosineSchedule
from azula.sample import DDPMSampler

import fsps_lite as fl
from fsps_lite.peers import azula
from fsps_lite.samplers.kernels import ddpm_kernel
from tests.peers.agreement import PROBLEMS, apart, seeded
from tests.peers.figures import record

TIMES = (0.9, 0.5, 0.1)
EPS = torch.finfo(torch.float64).eps


def cloud(problem, t):
    return problem.posterior.sample(20, t, generator=seeded())


def tmpd(prior, likelihood):
    mine = azula.denoiser(prior)
    guided = TMPDenoiser(mine, likelihood.y, likelihood.operator, likelihood.noise_std**2)
    return azula.score(guided, prior.schedule)


def mmps(iterations):
    def method(prior, likelihood):
        noise = IsotropicCovariance(torch.tensor(likelihood.noise_std**2, dtype=torch.float64))
        known = azula.denoiser(prior), likelihood.y, likelihood.operator, noise.__matmul__
        return azula.score(MMPSDenoiser(*known, iterations=iterations), prior.schedule)

    return method


def test_tmpd_is_our_diagonal_tmpd():
    worst = 0.0
    for name in PROBLEMS:
        problem = getattr(fl.problems, name)()
        for t in TIMES:
            x, known = cloud(problem, t), (problem.diffusion, problem.likelihood)
            worst = max(worst, apart(tmpd(*known)(x, t), fl.DiagonalTMPD(*known)(x, t)))
    record("azula TMPDenoiser, DiagonalTMPD", worst)
    assert worst < 1e4 * EPS  # sums over 1,700 atoms, in another order


def test_mmps_is_our_tmpd_once_it_has_converged():
    worst, one = 0.0, 0.0
    for name in PROBLEMS:
        problem = getattr(fl.problems, name)()
        for t in TIMES:
            x, known = cloud(problem, t), (problem.diffusion, problem.likelihood)
            ours = fl.TMPD(*known)(x, t)
            worst = max(worst, apart(mmps(len(problem.likelihood.y))(*known)(x, t), ours))
            one = max(one, apart(mmps(1)(*known)(x, t), ours))
    record("azula MMPSDenoiser converged, TMPD", worst)
    record("azula MMPSDenoiser with one iteration, TMPD", one)
    assert worst < 1e4 * EPS
    assert one > 0.05  # its default is another method


def test_a_step_of_dps_with_one_particle_is_step_dps():
    """azula takes an ancestral step and then the displacement; StepDPS puts it into the score."""
    worst = 0.0
    for name in ("two_atoms", "trimodal", "rank_deficient"):
        problem = getattr(fl.problems, name)()
        prior, likelihood = problem.diffusion, problem.likelihood
        grid = torch.tensor([0.5, 0.45], dtype=torch.float64)
        x = cloud(problem, 0.5)[:1]
        noise = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
        path = {}
        for method, score in (
            ("prior", prior),
            ("StepDPS", fl.StepDPS(prior, likelihood, 0.7, grid)),
        ):
            g = seeded(1)
            path[method] = fl.euler_maruyama(score, prior.schedule, x, grid, generator=g).final
        mean, std = ddpm_kernel(prior, prior.schedule, x, *grid)
        ours = mean + std * noise + (path["StepDPS"] - path["prior"])
        sampler = DPSSampler(azula.denoiser(prior), likelihood.y, likelihood.operator, zeta=0.7)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randn_like", lambda like, noise=noise: noise)
            worst = max(worst, float((sampler.step(x, *grid) - ours).abs().max()))
    record("azula DPSSampler.step, StepDPS", worst)
    assert worst < 8 * EPS  # |x| is below 4, and a step is a sum of a few such numbers


def noise_like(like, generator):
    """The noise that our integrators draw."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def test_its_ancestral_sampler_is_ours_with_the_same_noise():
    problem = fl.problems.trimodal()
    grid = torch.linspace(1.0, 0.01, 21, dtype=torch.float64)
    x = problem.schedule.noise(50, 1, generator=seeded())
    sampler = DDPMSampler(azula.denoiser(problem.posterior))
    ours = fl.ddpm(problem.posterior, problem.schedule, x, grid, generator=seeded(1)).final
    g = seeded(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda like: noise_like(like, g))
        for t, s in zip(grid[:-1], grid[1:], strict=True):
            x = sampler.step(x, t, s)
    record("azula DDPMSampler, ddpm", apart(x, ours))
    assert apart(x, ours) < 1e4 * EPS


def test_a_denoiser_of_theirs_is_a_prior_on_any_schedule():
    """The mean under their schedule, asked at the noise level of ours."""
    theirs = GaussianDenoiser(
        torch.tensor([0.5], dtype=torch.float64),
        IsotropicCovariance(torch.tensor(2.0, dtype=torch.float64)),
        CosineSchedule(),
    )
    prior = fl.GaussianMixture.isotropic(torch.tensor([[0.5]]).double(), std=2.0**0.5)
    ours = fl.Diffusion(prior, fl.VP())
    learned = fl.Diffusion(fl.Denoiser(azula.mean(theirs), dim=1), fl.VP())
    x = ours.sample(20, 0.5, generator=seeded())
    worst = max(apart(learned.score(x, t), ours.score(x, t)) for t in TIMES)
    record("azula GaussianDenoiser on CosineSchedule, Diffusion on VP", worst)
    # the score loses what alpha m - x cancels: sigma(.1)^2 is about 1 / 20 of x
    assert worst < 1e4 * EPS


def dps(task):
    known = azula.denoiser(task.prior), task.likelihood.y, task.likelihood.operator
    return DPSSampler(*known)


def test_the_coupled_batch_of_dps_is_caught():
    """The norm runs over the batch: with 2,048 particles y is all but ignored."""
    problem = fl.problems.two_atoms()
    grid = torch.linspace(1.0, 1e-3, 101, dtype=torch.float64)
    report = fl.diagnose(problem, azula.stepped(dps), n=2048, grid=grid)
    weight, coupled = report["weight of mode 1"], report["coupled"]
    record("azula DPSSampler, weight of -1 at n = 2048 (truth .083)", weight.value.value)
    assert report.method == "dps"
    assert coupled.significant
    assert coupled.null.value == 0
    assert weight.significant
    assert abs(weight.value.value - 0.40) < 4 * weight.value.error
    assert abs(weight.truth - 0.083) < 5e-4


def test_a_step_that_is_not_coupled_is_not_accused():
    problem = fl.problems.two_atoms()
    plain = azula.stepped(lambda task: DDPMSampler(azula.denoiser(task.prior)))
    report = fl.diagnose(problem, plain, n=60, steps=10)
    assert report["coupled"].value.value == 0
    assert not report["coupled"].significant


def twist(likelihood):
    """log p(y | x_hat, sigma / alpha) of PiGDM, up to a constant."""
    y, noise = likelihood.y, likelihood.noise_std

    def log_prob(x, level):
        spread = noise**2 + level**2 / (1 + level**2)
        return -(y - likelihood.operator(x)).square() / (2 * spread)

    return log_prob


def tds(task):
    return TDSSampler(azula.denoiser(task.prior), twist(task.likelihood))


def test_tds_has_no_star_in_twelve_runs_and_an_honest_error():
    """It is right, and its particles depend on each other: 10 declared runs in each report."""
    problem = fl.problems.two_atoms()
    method, found, starred = azula.drawn(tds, runs=10), [], []
    for seed in range(12):
        report = fl.diagnose(problem, method, n=1000, steps=25, seed=seed)
        assert report["weight of mode 1"].value.error > 0
        found.append(report["weight of mode 1"].value)
        starred += [one.id for one in report.findings if one.significant]
    values = torch.tensor([one.value for one in found])
    stated = torch.tensor([one.error for one in found]).square().mean().sqrt()
    record("azula TDSSampler, scatter of the weight over 12 reports", values.std())
    record("azula TDSSampler, stated error", stated)
    record("azula TDSSampler, mean weight of -1 (truth .083)", values.mean())
    record("azula TDSSampler, stars in 12 reports", len(starred))
    assert starred == []
    # a deviation of 12 values is within a factor of 2 of its own with 99.9 % (chi-squared, 11)
    assert 0.5 < values.std() / stated < 2.0


def test_tds_with_its_last_weights_has_no_star_either():
    """The weights that azula drops after the last step, kept by a loop of one's own."""

    def draw(task):
        sampler, clouds, weights = tds(task), [], []
        torch.manual_seed(int(torch.randint(2**62, (), generator=task.generator)))
        for x in task.start.chunk(10):
            carry = {}
            for t, s in zip(task.grid[:-1], task.grid[1:], strict=True):
                x = sampler.step(x, t, s, carry)
            clouds.append(x)
            last = task.schedule.sigma(task.grid[-1]) / task.schedule.alpha(task.grid[-1])
            mean = task.prior.denoise(x, task.grid[-1])
            weights.append(carry["log_w"] + twist(task.likelihood)(mean, last)[:, 0])
        runs = torch.arange(10).repeat_interleave(len(clouds[0]))
        known = torch.cat(clouds), task.grid[-1], torch.cat(weights), runs
        return fl.Samples(*known)

    report = fl.diagnose(fl.problems.two_atoms(), fl.Drawn(draw), n=1000, steps=25)
    assert not [one.id for one in report.findings if one.significant]
    assert 0 < report["weight of mode 1"].value.error < 0.1


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_global_ones_alone():
    problem = fl.problems.two_atoms()
    torch.manual_seed(3)
    first = fl.diagnose(problem, azula.stepped(dps), n=20, steps=4, seed=4)
    after = torch.rand(1)
    again = fl.diagnose(problem, azula.stepped(dps), n=20, steps=4, seed=4)
    other = fl.diagnose(problem, azula.stepped(dps), n=20, steps=4, seed=5)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1))
    assert first["distance"] == again["distance"]
    assert first["distance"] != other["distance"]
