"""The chapter on a sampler of one's own: what it tells readers to type works as it is printed."""

import re
import shlex
import sys

import pytest
import torch

import fsps_lite as fl
from fsps_lite.__main__ import main
from tests.book_laws import CHAPTERS
from tests.oracles import seeded

TEXT = (CHAPTERS / "your-own-sampler.md").read_text(encoding="utf-8")
(MODULE,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
(COMMAND,) = re.findall(r"^```\n(python -m fsps_lite .*?)\n```$", TEXT, re.MULTILINE)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The reader's folder, with the reader's file in it."""
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != ""])
    yield
    sys.modules.pop("mine", None)


@pytest.mark.usefixtures("mine", "unchecked")
def test_the_file_and_the_command_of_the_page_give_a_row_beside_the_others(capsys):
    python, dash, package, *words = shlex.split(COMMAND)
    assert (python, dash, package) == ("python", "-m", "fsps_lite")
    assert main(words) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["problem", "method"]
    assert {row.split()[1] for row in rows} == {"MyMethod", "DPS", "TMPD"}


def test_the_file_is_as_long_as_the_page_promises():
    """A stranger's sampler of about twenty lines."""
    assert len([line for line in MODULE.splitlines() if line]) <= 20


def test_the_file_is_exact_on_any_gaussian_in_any_number_of_steps():
    """In three dimensions, with a singular measurement and correlated components: mean and cov."""
    made = {}
    exec(MODULE, made)
    one = fl.problems.rank_deficient()
    prior = fl.GaussianMixture(torch.zeros(1).double(), one.prior.means[:1], one.prior.covs[:1])
    exact = prior.condition(one.likelihood)
    sampler = made["MyMethod"](fl.Diffusion(prior, one.schedule), one.likelihood)
    n, grid = 20_000, fl.times(one.schedule, 3, stop=1e-3)
    x = one.schedule.noise(n, 3, generator=seeded(0))
    end = sampler(x, grid, generator=seeded(1)).x / one.schedule.alpha(grid[-1])
    noise = float(one.schedule.sigma(grid[-1]) / one.schedule.alpha(grid[-1])) ** 2
    cov = exact.covs[0] + noise * torch.eye(3, dtype=torch.float64)
    deviations = cov.diagonal().sqrt()
    off = (end.mean(0) - exact.means[0]).abs() / deviations
    assert float(off.max()) < 4.5 / n**0.5  # three means, each known to 1 / sqrt(n) deviations
    ratio = (end.T.cov() - cov).abs() / torch.outer(deviations, deviations)
    assert float(ratio.max()) < 4.5 * (2 / n) ** 0.5  # the error of a variance, at most
