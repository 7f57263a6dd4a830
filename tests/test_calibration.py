"""A method at every measurement: what is seen at each y, and what only ranks over all y see."""

from functools import cache

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import calibrate, problems
from fsps_lite.diagnosis.batches import Asking, drawing
from fsps_lite.diagnosis.measured import with_measurement
from fsps_lite.samplers.kernels import ddpm_kernel, drawn
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")


def ignores_y(prior, likelihood):
    """Samples the prior, whatever was measured."""
    return prior


def exact(prior, likelihood):
    """The exact score, of one y or of all."""
    known = prior.prior
    many = likelihood.y.ndim == 2
    posterior = known.condition_each(likelihood) if many else known.condition(likelihood)
    return fl.Diffusion(posterior, prior.schedule)


def exact_at_one_y(prior, likelihood):
    return fl.Diffusion(prior.prior.condition(likelihood), prior.schedule)


@cache
def found(method, **settings):
    return calibrate(problems.trimodal(), method, **settings)


def passed(calibration):
    return {check.label: not check.significant for check in calibration.checks}


def test_a_method_that_ignores_y_passes_the_ranks_of_x_and_fails_at_each_y():
    """Its draws are of p(x), as x* is: the ranks of anything of x alone are exactly uniform."""
    told = found(ignores_y, measurements=200)
    ranks = passed(told)
    assert ranks["ranks of x[0]"]
    assert ranks["ranks of log p(x)"]
    assert ranks["TARP ranks"]  # a reference that does not depend on y cannot help
    assert abs(told["central"].value.value - 0.9) < 4 * told["central"].value.error
    assert told["w1"].significant
    assert told["failed"].value.value == 1.0
    assert not ranks["ranks of log p(y | x)"]  # which depends on y
    assert abs(told["contraction"].value.value) < 4 * told["contraction"].value.error


def test_tmpd_is_found_at_each_y_and_by_no_rank():
    """On trimodal, where the report at the gallery's own y has no star."""
    told = found(fl.TMPD)
    assert told["w1"].significant
    assert told["failed"].significant
    assert told["weights"].significant
    ranks = passed(told)
    assert ranks["ranks of x[0]"]
    assert ranks["TARP ranks"]
    assert abs(float(told.worst)) > 0.2  # at a mode it does well


def test_the_exact_score_is_not_found():
    told = found(exact, measurements=40, draws=20, steps=100)
    assert not any(finding.significant for finding in told.findings)
    assert all(passed(told).values())


def test_exact_draws_have_no_excess_and_the_level_of_every_coverage():
    """The exact column, over three problems: no finding is off by four of its errors."""
    for make in (problems.trimodal, problems.two_atoms, problems.one_coordinate):
        told = calibrate(make(), fl.DPS, measurements=60, draws=20, steps=60)
        for finding in told.findings:
            assert finding.null.error > 0
            if finding.truth is not None:
                off = abs(finding.null.value - finding.truth)
                assert off < 4 * finding.null.error, (make.__name__, finding.label)
        assert all(float(check.exact.p_value) > 1e-3 for check in told.checks)


def test_the_excess_at_a_measurement_is_w1_to_exact_draws():
    """With 2,000 draws the excess is W1 itself, to a few of sqrt(var / 2000)."""
    problem = problems.gaussian()
    told = calibrate(problem, fl.DPS, measurements=2, draws=2000, steps=60)
    for y, excess in zip(told.y, told.excess, strict=True):
        asked = with_measurement(problem, y)
        start = asked.schedule.noise(4000, 1, generator=seeded(1))
        score = fl.DPS(asked.diffusion, asked.likelihood)
        grid = fl.times(asked.schedule, 60)
        cloud = fl.dpm_solver(score, asked.schedule, start, grid, generator=seeded(2)).final
        w1 = fl.wasserstein1(cloud, asked.posterior.sample(4000, 1e-3, generator=seeded(3)))
        # three clouds of 2,000 and of 4,000, of deviation .45 at most: each errs by std / sqrt(n)
        assert float(excess) == pytest.approx(w1, abs=4 * 0.45 * (2 / 2000 + 2 / 4000) ** 0.5)


METHODS = [fl.DPS, fl.PiGDM, fl.TMPD, fl.ZetaDPS, fl.DiagonalTMPD]


def asking(problem, method, t, integrator=fl.dpm_solver):
    return Asking(problem, drawing(problem, method, ""), t, integrator, seeded(2))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_all_y_at_once_is_each_y_alone(method):
    """The same score for each particle, to rounding, for the rows of every y."""
    zeta = (lambda *known: method(*known, zeta=0.3)) if method is fl.ZetaDPS else method
    problem = problems.rank_deficient() if method is not fl.DiagonalTMPD else problems.trimodal()
    d, m = problem.prior.dim, len(problem.likelihood.y)
    y = torch.randn(7, m, generator=seeded(0), dtype=torch.float64)
    start = torch.randn(7, 5, d, generator=seeded(1), dtype=torch.float64)
    score = asking(problem, zeta, fl.times(problem.schedule, 10)).at_once(y, start)
    assert score is not None
    for time in (0.9, 0.3, 0.05):
        flat = score(start.transpose(0, 1).flatten(0, 1), time)
        whole = flat.reshape(5, 7, d).transpose(0, 1)
        for one, x, answer in zip(y, start, whole, strict=True):
            asked = with_measurement(problem, one)
            alone = zeta(asked.diffusion, asked.likelihood)(x, time)
            assert_close(answer, alone, rtol=1e-9, atol=1e-9 * float(alone.abs().max()))


def one_y_only(prior, likelihood):
    """A score that would silently take the first y for all."""
    first = fl.Likelihood(likelihood.operator, likelihood.y.reshape(-1)[:1], likelihood.noise_std)
    return fl.DPS(prior, first)


def coupled(task):
    """A step whose guidance is scaled by the residuals of the whole batch."""
    score = fl.DPS(task.prior, task.likelihood)

    def step(x, t, s, *, generator):
        far = task.likelihood.residual(x).norm()
        return drawn(
            *ddpm_kernel(lambda x, t: score(x, t) / (1 + far / 100), VP, x, t, s), generator
        )

    return step


VP = fl.VP()


@pytest.mark.parametrize(
    "method",
    [one_y_only, exact_at_one_y, fl.Stepped(coupled)],
    ids=["silently wrong", "raises", "coupled"],
)
def test_a_method_that_takes_one_y_only_is_run_for_each(method):
    problem = problems.gaussian()
    y = torch.tensor([[-2.0], [2.0], [0.5]]).double()
    start = torch.randn(3, 400, 1, generator=seeded(1), dtype=torch.float64)
    asked = asking(problem, method, fl.times(problem.schedule, 60))
    assert asked.at_once(y, start) is None
    cloud = asked.draws(y, start).x
    # DPS and the posterior have their means at .8 y or beyond, and deviations of .45 or less
    assert cloud[0].mean() < -1.3
    assert cloud[1].mean() > 1.3
    assert cloud.shape == start.shape


def ancestral(task):
    """DPS by ancestral steps."""
    score = fl.DPS(task.prior, task.likelihood)

    def step(x, t, s, *, generator):
        return drawn(*ddpm_kernel(score, task.schedule, x, t, s), generator)

    return step


def test_a_step_gets_all_y_at_once_and_draws_what_the_integrator_draws():
    problem, y = problems.trimodal(), torch.tensor([[-2.0], [0.0], [1.1], [2.0]]).double()
    start = torch.randn(4, 50, 1, generator=seeded(1), dtype=torch.float64)
    t = fl.times(problem.schedule, 40)
    stepped = asking(problem, fl.Stepped(ancestral), t)
    assert stepped.at_once(y, start) is not None
    # one seed, one noise: to rounding that 40 steps may amplify
    other = asking(problem, fl.DPS, t, fl.ddpm)
    assert_close(stepped.draws(y, start).x, other.draws(y, start).x, rtol=1e-8, atol=1e-8)


def test_it_prints_each_check_beside_the_exact_draws_and_the_worst_y():
    told = calibrate(problems.gaussian(), fl.DPS, measurements=10, draws=10, steps=40)
    text = str(told)
    for word in ("DPS on gaussian", "exact", "W1 at each y", "TARP", "p = ", "the worst y is"):
        assert word in text
    assert told["w1"] is told.findings[0]
    with pytest.raises(KeyError, match="no finding called 'none'"):
        told["none"]


def test_digits_too():
    """In 64 dimensions, with a data prior: the prior's draws are wrong at each y."""
    told = calibrate(problems.digits_masked(), ignores_y, measurements=12, draws=10, steps=30)
    assert told.y.shape == (12, 32)
    assert told["w1"].significant
    assert abs(told["w1"].null.value) < 4 * told["w1"].null.error
    assert "..." in str(told)  # of the worst y, not all 32 numbers


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: calibrate("trimodal", fl.DPS), "problem"),
        (lambda: calibrate(problems.trimodal(), "DPS"), "method"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, measurements=1), "measurements"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, draws=1), "draws"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, seed=0.5), "seed"),
    ],
)
def test_a_wrong_call_is_told_what_is_right(call, told):
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        call()
    assert "Call it like this" in str(caught.value)


def test_draws_that_diverge_are_said_and_not_left_out():
    with pytest.raises(ValueError, match="80 of 80"):
        calibrate(
            problems.trimodal(),
            lambda prior, likelihood: lambda x, t: x * float("nan"),
            measurements=4,
            draws=20,
            steps=5,
        )
