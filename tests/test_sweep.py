"""A sweep is a loop over `compare`, wherever it runs."""

import functools

import joblib
import pytest
import torch

from fsps_lite import DPS, ZetaDPS, compare, problems, sweep

pytestmark = pytest.mark.usefixtures("unchecked")
PROBLEMS = [problems.two_atoms(), problems.gaussian()]
METHODS = {"DPS": DPS, "closure": lambda *known: ZetaDPS(*known, zeta=0.3)}
SMALL = {"n": 30, "steps": 3}


@functools.cache
def looped():
    return [
        report
        for problem in PROBLEMS
        for seed in (3, 5)
        for report in compare(problem, METHODS, seed=seed, **SMALL)
    ]


@pytest.fixture
def loop(unchecked):
    """The same for every test; made without the shape checks, as a fixture of the module cannot."""
    return looped()


# Two processes that each import torch take seconds; below, two that are forked do it every day.
@pytest.mark.parametrize("jobs", [None, pytest.param(2, marks=pytest.mark.long)])
def test_a_sweep_is_a_loop(loop, jobs):
    found = sweep(PROBLEMS, METHODS, seeds=[3, 5], jobs=jobs, **SMALL)
    assert [str(report) for report in found] == [str(report) for report in loop]
    for mine, other in zip(found, loop, strict=True):
        assert mine.findings == other.findings


def test_another_backend_takes_over(loop):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = sweep(PROBLEMS[:1], METHODS, seeds=[3], **SMALL)
    assert [report.findings for report in found] == [report.findings for report in loop[:2]]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12, where threads run
def test_two_processes_hand_back_what_a_loop_finds(loop):
    with joblib.parallel_config(backend="multiprocessing"):
        found = sweep(PROBLEMS, {"DPS": DPS}, seeds=[3, 5], jobs=2, **SMALL)
    assert [report.findings for report in found] == [report.findings for report in loop[::2]]


def test_the_callers_threads_are_his_own():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    sweep(PROBLEMS[1:], {"DPS": DPS}, seeds=[0], n=20, steps=3)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.parametrize("empty", ["problems", "methods", "seeds"])
def test_nothing_to_do_is_said(empty):
    full = {"problems": PROBLEMS, "methods": METHODS, "seeds": [0]}
    with pytest.raises(ValueError, match="needs a problem, a method and a seed"):
        sweep(**(full | {empty: type(full[empty])()}))


def test_dask_hands_back_what_a_loop_finds(loop):
    """On a cluster of two workers; the page on performance says what to install."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as here,
        distributed.Client(here),
        joblib.parallel_config(backend="dask"),
    ):
        found = sweep(PROBLEMS, {"DPS": DPS}, seeds=[3, 5], **SMALL)
    assert [report.findings for report in found] == [report.findings for report in loop[::2]]
