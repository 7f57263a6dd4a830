"""Trajectories: what is recorded, what is reported, what is never hidden."""

import math
import warnings

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import VP, Trajectory, euler_maruyama, march
from fsps_lite.samplers import trajectory as module
from tests.oracles import seeded

GRID = torch.tensor([1.0, 0.5, 0.2, 0.1], dtype=torch.float64)


def halve(x, t, s):
    return x / 2 + (t - s)


def test_march_applies_the_step_between_neighbours():
    x = torch.tensor([[8.0], [0.0]], dtype=torch.float64)
    path = march(halve, x, GRID)
    assert torch.equal(path.t, GRID)
    wanted = [x]
    for t, s in ((1.0, 0.5), (0.5, 0.2), (0.2, 0.1)):
        wanted.append(wanted[-1] / 2 + (t - s))
    assert_close(path.x, torch.stack(wanted))
    assert torch.equal(path.final, path.x[-1])
    assert path.x.shape == (4, 2, 1)
    assert torch.equal(x, torch.tensor([[8.0], [0.0]], dtype=torch.float64))


def test_at_finds_the_nearest_time():
    path = march(halve, torch.ones(3, 2, dtype=torch.float64), GRID)
    for t, i in ((1.0, 0), (0.8, 0), (0.7, 1), (0.34, 2), (0.0, 3)):
        assert torch.equal(path.at(t), path.x[i])


def test_diverged_particles_are_counted_and_kept():
    end = torch.tensor([[0.0, 1.0], [math.nan, 0.0], [math.inf, 0.0], [1e7, 0.0], [9e5, 0.0]])
    path = Trajectory(GRID[:1], end.double().unsqueeze(0))
    assert path.diverged().tolist() == [False, True, True, True, False]
    assert path.diverged(0.5).all()
    with pytest.warns(RuntimeWarning, match="^3 of 5 particles diverged"):
        marched = march(lambda x, t, s: x, end.double(), GRID)
    assert marched.final[1, 0].isnan()


def test_a_lost_particle_stays_lost_and_the_others_do_not_notice():
    schedule, x = VP(), torch.randn(6, 1, generator=seeded(0), dtype=torch.float64)

    def score(x, t):
        return -x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = euler_maruyama(score, schedule, x, GRID, generator=seeded(1))
    holed = x.clone()
    holed[2] = math.nan
    with pytest.warns(RuntimeWarning, match="^1 of 6 particles diverged") as caught:
        path = euler_maruyama(score, schedule, holed, GRID, generator=seeded(1))
    assert len(caught) == 1
    assert path.x[:, 2].isnan().all()
    others = [0, 1, 3, 4, 5]
    assert torch.equal(path.x[:, others], whole.x[:, others])


def test_a_long_run_shows_its_progress(monkeypatch, capsys):
    monkeypatch.setattr(module, "SLOW", 0.0)
    march(halve, torch.ones(1, 1, dtype=torch.float64), GRID)
    assert "reverse process" in capsys.readouterr().err
    monkeypatch.setattr(module, "SLOW", 60.0)
    march(halve, torch.ones(1, 1, dtype=torch.float64), GRID)
    assert capsys.readouterr().err == ""
