"""The leaderboard: what a cell says, what is stored, and what is not run again."""

import json
import math
from functools import partial

import pytest
import torch

import fsps_lite as fl
from fsps_lite.__main__ import main
from fsps_lite.diagnosis import leaderboard
from fsps_lite.diagnosis.cells import judged
from fsps_lite.diagnosis.leaderboard import rank
from fsps_lite.diagnosis.sampling import Sampling

pytestmark = pytest.mark.usefixtures("unchecked")
SMALL = {"n": 200, "steps": 6, "measurements": 3}


def prior_alone(prior, likelihood):
    """A method that ignores y."""
    return prior


def exact(task):
    """Direct draws of the posterior, which a method may not know."""
    posterior = task.prior.prior.known.condition(task.likelihood)
    return posterior.sample(task.n, generator=task.generator)


def test_the_exact_draws_are_first_and_the_prior_is_last():
    problems = [fl.problems.two_atoms(), fl.problems.gaussian()]
    methods = {"prior": prior_alone, "DPS": fl.DPS, "exact": fl.Drawn(exact)}
    board = rank(methods, problems, **SMALL)
    assert [row.method for row in board["two_atoms"]] == ["exact", "DPS", "prior"]
    assert [row.method for row in board["gaussian"]][0] == "exact"  # which has one part: by W1
    found = {row.method: row for row in board["two_atoms"]}
    truth, null = (found["exact"].mean(n) for n in ("total_variation", "total_variation_null"))
    assert abs(truth.value - null.value) < 4 * math.hypot(truth.error, null.error) + 0.03
    expected = [abs(0.5 - fl.theory.true_weight(1.0, float(y), 0.5)) for y in found["prior"].y]
    told = [one.total_variation for one in found["prior"].each]
    # shares of 200 particles and 800 exact draws
    assert told == pytest.approx(expected, abs=4 * (0.25 / 200 + 0.25 / 800) ** 0.5)
    assert found["prior"].worst == max(range(3), key=lambda k: told[k])
    assert "two_atoms" in str(board)
    assert len(str(board).splitlines()) == 7


def test_a_cell_counts_what_it_costs_and_what_is_lost():
    problem, how = fl.problems.two_atoms(), Sampling(n=60, steps=10)
    found = judged(problem, fl.DPS, how)
    assert found.calls == pytest.approx(10, abs=0.3)  # and a few rows that are examined
    assert found.seconds > 0
    assert found.diverged == 0
    bad = fl.Stepped(lambda task: lambda x, t, s, generator: x * 1e3)
    lost = judged(problem, bad, how)
    assert lost.diverged == 1
    assert math.isnan(lost.w1)
    assert math.isnan(lost.spread)


def test_the_spread_is_the_ratio_furthest_from_1():
    problem, how = fl.problems.gaussian(), Sampling(n=4000, steps=20)

    def half(task):
        """The exact posterior's score, squeezed: half its spread at the end."""
        score = problem.posterior
        v, last = problem.schedule, task.grid[-1]

        def step(x, t, s, generator):
            x0 = score.sample_denoised(x, t, generator=generator)
            x0 = 0.8 + (x0 - 0.8) / (2 if s == last else 1)
            return v.alpha(s) * x0 + v.sigma(s) * torch.randn(
                x.shape, generator=generator, dtype=x.dtype
            )

        return step

    # each spread is known to 1.1 % of 4,000 draws
    assert judged(problem, fl.Stepped(half), how).spread == pytest.approx(0.5, rel=0.07)


def test_what_is_stored_is_not_run_again(tmp_path):
    asked = []

    def watched(prior, likelihood):
        asked.append(likelihood.y)
        return fl.DPS(prior, likelihood)

    problems = [fl.problems.two_atoms()]
    first = rank({"mine": watched}, problems, **SMALL, folder=tmp_path)
    assert len(asked) == 3
    file = tmp_path / "two_atoms" / "mine.json"
    assert file.stat().st_size < 5000
    again = rank({"mine": watched}, problems, **SMALL, folder=tmp_path)
    assert len(asked) == 3
    assert str(again) == str(first)
    rank({"mine": watched}, problems, **SMALL | {"steps": 7}, folder=tmp_path)
    assert len(asked) == 6
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["settings"]["version"] == fl.__version__
    data["settings"]["version"] = "0.0.0"  # of another version
    file.write_text(json.dumps(data), encoding="utf-8")
    rank({"mine": watched}, problems, **SMALL | {"steps": 7}, folder=tmp_path)
    assert len(asked) == 9


def test_each_measurement_has_noise_of_its_own():
    seeds = []

    def draw(task):
        seeds.append(task.generator.initial_seed())
        return exact(task)

    rank({"seen": fl.Drawn(draw)}, [fl.problems.two_atoms()], **SMALL, seed=7)
    assert seeds == [7, 8, 9]


def test_a_method_has_no_row_where_it_does_not_take_the_operator(tmp_path):
    problems = [fl.problems.square(), fl.problems.gaussian()]
    for _ in range(2):  # run, and read
        board = rank({"DDRM": fl.DDRM}, problems, **SMALL, folder=tmp_path)
        assert [row.problem for row in board.rows] == ["gaussian"]
    with pytest.raises(TypeError, match="not be finished Samples"):
        rank({"done": fl.Samples(torch.zeros(9, 1).double())}, problems[1:], **SMALL)
    with pytest.raises(ValueError, match="needs a method and a problem"):
        rank({}, problems)


def test_a_row_by_one_command(tmp_path, capsys):
    arguments = ["--problem", "two_atoms", "--n", "60", "--steps", "5", "--measurements", "2"]
    assert main(["rank", "DDRM", *arguments, "--beside", "DPS", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["problem", "method", "TV"]
    assert {line.split()[1] for line in lines[1:]} == {"DDRM", "DPS"}
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_a_method_or_a_problem_that_has_changed_is_another_cell():
    def digest(method, y):
        return leaderboard._digest(method, torch.tensor(y))

    same = digest(fl.DPS, [[0.3]])
    assert same == digest(fl.DPS, [[0.3]])
    assert len({same, digest(fl.TMPD, [[0.3]]), digest(fl.DPS, [[0.31]])}) == 3
    flat, round_ = (partial(fl.PiGDM, data_var=v) for v in (math.inf, 1.0))
    assert digest(flat, [[0.3]]) != digest(round_, [[0.3]])
