"""The pieces of code in CONTRIBUTING.md run as they stand, and do what they say."""

import ast
import math
import re
from pathlib import Path

import pytest
import torch

import fsps_lite as fl

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHAPTER = TEXT.partition("## Where a new thing belongs")[2].partition("\n## ")[0]
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
T = 0.3
LINE = fl.FlowMatching()  # under which a standard Gaussian does not keep its variance


def pieces():
    """{heading: its blocks of code}."""
    sections = [part.partition("\n") for part in CHAPTER.split("\n### ")[1:]]
    return {heading: FENCE.findall(body) for heading, _, body in sections}


def run(heading):
    """The names that the code under this heading defines, as a reader has them who pastes it."""
    names = {"__name__": __name__}
    for block in pieces()[heading]:
        exec(compile(block, f"CONTRIBUTING.md, {heading}", "exec"), names)
    return names


def generator():
    return torch.Generator().manual_seed(0)


def test_every_piece_is_run_here():
    tested = set(re.findall(r'run\("(.*?)"\)', Path(__file__).read_text(encoding="utf-8")))
    assert tested == set(pieces())
    assert all(pieces().values())


@pytest.mark.parametrize("heading", pieces())
def test_a_piece_is_short(heading):
    """At most ten lines a block, imports and blank lines not counted."""
    for block in pieces()[heading]:
        lines = block.splitlines()
        parsed = ast.parse(block).body
        imports = [node for node in parsed if isinstance(node, ast.Import | ast.ImportFrom)]
        assert len([line for line in lines if line.strip()]) - len(imports) <= 10


def test_every_kind_has_its_line_in_the_table():
    table = "\n".join(line for line in CHAPTER.splitlines() if line.startswith("|"))
    for room in re.findall(r"`([a-z_/]+(?:/|\.py))`", table):
        assert (ROOT / "fsps_lite" / room).exists(), room
    for kind in ("guidance", "integrator", "prior", "operator", "schedule", "measure", "problem"):
        assert f" {kind}" in table
    assert all(heading.split()[1] in table for heading in pieces())


def test_the_guidance_is_the_one_that_it_names():
    mine, problem = run("A guidance")["Mine"], fl.problems.rank_deficient()
    x = problem.diffusion.sample(20, T, generator=generator())
    ours, theirs = (m(problem.diffusion, problem.likelihood)(x, T) for m in (mine, fl.TMPD))
    torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(ours, problem.diffusion.score(x, T), rtol=0.01)


def test_the_integrator_marches_the_exact_posterior():
    half_ddpm, problem = run("An integrator")["half_ddpm"], fl.problems.gaussian()
    n, grid = 4000, fl.times(problem.schedule, 100)
    noise = problem.schedule.noise(n, 1, generator=generator())
    path = half_ddpm(problem.posterior, problem.schedule, noise, grid, generator=generator())
    again = fl.ddpm(
        problem.posterior, problem.schedule, noise, grid, generator=generator(), eta=0.5
    )
    torch.testing.assert_close(path.final, again.final)
    truth = problem.prior.condition(problem.likelihood)
    std = truth.covs[0, 0, 0].sqrt()
    assert (path.final.mean() - truth.means[0, 0]).abs() < 4 * std / math.sqrt(n)
    assert (path.final.std() / std - 1).abs() < 4 / math.sqrt(2 * n) + 0.02  # and the steps' own


def test_the_prior_answers_as_the_closed_form_does():
    prior = run("A prior")["Normal"](2)
    known = fl.GaussianMixture.isotropic(torch.zeros(1, 2, dtype=torch.float64), std=1.0)
    mine, theirs = (fl.Diffusion(p, LINE) for p in (prior, known))
    x, v = torch.randn(2, 50, 2, generator=generator(), dtype=torch.float64)
    for part in ("mean", "score", "log_evidence", "cov"):
        torch.testing.assert_close(getattr(mine.at(x, T), part), getattr(theirs.at(x, T), part))
    torch.testing.assert_close(mine.at(x, T).vjp(v), theirs.at(x, T).vjp(v))
    assert mine.to(torch.float32).score(x.float(), T).dtype == torch.float32
    assert mine.sample(7, T, generator=generator()).shape == (7, 2)


def test_the_prior_draws_what_it_knows():
    prior, n = run("A prior")["Normal"](1), 20_000
    at = fl.Diffusion(prior, LINE).at(torch.ones(n, 1, dtype=torch.float64), T)
    drawn, variance = at.sample(generator=generator()), at.cov[0, 0, 0]
    assert (drawn.mean() - at.mean[0, 0]).abs() < 4 * (variance / n).sqrt()
    assert (drawn.var() / variance - 1).abs() < 4 * math.sqrt(2 / n)


def test_the_operators_condition_a_prior():
    names = run("An operator")
    x = torch.randn(30, 5, generator=generator(), dtype=torch.float64)
    prior = fl.Empirical.from_samples(x)
    measured = {
        "curvature": (names["curvature"](5), x[:, :-2] - 2 * x[:, 1:-1] + x[:, 2:]),
        "radius": (names["radius"], x.square().sum(-1, keepdim=True).sqrt()),
    }
    for operator, y in measured.values():
        torch.testing.assert_close(operator(x), y)
        posterior = prior.condition(fl.Likelihood(operator, y[0], 0.5))
        logits = -(y - y[0]).square().sum(-1) / (2 * 0.5**2)
        torch.testing.assert_close(posterior.weights, logits.softmax(0))


def test_the_problem_is_diagnosed_and_keeps_its_moral():
    problem = run("A problem")["ring"]()
    share = problem.prior.condition(problem.likelihood).weights
    torch.testing.assert_close(share[1], share[7])  # "two modes explain y equally well"
    assert share[1] + share[7] > 0.8
    assert "ring" in str(fl.diagnose(problem, fl.DPS, n=50, steps=10))


def test_the_measure_stands_in_the_report_beside_the_exact_one(monkeypatch):
    from fsps_lite.diagnosis import MEASURES, comparison

    measure = run("A measure")["mean_of_x"]
    monkeypatch.setattr(comparison, "MEASURES", (*MEASURES, measure))
    found = fl.diagnose(fl.problems.gaussian(), fl.DPS, n=50, steps=10)["mean_of_x"]
    assert found.label == "mean of x[0]"
    assert found.null.value == pytest.approx(0.8, abs=5 * found.null.error + 0.05)
