"""deepinv 0.5.0 beside this library: it computes in float32, and agrees to that."""

import pytest
import torch
from deepinv.sampling import (
    DDRM,
    DDPMSolver,
    DPSDataFidelity,
    MomentMatchingDataFidelity,
    PiGDMDataFidelity,
    PosteriorDiffusion,
    VariancePreservingDiffusion,
)

import fsps_lite as fl
from fsps_lite.peers import deepinv
from tests.peers.agreement import PROBLEMS, apart, seeded
from tests.peers.figures import record

TIMES = (0.9, 0.5, 0.2)
EPS = torch.finfo(torch.float32).eps


def worst(theirs, ours, times=TIMES, problems=PROBLEMS):
    """Over problems and times, between their score and ours."""
    found = []
    for name in problems:
        problem = getattr(fl.problems, name)()
        known = problem.diffusion, problem.likelihood
        for t in times:
            x = problem.posterior.sample(20, t, generator=seeded())
            mine = deepinv.score(theirs(*known), *known)
            found.append(apart(mine(x, t), ours(*known)(x, t)))
    return max(found)


def test_pigdm_is_ours():
    found = worst(lambda prior, _: PiGDMDataFidelity(deepinv.denoiser(prior)), fl.PiGDM)
    record("deepinv PiGDMDataFidelity, PiGDM(1)", found)
    assert found < 32 * EPS


def test_moment_matching_is_our_tmpd_once_it_has_converged():
    def matching(steps, tolerance):
        def fidelity(prior, _):
            known = {"cg_max_iter": steps, "cg_tol": tolerance}
            return MomentMatchingDataFidelity(deepinv.denoiser(prior), **known)

        return fidelity

    found = worst(matching(50, 1e-9), fl.TMPD, problems=["two_atoms", "digits_masked"])
    three = worst(matching(3, 1e-4), fl.TMPD, problems=["digits_masked"])
    record("deepinv MomentMatchingDataFidelity with 50 iterations, TMPD", found)
    record("deepinv MomentMatchingDataFidelity with 3 iterations, TMPD", three)
    assert found < 64 * EPS
    assert three > 0.01  # its default is another method


def test_the_norm_of_dps_is_our_zeta_dps():
    def norm(prior, likelihood):
        weight = 2 / likelihood.noise_std**2
        return DPSDataFidelity(deepinv.denoiser(prior), weight=weight)

    found = worst(norm, fl.ZetaDPS)
    record("deepinv DPSDataFidelity, ZetaDPS(1)", found)
    assert found < 64 * EPS


def test_its_physics_is_our_operator():
    for name in (*PROBLEMS, "digits_blurred", "digits_downsampled"):
        problem = getattr(fl.problems, name)()
        physics, operator = deepinv.physics(problem.likelihood), problem.likelihood.operator
        x = problem.prior.sample(5, generator=seeded())
        y = torch.randn(5, operator.out, generator=seeded(), dtype=torch.float64)
        assert apart(physics.A(x), operator(x)) < 16 * EPS
        assert apart(physics.A_adjoint(y), operator.adjoint(y)) < 16 * EPS
        assert float(physics.noise_model.sigma) == pytest.approx(problem.likelihood.noise_std)


def test_what_their_physics_cannot_say_is_refused():
    y = torch.zeros(3, dtype=torch.float64)
    tall = fl.Linear(torch.ones(3, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="no more measurements than signals"):
        deepinv.physics(fl.Likelihood(tall, y, 0.5))
    uneven = fl.Likelihood(fl.Linear(torch.eye(3).double()), y, torch.ones(3).double())
    with pytest.raises(ValueError, match="one `noise_std`"):
        deepinv.physics(uneven)
    with pytest.raises(ValueError, match="Linear operator"):
        deepinv.physics(fl.problems.square().likelihood)


def test_our_denoiser_takes_images_and_one_level():
    prior = fl.problems.digits_masked().diffusion
    images = torch.randn(3, 1, 8, 8, generator=seeded())
    flat = prior.prior.given(images.reshape(3, 64).double(), 1.0, 0.7).mean
    ours = deepinv.denoiser(prior)
    assert apart(ours(images, 0.7).double().reshape(3, 64), flat) < 8 * EPS
    assert torch.equal(ours(images, torch.full((3,), 0.7)), ours(images, torch.tensor(0.7)))
    with pytest.raises(ValueError, match="one noise level"):
        ours(images, torch.tensor([0.7, 0.8, 0.7]))


def test_their_denoiser_is_a_prior():
    prior = fl.problems.digits_masked().diffusion
    theirs = deepinv.mean(deepinv.denoiser(prior), (1, 8, 8))
    learned = fl.Diffusion(fl.Denoiser(theirs, dim=64), prior.schedule)
    x = prior.sample(5, 0.5, generator=seeded())
    # the level reaches the denoiser in float64, as nothing but a network would round it
    assert apart(learned.score(x, 0.5), prior.score(x, 0.5)) < 1e-12


def ddrm(task):
    levels = (task.schedule.sigma(task.grid) / task.schedule.alpha(task.grid)).numpy()
    return DDRM(deepinv.denoiser(task.prior), sigmas=levels)


@pytest.mark.parametrize("noise", [1.0, 0.9])
def test_ddrm_on_digits_is_starred_for_its_labels_where_the_lens_can_tell(noise):
    """At noise 1 it counts a singular value of 1 as unseen, and samples the prior.

    At noise 0.9 it is far from direct draws, too, but other atoms could move the labels as far.
    """
    problem = fl.problems.digits_masked(noise_std=noise)
    report = fl.diagnose(problem, deepinv.drawn(ddrm), n=300, steps=30)
    labels = report["total_variation"]
    record(f"deepinv DDRM, TV between digits, noise {noise}", labels.value.value)
    assert report.method == "ddrm"
    assert labels.significant == (noise == 1.0)
    if noise != 1.0:
        assert 2 * labels.lens > labels.value.value - labels.null.value
    assert labels.value.value > 0.15
    assert labels.null.value < 0.1


def test_its_own_sampler_of_pigdm_fails_as_ours_does():
    def posterior(task):
        ours = deepinv.denoiser(task.prior)
        grid = torch.linspace(1.0, 1e-3, len(task.grid), dtype=torch.float64)
        sde = VariancePreservingDiffusion(denoiser=ours, minus_one_one=False)
        known = PiGDMDataFidelity(ours), ours, sde, DDPMSolver(timesteps=grid)
        return PosteriorDiffusion(*known, minus_one_one=False)

    problem = fl.problems.digits_masked()
    theirs = fl.diagnose(problem, deepinv.drawn(posterior), n=300, steps=30)["total_variation"]
    ours = fl.diagnose(problem, fl.PiGDM, n=300, steps=30)["total_variation"]
    record("deepinv PosteriorDiffusion with PiGDM, TV between digits", theirs.value.value)
    record("PiGDM, TV between digits", ours.value.value)
    assert theirs.significant
    assert ours.significant
    # another integrator on another schedule, which move it by less than a tenth; and both errors
    error = (theirs.value.error**2 + ours.value.error**2) ** 0.5
    assert abs(theirs.value.value - ours.value.value) < 0.1 + 3 * error
