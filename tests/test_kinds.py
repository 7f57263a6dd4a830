"""Kinds of methods: each is run as it is, gets the rows it allows, and errors that are honest."""

import json
import math

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    Diffusion,
    Drawn,
    Samples,
    Scored,
    StepDPS,
    Stepped,
    compare,
    ddpm,
    diagnose,
    diagnose_samples,
    euler_maruyama,
    march,
    problems,
    times,
)
from fsps_lite.estimate import Estimate
from fsps_lite.measures.groups import effective_size, grouped_mean, grouped_share, resampled
from fsps_lite.samplers.kernels import ddpm_kernel, drawn
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")
TINY = {"n": 100, "steps": 12}
NO_SCORE = {"path_kl", "score_error"}
NO_PATH = {"spread_worst", "stopped", "commitment"}
Z = 0.02


def published(task):
    """DPS as published lives on a grid."""
    return StepDPS(task.prior, task.likelihood, Z, task.grid)


def ancestral(task):
    """A step that is DPS in ancestral steps."""
    score = DPS(task.prior, task.likelihood)

    def step(x, t, s, generator):
        return drawn(*ddpm_kernel(score, task.schedule, x, t, s), generator)

    return step


def right(task):
    """A sampler that is right: direct draws of the posterior."""
    return task.prior.prior.condition(task.likelihood).sample(task.n, generator=task.generator)


def starred(report):
    return [finding.id for finding in report.findings if finding.significant]


# A score of a grid


def test_dps_as_published_is_run_on_both_grids():
    problem, seen = problems.trimodal(), []

    def watched(task):
        seen.append(task.grid)
        return published(task)

    found = diagnose(problem, Scored(watched), **TINY, integrator=euler_maruyama)
    assert {len(grid) for grid in seen} == {13, 25}
    for steps, id in ((12, "distance"), (24, "distance_finer")):
        grid, g = times(problem.schedule, steps), seeded(0)
        start = problem.schedule.noise(100, 1, generator=g)
        score = StepDPS(problem.diffusion, problem.likelihood, Z, grid)
        cloud = euler_maruyama(score, problem.schedule, start, grid, generator=g).final
        told = diagnose(problem, Samples(cloud, time=1e-3), **TINY)
        mine, theirs = found[id].value, told["distance"].value
        # other exact draws, and the error of both
        assert abs(mine.value - theirs.value) < 4 * math.hypot(mine.error, theirs.error)
        share = float((cloud < -0.8).double().mean())
        if id == "distance":
            assert found["weight_1"].value.value == share
    assert found.missing == ()
    assert found.method == "watched"


def test_the_path_kl_of_a_score_of_a_grid_leaves_out_its_last_time():
    problem = problems.trimodal()
    rule = {"integrator": euler_maruyama}
    fixed = diagnose(problem, lambda prior, likelihood: DPS(prior, likelihood), **TINY, **rule)
    made = Scored(lambda task: DPS(task.prior, task.likelihood))
    found = diagnose(problem, made, **TINY, **rule)
    curve, whole = (
        next(c for c in report.curves if c.id == "score_error") for report in (found, fixed)
    )
    assert_close(curve.x, whole.x[:-1], rtol=0, atol=0)
    assert_close(curve.value, whole.value[:-1])
    for finding in fixed.findings:
        if finding.id != "path_kl":
            assert found[finding.id] == finding


def test_an_integrator_of_its_own_runs_the_score_and_not_the_exact_one():
    problem = problems.unequal()
    own = Scored(lambda task: DPS(task.prior, task.likelihood), integrator=ddpm)
    found, other = diagnose(problem, own, **TINY), diagnose(problem, DPS, **TINY)
    by_hand = diagnose(problem, DPS, **TINY, integrator=ddpm)
    assert found["weight_1"].value == by_hand["weight_1"].value
    assert found["weight_1"].null == other["weight_1"].null


# A step


def test_a_step_gets_every_row_but_those_of_a_score(tmp_path):
    problem = problems.trimodal()
    found = diagnose(problem, Stepped(ancestral), **TINY, integrator=ddpm)
    known = diagnose(problem, DPS, **TINY, integrator=ddpm)
    assert {missing.id for missing in found.missing} == NO_SCORE
    assert {f.id for f in found.findings} == {f.id for f in known.findings} - NO_SCORE | {"coupled"}
    for finding in found.findings:
        if finding.id != "coupled":
            assert finding == known[finding.id]  # the same noise, so the same numbers
    assert found["coupled"].value.value == 0
    assert "- missing, as a step has no score: path KL; score error" in str(found)
    found.save_json(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {row["id"] for row in data["missing"]} == NO_SCORE


def batch_coupled(task):
    """A published mistake: the norm of the residual is taken over all particles."""

    def step(x, t, s, generator):
        at = task.prior.at(x, t)
        residual = task.likelihood.residual(at.mean)
        moved = drawn(*ddpm_kernel(task.prior, task.schedule, x, t, s), generator)
        return moved + 0.1 * at.vjp(residual / residual.norm())

    return step


def test_a_step_that_looks_at_the_batch_is_caught():
    found = diagnose(problems.two_atoms(), Stepped(batch_coupled), n=2048, steps=40)
    assert found["coupled"].value.value > 0
    assert found["coupled"].significant


# A sampler


def test_a_sampler_that_is_right_gets_no_star_and_is_told_what_is_missing():
    problem = problems.unequal()
    for seed in range(5):
        found = diagnose(problem, Drawn(right), **TINY, seed=seed)
        assert starred(found) == []
    why = {missing.id: missing.why for missing in found.missing}
    assert set(why) == NO_SCORE | NO_PATH | {"start", "coupled"}
    assert why["path_kl"] == "a sampler has no score"
    assert found.settings == {"n": 100, "steps": 12, "seed": 4}


def test_a_sampler_keeps_its_path_only_when_asked():
    problem, asked = problems.unequal(), []

    def pathed(task):
        asked.append(task.keep_path)
        step = ancestral(task)
        path = march(lambda x, t, s: step(x, t, s, task.generator), task.start, task.grid)
        return Samples(path.final, time=path.t[-1], path=path if task.keep_path else None)

    found = diagnose(problem, Drawn(pathed), **TINY)
    known = diagnose(problem, DPS, **TINY, integrator=ddpm)
    assert asked == [True, False]
    assert {missing.id for missing in found.missing} == NO_SCORE | {"start", "coupled"}
    for id in ("weight_1", "commitment", "spread_worst"):
        assert found[id].value == known[id].value


def test_finished_samples_are_a_method_too():
    problem = problems.two_atoms()
    x = problem.posterior.prior.sample(300, generator=seeded(5))
    one, other = diagnose(problem, Samples(x)), diagnose_samples(problem, x)
    assert one.findings == other.findings
    assert one.settings == {"n": 300, "seed": 0}
    both = compare(problem, {"mine": Samples(x), "DPS": DPS}, **TINY)
    assert both[0].findings == one.findings
    assert both[1].findings == diagnose(problem, DPS, **TINY).findings


# Weighted and dependent particles


def weighing(task):
    """Draws of the prior, weighted by the likelihood: right, if the weights are used."""
    x = task.prior.sample(task.n, 0.0, generator=task.generator)
    return Samples(x, log_weights=task.likelihood.log_prob(x))


def test_weights_are_used_and_their_errors_are_those_of_weighted_draws():
    problem = problems.unequal()
    reports = [diagnose(problem, Drawn(weighing), n=400, steps=2, seed=s) for s in range(30)]
    assert [starred(found) for found in reports] == [[]] * 30
    values = torch.tensor([found["weight_1"].value.value for found in reports])
    stated = torch.tensor([found["weight_1"].value.error for found in reports]).mean()
    # the deviation of 30 numbers is known to 13 %
    assert float(values.std() / stated) == pytest.approx(1.0, abs=4 * (2 * 29) ** -0.5)
    cut = Drawn(lambda task: Samples(weighing(task).x))
    assert "weight_1" in starred(diagnose(problems.two_atoms(), cut, n=400, steps=2))
    assert reports[0]["distance"].verdict == "untold"


RUNS, EACH, ANCESTORS = 40, 50, 2


def copied(declared):
    """Right on average, but each run of 50 particles has two ancestors."""

    def draw(task):
        posterior = task.prior.prior.condition(task.likelihood)
        x = posterior.sample(RUNS * ANCESTORS, generator=task.generator)
        x = x.repeat_interleave(EACH // ANCESTORS, 0)
        runs = torch.arange(RUNS).repeat_interleave(EACH)
        return Samples(x, runs=runs if declared else None)

    return Drawn(draw)


def test_particles_of_one_ancestor_get_no_star_if_their_runs_are_declared():
    problem = problems.two_atoms(noise_std=1.0)
    how = {"n": RUNS * EACH, "steps": 2}
    told, untold = (
        [starred(diagnose(problem, copied(declared), **how, seed=seed)) for seed in range(12)]
        for declared in (True, False)
    )
    assert told == [[]] * 12
    # errors of a fifth of their size: beyond four of them in one report of four
    assert sum(map(bool, untold)) >= 2


def test_a_wrong_sampler_of_declared_runs_is_still_found():
    def wrong(task):
        x = task.prior.sample(task.n, 0.0, generator=task.generator)
        return Samples(x, runs=torch.arange(task.n) % 20)

    found = diagnose(problems.two_atoms(), Drawn(wrong), n=400, steps=2)
    assert "weight_1" in starred(found)
    few = Drawn(lambda task: Samples(wrong(task).x, runs=torch.arange(task.n) % 5))
    assert starred(diagnose(problems.two_atoms(), few, n=400, steps=2)) == []


def test_the_jackknife_leaves_out_one_run_at_a_time():
    values = torch.randn(60, generator=seeded(0), dtype=torch.float64)
    weights = torch.rand(60, generator=seeded(1), dtype=torch.float64)
    runs = torch.randint(0, 7, (60,), generator=seeded(2)) * 10
    without = torch.stack(
        [
            (weights * values)[runs != run].sum() / weights[runs != run].sum()
            for run in runs.unique()
        ]
    )
    g = len(without)
    error = float(((without - without.mean()).square().sum() * (g - 1) / g).sqrt())
    found = grouped_mean(values, weights, runs)
    assert found.value == pytest.approx(float((weights * values).sum() / weights.sum()))
    assert found.error == pytest.approx(error)


def test_alone_and_of_one_weight_the_jackknife_is_the_error_of_a_mean():
    values = torch.randn(50, generator=seeded(0), dtype=torch.float64)
    known = Estimate.of(values)
    found = grouped_mean(values, torch.full_like(values, 0.1), torch.arange(50))
    assert found.value == pytest.approx(known.value)
    assert found.error == pytest.approx(known.error)


def test_what_one_run_carries_has_no_known_error():
    values, runs = torch.tensor([1.0, 0.0, 1.0]).double(), torch.tensor([0, 1, 2])
    weights = torch.tensor([1.0, 1e-40, 0.0], dtype=torch.float64)
    assert grouped_mean(values, weights, runs).error == math.inf
    assert effective_size(weights) == pytest.approx(1.0)
    inside = torch.tensor([False, False, False])
    even = torch.full_like(weights, 1 / 3)
    assert grouped_share(inside, even, runs).error == pytest.approx((1 / 5 * 4 / 5 / 3) ** 0.5)


def test_each_particle_is_taken_as_often_as_it_weighs():
    weights = torch.rand(30, generator=seeded(0), dtype=torch.float64)
    weights /= weights.sum()
    x = torch.arange(30, dtype=torch.float64)[:, None]
    taken = resampled(x, weights, 1000, generator=seeded(1))[:, 0].long().bincount(minlength=30)
    assert int(taken.sum()) == 1000
    assert bool(((taken - 1000 * weights).abs() < 1).all())


# Many problems


@pytest.mark.parametrize("make", [problems.one_coordinate, problems.square])
def test_every_kind_runs_on_every_problem(make):
    problem = make()
    exact = problem.posterior.prior
    kinds = {
        "score": Scored(lambda task: DPS(task.prior, task.likelihood)),
        "step": Stepped(ancestral),
        "sampler": Drawn(lambda task: exact.sample(task.n, generator=task.generator)),
        "samples": Samples(exact.sample(40, generator=seeded(0))),
    }
    for name, found in zip(kinds, compare(problem, kinds, n=40, steps=6), strict=True):
        assert found.method == name
        rows = {finding.id for finding in found.findings} | {row.id for row in found.missing}
        assert rows >= NO_SCORE - {"score_error"} | NO_PATH - {"stopped"} | {"distance", "weight_1"}
    assert isinstance(problem.posterior, Diffusion)


def test_every_kind_under_the_shape_checks_too():
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", False)
    kinds = {
        "grid": Scored(published, integrator=euler_maruyama),
        "step": Stepped(ancestral),
        "sampler": Drawn(weighing),
        "runs": Drawn(lambda task: Samples(task.start, runs=torch.arange(task.n) % 12)),
    }
    for found in compare(problems.two_atoms(), kinds, n=36, steps=4):
        assert found["diverged particles"].value.value == 0


def test_a_cloud_of_which_one_particle_is_left_is_reported():
    problem = problems.trimodal()
    x = problem.posterior.sample(50, 0.0, generator=seeded(0))
    log_weights = torch.zeros(50, dtype=torch.float64)
    log_weights[7] = 800.0
    report = diagnose(problem, Samples(x, log_weights=log_weights))
    spread = report["spread ratio at the end"]
    assert (spread.value.value, spread.value.error, spread.significant) == (0.0, 0.0, False)
