"""The 2 x 2 of {exact, learned} denoiser and {exact, approximate} guidance."""

import html
import json
import math

import pytest
import torch

from fsps_lite import (
    DPS,
    TDS,
    TMPD,
    VP,
    Decomposition,
    Denoiser,
    DiffPIR,
    Drawn,
    Empirical,
    Estimate,
    Likelihood,
    Partition,
    Problem,
    Samples,
    decompose,
    diagnose,
    mask,
    problems,
    theory,
)
from fsps_lite.diagnosis.decomposition import Cell
from tests.oracles import seeded

F64 = {"dtype": torch.float64}


def exact(problem):
    return Denoiser(problem.prior.denoise, dim=problem.prior.dim)


def test_an_exact_network_costs_nothing_and_the_rest_is_the_methods():
    problem = problems.two_atoms()
    found = decompose(problem, exact(problem), TMPD, n=200, steps=12)
    assert found.network.total_variation == found.exact.total_variation
    assert found.both.total_variation == found.approximation.total_variation
    assert found.both.distance.value == pytest.approx(found.approximation.distance.value)
    assert found.cost_of_network.value == 0.0
    # the weight that the law of TMPD gives, of 200 draws: four standard errors
    wanted = theory.tmpd_weight(1.0, 0.3, 0.5) - float(problem.posterior.prior.weights[0])
    tv = found.both.total_variation
    assert abs(tv.value - abs(wanted)) < 4 * tv.error + 0.02
    floor, apart = found.floor
    # E|X / n - w| of a binomial is about sqrt(2 w (1 - w) / (pi n))
    w = float(problem.posterior.prior.weights[0])
    assert floor == pytest.approx(math.sqrt(2 * w * (1 - w) / (math.pi * 200)), rel=0.05)
    assert found.exact.distance.value < apart.value + 5 * apart.error
    assert "which these draws cannot tell from 0" in found.sentence
    assert "cannot be told apart without held-out data" in str(found)
    again = decompose(problem, exact(problem), TMPD, n=200, steps=12)
    assert again == found


def test_a_wrong_network_costs_and_held_out_data_say_that_it_errs():
    problem = problems.two_atoms()
    wrong = Denoiser(lambda x, a, s: problem.prior.denoise(x + 3 * a, a, s), dim=1)
    held_out = problem.prior.sample(200, generator=seeded(0))
    found = decompose(problem, wrong, DPS, n=200, steps=12, held_out=held_out)
    assert found.cost_of_network.value > 3 * found.cost_of_network.error
    assert "worse at" in found.sentence
    assert found.sentence.endswith("What it changes is error.")


def test_a_network_that_is_better_than_few_atoms_generalises():
    """The data are Gaussian; the prior is 20 draws of it, and the network knows the law."""
    data = torch.randn(220, 2, generator=seeded(1), **F64)
    prior = Empirical.from_samples(data[:20])
    likelihood = Likelihood(mask([True, False]), torch.tensor([0.3], **F64), 1.0)
    halves = Partition(("left", "right"), lambda x: (x[:, 0] > 0).long())
    problem = Problem("few", prior, likelihood, VP(), partition=halves)
    law = Denoiser(lambda x, a, s: a * x / (a**2 + s**2), dim=2)
    found = decompose(problem, law, DPS, n=20, steps=5, held_out=data[20:])
    assert "it denoises better at 0.2" in found.sentence
    assert "What it changes is generalisation, not error." in found.sentence
    none, one, worse = Estimate(0.0, 0.1), Estimate(1.0, 0.1), Estimate(-1.0, 0.1)
    cell = Cell(none, none, none)
    mixed = Decomposition(cell, cell, cell, cell, (0.1, none), ((1.0, worse), (2.0, one)))
    assert "better at 2 and worse at 1" in mixed.sentence
    assert "cannot be told apart in what it changes" in mixed.sentence


def test_lost_particles_are_counted():
    problem = problems.two_atoms()

    def broken(prior, likelihood):
        return lambda x, t: torch.where(x > 0, torch.nan, prior.score(x, t))

    found = decompose(problem, exact(problem), broken, n=100, steps=6)
    lost = found.both.lost
    assert 0.3 < lost.value <= 1
    assert found.both.total_variation.value >= lost.value - 1e-9
    assert found.exact.lost == Estimate(0.0, 0.0)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda p: decompose(p, exact(problems.one_coordinate()), DPS), ValueError, "in 1 dimens"),
        (lambda p: decompose(p, DPS, DPS), TypeError, "`network` must be of the kind"),
        (lambda p: decompose(p, exact(p), DPS, n=1), ValueError, "`n` must be a whole number"),
        (lambda p: decompose(p, exact(p), Samples(p.prior.atoms)), TypeError, "finished samples"),
        (lambda p: decompose(p, exact(p), Drawn(early)), ValueError, "got a stop at 0.5"),
        (lambda p: diagnose(p, DPS, held_out=p.prior.atoms), ValueError, "needs a `network`"),
        (lambda p: diagnose(p, DPS, network=DPS), TypeError, "`network` must be of the kind"),
    ],
)
def test_wrong_calls_are_answered(call, error, says):
    with pytest.raises(error, match=says):
        call(problems.two_atoms())


def early(task):
    return Samples(task.start, time=0.5)


def test_without_parts_clouds_are_told_apart_by_their_distance():
    """More atoms than count as modes, and no labels."""
    prior = Empirical.from_samples(torch.randn(30, 1, generator=seeded(0), **F64))
    problem = Problem("few", prior, Likelihood(mask([True]), torch.zeros(1, **F64), 1.0))
    found = decompose(problem, exact(problem), DPS, n=50, steps=10)
    assert found.network.total_variation is None
    cost = found.both.distance.value - found.network.distance.value
    assert found.cost_of_approximation.value == cost
    assert found.cost_of_network.value == pytest.approx(0.0, abs=1e-9)
    assert "changes the sliced W1 by" in found.sentence
    assert "total variation" not in str(found)
    assert found.numbers["floor"]["total_variation"] is None


@pytest.mark.parametrize("method", [DiffPIR, TDS], ids=lambda m: m.__name__)
def test_methods_of_every_kind_are_decomposed(method):
    """One that steps, and one that draws weighted particles: an exact network changes nothing."""
    problem = problems.two_atoms()
    found = decompose(problem, exact(problem), method, n=40, steps=8)
    assert found.both.total_variation == found.approximation.total_variation
    assert found.both.distance.value == pytest.approx(found.approximation.distance.value)


def test_a_weighted_cloud_counts_by_its_weights():
    """All weight on one atom: the total variation is the weight of the other."""
    problem = problems.two_atoms()

    def drawn(task):
        x = problem.prior.atoms.repeat(50, 1)
        return Samples(x, log_weights=torch.where(x[:, 0] > 0, 0.0, -math.inf))

    found = decompose(problem, exact(problem), Drawn(drawn), n=20, steps=4)
    w = float(problem.posterior.prior.weights[0])
    assert found.both.total_variation.value == pytest.approx(w)


def test_a_report_has_the_decomposition_of_the_same_runs(tmp_path):
    problem, known = problems.two_atoms(), {"n": 30, "steps": 4}
    wrong = Denoiser(lambda x, a, s: problem.prior.denoise(x + 3 * a, a, s), dim=1)
    report = diagnose(problem, TMPD, network=wrong, **known)
    assert report.decomposition == decompose(problem, wrong, TMPD, **known)
    assert report.title == "TMPD with a learned denoiser on two_atoms (n = 30, steps = 4, seed = 0)"
    # what the method did is what it does on the learned denoiser
    told = report["total_variation"].value
    assert told.value == pytest.approx(report.decomposition.both.total_variation.value)
    for text in (str(report), html.unescape(report._repr_html_())):
        assert report.decomposition.sentence in text
    report.save_json(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())["decomposition"]
    cost = report.decomposition.cost_of_network
    assert saved["cost_of_network"] == [cost.value, cost.error]
    assert "cannot be told apart without held-out data" in saved["sentence"]


def test_held_out_data_must_be_finite():
    problem = problems.one_coordinate()
    lost = torch.full((4, 2), math.nan, dtype=torch.float64)
    with pytest.raises(ValueError, match="`held_out` must be finite, got 8 that are not"):
        decompose(problem, problem.prior, TMPD, held_out=lost)
