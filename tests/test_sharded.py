"""Atoms spread over two processes: the numbers of one, few bytes on the wire, and no hang."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import Empirical, ShardedEmpirical
from fsps_lite.engine import precision
from tests.oracles import UNIT, assert_near, condition, rounding
from tests.sharded_worker import T, answers, case

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Every job on two ranks: {job: (exit codes, what each rank has saved)}."""
    if sys.platform == "win32":
        pytest.skip("the ranks are forked")
    folder, jobs = tmp_path_factory.mktemp("ranks"), ["lost", "late", "all"]
    command = [sys.executable, "-m", "tests.sharded_worker", "2", str(folder), *jobs]
    subprocess.run(command, cwd=ROOT, timeout=120, check=True)
    found = {}
    for job in jobs:
        saved = [folder / job / f"{rank}.pt" for rank in range(2)]
        ranks = [torch.load(f, weights_only=False) if f.exists() else None for f in saved]
        found[job] = json.loads((folder / job / "codes").read_text()), ranks
    return found


@pytest.fixture(scope="module")
def found(launched):
    codes, found = launched["all"]
    assert codes == [0, 0]
    return found


@functools.cache
def moved_by_rounding(n, d):
    """What every answer moves by when all that it is made of moves by its own size.

    Atoms and places move about the middle of the atoms, which is taken off in float64 before
    anything is rounded. In float32 are also the mean, the residual and what solves for it: they
    are of the size of the measurement, or of its matrix times the mean, so that these stand for
    them. The run of an integrator rounds x itself in each of its ten steps.
    """
    prior, likelihood, x = case(n, d, torch.float64)
    centre, alpha = prior.atoms.mean(0), fl.VP().alpha(T)

    def answer(atoms, log_weights, x, matrix, y, noise_std):
        seen = fl.Likelihood(fl.Linear(matrix), y, noise_std)
        return answers(Empirical(centre + atoms, log_weights), seen, alpha * centre + x)

    about = prior.atoms - centre, prior.log_weights, x - alpha * centre
    measured = likelihood.operator.matrix, likelihood.y, likelihood.noise_std
    sizes = condition(answer, *about, *measured)
    return sizes | {"path": sizes["path"] + 10 * float(x.abs().max())}


def test_sharded_is_the_whole_to_rounding(found):
    """Input, logit, exponential, sum, share and answer: six roundings, on both sides.

    A score from atoms alone is right to 1e-6 of the largest on both sides, as the library promises;
    guidance multiplies that.
    """
    for rank in found:
        for (dtype, n, d), (sharded, whole) in rank["agreement"].items():
            dtype = {str(kind): kind for kind in UNIT}[dtype]
            for name, size in moved_by_rounding(n, d).items():
                assert_near(sharded[name], whole[name], rounding(dtype, size, operations=12))
            promised = 2 * precision.ERROR * float(whole["score"].abs().max())
            assert_near(sharded["score"], whole["score"], promised)


def test_all_ranks_have_the_same_answers(found):
    for key, (mine, _) in found[0]["agreement"].items():
        theirs = found[1]["agreement"][key][0]
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert all(map(torch.equal, found[0]["draws"][1], found[1]["draws"][1]))


def test_each_rank_may_bring_its_own_atoms(found):
    for rank in found:
        sharded, whole = rank["own_parts"]
        for name in whole:
            assert_close(sharded[name], whole[name], rtol=1e-9, atol=1e-9)


def test_a_rank_without_weight_stands_aside(found):
    for rank in found:
        sharded, whole, error = rank["silent_rank"]
        assert_close(sharded, whole, rtol=1e-10, atol=1e-10)
        assert "some rank must have an atom of positive weight" in error


def test_draws_have_the_weights(found):
    atoms, clouds, expected = found[0]["draws"]
    for cloud, weights in zip(clouds, expected, strict=True):
        counts = (cloud[:, None] == atoms).all(-1).double().mean(0)
        assert float(counts.sum()) == pytest.approx(1.0)  # every draw is an atom
        error = (weights * (1 - weights) / len(cloud)).sqrt()
        assert bool(((counts - weights).abs() <= 4 * error + 1e-4).all())


def test_what_moves_does_not_grow_with_the_atoms(found):
    rows, d = 7, 4
    assert set(found[0]["traffic"].values()) == {8 * rows * (d + 2)}


@pytest.mark.parametrize("job", ["lost", "late"])
def test_the_loss_of_a_rank_is_an_error_and_no_hang(job, launched):
    codes, found = launched[job]
    assert codes == [0, 1]
    error, seconds = found[0]
    assert "waits for another that has ended, or has not answered within 2 s" in error
    assert seconds < 6


def test_without_a_process_group_the_right_call_is_named():
    prior = Empirical.from_samples(torch.randn(5, 2, dtype=torch.float64))
    call = 'init_process_group\\("gloo"\\); ShardedEmpirical.of\\(prior'
    for make in (ShardedEmpirical.of, ShardedEmpirical):
        with pytest.raises(RuntimeError, match=call):
            make(prior)


def test_a_rank_without_an_atom_is_told_of(monkeypatch):
    for name, answer in {"is_initialized": True, "get_rank": 0, "get_world_size": 3}.items():
        monkeypatch.setattr(torch.distributed, name, lambda *_, answer=answer: answer)
    with pytest.raises(ValueError, match="each of the 3 ranks needs an atom, got 2.*on fewer"):
        ShardedEmpirical.of(Empirical.from_samples(torch.zeros(2, 1)))


def test_the_whole_case_is_no_trivial_one():
    prior, likelihood, x = case(2000, 5, torch.float64)
    posterior = prior.condition(likelihood)
    assert 2 < posterior.effective_size < 500
    shares = posterior.logits(x, fl.VP().alpha(T), fl.VP().sigma(T)).softmax(-1)
    assert float((shares[:, ::2].sum(-1) - 0.5).abs().min()) < 0.45  # both ranks count
