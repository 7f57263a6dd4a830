"""The samplers of the families: what is exact, and each formula once more by hand."""

import math
from dataclasses import dataclass, replace
from functools import cache

import hypothesis
import hypothesis.strategies as st
import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite.diagnosis import Drawn, Stepped
from fsps_lite.diagnosis.method import kind_made
from fsps_lite.samplers.particles import Runs
from fsps_lite.samplers.proximal import proximal_draw, proximal_mean
from fsps_lite.samplers.spectrum import Spectrum
from fsps_lite.samplers.travel import noised_again, visits
from tests.oracles import at_length, random_mixture_parts, seeded


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def plane(seed=3, *, rank=2):
    """Three components in three dimensions, correlated noise, an offset; of rank 1 on request."""
    prior = fl.GaussianMixture(*random_mixture_parts(seed, k=3, d=3))
    matrix = torch.randn(2, 3, generator=seeded(seed + 1), dtype=torch.float64)
    if rank == 1:
        matrix = matrix[:1] * tensor([1.0], [2.0])
    noise = tensor([0.3, 0.1], [0.1, 0.2])
    likelihood = fl.Likelihood.with_cov(
        fl.Linear(matrix, tensor(0.3, -0.2)), tensor(1.0, -0.5), noise
    )
    return fl.Diffusion(prior, fl.VP()), likelihood


def known(problem):
    return problem.diffusion, problem.likelihood


def near(actual, expected, bound):
    """To ``bound`` of the largest entry."""
    assert float((actual - expected).abs().max()) <= bound * float(expected.abs().max())


# What samplers answer


def test_samples_get_the_noise_of_a_later_time():
    v, x = fl.VP(), tensor([0.7], [-0.2])
    found = fl.Samples(x, time=0.1).noised(v, 0.3, generator=seeded(0))
    eps = torch.randn(2, 1, generator=seeded(0), dtype=torch.float64)
    kept = v.alpha(0.3) / v.alpha(0.1)
    assert_close(found, kept * x + (v.variance(0.3) - kept**2 * v.variance(0.1)).sqrt() * eps)
    assert_close(fl.Samples(x, time=0.3).noised(v, 0.3, generator=seeded(0)), x)


def test_steps_end_at_the_end_of_the_grid():
    problem = fl.problems.one_coordinate()
    grid = fl.times(problem.schedule, 3, stop=0.05)
    x = problem.schedule.noise(4, 2, t=grid[0], generator=seeded(0))
    found = fl.DDRM(*known(problem))(x, grid, generator=seeded(1))
    assert found.time == grid[-1]
    assert torch.equal(found.path.t, grid)


# The measurement by singular directions


@pytest.mark.parametrize("rank", [1, 2])
def test_the_spectrum_says_what_the_likelihood_says(rank):
    """log p(y | x) as a sum over coordinates, up to a constant: any noise, any rank."""
    prior, likelihood = plane(rank=rank)
    spectrum = Spectrum.of(likelihood, likelihood.operator)
    assert int(spectrum.seen.sum()) == rank
    x = prior.prior.sample(20, generator=seeded(0))
    z = spectrum.into(x)
    assert_close(spectrum.back(z), x)
    terms = -0.5 * ((spectrum.y - z) / spectrum.noise) ** 2
    apart = likelihood.log_prob(x) - terms.sum(-1)
    assert float(apart.std()) < 1e-10


# DDRM, DDNM and DDNM+


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(("t", "s"), [(0.9, 0.7), (0.3, 0.25), (0.1, 0.05)])
def test_ddnm_plus_is_ddrm_with_eta_b_1(t, s, rank):
    prior, likelihood = plane(rank=rank)
    x = prior.sample(10, t, generator=seeded(0))
    one = fl.DDRM(prior, likelihood, eta=0.7).step(x, t, s, generator=seeded(1))
    other = fl.DDNMPlus(prior, likelihood, eta=0.7).step(x, t, s, generator=seeded(1))
    near(one, other, 1e-13)
    half = fl.DDRM(prior, likelihood, eta=0.7, eta_b=0.5).step(x, t, s, generator=seeded(1))
    noise = fl.DDRM(prior, likelihood).spectrum.noise
    early = bool((noise <= prior.schedule.sigma(s) / prior.schedule.alpha(s)).any())
    assert (float((half - one).abs().max()) > 1e-3) == early


def test_each_direction_of_ddrm_moves_by_its_own_rule():
    """The three rules by hand, with A diagonal: little noise, much, and not seen."""
    prior = fl.Diffusion(fl.GaussianMixture(*random_mixture_parts(1, k=2, d=3)), fl.VP())
    matrix = torch.diag(tensor(2.0, 0.1, 1.0))[:2]
    y, eta, eta_b, t, s = tensor(0.7, -0.2), 0.8, 0.6, 0.3, 0.25
    likelihood = fl.Likelihood(fl.Linear(matrix), y, 0.3)
    x = prior.sample(5, t, generator=seeded(0))
    moved = fl.DDRM(prior, likelihood, eta, eta_b).step(x, t, s, generator=seeded(1))
    eps = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
    v = prior.schedule
    s_t, s_s = (float(v.sigma(u) / v.alpha(u)) for u in (t, s))
    assert 0.15 < s_s < 3  # the noise of the two that are seen
    m, kept = prior.denoise(x, t), (1 - eta**2) ** 0.5
    early = (1 - eta_b) * m[:, 0] + eta_b * y[0] / 2
    late = m[:, 1] + kept * s_s * (y[1] / 0.1 - m[:, 1]) / 3
    unseen = m[:, 2] + kept * s_s * (x[:, 2] / v.alpha(t) - m[:, 2]) / s_t
    std = tensor((s_s**2 - (eta_b * 0.15) ** 2) ** 0.5, eta * s_s, eta * s_s)
    basis = Spectrum.of(likelihood, likelihood.operator).basis
    assert_close(basis.abs(), torch.eye(3, dtype=torch.float64))
    noise = std * basis.diagonal() * eps  # the noise is drawn along V, which has signs
    assert_close(moved, v.alpha(s) * (torch.stack([early, late, unseen], -1) + noise))


def test_ddnm_agrees_with_y_and_leaves_the_rest():
    prior, likelihood = plane(rank=1)
    x = prior.sample(10, 0.4, generator=seeded(0))
    clean = fl.DDNM(prior, likelihood).step(x, 0.4, 0.0, generator=seeded(1))
    m = prior.denoise(x, 0.4)
    # of two measurements of one number, the best explanation
    white = likelihood.noise.whiten(likelihood.operator.matrix.mT).mT
    seen = likelihood.noise.whiten(likelihood.residual(clean))
    assert_close(seen @ white, torch.zeros(10, 3, dtype=torch.float64), rtol=0, atol=1e-10)
    direction = likelihood.operator.matrix[0] / likelihood.operator.matrix[0].norm()
    moved = clean - m
    assert_close(moved, (moved @ direction)[:, None] * direction)


def test_ddnm_mixes_old_and_new_noise():
    problem, t, s, eta = fl.problems.one_coordinate(), 0.4, 0.3, 0.6
    x, v = problem.diffusion.sample(5, t, generator=seeded(0)), problem.schedule
    m = problem.diffusion.denoise(x, t)
    x0 = torch.stack([torch.full_like(m[:, 0], 0.4), m[:, 1]], -1)
    old = (x - v.alpha(t) * m) / v.sigma(t)
    new = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
    moved = fl.DDNM(*known(problem), eta=eta).step(x, t, s, generator=seeded(1))
    assert_close(moved, v.alpha(s) * x0 + v.sigma(s) * (eta * new + 0.8 * old))


@pytest.mark.parametrize("from_m", [False, True])
def test_ddnm_travels_as_the_paper_says_or_as_its_code_does(from_m):
    """Of three steps in parts of one the second is taken twice: 0 1 2 1 2 3 are the places."""
    prior, likelihood = plane()
    t = fl.times(fl.VP(), 3, stop=0.05)
    x = prior.sample(5, t[0], generator=seeded(0))
    sampler = fl.DDNM(prior, likelihood, travel_repeat=2, travel_from_m=from_m)
    found, g, v = sampler(x, t, generator=seeded(1)), seeded(1), prior.schedule

    def again(x, x_next, now, after):
        if not from_m:
            return noised_again(v, x_next, after, now, g)
        m = prior.denoise(x, now)
        return v.alpha(now) * m + v.sigma(now) * torch.randn(5, 3, generator=g, dtype=m.dtype)

    first = x
    for now, after in ((t[0], t[1]), (t[1], t[2])):
        stepped = sampler.step(first, now, after, generator=g)
        first = sampler.step(again(first, stepped, now, after), now, after, generator=g)
    assert_close(found.x, sampler.step(first, t[2], t[3], generator=g))
    assert_close(found.path.x[2], first)
    assert found.path.x.shape == (4, 5, 3)


def test_a_report_runs_the_travel_and_not_the_steps_alone():
    for repeats, kind in ((1, Stepped), (2, Drawn)):
        made = fl.DDNM(*known(fl.problems.one_coordinate()), travel_repeat=repeats)
        assert isinstance(kind_made(made), kind)


def affine(sampler, t, s):
    """a, b and |c| of a step x_s = a x + b + c eps in one dimension."""
    x = tensor([0.0], [1.0])
    low = [sampler.step(x, t, s, generator=seeded(k))[:, 0] for k in (0, 1)]
    eps = [torch.randn(2, 1, generator=seeded(k), dtype=torch.float64)[:, 0] for k in (0, 1)]
    c = (low[0] - low[1]) / (eps[0] - eps[1])
    return [float(v) for v in (*(low[0] - c * eps[0]), c.abs().max())]


def ended(sampler, steps):
    """Mean and standard deviation of x_0, of an affine sampler: no particle is drawn."""
    grid = fl.times(sampler.prior.schedule, steps)
    mean, var = 0.0, float(sampler.prior.schedule.variance(grid[0]))
    for t, s in zip(grid[:-1], grid[1:], strict=True):
        b, ahead, c = affine(sampler, t, s)
        mean, var = b + (ahead - b) * mean, (ahead - b) ** 2 * var + c**2
    alpha = float(sampler.prior.schedule.alpha(grid[-1]))
    return mean / alpha, var**0.5 / alpha


NO_LIMIT = [(20, 0.784, 0.242), (400, 0.974, 0.075)]


@pytest.mark.parametrize(("steps", "mean", "std"), at_length(NO_LIMIT, NO_LIMIT[:1]))
def test_ddrm_has_no_limit_of_small_steps(steps, mean, std):
    """On N(0, 1) with y = 1 and noise 0.5, where the truth is N(.8, .447^2)."""
    sampler = fl.DDRM(*known(fl.problems.gaussian()))
    assert ended(sampler, steps) == pytest.approx((mean, std), abs=6e-4)


# The proximal step: DiffPIR, DAPS, PnP-DM


def test_the_data_step_of_diffpir_is_the_minimum():
    prior, likelihood = plane()
    t, lam = 0.3, 3.0
    m = prior.sample(6, 0.0, generator=seeded(0))
    x0 = fl.DiffPIR(prior, likelihood, lam=lam).restored(m, t)
    s2 = float((-prior.schedule.log_snr(t)).exp())
    slope = likelihood.noise.solve(likelihood.residual(x0)) @ likelihood.operator.matrix
    near(slope, lam * (x0 - m) / s2, 1e-11)


@pytest.mark.parametrize("lam", [1.0, 8.0])
def test_the_data_step_of_diffpir_is_that_of_pigdm_without_a_jacobian(lam):
    """m + (sigma^2 / alpha) J' u, where J = (alpha / sigma^2) Cov has r^2 I for its covariance."""
    prior, likelihood = plane()
    t = 0.3
    s2 = float((-prior.schedule.log_snr(t)).exp())
    pigdm = fl.PiGDM(prior, likelihood, data_var=math.inf if lam == 1 else s2 / (lam - 1))
    at = prior.at(prior.sample(6, t, generator=seeded(0)), t)
    V = pigdm.assumed_cov(at, t)
    assert float(V) == pytest.approx(s2 / lam)
    u = likelihood.operator.adjoint(pigdm.weighed(at, V, likelihood.residual(at.mean)))
    near(fl.DiffPIR(prior, likelihood, lam=lam).restored(at.mean, t), at.mean + V * u, 1e-12)


def test_the_gradient_step_of_diffpir_is_its_formula_for_any_operator():
    problem, t, lam = fl.problems.square(), 0.3, 2.0
    m = tensor([0.7], [-1.1]).requires_grad_()
    pull = torch.autograd.grad(problem.likelihood.log_prob(m).sum(), m)[0]
    m, s2 = m.detach(), float((-problem.schedule.log_snr(t)).exp())
    assert_close(fl.DiffPIR(*known(problem), lam=lam).restored(m, t), m + s2 / lam * pull)


def test_the_gradient_step_of_diffpir_is_right_to_first_order():
    """Twice the lam, a quarter of what is between it and the minimum."""
    prior, likelihood = plane()
    m, t = prior.sample(6, 0.0, generator=seeded(0)), 0.1

    def off(lam):
        steps = (fl.DiffPIR(prior, likelihood, lam=lam, analytic=a) for a in (True, False))
        exact, one = (sampler.restored(m, t) for sampler in steps)
        return float((exact - one).norm())

    assert off(1e5) / off(2e5) == pytest.approx(4, rel=1e-3)


def test_the_first_gradient_steps_of_diffpir_throw_all_particles_to_one_side():
    problem, n = fl.problems.square(), 200
    t = fl.times(problem.schedule, 20)
    x = problem.schedule.noise(n, 1, t=t[0], generator=seeded(0))
    found = fl.DiffPIR(*known(problem))(x, t, generator=seeded(1)).x
    truth = problem.posterior.sample(20_000, 0.0, generator=seeded(2))
    assert float((truth < 0).double().mean()) == pytest.approx(0.37, abs=0.02)
    assert bool((found < 0).all())


def test_diffpir_starts_late_from_a_noised_y():
    """With all the noise of x_t, once the noise of y itself is counted; A does not see all."""
    prior, likelihood = plane(rank=1)
    t = fl.times(fl.VP(), 6, stop=0.05)
    sampler, v = fl.DiffPIR(prior, likelihood, start=float(t[3]) + 1e-9), prior.schedule
    x = torch.full((4, 3), math.nan, dtype=torch.float64)  # the cloud itself is not used
    found = sampler(x, t, generator=seeded(0))
    assert found.path.x[3:].isfinite().all()
    rest = fl.DiffPIR(prior, likelihood)(found.path.x[3], t[3:], generator=skipped(seeded(0), 3))
    assert_close(found.x, rest.x)
    spectrum, nothing = sampler.spectrum, torch.zeros(1, 3, dtype=torch.float64)
    clean = spectrum.into(sampler.noised(t[3], nothing))[0]
    assert_close(clean, v.alpha(t[3]) * spectrum.y)
    noise = spectrum.into(sampler.noised(t[3], torch.ones_like(nothing)))[0] - clean
    known = torch.where(spectrum.seen, v.alpha(t[3]) * spectrum.noise, 0.0)
    assert_close(noise**2 + known**2, v.variance(t[3]).expand(3))


def skipped(g, steps):
    """A generator that has drawn for so many steps of (4, 3)."""
    for _ in range(steps):
        torch.randn(4, 3, generator=g, dtype=torch.float64)
    return g


def test_diffpir_needs_a_pseudo_inverse_to_start_late(unchecked):
    problem = fl.problems.square()
    with pytest.raises(fl.UnsupportedLikelihood, match=r"`start` needs a Linear operator"):
        fl.DiffPIR(*known(problem), start=0.5)
    for start in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"start.*DiffPIR\(prior, likelihood, start"):
            fl.DiffPIR(*known(fl.problems.gaussian()), start=start)


def test_diffpir_carries_a_point_and_mixes_old_and_new_noise():
    problem, t, s, zeta = fl.problems.one_coordinate(), 0.4, 0.3, 0.3
    sampler = fl.DiffPIR(*known(problem), lam=2.0, zeta=zeta)
    x, v = problem.diffusion.sample(5, t, generator=seeded(0)), problem.schedule
    x0 = sampler.restored(problem.diffusion.denoise(x, t), t)
    old = (x - v.alpha(t) * x0) / v.sigma(t)
    new = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
    noise = math.sqrt(1 - zeta) * old + math.sqrt(zeta) * new
    moved = sampler.step(x, t, s, generator=seeded(1))
    assert_close(moved, v.alpha(s) * x0 + v.sigma(s) * noise)


def test_a_proximal_draw_has_the_law_of_the_product():
    _, likelihood = plane()
    n, var, A = 40_000, 0.7, likelihood.operator.matrix
    h = tensor(0.4, -0.3, 0.8)
    z = proximal_draw(likelihood, likelihood.operator, h.expand(n, -1), var, seeded(0))
    precision = A.T @ torch.linalg.solve(likelihood.noise.cov, A)
    cov = torch.linalg.inv(precision + torch.eye(3, dtype=torch.float64) / var)
    mean = proximal_mean(likelihood, likelihood.operator, h, torch.tensor(var))
    scale = cov.diagonal().sqrt()
    assert bool(((z.mean(0) - mean).abs() < 5 * scale / n**0.5).all())
    assert bool(((z.T.cov() - cov).abs() < 5 * 2**0.5 * scale * scale[:, None] / n**0.5).all())


def test_a_langevin_step_climbs_the_product_and_adds_noise():
    problem = fl.problems.square()
    h, var, rate = tensor([0.7], [-1.1]), 0.4, 1e-3

    def log_product(z):
        return problem.likelihood.log_prob(z) - (z - h).square().sum(-1) / (2 * var)

    z = h.clone().requires_grad_()
    slope = torch.autograd.grad(log_product(z).sum(), z)[0]
    eps = torch.randn(2, 1, generator=seeded(0), dtype=torch.float64)
    one = fl.Langevin(1, rate).draw(problem.likelihood, h, var, seeded(0))
    assert_close(one, h + rate * slope + (2 * rate) ** 0.5 * eps)
    assert fl.Langevin(7, 1e-4).at(0.0) == fl.Langevin(7, 1e-4)
    assert fl.Langevin(7, 1e-4).at(1.0).rate == pytest.approx(1e-6)


@pytest.mark.parametrize(("t", "s"), [(0.6, 0.4), (0.2, 0.1)])
def test_daps_is_exact_on_gaussians_with_the_right_inner_variance(t, s):
    problem, n = fl.problems.gaussian(prior_std=0.8), 40_000
    right = fl.DAPS(*known(problem), inner=None, ode_steps=1, data_var=0.64)
    x = problem.posterior.sample(n, t, generator=seeded(0))
    truth = problem.posterior.sample(n, s, generator=seeded(2))

    def off(sampler):
        moved = sampler.step(x, t, s, generator=seeded(1))
        std = float(truth.std())
        mean = float(moved.mean() - truth.mean()) / (std * (2 / n) ** 0.5)
        return max(abs(mean), abs(float(moved.std()) / std - 1) * n**0.5)  # in standard errors

    assert off(right) < 5
    published = fl.DAPS(*known(problem), inner=None, ode_steps=1)
    assert off(published) > 15


def test_the_flow_of_daps_is_of_first_order():
    """On N(0, 1) u / sqrt(1 + s^2) stays what it is, so that h = u / sqrt(1 + s^2)."""
    problem, t = fl.problems.gaussian(), 0.4
    v = problem.schedule
    x = tensor([0.8])
    exact = float(x / v.alpha(t) / (1 + v.variance(t) / v.alpha(t) ** 2).sqrt())
    off = [abs(float(fl.DAPS(*known(problem), ode_steps=k).flowed(x, t)) - exact) for k in (30, 60)]
    assert off[0] / off[1] == pytest.approx(2, rel=0.15)
    one = fl.DAPS(*known(problem), ode_steps=1).flowed(x, t)
    assert_close(one, problem.diffusion.denoise(x, t))


@dataclass(frozen=True)
class Watched(fl.Langevin):
    """It says how far a run has gone."""

    seen: tuple = ()

    def at(self, gone):
        self.seen.append(gone)
        return fl.Langevin(1)


def test_the_rate_of_daps_falls_along_the_published_levels():
    """Level i of L has sigma / alpha = (100^(1/7) + i / L (0.1^(1/7) - 100^(1/7)))^7."""
    problem = fl.problems.two_atoms()
    inner = Watched(seen=[])
    sampler = fl.DAPS(*known(problem), tau=0.01, inner=inner)
    first, last = 100 ** (1 / 7), 0.1 ** (1 / 7)
    for gone in (0.0, 0.3, 0.9, 1.0):
        level = torch.tensor((first + gone * (last - first)) ** 7, dtype=torch.float64)
        t = problem.schedule.time_of(-2 * level.log())
        sampler.pulled(tensor([0.5]), t, level**2, seeded(0))
    sampler.pulled(tensor([0.5]), 1e-3, tensor(1e-4)[0], seeded(0))  # below the last level
    assert inner.seen == pytest.approx([0.0, 0.3, 0.9, 1.0, 1.0])
    assert sampler.believed.noise_std == 0.01
    assert fl.DAPS(*known(problem)).believed.noise_std == 0.5


SCHEDULES = (fl.VP(), fl.VE(), fl.Cosine(), fl.FlowMatching())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_rate_of_daps_falls_as_s_squared_below_the_published_levels(schedule):
    """The rate is 1e-6 (s / .1)^2 there, so that z is never thrown away from h."""
    problem = replace(fl.problems.gaussian(), schedule=schedule)
    sampler, t = fl.DAPS(*known(problem)), 1e-3
    s2 = (-schedule.log_snr(t)).exp()
    assert s2 < 0.01
    z = sampler.pulled(tensor([0.0], [1.0]), t, s2, seeded(0))
    eps = seeded(0)
    apart = [torch.randn(2, 1, generator=eps, dtype=torch.float64) for _ in range(100)]
    rate, bend = 1e-6 * s2 / 0.01, 1 / s2 + 4  # y has the noise .5
    shrunk = 1 - rate * bend
    assert 0 < shrunk < 1
    differ = tensor([0.0], [1.0])
    for one in apart:
        differ = differ + rate * (4 * (1.0 - differ) - (differ - tensor([0.0], [1.0])) / s2)
        differ = differ + (2 * rate) ** 0.5 * one
    assert_close(z, differ)


def test_daps_with_the_tau_of_its_experiments_forgets_the_other_mode():
    problem, n = fl.problems.two_atoms(), 400
    t = fl.times(problem.schedule, 8)
    x = problem.schedule.noise(n, 1, t=t[0], generator=seeded(0))
    found = fl.DAPS(*known(problem), tau=0.01)(x, t, generator=seeded(1)).x
    assert float((found < 0).double().mean()) < 0.01  # the truth is .083: 33 of 400


@pytest.mark.parametrize(("noise_std", "diverges"), [(0.006, True), (0.008, False)])
def test_the_published_rate_of_daps_diverges_under_little_noise(noise_std, diverges):
    """rate / noise_std^2 > 2, which is noise_std < .0071 for A = 1."""
    problem = fl.problems.gaussian(noise_std=noise_std)
    z = fl.DAPS(*known(problem)).pulled(tensor([0.5]), 1.0, tensor(2e4)[0], seeded(0))
    assert bool(z.abs() > 1e6) == diverges


def test_the_rate_of_pnpdm_falls_along_its_iterations():
    problem = fl.problems.square()
    inner = Watched(seen=[])
    sampler = fl.PnPDM(*known(problem), iterations=4, inner=inner)
    sampler(
        torch.zeros(3, 1, dtype=torch.float64), fl.times(problem.schedule, 2), generator=seeded(0)
    )
    assert inner.seen == [0.0, 0.25, 0.5, 0.75]


def transition(problem, rho):
    """The matrix of one iteration of PnP-DM between two atoms, by quadrature over z."""
    prior, likelihood = known(problem)
    mean = proximal_mean(likelihood, likelihood.operator, prior.prior.atoms, rho**2)[:, 0]
    var = 1 / (1 / rho**2 + 1 / float(likelihood.noise_std) ** 2)
    nodes = torch.linspace(-9, 9, 2001, dtype=torch.float64)  # of a smooth function: exact
    weights = (-0.5 * nodes**2).exp()
    z = mean[:, None] + var**0.5 * nodes
    seen = fl.Diffusion(prior.prior, fl.VE(rho, 1.0))
    stays = (1 - seen.denoise(z.reshape(-1, 1), 1.0).reshape(z.shape)) / 2  # at -1
    low = (stays * weights / weights.sum()).sum(-1)
    return torch.stack([low, 1 - low], -1)


def test_the_stationary_law_of_pnpdm_is_the_posterior_under_more_noise():
    problem = fl.problems.two_atoms()
    for rho, relaxation in ((0.3, 112), (0.2, 120_490)):
        T = transition(problem, rho)
        leaves, returns = float(T[0, 1]), float(T[1, 0])
        noisier = (0.25 + rho**2) ** 0.5
        truth = fl.theory.true_weight(1.0, 0.3, noisier)
        assert returns / (leaves + returns) == pytest.approx(truth, rel=1e-9)
        assert 1 / (leaves + returns) == pytest.approx(relaxation, rel=0.01)


def test_an_iteration_of_pnpdm_moves_atoms_as_the_matrix_says():
    problem, rho, n = fl.problems.two_atoms(), 0.6, 20_000
    sampler, g = fl.PnPDM(*known(problem)), seeded(0)
    T = transition(problem, rho)
    for start in (0, 1):
        x = problem.prior.atoms[start].expand(n, 1)
        x = sampler.denoised(sampler.pulled(x, rho, 0, g), rho, g)
        share = float((x < 0).double().mean())
        expected = float(T[start, 0])
        assert abs(share - expected) < 5 * (expected * (1 - expected) / n) ** 0.5


def test_the_steps_of_pnpdm_come_near_the_draw():
    problem, rho, n = fl.problems.unequal(), 0.5, 4000
    z = problem.diffusion.sample(1, 0.3, generator=seeded(0)).expand(n, 1)
    clouds = [
        fl.PnPDM(*known(problem), steps=steps).denoised(z, rho, seeded(1)) for steps in (None, 60)
    ]
    # two empirical laws of 4,000 differ by about the spread over the root of n
    spread = float(clouds[0].std())
    assert fl.wasserstein1(*clouds) < 5 * spread / n**0.5 + 0.02 * spread


# RED-diff


def test_red_diff_is_adam_on_its_slopes():
    problem = fl.problems.one_coordinate()
    sampler = fl.REDDiff(*known(problem), steps=7)
    x = torch.zeros(4, 2, dtype=torch.float64)
    found = sampler(x, fl.times(problem.schedule, 3), generator=seeded(0)).x
    mu = torch.linalg.pinv(problem.likelihood.operator.matrix) @ problem.likelihood.y
    mu = mu.expand(4, 2).clone().requires_grad_()
    adam, g = torch.optim.Adam([mu], lr=0.1, betas=(0.9, 0.99)), seeded(0)
    for t in fl.times(problem.schedule, 7, spacing="time")[:-1]:
        mu.grad = sampler.slope(mu.detach(), t, g)
        adam.step()
    assert_close(found, mu.detach(), rtol=1e-11, atol=1e-11)  # Adam's 1e-8 is seen


def test_the_slope_of_red_diff_on_a_gaussian():
    """E[x_0 | x_t] = alpha x_t for N(0, 1), so that eps^ = sigma x_t."""
    problem, t = fl.problems.gaussian(), 0.3
    mu, v = tensor([0.4], [-1.0]), problem.schedule
    eps = torch.randn(2, 1, generator=seeded(0), dtype=torch.float64)
    x = v.alpha(t) * mu + v.sigma(t) * eps
    expected = mu - 1.0 + 0.25 * v.sigma(t) / v.alpha(t) * (v.sigma(t) * x - eps)
    assert_close(fl.REDDiff(*known(problem)).slope(mu, t, seeded(0)), expected)


# RePaint


def test_repaint_replaces_what_is_seen_and_steps_the_rest():
    problem, t, s = fl.problems.one_coordinate(), 0.4, 0.3
    x, v = problem.diffusion.sample(5, t, generator=seeded(0)), problem.schedule
    g = seeded(1)
    free, seen = (torch.randn(5, 2, generator=g, dtype=torch.float64) for _ in range(2))
    moved = fl.RePaint(*known(problem)).step(x, t, s, generator=seeded(1))
    assert_close(moved[:, 0], v.alpha(s) * 0.4 + v.sigma(s) * seen[:, 0])
    one = fl.ddpm(problem.diffusion, v, x, tensor(t, s), generator=seeded(1)).final
    assert_close(moved[:, 1], one[:, 1])
    assert not torch.equal(free, seen)


def test_repaint_repeats_blocks_of_steps():
    """A cloud that goes back has the forward law, and each block takes its steps so often."""
    problem, calls = fl.problems.one_coordinate(), []

    class Watched(fl.RePaint):
        def step(self, x, t, s, *, generator):
            calls.append((float(t), float(s)))
            return super().step(x, t, s, generator=generator)

    grid = fl.times(problem.schedule, 5, stop=0.05)
    x = problem.schedule.noise(6, 2, t=grid[0], generator=seeded(0))
    Watched(*known(problem), jump=2, repeats=3)(x, grid, generator=seeded(1))
    pairs = list(zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True))
    assert calls == pairs[:2] * 3 + pairs[2:4] * 3 + pairs[4:]


def published_places(steps, length, repeats):
    """The listing of the publication, whose times count down to -1, as places of a grid."""
    jumps = dict.fromkeys(range(0, steps - length, length), repeats - 1)
    t, times = steps, []
    while t >= 1:
        t -= 1
        times.append(t)
        if jumps.get(t, 0) > 0:
            jumps[t] -= 1
            for _ in range(length):
                t += 1
                times.append(t)
    return [steps - 1 - t for t in [*times, -1]]


@pytest.mark.parametrize(
    ("steps", "length", "repeats"),
    [(250, 10, 10), (100, 1, 3), (13, 4, 3), (7, 7, 3), (8, 7, 3), (10, 3, 2), (5, 1, 1)],
)
def test_time_travel_visits_the_places_of_the_publication(steps, length, repeats):
    """One jump back stands for as many single steps back: they have one law."""
    single = [0]
    for place in visits(steps, length, repeats):
        single += range(single[-1] - 1, place - 1, -1) if place < single[-1] else [place]
    assert single[1:] == published_places(steps, length, repeats)


def test_going_back_keeps_the_law_of_x_t():
    problem, t, s, n = fl.problems.gaussian(), 0.4, 0.3, 1
    v = problem.schedule
    back = noised_again(v, tensor([0.5]), s, t, seeded(0))
    eps = torch.randn(n, 1, generator=seeded(0), dtype=torch.float64)
    kept = v.alpha(t) / v.alpha(s)
    std = (v.variance(t) - kept**2 * v.variance(s)).sqrt()
    assert_close(back, kept * 0.5 + std * eps)


# Particles


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    st.lists(st.floats(-30, 30), min_size=8, max_size=40), st.integers(1, 9), st.integers(0, 99)
)
def test_each_particle_goes_on_as_often_as_its_share_of_its_run(logs, size, seed):
    log_weights = torch.tensor(logs, dtype=torch.float64)
    runs = Runs.of(len(logs), size, log_weights).weighed(log_weights)
    after, chosen = runs.resampled(math.inf, seeded(seed))
    assert torch.equal(runs.label[chosen], runs.label)  # nobody leaves a run
    sizes = runs.label.bincount()
    assert int(sizes.max() - sizes.min()) <= 1
    wanted = runs.shares * sizes[runs.label]
    taken = chosen.bincount(minlength=len(logs))
    assert bool(((taken - wanted).abs() < 1 + 1e-9).all())
    for run in range(len(sizes)):
        mean = log_weights[runs.label == run].logsumexp(0) - math.log(int(sizes[run]))
        assert float(after.log_evidence[run]) == pytest.approx(float(mean), abs=1e-9)
    assert_close(after.evidence, runs.evidence)


def test_only_poor_runs_are_resampled():
    log_weights = tensor(0.0, 0.0, 0.0, 0.0, 0.0, -40.0, -40.0, -40.0)
    runs = Runs.of(8, 4, log_weights).weighed(log_weights)
    assert_close(runs.effective_sizes, tensor(4.0, 1.0))
    after, chosen = runs.resampled(0.5, seeded(0))
    assert chosen.tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert after.log_weights.tolist() == [0.0] * 8
    assert after.log_evidence.tolist() == pytest.approx([0.0, -math.log(4)])


# TDS


def test_tds_of_one_particle_is_guided_ancestral_sampling():
    problem = fl.problems.one_coordinate()
    grid = fl.times(problem.schedule, 12)
    x = problem.schedule.noise(10, 2, t=grid[0], generator=seeded(0))
    tds = fl.TDS(*known(problem), particles=1, twist=fl.PiGDM)
    found = tds(x, grid, generator=seeded(1))
    score = fl.PiGDM(*known(problem))
    path = fl.ddpm(score, problem.schedule, x, grid, generator=seeded(1))
    assert_close(found.x, path.final)
    assert_close(found.log_weights, torch.zeros(10, dtype=torch.float64))


@cache
def filtered(twist, particles, n=4800, steps=25):
    """Per run of TDS on two_atoms: the weight of -1, and the evidence over p(y)."""
    problem = fl.problems.two_atoms()
    grid, g = fl.times(problem.schedule, steps), seeded(particles)
    x = problem.schedule.noise(n, 1, t=grid[0], generator=g)
    found = fl.TDS(*known(problem), particles=particles, twist=twist)(x, grid, generator=g)
    weights = found.log_weights.exp() * (found.x[:, 0] < 0)
    share = torch.zeros_like(found.log_evidence).index_add(0, found.runs, weights)
    evidence = problem.likelihood.log_prob(problem.prior.atoms).exp().mean()
    return share, found.log_evidence.exp() / evidence


# not DPS with one particle: its largest weight is 900 times the mean, and no error is known of it
TWISTS = [(twist, k) for twist in (fl.PiGDM, fl.TMPD, fl.SDA) for k in (1, 4, 16)]
TWISTS += [(fl.DPS, 16)]
EACH = [(fl.PiGDM, 1), (fl.PiGDM, 4), (fl.PiGDM, 16)]


@pytest.mark.parametrize(("twist", "particles"), at_length(TWISTS, EACH))
def test_the_evidence_of_tds_is_right_on_average_for_any_twist_and_number(twist, particles):
    """Ancestral steps keep the symmetry of the prior, so that their p(y) is that of the problem."""
    ratio = fl.Estimate.of(filtered(twist, particles)[1])
    assert abs(ratio.value - 1) < 4.5 * ratio.error


def test_the_bias_of_tds_falls_as_one_over_particles():
    truth = fl.theory.true_weight(1.0, 0.3, 0.5)
    share = {k: fl.Estimate.of(filtered(fl.PiGDM, k)[0]) for k in (1, 4, 16)}
    bias = {k: one.value - truth for k, one in share.items()}
    assert bias[1] > 10 * share[1].error
    # a law c / K, of which the errors are known
    assert bias[4] == pytest.approx(bias[1] / 4, abs=4 * share[4].error + 0.02)
    assert bias[16] == pytest.approx(bias[1] / 16, abs=4 * share[16].error)


def test_tds_needs_a_twist_that_knows_its_likelihood(unchecked):
    problem = fl.problems.two_atoms()

    def twist(prior, likelihood):
        return fl.StepDPS(prior, likelihood, 0.3, fl.times(prior.schedule, 5))

    with pytest.raises(TypeError, match=r"log_likelihood.*StepDPS.*TDS\(prior"):
        fl.TDS(*known(problem), twist=twist)


# MCGDiff


def shares(samples):
    """The weight of -1 in each run."""
    weights = torch.ones_like(samples.x[:, 0])
    if samples.log_weights is not None:
        weights = samples.log_weights.exp()
    total, low = (
        torch.zeros(int(samples.runs.max()) + 1, dtype=torch.float64).index_add(
            0, samples.runs, part
        )
        for part in (weights, weights * (samples.x[:, 0] < 0))
    )
    return fl.Estimate.of(low / total)


def test_mcgdiff_counts_y_twice_as_published_and_once_without_its_last_weights():
    problem, n = fl.problems.two_atoms(), 4500
    grid = fl.times(problem.schedule, 30)
    x = problem.schedule.noise(n, 1, t=grid[0], generator=seeded(0))
    mended = fl.MCGDiff(*known(problem), particles=300, final_weights=False)
    once = shares(mended(x, grid, generator=seeded(1)))
    # the same ancestral steps from alpha y at tau, where the potential has no width
    tau = mended.taus[0]
    rest = torch.cat([tau[None], grid[grid < tau]])
    begin = (problem.schedule.alpha(tau) * 0.3).expand(n, 1)
    path = fl.ddpm(problem.diffusion, problem.schedule, begin, rest, generator=seeded(2))
    steps = float((path.final < 0).double().mean())
    assert abs(once.value - steps) < 4 * math.hypot(once.error, (steps * (1 - steps) / n) ** 0.5)
    published = fl.MCGDiff(*known(problem), particles=30)  # few, for one of a run has its weight
    twice = shares(published(x, grid, generator=seeded(1)))
    again = math.exp(-2 * 0.3 / 0.25)  # the likelihood ratio
    assert again**2 / (1 + again**2) == pytest.approx(0.008, abs=5e-4)  # for .083, once
    odds = steps / (1 - steps) * again
    assert twice.value + 4 * twice.error < once.value
    assert abs(twice.value - odds / (1 + odds)) < 4 * twice.error


def test_mcgdiff_does_not_hold_what_is_noisier_than_the_start():
    """VE(5) ends below the noise of y: y weighs the last particles, and moves none."""
    problem = replace(fl.problems.one_coordinate(noise_std=6.0), schedule=fl.VE(5.0, 1.0))
    t = fl.times(problem.schedule, 4)
    x = problem.schedule.noise(12, 2, t=t[0], generator=seeded(0))
    sampler = fl.MCGDiff(*known(problem), particles=4, final_weights=False)
    found = sampler(x, t, generator=seeded(1))
    expected = problem.likelihood.log_prob(problem.diffusion.denoise(found.x, t[-1]))
    weights = expected.reshape(3, 4).softmax(-1).log().flatten()
    assert_close(found.log_weights, weights)


def test_mcgdiff_holds_each_coordinate_until_its_own_tau():
    prior, likelihood = plane()
    sampler = fl.MCGDiff(prior, likelihood)
    v = prior.schedule
    noise = Spectrum.of(likelihood, likelihood.operator).noise
    for tau, one in zip(sampler.taus[:2], noise[:2], strict=True):
        assert float(v.sigma(tau) / v.alpha(tau)) == pytest.approx(float(one))
    grid = sampler._with_taus(fl.times(v, 5))
    assert len(grid) == 8
    assert bool((grid[1:] < grid[:-1]).all())
    rounded = sampler._with_taus(fl.times(v, 5).float())
    assert set(sampler.taus[:2].tolist()) <= set(rounded.tolist())  # a tau is not rounded away
    late = float(sampler.taus[:2].max())
    assert sampler._active(late).tolist() == [
        bool(t <= late) and i < 2 for i, t in enumerate(sampler.taus)
    ]
    mean, var = sampler._potential(sampler.taus[0])
    assert float(var[0]) == pytest.approx(1e-4)
    assert_close(mean, v.alpha(sampler.taus[0]) * sampler.spectrum.y)


@pytest.mark.long
def test_mended_mcgdiff_is_the_posterior_in_two_dimensions():
    """Two coordinates, each released at its own time; the ancestral steps leave a small error."""
    prior = fl.GaussianMixture(
        tensor(0.4, 0.6).log(),
        tensor([1.0, 0.5], [-1.0, -0.2]),
        0.2 * torch.eye(2).double().expand(2, 2, 2),
    )
    operator = fl.Linear(torch.diag(tensor(1.0, 0.5)))
    problem = fl.Problem("two", prior, fl.Likelihood(operator, tensor(0.1, 0.1), 0.5))
    grid, n = fl.times(problem.schedule, 400), 12_000
    x = problem.schedule.noise(n, 2, t=grid[0], generator=seeded(0))
    sampler = fl.MCGDiff(*known(problem), particles=600, final_weights=False)
    found = sampler(x, grid, generator=seeded(1))
    share = shares(found)
    truth = problem.posterior.sample(100_000, 0.0, generator=seeded(2))
    expected = float((truth[:, 0] < 0).double().mean())
    assert abs(share.value - expected) < 4 * share.error + 0.01


@pytest.mark.parametrize(
    "method", [fl.DDRM, fl.DDNM, fl.DDNMPlus, fl.PnPDM, fl.REDDiff, fl.RePaint, fl.TDS, fl.MCGDiff]
)
def test_a_batch_of_y_is_refused_where_only_one_would_be_looked_at(method):
    problem, y = fl.problems.one_coordinate(), torch.tensor([[1.5], [0.0], [-1.5]])
    known = problem.likelihood
    many = fl.Likelihood(known.operator, y.double(), known.noise_std)
    x = problem.schedule.noise(6, 2, generator=seeded(0))
    grid = fl.times(problem.schedule, 3)
    with pytest.raises(ValueError, match=r"one measurement y of shape \(m,\), got \(3, 1\)"):
        method(problem.diffusion, many)(x, grid, generator=seeded(0))
