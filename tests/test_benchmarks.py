"""What the bench compares is the same: the textbook's scores are the engine's. No test times."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from benchmarks import beside, goals, worker
from benchmarks.__main__ import grid, row
from benchmarks.case import METHODS, MOST, Case, Setup
from benchmarks.figure import scaling


@pytest.mark.parametrize("t", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("d", [1, 2, 11])
@pytest.mark.parametrize("method", METHODS)
def test_the_textbook_says_what_the_engine_says(method, d, t):
    setup = Setup.of(Case(method, d, 60, 7, "float64", t))
    x = torch.cat(setup.x)
    wanted = setup.textbook(x)
    assert_close(setup.engine(x, t), wanted, rtol=1e-8, atol=1e-9 * float(wanted.abs().max()))
    assert setup.error(t) < 1e-9


def test_a_cell_says_what_it_measured_and_why_it_did_not():
    found = Case("DPS", 2, 300, 5).measure()
    assert found["speedup"] == pytest.approx(found["textbook_ms"] / found["engine_ms"])
    assert found["error"] < 1e-6
    assert found["arithmetic"] == "float64"  # in two dimensions, always
    large = Case("score", 2, 300, 5, patience=0.0).measure()
    assert large["speedup"] is None
    assert large["textbook_skipped"].startswith("about")
    assert len(row(found)) == len(row(large))
    assert Case("score", 784, 100_000, 2048)._too_big() == "2569 GB"


def measured(monkeypatch, engine):
    """A cell whose engine is another."""
    case = Case("score", 2, 300, 5, patience=0.0)
    setup = replace(Setup.of(case), engine=engine)
    monkeypatch.setattr(Setup, "of", lambda case: setup)
    return case.measure()


def test_no_timing_repeats_a_cloud(monkeypatch):
    """Slow calls, one a round, met the cloud of the round before: what remembers looked fast."""
    asked = []
    monkeypatch.setattr("benchmarks.case.BLOCK", 0.0)  # every call is slow: one a round
    measured(monkeypatch, lambda x, t: asked.append(x) or x)
    timed = torch.stack(asked[1:-2])  # all but the first call, that of the memory and of the error
    assert len(timed) == MOST
    assert len(timed.flatten(1).unique(dim=0)) == len(timed)


def test_faster_than_a_matrix_product_is_no_time_but_a_fault(monkeypatch):
    monkeypatch.setattr("benchmarks.case.gemm_rate", lambda dtype: 1.0)
    with pytest.raises(RuntimeError, match="a share above 1"):
        measured(monkeypatch, lambda x, t: x)


def test_the_grid_is_what_was_asked_for():
    cells = grid()
    assert {c.d for c in cells} == {1, 2, 64, 784}
    assert {c.n for c in cells} == {256, 2000, 20_000, 100_000}
    assert {c.batch for c in cells} == {256, 2048}
    assert {c.dtype for c in cells} == {"float32", "float64"}
    assert {c.method for c in cells} == set(METHODS)


def test_the_figure_has_a_panel_for_each_dimension():
    cell = {"method": "score", "batch": 256, "t": 0.8, "dtype": "float32", "textbook_ms": None}
    results = [cell | {"d": d, "n": n, "engine_ms": 1.0 * n} for d in (1, 2) for n in (10, 100)]
    axes = scaling(results).axes
    assert [axis.get_title() for axis in axes] == ["d = 1", "d = 2"]
    assert [list(line.get_xdata()) for line in axes[0].lines][2] == [10, 100]


def test_the_tables_of_the_page_are_what_was_measured():
    from benchmarks import page

    for name, text in page.tables().items():
        assert (page.HERE / name).read_text() == text, "run: python -m benchmarks.page"


def test_a_goal_is_met_or_falls_short():
    fast = beside.Case("wide", "steps")
    assert (fast.asked, fast.told(3.0, 2.0)) == (">= 1.5 times", ("1.50 times", True))
    assert fast.told(2.8, 2.0) == ("1.40 times", False)
    short = beside.Case("ancestral", "a step", steps=100, milliseconds=0.5)
    assert (short.asked, short.told(0.1, 0.05)) == ("<= 0.5 ms", ("0.50 ms, 2.00 times", True))
    assert short.told(0.1, 0.06) == ("0.60 ms, 1.67 times", False)


def test_the_goals_are_held_against_sums_as_written():
    g = torch.Generator().manual_seed(0)
    atoms = torch.randn(300, 3, generator=g)
    known = fl.Diffusion(fl.Empirical.from_samples(atoms), fl.VP())
    x = known.sample(5, 0.4, generator=g)
    assert_close(
        goals.as_written(atoms, x, 0.4), known.score(x, 0.4).double(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("ratio", [0.0055, 0.3, 6.0])
def test_a_step_is_where_the_noise_is_that_large(ratio):
    t = worker.time_at(ratio)
    assert float(fl.VP().sigma(t) / fl.VP().alpha(t)) == pytest.approx(ratio)


def test_without_a_tree_all_atoms_are_summed_over():
    g = torch.Generator().manual_seed(0)
    prior = fl.Empirical.from_samples(torch.randn(20_000, 2, generator=g))
    x = prior.sample(300, generator=g)
    assert prior.given(x, 1.0, 0.01).visited < 0.5
    with goals.dense():
        assert not hasattr(prior.given(x, 1.0, 0.01), "visited")
    assert prior.given(x, 1.0, 0.01).visited < 0.5


@pytest.mark.parametrize("name", worker.CASES)
def test_what_is_timed_beside_an_older_library_runs(name):
    assert worker.case(name)() is not None


def test_a_commit_that_is_not_there_is_said_to_be():
    rows = list(beside.Beside("0" * 40).rows())
    assert len(rows) == len(beside.CASES)
    assert {row[2:] for row in rows} == {("not measured: the commit is not here", None)}
