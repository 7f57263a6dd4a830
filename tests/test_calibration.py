"""A method at every measurement: what is seen at each y, and what only ranks over all y see."""

import json
from dataclasses import replace
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
from tests.test_failure_map import TABLE, flat

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
    return calibrate(problems.trimodal(), method, steps=100, **settings)


def passed(calibration):
    return {check.label: not check.significant for check in calibration.checks}


def test_a_method_that_ignores_y_passes_the_ranks_of_x_and_fails_at_each_y():
    """Its draws are of p(x), as x* is: the ranks of anything of x alone are exactly uniform."""
    told = found(ignores_y, measurements=200, draws=20)
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
    assert told["parts_low"].value.value > 2 * told["parts_low"].value.error
    law = TABLE["trimodal", "TMPD"]
    assert told["c2st"].value.value == (1 + told["tv"].value.value) / 2
    assert told["tv"].value.value < law + 2 * told["tv"].value.error  # it bounds from below
    assert told["parts_low"].value.value < law + 2 * told["parts_low"].value.error
    ranks = passed(told)
    assert ranks["ranks of x[0]"]
    assert ranks["TARP ranks"]
    assert abs(float(told.worst)) > 0.2  # at a mode it does well


def test_the_exact_score_is_not_found():
    told = found(exact, measurements=40, draws=20)
    assert not any(finding.significant for finding in told.findings)
    assert all(passed(told).values())


def test_exact_draws_have_no_excess_and_the_level_of_every_coverage():
    """The exact column, over three problems: no finding is off by four of its errors."""
    for make in (problems.trimodal, problems.two_atoms, problems.one_coordinate):
        told = calibrate(make(), fl.DPS, measurements=60, draws=20, steps=40)
        for finding in told.findings:
            assert finding.null.error > 0
            if finding.truth is not None:
                off = abs(finding.null.value - finding.truth)
                assert off < 4 * finding.null.error, (make.__name__, finding.label)
        assert all(float(check.exact.p_value) > 1e-3 for check in told.checks)


def test_the_excess_at_a_measurement_is_w1_to_exact_draws():
    """With 1,000 draws the excess is W1 itself, to a few of sqrt(var / 1000)."""
    problem = problems.gaussian()
    told = calibrate(problem, fl.DPS, measurements=2, draws=1000, steps=40)
    for y, excess in zip(told.y, told.excess, strict=True):
        asked = with_measurement(problem, y)
        start = asked.schedule.noise(4000, 1, generator=seeded(1))
        score = fl.DPS(asked.diffusion, asked.likelihood)
        grid = fl.times(asked.schedule, 40)
        cloud = fl.dpm_solver(score, asked.schedule, start, grid, generator=seeded(2)).final
        w1 = fl.wasserstein1(cloud, asked.posterior.sample(4000, 1e-3, generator=seeded(3)))
        # three clouds of 1,000 and of 4,000, of deviation .45 at most: each errs by std / sqrt(n)
        assert float(excess) == pytest.approx(w1, abs=4 * 0.45 * (2 / 1000 + 2 / 4000) ** 0.5)


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
    # pixels of a margin are always 0: the two that vary most are ranked
    spread = problems.digits_masked().prior.atoms.var(0).argsort(descending=True)[:2].tolist()
    labels = [check.label for check in told.checks]
    assert labels[:2] == [f"ranks of x[{j}]" for j in spread]
    assert f"contraction of x[{spread[0]}]" in str(told)
    assert told["parts_high"].label == "total variation by digit, at most"
    assert told["w1"].significant
    assert abs(told["w1"].null.value) < 4 * told["w1"].null.error
    assert "..." in str(told)  # of the worst y, not all 32 numbers


SMALL = {"measurements": 12, "draws": 10, "steps": 20}


def right(task):
    """Direct draws of the posterior at the signal itself."""
    return task.prior.prior.condition(task.likelihood).sample(task.n, generator=task.generator)


def weighted(task, copies):
    """Draws of the prior, weighted by the likelihood."""
    x = task.prior.prior.sample(copies * task.n, generator=task.generator)
    return fl.Samples(x, log_weights=task.likelihood.log_prob(x))


def test_a_sampler_is_asked_at_each_y_and_a_right_one_is_not_found():
    seen = []

    def draw(task):
        seen.append(task.likelihood.y)
        return right(task)

    told = calibrate(problems.trimodal(), fl.Drawn(draw), **SMALL)
    assert_close(torch.stack(seen), told.y)
    assert not any(finding.significant for finding in told.findings)
    assert all(passed(told).values())
    assert told.method == "draw"


def test_weighted_draws_are_resampled_and_few_of_them_get_no_stars():
    """200 particles for 10 draws leave N_eff below 200; 5,000 leave more."""
    problem = problems.gaussian()
    few = calibrate(problem, fl.Drawn(lambda task: weighted(task, 20)), **SMALL)
    assert {finding.verdict for finding in few.findings} == {"untold"}
    assert not any(check.significant for check in few.checks)
    assert "no row has a star" in str(few)
    many = calibrate(problem, fl.Drawn(lambda task: weighted(task, 500)), **SMALL)
    assert {finding.verdict for finding in many.findings} == {"agrees"}
    assert abs(many["w1"].value.value) < 4 * many["w1"].value.error


def test_a_score_of_the_grid_and_a_step_go_through():
    grid = fl.Scored(lambda task: fl.StepDPS(task.prior, task.likelihood, 0.02, task.grid))
    for method in (grid, fl.Stepped(ancestral)):
        assert calibrate(problems.gaussian(), method, **SMALL).y.shape == (12, 1)


def test_samples_that_stop_later_than_all_are_compared_are_refused():
    late = fl.Drawn(lambda task: fl.Samples(right(task), time=0.1))
    with pytest.raises(ValueError, match=r"stop=0\.1"):
        calibrate(problems.gaussian(), late, **SMALL)
    short = fl.Drawn(lambda task: right(task)[:3])
    with pytest.raises(ValueError, match="3 for 10"):
        calibrate(problems.gaussian(), short, **SMALL)


def test_parts_are_counted_wherever_a_problem_has_them():
    """Labels of digits, and a user's own parts: here the sign of x, of two atoms."""
    sign = fl.Partition(("left", "right"), lambda x: (x[:, 0] > 0).long(), noun="side")
    problem = replace(problems.two_atoms(), partition=sign)
    told = calibrate(problem, ignores_y, measurements=60, draws=20, steps=20)
    # the prior gives .5; the truth is 1 / (1 + exp(-8 y)), at the y of this run
    truth = (torch.special.expit(8 * told.y[:, 0]) - 0.5).abs()
    assert told["parts_low"].label == "total variation by side, at least"
    low, high = told["parts_low"].value, told["parts_high"].value
    assert low.value - 3 * low.error < float(truth.mean()) < high.value + 3 * high.error
    assert told["parts_low"].value.value == pytest.approx(float(truth.mean()), abs=4 * low.error)


def test_a_calibration_is_saved_and_drawn(tmp_path):
    told = found(ignores_y, measurements=200, draws=20)
    told.save_json(tmp_path / "told.json")
    data = json.loads((tmp_path / "told.json").read_text())
    assert data["findings"][0]["value"][0] == told["w1"].value.value
    assert data["checks"][0]["method"]["p_value"] == float(told.checks[0].method.p_value)
    assert data["excess"] == told.excess.tolist()
    told.save_html(tmp_path / "told.html")
    page = (tmp_path / "told.html").read_text()
    assert "data:image/png;base64" in page
    assert "W1 at each y" in page
    *ranks, last = told.figure().axes
    assert [axis.get_title() for axis in ranks] == [check.label for check in told.checks]
    off = torch.tensor(ranks[2].lines[0].get_ydata())
    even = torch.arange(1, 21).double() / 21
    assert_close(off, told.checks[2].method.ecdf - even)
    assert_close(
        torch.tensor(last.collections[0].get_offsets().data),
        torch.stack([told.y[:, 0], told.excess], 1),
    )


def test_each_printed_line_has_at_most_100_columns():
    long = replace(found(ignores_y, measurements=200, draws=20), method="a_" * 60 + "name")
    assert max(map(len, str(replace(long, method="DPS")).splitlines())) <= 100
    assert str(long).startswith("a_")


@pytest.mark.long
@pytest.mark.parametrize("name", ["TMPD", "DPS", "PiGDM", "flat"])
def test_the_classifier_bounds_the_law_from_below_and_closely(name):
    """Never above the law by more than two errors, at most .01 below by more than that."""
    method = {"flat": flat}.get(name) or getattr(fl, name)
    how = {"steps": 200, "stop": 0.01, "integrator": fl.ddpm}
    told = calibrate(problems.trimodal(), method, measurements=1000, draws=100, **how)
    value, error = told["tv"].value.value, told["tv"].value.error
    law = TABLE["trimodal", name]
    assert law - 0.01 - 2 * error <= value <= law + 2 * error


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: calibrate("trimodal", fl.DPS), "problem"),
        (lambda: calibrate(problems.trimodal(), "DPS"), "method"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, measurements=1), "measurements"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, draws=1), "draws"),
        (lambda: calibrate(problems.trimodal(), fl.DPS, seed=0.5), "seed"),
        (lambda: calibrate(problems.trimodal(), fl.Samples(torch.zeros(9, 1))), "belong to one y"),
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
