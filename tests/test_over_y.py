"""What the chapter on every measurement has stored: a sample of it comes out again."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch

import fsps_lite as fl
from tools import over_y
from tools import stored as stored_cell

pytestmark = pytest.mark.usefixtures("unchecked")
PAIRS = 150


@cache
def stored():
    return over_y.stored()


@cache
def drawn():
    return over_y.Drawn.of(fl.problems.trimodal(), fl.TMPD, PAIRS, seed=5)


def test_all_problems_methods_and_cases_are_stored():
    assert list(stored()["maps"]) == list(over_y.MAPS)
    for problem, (_, low, high, count) in over_y.MAPS.items():
        found = stored()["maps"][problem]
        assert list(found) == ["y", "p", *over_y.METHODS]
        assert found["y"] == over_y.rounded(torch.linspace(low, high, count, dtype=torch.float64))
        cell = (high - low) / (count - 1)
        assert sum(found["p"]) * cell == pytest.approx(1.0, abs=2e-3)  # 99.9 % lie in the grid
    assert list(stored()["power"]) == list(over_y.CASES)


def test_a_stored_map_comes_out_again():
    """At one y, that the chapter does not compute again, the law and the truth, step by step."""
    found = stored()["maps"]["unequal"]
    k = found["y"].index(0.2)
    problem = fl.problems.unequal(y=found["y"][k])
    grid = fl.times(problem.schedule, over_y.MAP_STEPS, stop=over_y.MAP_STOP)
    score = fl.DPS(problem.diffusion, problem.likelihood)
    law = fl.law(score, problem.schedule, grid)
    x, q = law.places[-1], law.density[-1]
    true = problem.posterior.log_prob(x[:, None], over_y.MAP_STOP).exp()
    tv = fl.total_variation(q, true, float(x[1] - x[0]))
    assert found["DPS"][k] == pytest.approx(float(tv), abs=1e-4)  # of which four digits are kept


def test_stored_powers_come_out_again_from_a_few_pairs():
    """Other pairs, and 150 of them: the check that sees TMPD does, those that are blind do not."""
    size, told = 50, stored()["power"]["TMPD on trimodal"]
    found = {check: over_y.powers(*ranks) for check, ranks in drawn().ranks().items()}
    assert list(found) == list(told)
    for check in ("W1", "weights"):
        assert told[check][str(size)] > 0.9
        assert found[check][size] > 0.6  # three sets of 50 are independent
    for check in ("x[0]", "TARP"):
        assert told[check][str(size)] < 0.1
        assert found[check][size] < 0.4


def test_the_draws_of_an_exact_cloud_are_found_at_the_level_of_the_test():
    """One exact cloud in place of the method's: the ranks of all else are uniform."""
    found = replace(drawn(), mine=drawn().exact[:, 0]).ranks()
    for check in ("x[0]", "log p(x)", "log p(y | x)", "log p(x | y)", "TARP"):
        assert over_y.powers(*found[check])[20] < 0.4  # seven sets of 20 are independent
    assert found["W1"][0].max() == 0  # it is the reference itself


def test_results_are_written_into_the_chapter_as_json():
    results = {"maps": {"a": {"y": [0.5, 1.0]}}, "power": {"b": {"W1": {"5": 0.25}}}}
    text = 'before\nSTORED = json.loads("""\n{}\n""")\nafter\n'
    new = stored_cell.CELL.sub(lambda _: stored_cell.written(results), text)
    assert new.startswith("before\n")
    assert new.endswith('\n""")\nafter\n')
    assert over_y.stored(new) == results == json.loads(stored_cell.written(results))
    with pytest.raises(LookupError, match="has no cell with STORED"):
        over_y.stored("nothing")
