"""A sampler of one's own: what the chapter prints works, and the project takes its class."""

import re
import shlex
import sys

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite.__main__ import main
from tests.book_laws import CHAPTERS
from tests.oracles import seeded
from tools.coursework.master import masters

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


# The project of assignment 6, which takes a class of the reader's too


@pytest.fixture(scope="module")
def game():
    """The cells of the project in which ``sample`` is a class: the game, and the harness."""
    (master,) = (one for one in masters() if one.name.startswith("06"))
    cells = {cell.metadata.nbgrader.grade_id: cell.source for cell in master.notebook.cells
             if cell.cell_type == "code"}  # fmt: skip

    def played(source):
        names = {"__name__": "project"}
        for text in (cells["set-up"], cells["game"], source, cells["q3-harness"]):
            exec(text, names)
        return names

    return played


@pytest.mark.usefixtures("unchecked")
def test_a_class_plays_the_project_as_it_runs_on_the_prior_itself(game):
    names = game(MODULE + "\nsample = MyMethod\n")
    for name in ("three", "plane"):
        problem, seen = names["practice"]()[name]
        cloud = names["play"](names["begin"], names["carry_on"], problem, seen, 20, 50, seed=3)
        noise, generator = names["noise_and_generator"](problem.prior.dim, 50, 3)
        grid = fl.times(problem.schedule, 20)
        known = problem.diffusion, problem.likelihood
        path = names["MyMethod"](*known)(noise, grid, generator=generator)
        # t goes to the denoiser as a number, and is found from the scales to a rounding
        assert_close(cloud, path.x / problem.schedule.alpha(grid[-1]), rtol=1e-7, atol=1e-7)


WEIGHING = """
class Weighing(fl.Sampler):
    def __call__(self, x, t, *, generator):
        x = self.prior.denoise(x, t[-1])
        return fl.Samples(x, log_weights=self.likelihood.log_prob(x))

sample = Weighing
"""


@pytest.mark.usefixtures("unchecked")
def test_the_weights_of_a_class_are_used(game):
    names = game(WEIGHING)
    problem, seen = names["practice"]()["three"]
    cloud = names["play"](names["begin"], names["carry_on"], problem, seen, 5, 200)
    noise, _ = names["noise_and_generator"](1, 200, 0)
    x = problem.diffusion.denoise(noise, fl.times(problem.schedule, 5)[-1])
    weights = problem.likelihood.log_prob(x).softmax(0)
    error = float((weights @ (x[:, 0] - weights @ x[:, 0]).square()) / 200) ** 0.5
    assert abs(float(cloud.mean() - weights @ x[:, 0])) < 4 * error
    assert set(cloud[:, 0].tolist()) <= set(x[:, 0].tolist())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("x0 = at.sample(generator=generator)", NotImplementedError, "has no draws"),
        ("x0 = at.mean * at.log_evidence[:, None]", NotImplementedError, "no density"),
        ("x0 = self.prior.at(x, t).mean", AssertionError, "its budget is spent"),
        ("x0 = at.mean + 1 / 0", ZeroDivisionError, "division"),
    ],
)
def test_a_class_may_ask_what_a_network_can_answer_and_no_more(game, line, error, words):
    source = MODULE.partition("        A, eye")[0] + f"        {line}\n"
    source += "        return fl.bridge(self.prior.schedule, x0, x, t, s, generator=generator)\n"
    names = game(source + "\nsample = MyMethod\n")
    problem, seen = names["practice"]()["three"]
    with pytest.raises(error, match=words):
        names["play"](names["begin"], names["carry_on"], problem, seen, 5, 20)
