"""The stored rows of the leaderboard: they come out again, and a stopped run goes on."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fsps_lite as fl
from fsps_lite.diagnosis import Drawn
from fsps_lite.diagnosis.cell_files import NUMBERS, loaded, rounded
from fsps_lite.diagnosis.cells import Judge
from fsps_lite.diagnosis.leaderboard import Asked
from tools.gallery import jobs, maps, methods, pool
from tools.gallery.__main__ import keep, main, sweep
from tools.gallery.entries import Entry, grid
from tools.gallery.jobs import ENTRIES, Job, Size, all_jobs, done
from tools.gallery.tuning import Tuned, tuned_row

pytestmark = pytest.mark.usefixtures("unchecked")
ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / jobs.PLACE
CELLS = sorted((STORED / jobs.CELLS).rglob("*.json"))
MAPS = sorted((STORED / jobs.MAPS).glob("*.json"))
LARGEST = 5000  # bytes of a file, so that a page of the book loads them all
SMALL = Size(n=40, measurements=2, steps=4)
TIMED = {"seconds"}
A_FEW = ["--n", "40", "--measurements", "2", "--steps", "4", "--jobs", "1"]


def job_of(path):
    """The job whose file lies there."""
    data = loaded(path)
    tuned = data["tuned"] is not None
    return Job("tuned" if tuned else "row", data["method"].removesuffix(", tuned"), data["problem"])


def test_the_leaderboard_is_there():
    found = {(job.problem, job.method) for job in map(job_of, CELLS) if job.kind == "row"}
    of_problem = {problem: [m for p, m in found if p == problem] for problem, _ in found}
    assert sum(len(names) >= 18 for names in of_problem.values()) >= 8
    assert any(name.startswith("digits") for name in of_problem)


@pytest.mark.parametrize("folder", sorted({path.parent for path in CELLS}), ids=lambda p: p.name)
def test_every_stored_cell_is_of_the_present_format(folder):
    problems = {make.__name__ for make in methods.PROBLEMS}
    for path in folder.glob("*.json"):
        data, job = loaded(path), job_of(path)
        assert data is not None, path
        assert path.stat().st_size <= LARGEST, path
        assert job.problem in problems, path
        assert job.method in ENTRIES, path
        assert STORED / job.path == path
        assert data["package"] == ENTRIES[job.method].package
        assert data["version"]
        assert set(data["each"]) == set(NUMBERS)
        count = 0 if data["refused"] else data["settings"]["measurements"]
        assert {len(values) for values in data["each"].values()} == {count}
        assert bool(data["refused"]) == (count == 0)
        if data["tuned"] is not None:
            assert data["tuned"]["grid"] == ENTRIES[job.method].points
            assert data["tuned"]["seed"] != data["settings"]["seed"]


def test_every_stored_map_is_of_the_present_format():
    names = {loaded(path)["method"] for path in MAPS}
    assert {jobs.TRUTH, methods.EXACT, "DPS", "TMPD"} <= names
    for path in MAPS:
        data = loaded(path)
        assert path.stat().st_size <= LARGEST, path
        assert data["method"] in {jobs.TRUTH, *ENTRIES}
        shown = data["path"]
        assert shown is not None or data["reason"]
        if shown is not None:
            assert len(shown["t"]) == len(shown["counts"]) == maps.TIMES
            assert {len(row) for row in shown["counts"]} == {maps.BINS}
            assert max(sum(row) for row in shown["counts"]) <= shown["n"] + maps.BINS / 2
        for found in data.get("failure", {}).values():
            assert len(found["y"]) == len(found["p"]) == len(found["tv"]) == maps.COUNT
            assert (found["by"] == "cloud") == (found["null"] is not None)


def comes_out_again(name, problem, k=0):
    """The numbers at one measurement, as stored and run anew; they may differ by a particle.

    Stored are four digits, and a sum in another order may move one particle over an edge.
    """
    job = Job("row", name, problem)
    data, asked = loaded(STORED / job.path), job.asked()
    if data["refused"]:
        with pytest.raises(fl.UnsupportedLikelihood):
            Judge(asked.how)(asked.problem, job.entry.method)
        return
    assert data["of"] == job.made().of, "the method or its measurements have changed"
    at_y, how = list(asked.each())[k]
    found = Judge(how)(at_y, job.entry.method)
    for number in set(NUMBERS) - TIMED:
        stored, now = data["each"][number][k], rounded(getattr(found, number))
        if stored is None or now is None:
            assert stored == now, (name, problem, number)
        else:
            assert now == pytest.approx(stored, rel=2e-3, abs=1.5 / asked.how.n), (name, number)


@pytest.mark.parametrize(
    ("name", "problem"), [("DPS", "two_atoms"), ("SDA", "gaussian"), ("DMPS", "trimodal")]
)
def test_a_stored_cell_comes_out_again(name, problem):
    comes_out_again(name, problem)


@pytest.mark.long
@pytest.mark.parametrize("path", CELLS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_stored_cell_comes_out_again(path):
    job = job_of(path)
    if job.kind == "row" and job.entry.package == "fsps_lite":
        comes_out_again(job.method, job.problem, k=1)


def test_a_tuned_method_is_chosen_by_other_measurements_than_it_is_ranked_by():
    ranked = Asked.of(fl.problems.two_atoms(), 4, 200, 8, 0)
    entry = Entry("DiffPIR", fl.DiffPIR, grid(lam=(8.0, 0.3), zeta=(0.1, 1.0)))
    found = Tuned.of(entry, ranked)
    assert not set(ranked.y.flatten().tolist()) & set(found.asked.y.flatten().tolist())
    assert found.points[0] == "lam 8, zeta 0.1"
    values = [one.value for one in found.errors]
    assert found.errors[found.chosen].value == min(values) < max(values)
    row = tuned_row(entry, ranked)
    best = ranked.row("DiffPIR", entry.at(found.chosen), row.made)
    assert [one.w1 for one in row.each] == [one.w1 for one in best.each]
    assert row.made.tuned["chosen"] == found.chosen
    kept = tuned_row(Entry("DiffPIR", fl.DiffPIR, entry.grid[:1]), ranked, best)
    assert (kept.each, kept.method) == (
        best.each,
        "DiffPIR, tuned",
    )  # the published is not run again
    lost = replace(found, errors=(fl.Estimate(math.nan, math.nan), *found.errors[1:]))
    assert lost.chosen != 0  # what loses its particles is not chosen


def test_the_map_of_exact_draws_is_the_truth_and_a_map_of_clouds_sees_a_wrong_one():
    problem = fl.problems.two_atoms()
    mass = maps.truth(problem, maps.STOP)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-6)

    def direct(task):
        known = task.prior.prior.known.condition(task.likelihood)
        return known.sample(task.n, generator=task.generator)

    y = torch.tensor([-0.4, 0.0, 1.0], dtype=torch.float64)
    tv, null = maps._clouds(problem, Drawn(direct), y)
    # counts of 1,000 in two bins or three: the share of each is known to .016
    assert float((tv - null).abs().max()) < 4 * 0.016
    wrong, _ = maps._clouds(problem, Drawn(lambda task: task.start * 0 + 1), y)
    weight = [fl.theory.true_weight(1.0, float(v), 0.5) for v in y]
    assert wrong.tolist() == pytest.approx(weight, abs=4 * 0.016)


def test_what_is_done_is_not_done_again_and_the_rest_is(tmp_path):
    chosen = ["--only", "DDRM", "DDNM", "DMPS", "--on", "two_atoms", "--kinds", "row"]
    lines = []
    assert main([*chosen, *A_FEW, "--folder", str(tmp_path)], lines.append) == 0
    first = {path: path.read_text("utf-8") for path in tmp_path.rglob("*.json")}
    assert len(first) == 3
    gone, half = sorted(first)[0], tmp_path / "cells" / ".0.part"
    gone.unlink()
    half.write_text("half of a file", encoding="utf-8")
    os.utime(half, (0, 0))
    assert main([*chosen, *A_FEW, "--folder", str(tmp_path)], lines.append) == 0
    assert lines[4] == "2 of 3 are done, 1 to do"
    assert not half.exists()
    again = {path: path.read_text("utf-8") for path in tmp_path.rglob("*.json")}
    assert {p: timeless(t) for p, t in again.items()} == {p: timeless(t) for p, t in first.items()}


def timeless(text):
    """What a cell says, but for the seconds."""
    data = json.loads(text)
    data["each"].pop("seconds")
    return data


def test_a_job_that_fails_is_told_and_stops_no_other(tmp_path, monkeypatch):
    def broken(prior, likelihood):
        raise RuntimeError("out of order")

    monkeypatch.setitem(jobs.ENTRIES, "broken", Entry("broken", broken))
    found = done(Job("row", "broken", "two_atoms", SMALL))
    assert "out of order" in found.error
    keep(tmp_path, found)
    assert not list(tmp_path.rglob("*.json"))
    known = done(Job("row", "DDRM", "square", SMALL))  # refused, which is an answer
    keep(tmp_path, known)
    assert "needs a Linear operator" in loaded(tmp_path / known.job.path)["refused"]
    assert known.job.is_done(tmp_path)
    tuned = replace(known.job, kind="tuned")
    assert not tuned.is_done(tmp_path)
    assert tuned.published(tmp_path)["method"] == "DDRM"
    assert replace(tuned, method="DDNM").published(tmp_path) is None
    assert not replace(known.job, size=replace(SMALL, steps=5)).is_done(tmp_path)
    sweep(tmp_path)


def test_each_file_is_of_one_job():
    every = [*all_jobs(False), *all_jobs(True)]
    assert len({job.path for job in every}) == len(every)
    assert len({job.path.as_posix().lower() for job in every}) == len(every)
    assert {job.kind for job in every} == {"row", "tuned", "maps"}
    rows = {job.problem for job in every if job.kind == "row"}
    assert len(rows) >= 8
    assert len([e for e in methods.METHODS if e.name not in (methods.EXACT, "prior alone")]) >= 18


def test_a_cluster_without_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "fsps_lite\[cluster\]"'):
        next(pool.there([], "tcp://127.0.0.1:1"))


def started(arguments, **environment):
    """A process of the gallery's room, or of Dask."""
    known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**known, **environment},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(folder, count, seconds=120):
    """Until so many files are there."""
    until = time.monotonic() + seconds
    while len(list(folder.rglob("*.json"))) < count:
        assert time.monotonic() < until, "too slow"
        time.sleep(0.02)


SLOW = ["--on", "two_atoms", "one_coordinate", "--kinds", "row", "--n", "100"]
SLOW += ["--only", "DPS", "DDRM", "SDA", "TMPD", "DMPS", "PiGDM"]
SLOW += ["--measurements", "3", "--steps", "60"]


@pytest.mark.long
def test_a_killed_process_goes_on_where_it_was(tmp_path):
    command = ["tools.gallery", *SLOW, "--jobs", "1", "--folder", str(tmp_path)]
    process = started(command)
    wait_for(tmp_path, 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = [loaded(path) for path in tmp_path.rglob("*.json")]
    assert 3 <= len(whole) < 12
    assert None not in whole
    lines = []
    assert main([*SLOW, "--jobs", "1", "--folder", str(tmp_path)], lines.append) == 0
    assert lines[0] == f"{len(whole)} of 12 are done, {12 - len(whole)} to do"
    assert len(list(tmp_path.rglob("*.json"))) == 12


@pytest.mark.long
def test_a_cluster_does_the_work_of_a_worker_that_is_killed(tmp_path):
    pytest.importorskip("distributed", reason="needs fsps_lite[cluster]")
    address = "tcp://127.0.0.1:18787"
    told = ["--host", "127.0.0.1", "--port", "18787", "--no-dashboard"]
    others = [started(["distributed.cli.dask_scheduler", *told])]
    try:
        alone = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        worker = ["distributed.cli.dask_worker", address, *alone]
        others += [started(worker), started(worker)]
        command = ["tools.gallery", *SLOW, "--folder", str(tmp_path)]
        process = started(command, CLUSTER=address)
        others.append(process)
        wait_for(tmp_path, 2)
        others[1].send_signal(signal.SIGKILL)
        assert len(list(tmp_path.rglob("*.json"))) < 12
        assert process.wait(timeout=300) == 0
    finally:
        for one in others:
            one.kill()
            one.wait()
    assert len(list(tmp_path.rglob("*.json"))) == 12
    job = Job("row", "DPS", "two_atoms", Size(100, 3, 60))
    assert timeless(job.text()) == timeless((tmp_path / job.path).read_text("utf-8"))


@pytest.mark.parametrize("wrong", [["--only", "DSP"], ["--on", "two_atms"], ["--kinds", "foo"]])
def test_a_name_that_is_none_is_answered(wrong, tmp_path):
    with pytest.raises(SystemExit, match=f"{wrong[0]} {wrong[1]}: the gallery has "):
        main([*wrong, "--folder", str(tmp_path)])
