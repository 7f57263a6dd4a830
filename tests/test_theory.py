"""The closed forms of `theory` against the laws of samplers, against each other, and their limits.

A law has the error of its integrator, which the closed forms have not: so each law is taken on
three grids and extrapolated to no step at all (Richardson). What then remains is below 2e-3 while
the guidance is not stiff, noise_std > 0.7 a or so for DPS; another method, or another factor in a
closed form, is off by 1e-2 and more. Where it is stiff, and where a run ends before its particles
have arrived, there are tests of how the agreement ends.

Laws are what costs here: every day takes a few settings of each method, the long tests take all.
"""

import math
from dataclasses import dataclass

import mpmath
import numpy as np
import pytest
import torch

from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Cosine,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    Problem,
    ddpm,
    implied_density,
    law,
    score_error,
    theory,
    times,
)
from fsps_lite.guidance import MatchedGaussian
from tests.oracles import at_length, seeded

unchecked = pytest.mark.usefixtures("unchecked")  # laws take thousands of steps
START, STOP = 0.85, 0.02
GRIDS = (12, 24, 48)  # steps; what these leave of the error of a weight is below 1.5e-3
REACH = 16.0  # a law has 2,001 places at least: closer together they cost more and tell no more
SPREADS = {  # V as a function of the true variance C and of the clock
    "DPS": lambda C, tau: 0 * C,
    "TMPD": lambda C, tau: C,
    "dial": lambda C, tau: 0.3 * C,
    "PiGDM, 1": lambda C, tau: 1 / (1 + tau),
    "PiGDM, inf": lambda C, tau: 1 / tau,
}


@dataclass(frozen=True)
class Dial(MatchedGaussian):
    """V = c C."""

    c: float = 0.3

    def assumed_cov(self, at, t):
        return self.c * at.cov


@dataclass(frozen=True)
class FullTMPD(TMPD):
    """TMPD with the derivative of its covariance, by differences of its own log-likelihood."""

    def guide(self, at, t):
        h = 1e-5
        ahead, behind = (self.log_likelihood(at.x + e, t) for e in (h, -h))
        return ((ahead - behind) / (2 * h)).unsqueeze(-1)


METHODS = {
    "exact": lambda prior, likelihood: Diffusion(prior.prior.condition(likelihood), prior.schedule),
    "DPS": DPS,
    "TMPD": TMPD,
    "full": FullTMPD,
    "dial": Dial,
    "PiGDM, 1": PiGDM,
    "PiGDM, inf": lambda *both: PiGDM(*both, data_var=math.inf),
}


def measured(prior, y, noise_std, schedule=None):
    one = Linear(torch.eye(1, dtype=torch.float64))
    likelihood = Likelihood(one, torch.tensor([y], dtype=torch.float64), noise_std)
    return Problem("theory", prior, likelihood, schedule or VP())


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def two_atoms(a, y, noise_std, weight=0.5):
    weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    return measured(Empirical(column(-a, a), weights.log()), y, noise_std)


def gaussian(prior_std, y, noise_std):
    return measured(GaussianMixture.isotropic(column(0.0), std=prior_std), y, noise_std)


def without_steps(problem, method, read, *, stop=STOP):
    """`read(law)` in the limit of small steps: errors of first and second order cancel."""
    score = METHODS[method](problem.diffusion, problem.likelihood)
    grids = [times(problem.schedule, k, start=START, stop=stop) for k in GRIDS]
    few, more, most = (read(law(score, problem.schedule, t, reach=REACH)) for t in grids)
    return (8 * most - 6 * more + few) / 3


def left(run):
    return float(run.mass(-math.inf, 0.0)[-1])


def closed_weight(method, a, y, noise_std, weight=0.5):
    if method == "exact":
        return theory.true_weight(a, y, noise_std, weight=weight)
    if method == "full":
        return theory.full_tmpd_weight(a, y, noise_std, weight=weight)
    if method == "DPS":
        return theory.dps_weight(a, y, noise_std, weight=weight)
    if method == "TMPD":
        return theory.tmpd_weight(a, y, noise_std, weight=weight)
    if method == "dial":
        return theory.atom_weight(lambda C: 0.3 * C, a, y, noise_std, weight=weight)
    return theory.weight_in_time(SPREADS[method], a, y, noise_std, weight=weight)


# Against the laws: 31 weights and 7 pairs of moments at length


WEIGHTS = {  # (a, y, noise_std) and, where it is not 1/2, the prior's weight
    "DPS": [(1.0, 0.3, 0.8), (1.0, 0.3, 1.0), (1.0, -0.5, 0.9), (0.7, 0.2, 0.6), (1.3, 0.4, 1.1)]
    + [(1.0, 1.5, 1.0), (1.0, 0.3, 0.9, 0.2), (1.0, 0.0, 1.0, 0.3), (0.8, -0.4, 0.8, 0.7)],
    "TMPD": [(1.0, 0.3, 0.5), (1.0, 0.3, 0.25), (1.0, 0.3, 1.0), (1.5, 0.2, 0.5), (0.6, -0.5, 0.4)]
    + [(1.0, 1.5, 0.7), (1.0, 0.3, 0.5, 0.2), (1.0, 0.0, 0.6, 0.3), (1.0, -0.6, 0.5, 0.8)],
    "full": [(1.0, 0.3, 0.8), (1.0, 0.3, 0.8, 0.2)],
    "dial": [(1.0, 0.3, 0.7), (1.0, 0.3, 1.0), (1.0, 0.2, 0.8, 0.3)],
    "PiGDM, 1": [(1.0, 0.3, 0.5), (1.0, 0.3, 1.0), (1.0, 0.3, 0.6, 0.3)],
    "PiGDM, inf": [(1.0, 0.3, 0.5), (1.0, 0.3, 1.0), (1.0, 0.3, 0.6, 0.3)],
    "exact": [(1.0, 0.3, 0.5), (1.0, 0.4, 0.6, 0.3)],
}
CASES = [(method, setting) for method, settings in WEIGHTS.items() for setting in settings]
DAILY = [  # each method; atoms of unequal weights, close and apart; y between them, at 0 and beyond
    *(("DPS", s) for s in [(1.0, 1.5, 1.0), (0.8, -0.4, 0.8, 0.7)]),
    *(("TMPD", s) for s in [(1.5, 0.2, 0.5), (1.0, 0.0, 0.6, 0.3)]),
    ("full", (1.0, 0.3, 0.8, 0.2)),
    ("dial", (1.0, 0.2, 0.8, 0.3)),
    ("PiGDM, 1", (1.0, 0.3, 0.6, 0.3)),
    ("PiGDM, inf", (1.0, 0.3, 0.6, 0.3)),
    ("exact", (1.0, 0.4, 0.6, 0.3)),
]


def told(setting):
    return " ".join(map(str, setting)) if isinstance(setting, tuple) else setting


@unchecked
@pytest.mark.parametrize(("method", "setting"), at_length(CASES, DAILY), ids=told)
def test_weights_are_those_of_the_laws(method, setting):
    sampled = without_steps(two_atoms(*setting), method, left)
    assert sampled == pytest.approx(closed_weight(method, *setting), abs=2e-3)


GAUSSIAN = [("DPS", 0.5, 0.6), ("DPS", 1.0, 1.0), ("DPS", 2.0, 2.4), ("dial", 1.0, 0.9)]
GAUSSIAN += [("PiGDM, 1", 0.5, 0.5), ("PiGDM, 1", 2.0, 2.0), ("PiGDM, inf", 1.0, 0.8)]
DAILY_GAUSSIAN = [GAUSSIAN[i] for i in (0, 3, 5, 6)]  # each method, not all with one deviation


@unchecked
@pytest.mark.parametrize(("method", "prior_std", "noise_std"), at_length(GAUSSIAN, DAILY_GAUSSIAN))
def test_moments_are_those_of_the_laws(method, prior_std, noise_std):
    problem, y = gaussian(prior_std, 1.0, noise_std), 1.0

    def moments(run):
        return torch.stack([run.mean[-1], run.std[-1]])

    mean, std = without_steps(problem, method, moments, stop=0.01).tolist()
    alpha, sigma = (float(f(0.01)) for f in (problem.schedule.alpha, problem.schedule.sigma))
    at_data = (mean / alpha, math.sqrt(std**2 - sigma**2) / alpha)
    closed = theory.gaussian_moments(SPREADS[method], prior_std, y, noise_std)
    assert at_data == pytest.approx(closed, abs=2e-3)


@unchecked
def test_dps_keeps_the_mean_of_its_scale_on_any_prior():
    y, noise_std, weights = 0.4, 0.9, torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    problem = measured(Empirical(column(-1.2, 0.1, 1.0), weights.log()), y, noise_std)

    def scale(x):
        low, high = (theory.dps_scale(end, y, noise_std) for end in (-1.2, 1.0))
        return (theory.dps_scale(x, y, noise_std) - low) / (high - low)

    def mean_scale(run):
        x, p = run.places[-1], run.density[-1]
        M = problem.diffusion.denoise(x[:, None], run.t[-1])[:, 0]
        return float((scale(M.numpy()) * p.numpy()).sum() * (x[1] - x[0]))

    start = float(weights @ problem.prior.atoms[:, 0])
    for stop in (0.2, STOP):  # at any time, in fact
        sampled = without_steps(problem, "DPS", mean_scale, stop=stop)
        assert sampled == pytest.approx(scale(start), abs=2e-3)


# Where they stop holding, and why


@unchecked
def test_a_run_that_ends_early_has_not_arrived():
    setting, t = (1.0, 0.3, 0.8), 0.2
    tau = float(VP().log_snr(t).exp())
    sampled = without_steps(two_atoms(*setting), "DPS", left, stop=t)
    assert sampled == pytest.approx(
        theory.weight_in_time(SPREADS["DPS"], *setting, stop=tau), abs=2e-3
    )
    assert abs(sampled - theory.dps_weight(*setting)) > 0.02


@unchecked
def test_steps_that_are_too_coarse_for_dps_hide_its_error():
    """The guidance is stiff where C / noise_std^2 is large: explicit steps jump between atoms."""
    setting = (1.0, 0.3, 0.3)
    problem = two_atoms(*setting)
    run = law(DPS(problem.diffusion, problem.likelihood), VP(), times(VP(), 80, stop=STOP))
    assert theory.dps_weight(*setting) < 1e-5 < 0.01 < left(run)


# Among themselves


SETTINGS = [
    (1.0, 0.3, 0.5, 0.5),
    (1.0, 0.3, 0.25, 0.2),
    (2.0, -0.7, 0.6, 0.7),
    (0.5, 1.2, 0.4, 0.4),
]
each_setting = pytest.mark.parametrize(("a", "y", "noise_std", "weight"), SETTINGS)


@each_setting
def test_the_quadrature_finds_the_closed_forms(a, y, noise_std, weight):
    setting = {"a": a, "y": y, "noise_std": noise_std, "weight": weight}
    by_dial = [theory.atom_weight(lambda C, c=c: c * C, **setting) for c in (0, 1)]
    closed = theory.dps_weight(**setting), theory.tmpd_weight(**setting)
    assert by_dial == pytest.approx(closed, rel=1e-8)


@each_setting
def test_the_equation_finds_the_closed_forms(a, y, noise_std, weight):
    setting = {"a": a, "y": y, "noise_std": noise_std, "weight": weight}
    solved = [theory.weight_in_time(SPREADS[m], **setting) for m in ("DPS", "TMPD")]
    closed = theory.dps_weight(**setting), theory.tmpd_weight(**setting)
    assert solved == pytest.approx(closed, abs=1e-4)


NARROW = [
    (1.0, 0.3, 0.01, 0.5),
    (3.0, 0.1, 0.02, 0.5),
    (1.0, 0.01, 1e-3, 0.3),
    (1.0, 4.0, 0.05, 0.9),
]


@pytest.mark.parametrize("setting", NARROW, ids=str)
def test_the_equation_finds_the_closed_forms_of_little_noise(setting):
    """A fixed grid gave .0840 for .0400 in the first of these, and 4e16 for 0 in the second."""
    *setting, weight = setting
    for method, closed in (("DPS", theory.dps_weight), ("TMPD", theory.tmpd_weight)):
        found = theory.weight_in_time(SPREADS[method], *setting, weight=weight)
        assert found == pytest.approx(closed(*setting, weight=weight), abs=1e-4)


def test_the_equation_says_where_its_grids_do_not_agree(monkeypatch):
    monkeypatch.setattr(theory, "AGREE", 1e-7)
    monkeypatch.setattr(theory, "DOUBLINGS", 1)
    message = r"two grids must agree to 3e-4, got 0\.22\d\d and 0\.22\d\d\. Call"
    with pytest.raises(ValueError, match=message):
        theory.weight_in_time(SPREADS["PiGDM, 1"], 1.0, 0.3, 0.5)


LITTLE = [
    (1.0, 0.3, 0.02, 0.5),
    (1.0, -0.3, 0.01, 0.9),
    (3.0, 0.1, 0.02, 0.4),
    (1.0, 0.3, 0.5, 0.2),
]


@pytest.mark.parametrize("setting", LITTLE, ids=str)
@pytest.mark.parametrize("c", [0.0, 0.2, 1.0])
def test_path_kl_is_the_integral_in_40_digits(setting, c):
    """Also where p(y | x) is exp(-750) of one atom over the other."""
    a, y, noise_std, weight = map(mpmath.mpf, setting)
    with mpmath.workdps(40):
        start, tilt = a * (1 - 2 * weight), a * y / noise_std**2
        low, high = mpmath.exp(-tilt), mpmath.exp(tilt)

        def likelihood(M):
            return (low * (a - M) + high * (a + M)) / (2 * a)

        def density(M):
            spent = (min(start, M) + a) * (a - max(start, M)) / a * likelihood(M)
            pull = (y - M) / (noise_std**2 + c * (a**2 - M**2))
            return spent / likelihood(start) * (pull - (high - low) / (2 * a * likelihood(M))) ** 2

        near = [sign * a * (1 - mpmath.mpf(10) ** -k) for sign in (-1, 1) for k in range(1, 8)]
        exact = float(mpmath.quad(density, sorted({-a, start, a, *near})) / 2)
    *setting, weight = setting
    found = theory.path_kl(lambda C: c * C, *setting, weight=weight)
    assert found == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("y", [0.3, -0.3, 900.0])
def test_tmpd_with_next_to_no_noise(y):
    """The power of (b - a) / (b + a) in 60 digits, where b - a is 0 in 16."""
    with mpmath.workdps(60):
        b, start = mpmath.sqrt(1 + mpmath.mpf(1e-9) ** 2), mpmath.mpf(1 - 2 * 0.3)
        low, middle, high = (-(((b - M) / (b + M)) ** (y / b)) for M in (-1, start, 1))
        exact = float((high - middle) / (high - low))
    assert theory.tmpd_weight(1.0, y, 1e-9, weight=0.3) == pytest.approx(
        exact, rel=1e-9, abs=1e-300
    )


@pytest.mark.parametrize("noise_std", [0.2, 0.02])
def test_the_unbiased_dial_gives_the_true_odds_also_where_they_are_no_number(noise_std):
    """exp(-1500) at the smaller noise: p_guess in closed form, and its integrals in 60 digits."""
    c = theory.unbiased_dial(1.0, 0.3, noise_std)
    with mpmath.workdps(60):
        y, b = mpmath.mpf("0.3"), mpmath.sqrt(1 + mpmath.mpf(noise_std) ** 2 / c)

        def density(M):
            return ((b - M) / (b + M)) ** (y / b / c) / (b**2 - M**2) ** (1 / mpmath.mpf(c))

        places = [0] + [1 - mpmath.mpf(2) ** -k for k in range(1, 30)] + [1]
        right, left = (mpmath.quad(density, [sign * M for M in places]) for sign in (1, -1))
        odds = float(mpmath.log(right / -left))
    assert odds == pytest.approx(-2 * 0.3 / noise_std**2, rel=1e-7)


@unchecked
def test_a_quadrature_refuses_noise_that_it_cannot_see():
    none = lambda C: 0 * C  # noqa: E731
    for call in (theory.atom_weight, theory.implied_weight, theory.path_kl):
        with pytest.raises(ValueError, match=r"`noise_std` of 0\.002 or more, got 0\.001"):
            call(none, 2.0, 0.3, 1e-3)
    with pytest.raises(ValueError, match=r"`noise_std` of 0\.001 or more, got 1e-05"):
        theory.gaussian_moments(lambda C, tau: 0 * C, 1.0, 0.3, 1e-5)


@each_setting
def test_the_exact_likelihood_gives_bayes_rule(a, y, noise_std, weight):
    low, high = (-((y - x) ** 2) / (2 * noise_std**2) for x in (-a, a))
    log_p = lambda M: np.logaddexp(np.log(a - M) + low, np.log(a + M) + high)  # noqa: E731
    start = theory.prior_mean(a, weight)
    found = theory.hitting_probability(log_p, start, -a, a)
    assert found == pytest.approx(theory.true_weight(a, y, noise_std, weight=weight), rel=1e-6)


@each_setting
def test_weights_mirror(a, y, noise_std, weight):
    """The same problem seen from the other side."""
    for fn in (theory.true_weight, theory.dps_weight, theory.tmpd_weight, theory.full_tmpd_weight):
        there = fn(a, -y, noise_std, weight=1 - weight)
        assert fn(a, y, noise_std, weight=weight) + there == pytest.approx(1.0)


def test_tmpd_without_a_tilt_is_the_limit_of_a_small_one():
    bent, straight = (theory.tmpd_weight(1.0, y, 0.5, weight=0.3) for y in (1e-5, 0.0))
    assert bent == pytest.approx(straight, abs=1e-5)


@pytest.mark.parametrize("prior_std", [0.5, 1.0, 2.0])
def test_the_dial_on_a_gaussian(prior_std):
    y, noise_std, mean = 0.8, 0.4, -0.3
    setting = (prior_std, y, noise_std)
    for c in (0, 0.3, 1.0, 2, 3.0):
        closed = theory.dial_moments(c, *setting, mean=mean)
        found = theory.gaussian_moments(lambda C, tau, c=c: c * C, *setting, mean=mean)
        assert found == pytest.approx(closed, rel=1e-8)
    gain = prior_std**2 / (prior_std**2 + noise_std**2)
    posterior = (mean + gain * (y - mean), math.sqrt(gain) * noise_std)
    assert theory.dial_moments(1, *setting, mean=mean) == pytest.approx(posterior)
    data_var = lambda C, tau: 1 / (1 / prior_std**2 + tau)  # noqa: E731
    assert theory.gaussian_moments(data_var, *setting, mean=mean) == pytest.approx(posterior)


def test_dps_halves_the_variance_for_small_noise():
    truth = 1 / (1 + 1 / 0.01**2)
    assert theory.dial_moments(0, 1.0, 0.3, 0.01)[1] ** 2 / truth == pytest.approx(0.5, abs=1e-3)


def test_for_equal_atoms_the_unbiased_dial_is_a_fifth_at_large_noise():
    assert theory.unbiased_dial(1.0, 0.3, 20.0) == pytest.approx(0.2, abs=1e-4)
    noise_std, bias = 20.0, lambda w: (w - 0.5) / (theory.true_weight(1.0, 0.3, 20.0) - 0.5) - 1
    for c in (0.0, 0.2, 0.5, 1.0):
        weight = theory.atom_weight(lambda C, c=c: c * C, 1.0, 0.3, noise_std)
        assert bias(weight) * noise_std**2 == pytest.approx((1 - 5 * c) / 6, abs=2e-3)


@pytest.mark.parametrize("weight", [0.2, 0.35, 0.8])
def test_for_unequal_atoms_no_dial_is_unbiased(weight):
    """At large noise every V sees the measurement y - E[x_0] / 3; with the derivative, y itself."""
    a, y, noise_std = 1.0, 0.3, 50.0
    start = theory.prior_mean(a, weight)

    def seen(w):
        odds = math.log(w / (1 - w)) - math.log(weight / (1 - weight))
        return -odds * noise_std**2 / (2 * a)

    for c in (0.0, 0.2, 1.0):
        w = theory.atom_weight(lambda C, c=c: c * C, a, y, noise_std, weight=weight)
        assert seen(w) == pytest.approx(y - start / 3, abs=1e-3)
    full = theory.full_tmpd_weight(a, y, noise_std, weight=weight)
    assert seen(full) == pytest.approx(y, abs=1e-3)


@pytest.mark.parametrize("method", ["DPS", "TMPD", "dial"])
def test_implied_weights_are_those_of_the_score(method):
    setting, t = (1.0, 0.3, 0.5, 0.35), 0.05
    problem, x = two_atoms(*setting), torch.linspace(-3, 3, 6001, dtype=torch.float64)
    density = implied_density(METHODS[method](problem.diffusion, problem.likelihood), x, t)
    implied = float(density[x < 0].sum() * (x[1] - x[0]))
    *setting, weight = setting
    closed = theory.implied_weight(lambda C: SPREADS[method](C, 0.0), *setting, weight=weight)
    assert implied == pytest.approx(closed, abs=1e-4)


@unchecked
@pytest.mark.parametrize("method", ["DPS", "TMPD"])
def test_path_kl_is_that_of_the_score(method):
    setting = (0.8, -0.2, 0.6, 0.3)
    problem = two_atoms(*setting)
    score = METHODS[method](problem.diffusion, problem.likelihood)
    t = times(problem.schedule, 200, stop=STOP)
    found = score_error(score, problem.posterior, t, n=1000, generator=seeded(3)).path_kl
    *setting, weight = setting
    closed = theory.path_kl(lambda C: SPREADS[method](C, 0.0), *setting, weight=weight)
    assert abs(found.value - closed) < 4 * found.error + 2e-3


@each_setting
def test_path_kl_bounds_the_kl_of_the_weights(a, y, noise_std, weight):
    setting = {"a": a, "y": y, "noise_std": noise_std, "weight": weight}
    p = theory.true_weight(**setting)
    for c in (0.0, 0.3, 1.0):
        q = theory.atom_weight(lambda C, c=c: c * C, **setting)
        kl = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        assert kl <= theory.path_kl(lambda C, c=c: c * C, **setting)


@pytest.mark.parametrize("schedule", [VP(), Cosine()])
def test_an_ancestral_step_is_an_euler_step_in_the_clock(schedule):
    """z = alpha x / sigma^2 takes the step z + m dtau + sqrt(dtau) eps: the schedule drops out."""
    problem = two_atoms(1.0, 0.3, 0.5)
    score, grid = DPS(problem.diffusion, problem.likelihood), times(VP(), 20, start=0.9, stop=0.05)
    tau = VP().log_snr(grid).exp()
    t = torch.tensor([_time_of(schedule, value) for value in tau], dtype=torch.float64)
    problem = Problem("same", problem.prior, problem.likelihood, schedule)
    score = DPS(problem.diffusion, problem.likelihood)
    x = torch.randn(50, 1, generator=seeded(0), dtype=torch.float64)
    path = ddpm(score, schedule, x, t, generator=seeded(1))
    g, z = seeded(1), schedule.alpha(t[0]) / schedule.variance(t[0]) * x
    for now, after in zip(tau[:-1], tau[1:], strict=True):
        M = torch.tanh(z)
        m = M + (1 - M**2) * (0.3 - M) / 0.25
        eps = torch.randn(x.shape, generator=g, dtype=torch.float64)
        z = z + m * (after - now) + (after - now).sqrt() * eps
    end = schedule.alpha(t[-1]) / schedule.variance(t[-1]) * path.final
    torch.testing.assert_close(end, z, rtol=1e-6, atol=1e-6)


def _time_of(schedule, tau):
    """The time at which the schedule has this signal-to-noise ratio, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if schedule.log_snr(middle).exp() < tau else (middle, high)
    return (low + high) / 2


@unchecked
@pytest.mark.parametrize(
    ("setting", "what"),
    [((-1.0, 0.3, 0.5), "`a`"), ((1.0, 0.3, 0.0), "`noise_std`"), ((1.0, 0.3, math.nan), "noise")],
)
def test_bad_input_is_answered(setting, what):
    with pytest.raises(ValueError, match=what):
        theory.dps_weight(*setting)


@unchecked
def test_a_weight_lies_inside():
    with pytest.raises(ValueError, match="`weight` must lie between 0 and 1, got 1.0"):
        theory.true_weight(1.0, 0.3, 0.5, weight=1.0)
