"""The leaderboard: what a cell says, what is stored, and what is not run again."""

import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch

import fsps_lite as fl
from fsps_lite.__main__ import main
from fsps_lite.cli.stored_rows import stored_rows
from fsps_lite.diagnosis import leaderboard
from fsps_lite.diagnosis.cell_files import measured_at, read, write
from fsps_lite.diagnosis.cells import judged
from fsps_lite.diagnosis.coupling import coupling
from fsps_lite.diagnosis.leaderboard import rank
from fsps_lite.diagnosis.measured import Evidence
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
    assert len(asked) == 5  # at each y, and twice to see whether particles depend on each other
    file = tmp_path / "two_atoms" / "mine.json"
    assert file.stat().st_size < 5000
    again = rank({"mine": watched}, problems, **SMALL, folder=tmp_path)
    assert len(asked) == 5
    assert str(again) == str(first)
    rank({"mine": watched}, problems, **SMALL | {"steps": 7}, folder=tmp_path)
    assert len(asked) == 10
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["version"] == fl.__version__
    data["version"] = "0.0.0"  # of another version
    file.write_text(json.dumps(data), encoding="utf-8")
    rank({"mine": watched}, problems, **SMALL | {"steps": 7}, folder=tmp_path)
    assert len(asked) == 15


def test_each_measurement_has_noise_of_its_own():
    seeds = []

    def draw(task):
        seeds.append(task.generator.initial_seed())
        return exact(task)

    rank({"seen": fl.Drawn(draw)}, [fl.problems.two_atoms()], **SMALL, seed=7)
    assert seeds == [7, 8, 9, 7, 7]  # and the same noise where one asks for coupling


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
    def digest(method, y=0.3):
        asked = leaderboard.Asked(fl.problems.two_atoms(), torch.tensor([[y]]), Sampling())
        return asked.digest(method)

    same = digest(fl.DPS)
    assert same == digest(fl.DPS)
    assert len({same, digest(fl.TMPD), digest(fl.DPS, 0.31)}) == 3
    flat, round_ = (partial(fl.PiGDM, data_var=v) for v in (math.inf, 1.0))
    assert digest(flat) != digest(round_)
    assert digest(fl.Drawn(exact)) == digest(fl.Drawn(exact)) != digest(fl.Drawn(twice))


def twice(task):
    """Another sampler."""
    return exact(task)


def test_a_particle_that_depends_on_its_batch_is_found_out():
    problem, how = fl.problems.two_atoms(), Sampling(n=50, steps=9)
    assert coupling(problem, fl.DPS, how) == 0

    def joint(task):
        """Every particle is pulled to the mean of its batch by a hundredth, at each step."""
        return lambda x, t, s, generator: 0.99 * x + 0.01 * x.mean(0)

    # half of 128 starts are drawn anew: their mean moves by sqrt(2 / 64) deviations, which ten
    # steps bring to each particle by 1 - .99^10; by four such deviations more or less
    found = coupling(problem, fl.Stepped(joint), how)
    assert 0 < found < 4 * (2 / 64) ** 0.5 * (1 - 0.99**10)
    assert math.isnan(coupling(problem, fl.TDS, how))  # it names its runs


def test_the_measurements_lie_over_all_of_p_of_y():
    problem = fl.problems.trimodal()
    asked = leaderboard.Asked.of(problem, 12, None, 100, 0)
    below = Evidence(problem).below(asked.y[:, 0])
    shares = torch.arange(12) / 12
    # each from its twelfth of 1,200 draws, whose quantiles are known to sqrt(1 / 4 / 1200)
    slack = 4 * (0.25 / 1200) ** 0.5
    assert bool(((below > shares - slack) & (below < shares + 1 / 12 + slack)).all())
    assert not torch.equal(asked.y, leaderboard.Asked.of(problem, 12, None, 100, 1).y)
    assert asked.settings == {"n": 400, "steps": 100, "seed": 0, "measurements": 12}
    data = leaderboard.Asked.of(fl.problems.digits_masked(), None, None, 100, 0)
    assert data.y.shape == (6, 32)
    assert data.settings["n"] == 128
    with pytest.raises(ValueError, match="measurements"):
        leaderboard.Asked.of(problem, 1, None, 100, 0)


def test_what_a_row_says_of_weights_spread_and_places():
    problem = fl.problems.trimodal()

    def middle(task):
        """All particles between two modes, where the prior has none."""
        return torch.full_like(task.start, -0.8)

    row = rank({"middle": fl.Drawn(middle)}, [problem], n=300, measurements=3).rows[0]
    assert row.spread[0] < 0.1
    assert row.spread[1] == 1e-3  # where it ends, for it has no path
    # nothing there is probable, and almost all exact draws are inside: 1 % are unlucky
    assert all(one.hallucinated > 0.9 for one in row.each)
    for one in row.each:
        errors = [abs(a - b) for a, b in zip(one.shares, one.truth, strict=True)]
        assert abs(one.weight) == max(errors)
        assert one.total_variation == pytest.approx(sum(errors) / 2)
    assert row.weight == pytest.approx(sum(abs(one.weight) for one in row.each) / 3)


def test_a_new_method_stands_beside_the_stored_rows(tmp_path, capsys):
    settings = {"n": 60, "steps": 5, "measurements": 2}
    rank({"DDRM": fl.DDRM, "SDA": fl.SDA}, [fl.problems.two_atoms()], **settings, folder=tmp_path)
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    told = ["rank", "DMPS", "--problem", "two_atoms", "--stored", str(tmp_path)]
    assert main([*told, *words]) == 0
    out, error = capsys.readouterr()
    assert {line.split()[1] for line in out.splitlines()[1:]} == {"DMPS", "DDRM", "SDA"}
    assert "2 stored rows" in error
    assert main([*told, *words, "--beside", "SDA"]) == 0
    out, error = capsys.readouterr()
    assert {line.split()[1] for line in out.splitlines()[1:]} == {"DMPS", "SDA"}
    assert main([*told, *words, "--seed", "5"]) == 0
    out, error = capsys.readouterr()
    assert {line.split()[1] for line in out.splitlines()[1:]} == {"DMPS", "DPS", "TMPD"}
    assert "2 left out, made with n 60, steps 5, seed 0, measurements 2: DPS and TMPD" in error
    file = tmp_path / "two_atoms" / "SDA.json"
    file.write_text(file.read_text("utf-8").replace(fl.__version__, "0.0.1"), "utf-8")
    fits, why = stored_rows(tmp_path, leaderboard.Asked.of(fl.problems.two_atoms(), 2, 60, 5, 0))
    assert [row.method for row in fits] == ["DDRM"]
    assert "1 left out, of version 0.0.1" in why
    other = fl.problems.two_atoms(distance=2.0)
    assert (
        "of other measurements"
        in stored_rows(tmp_path, leaderboard.Asked.of(other, 2, 60, 5, 0))[1]
    )
    assert (
        "no rows of gaussian"
        in stored_rows(tmp_path, leaderboard.Asked.of(fl.problems.gaussian(), 2, 60, 5, 0))[1]
    )


def test_a_row_in_a_file_is_the_row(tmp_path):
    asked = leaderboard.Asked.of(fl.problems.trimodal(), 3, 80, 6, 2)
    for method in (fl.DPS, partial(fl.REDDiff, steps=20)):
        row = asked.row("mine", method, leaderboard.made_here(asked, method))
        path = tmp_path / "mine.json"
        write(path, row)
        known = read(path, asked.y)
        assert known.made == row.made
        for one, other in zip(known.each, row.each, strict=True):
            for name in ("w1", "weight", "spread", "hallucinated"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-3)
            assert one.ratios == pytest.approx(other.ratios, rel=1e-2)
            assert one.times == pytest.approx(other.times, rel=1e-3)
        torch.testing.assert_close(measured_at(path), row.y, atol=1e-5, rtol=1e-5)
    assert path.stat().st_size < 5000
    many, wide = (replace(row, y=torch.ones(size).double()) for size in ((9, 1), (2, 9)))
    write(path, many)
    assert measured_at(path).shape == (9, 1)
    write(path, wide)  # a measurement of nine numbers is simulated again, and not stored
    assert measured_at(path) is None
    path.write_text('{"format": 0}', encoding="utf-8")
    assert read(path, asked.y) is None
