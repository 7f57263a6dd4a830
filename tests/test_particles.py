"""TDS in the plane: its weights are those of the ancestral steps, and how far they spread.

The prior is one Gaussian with correlation, so that each ancestral step is affine, and the law of
the last particle, its evidence and its posterior are known in closed form.
"""

from functools import cache

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite.samplers.kernels import bridge_kernel, drawn
from tests.oracles import at_length, seeded

STEPS = 25
EYE = torch.eye(2, dtype=torch.float64)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def plane(rank):
    """A correlated Gaussian, correlated noise, an offset; two measurements of one number or two."""
    cov = tensor([1.0, 0.6], [0.6, 0.8])
    prior = fl.GaussianMixture(tensor(0.0), tensor([0.3, -0.2]), cov[None])
    matrix = tensor([1.0, 0.4], [0.2, 1.0]) if rank == 2 else tensor([1.0, 0.5], [2.0, 1.0])
    y = tensor(1.2, 0.7) if rank == 2 else tensor(0.8, 1.9)
    noise = tensor([0.3, 0.1], [0.1, 0.4])
    likelihood = fl.Likelihood.with_cov(fl.Linear(matrix, tensor(0.1, 0.0)), y, noise)
    return fl.Diffusion(prior, fl.VP()), likelihood


def affine(fn):
    """The matrix and the offset of an affine map of rows."""
    offset = fn(torch.zeros(1, 2, dtype=torch.float64))[0]
    return (fn(EYE) - offset).mT, offset


def step(prior, t, s):
    """Matrix, offset and deviation of an ancestral step."""
    mean = affine(lambda x: bridge_kernel(prior.schedule, prior.denoise(x, t), x, t, s)[0])
    return *mean, float(bridge_kernel(prior.schedule, EYE, EYE, t, s)[1])


@cache
def law(rank):
    """log p(y), and the mean and covariance of the last x given y, of the steps themselves."""
    prior, likelihood = plane(rank)
    grid = fl.times(prior.schedule, STEPS)
    mean, cov = torch.zeros(2, dtype=torch.float64), prior.schedule.variance(grid[0]) * EYE
    for t, s in zip(grid[:-1], grid[1:], strict=True):
        matrix, offset, std = step(prior, t, s)
        mean, cov = matrix @ mean + offset, matrix @ cov @ matrix.mT + std**2 * EYE
    seen, offset = affine(lambda x: likelihood.operator(prior.denoise(x, grid[-1])))
    predicted = MultivariateNormal(
        seen @ mean + offset, seen @ cov @ seen.mT + likelihood.noise.cov
    )
    gain = cov @ seen.mT @ predicted.precision_matrix
    posterior = mean + gain @ (likelihood.y - predicted.mean), cov - gain @ seen @ cov
    return float(predicted.log_prob(likelihood.y)), *posterior


def run(rank, twist, particles, n):
    prior, likelihood = plane(rank)
    grid, g = fl.times(prior.schedule, STEPS), seeded(particles)
    x = prior.schedule.noise(n, 2, t=grid[0], generator=g)
    return fl.TDS(prior, likelihood, particles=particles, twist=twist)(x, grid, generator=g)


TWISTS = (fl.DPS, fl.PiGDM, fl.TMPD)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("twist", TWISTS)
def test_the_weight_of_a_path_is_what_the_proposal_left_out(twist, rank):
    """Path by path: evidence times the density of the guided path is that of the prior's and y."""
    prior, likelihood = plane(rank)
    grid = fl.times(prior.schedule, 8)
    x = prior.schedule.noise(6, 2, t=grid[0], generator=seeded(0))
    found = fl.TDS(prior, likelihood, particles=1, twist=twist)(x, grid, generator=seeded(1))
    guided = twist(prior, likelihood)
    path = fl.ddpm(guided, prior.schedule, x, grid, generator=seeded(1)).x
    log_weight = likelihood.log_prob(prior.denoise(path[-1], grid[-1]))
    for k, (t, s) in enumerate(zip(grid[:-1], grid[1:], strict=True)):
        matrix, offset, std = step(prior, t, s)
        score = guided(path[k], t)
        signal = (path[k] + prior.schedule.variance(t) * score) / prior.schedule.alpha(t)
        proposal = bridge_kernel(prior.schedule, signal, path[k], t, s)[0]
        for mean, sign in ((path[k] @ matrix.mT + offset, 1), (proposal, -1)):
            law = MultivariateNormal(mean, std**2 * EYE)
            log_weight = log_weight + sign * law.log_prob(path[k + 1])
    assert_close(found.log_evidence, log_weight, rtol=1e-9, atol=1e-9)


CASES = [(t, k, rank) for t in (fl.PiGDM, fl.TMPD) for k in (1, 4, 16) for rank in (1, 2)]


@pytest.mark.parametrize(
    ("twist", "particles", "rank"), at_length(CASES, [(fl.PiGDM, 4, 1), (fl.TMPD, 4, 2)])
)
def test_the_evidence_of_tds_in_the_plane_is_right_on_average(twist, particles, rank):
    found = run(rank, twist, particles, n=3200)
    ratio = fl.Estimate.of((found.log_evidence - law(rank)[0]).exp())
    assert abs(ratio.value - 1) < 4.5 * ratio.error


@pytest.mark.long
def test_in_the_plane_the_bias_falls_for_a_twist_whose_weights_have_a_variance():
    """Of the first coordinate, in standard deviations of the posterior."""
    _, mean, cov = law(2)
    bias = {}
    for twist in (fl.PiGDM, fl.DPS):
        for particles in (1, 16, 64):
            found = run(2, twist, particles, n=20_000)
            each = torch.zeros_like(found.log_evidence)
            each = each.index_add(0, found.runs, found.log_weights.exp() * found.x[:, 0])
            bias[twist, particles] = fl.Estimate.of((each - mean[0]) / cov[0, 0].sqrt())
    first, last = bias[fl.PiGDM, 1], bias[fl.PiGDM, 64]
    assert first.value > 10 * first.error
    assert abs(last.value) < first.value / 64 + 4 * last.error
    assert bias[fl.DPS, 16].value > 0.2  # as much as with one particle
    assert bias[fl.DPS, 64].value > 0.1


def largest_power(rank, twist, steps):
    """The p below which E w^p is finite, for the weight w of one particle.

    log w is quadratic in the noise of the path: w^p has a mean if p times the largest eigenvalue of
    its matrix is below 1/2.
    """
    prior, likelihood = plane(rank)
    grid = fl.times(prior.schedule, steps)
    tds = fl.TDS(prior, likelihood, particles=1, twist=twist)
    std = [step(prior, t, s)[2] for t, s in zip(grid[:-1], grid[1:], strict=True)]
    z = torch.eye(2 * (steps + 1), dtype=torch.float64)

    def log_weights(z):
        z = z.reshape(len(z), steps + 1, 2)
        x, total = prior.schedule.sigma(grid[0]) * z[:, 0], 0.0
        total = tds.guess(x, grid[0])
        for k, (t, s) in enumerate(zip(grid[:-1], grid[1:], strict=True)):
            matrix, offset, _ = step(prior, t, s)
            mean = x @ matrix.mT + offset
            signal = (x + prior.schedule.variance(t) * tds.guidance(x, t)) / prior.schedule.alpha(t)
            moved = bridge_kernel(prior.schedule, signal, x, t, s)[0] + std[k] * z[:, k + 1]
            gained = (std[k] * z[:, k + 1]).square().sum(-1) - (moved - mean).square().sum(-1)
            ahead = (tds.final if s == grid[-1] else tds.guess)(moved, s)
            total = total + gained / (2 * std[k] ** 2) + ahead - tds.guess(x, t)
            x = moved
        return total

    one, none = log_weights(z), log_weights(torch.zeros_like(z[:1]))
    pairs = (z[:, None] + z).reshape(-1, z.shape[1])
    bent = log_weights(pairs).reshape(len(z), -1) - one - one[:, None] + none
    return 1 / float(torch.linalg.eigvalsh(bent)[-1])


POWERS = [
    (fl.DPS, 1, 25, 1.02),
    (fl.DPS, 2, 25, 1.18),
    (fl.PiGDM, 2, 25, 2.77),
    (fl.DPS, 2, 8, 1.07),
]


@pytest.mark.parametrize(("twist", "rank", "steps", "power"), at_length(POWERS, POWERS[3:]))
def test_the_weights_of_dps_as_a_twist_have_a_mean_and_no_variance(twist, rank, steps, power):
    assert largest_power(rank, twist, steps) == pytest.approx(power, abs=0.005)


def filtered(steps, particles, runs):
    """The weight of -1 by filtering posterior sampling (Dou and Song, 2024) on two_atoms."""
    problem, g = fl.problems.two_atoms(), seeded(0)
    v, y, noise_var = problem.schedule, 0.3, 0.25
    t = fl.times(v, steps)
    y_t, x = (v.noise(runs, k, t=t[0], generator=g) for k in (1, particles))
    y_t = y_t + v.alpha(t[0]) * y
    for now, after in zip(t[:-1], t[1:], strict=True):
        y_t = drawn(*bridge_kernel(v, torch.full_like(y_t, y), y_t, now, after), g)
        m = problem.diffusion.denoise(x.reshape(-1, 1), now).reshape(x.shape)
        mean, std = bridge_kernel(v, m, x, now, after)
        believed = v.alpha(after) ** 2 * noise_var
        log_weights = -0.5 * (y_t - mean) ** 2 / (believed + std**2)
        chosen = torch.multinomial(log_weights.softmax(-1), particles, True, generator=g)
        gain = std**2 / (believed + std**2)
        mean = mean.gather(1, chosen)
        x = drawn(mean + gain * (y_t - mean), (believed * gain).sqrt(), g)
    return float((x < 0).double().mean())


def test_a_filter_that_reuses_the_noise_of_y_counts_y_with_each_step():
    """The truth is .083."""
    assert filtered(20, 2000, 40) < 0.01
