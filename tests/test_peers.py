"""The adapters of published packages, on stand-ins; `make test-peers` runs the packages."""

import ast
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite.diagnosis.method import name_of
from fsps_lite.peers import azula, deepinv
from fsps_lite.peers.seeding import seeded
from tests.peers.figures import differences, steps, stored, table

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "fsps_lite" / "peers"


class Answer(SimpleNamespace):
    """What a denoiser of azula answers with."""


class Gaussian:
    """A denoiser of azula for N(0, 2), on another schedule and another time than ours."""

    def schedule(self, t):  # levels from .02 to 14
        return 1 - 0.5 * t, 0.02 + 7 * t**2

    def __call__(self, x, t):
        alpha, sigma = self.schedule(t)
        return Answer(mean=2 * alpha * x / (2 * alpha**2 + sigma**2))


@pytest.mark.parametrize("schedule", [fl.VP(), fl.FlowMatching()], ids=["VP", "FlowMatching"])
def test_a_denoiser_of_azula_is_asked_at_the_same_noise_level(schedule):
    ours = fl.Diffusion(fl.GaussianMixture.isotropic(torch.zeros(1, 1).double(), 2**0.5), schedule)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    for t in (0.1, 0.3, 0.5):
        assert_close(azula.score(Gaussian(), schedule)(x, t), ours.score(x, t))
    learned = fl.Diffusion(fl.Denoiser(azula.mean(Gaussian()), dim=1), schedule)
    assert_close(learned.denoise(x, 0.5), ours.denoise(x, 0.5))
    for t in (1e-4, 0.99):
        with pytest.raises(ValueError, match="noise levels sigma / alpha of its own schedule"):
            azula.score(Gaussian(), schedule)(x, t)


class Walk:
    """A sampler of azula: x halves, and gets noise of torch's global generator."""

    def step(self, x, t, s):
        return x / 2 + (t - s) * torch.randn_like(x)

    def __call__(self, x):
        self.seen = torch.linspace(self.start, self.stop, self.steps + 1, dtype=self.dtype)
        assert self.silent
        for t, s in zip(self.seen[:-1], self.seen[1:], strict=True):
            x = self.step(x, t, s)
        return x - x.mean()


def walk(task):
    return Walk()


def test_a_step_of_azula_draws_from_the_generator_of_the_task():
    method, task = azula.stepped(walk), task_of(30, 4)
    step = method.made(task)

    def moved(seed):
        g = torch.Generator().manual_seed(seed)
        return step(task.start, task.grid[0], task.grid[1], generator=g)

    torch.manual_seed(1)
    first, again, other = moved(0), moved(0), moved(1)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    noise = (first - task.start / 2) / (task.grid[0] - task.grid[1])
    assert abs(float(noise.std()) - 1) < 4 / 60**0.5  # of 30 standard Gaussian numbers
    assert name_of(method) == name_of(azula.drawn(walk)) == "walk"


def task_of(n, steps):
    """A task as a report makes one."""
    g, problem = torch.Generator().manual_seed(0), fl.problems.gaussian()
    grid = fl.times(problem.schedule, steps)
    start = problem.schedule.noise(n, 1, t=grid[0], generator=g)
    return fl.Task(problem.diffusion, problem.likelihood, grid, start, g)


def test_a_sampler_of_azula_is_called_once_for_each_run():
    made = []

    def kept(task):
        made.append(Walk())
        return made[-1]

    task = task_of(40, 5)
    found = azula.drawn(kept, runs=4).draw(task)
    assert found.runs.tolist() == [k for k in range(4) for _ in range(10)]
    assert found.time == float(task.grid[-1])
    for k in range(4):  # each run takes its own mean away
        assert float(found.x[found.runs == k].mean().abs()) < 1e-15
    assert made[0].seen[0] == task.grid[0]
    assert made[0].seen[-1] == task.grid[-1]
    assert len(made[0].seen) == len(task.grid)
    assert azula.drawn(kept).draw(task).runs is None


def test_noise_of_the_global_generator_follows_from_ours():
    def drawn(seed):
        with seeded(torch.Generator().manual_seed(seed)):
            return torch.randn(3)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


# deepinv, by the few of its parts that the adapters use


class Decomposable(SimpleNamespace):
    def A(self, x):
        return self.U(self.mask * self.V_adjoint(x))

    def A_adjoint(self, y):
        return self.V(self.mask * self.U_adjoint(y))


@pytest.fixture
def packages(monkeypatch):
    """Modules that are called as those of azula and deepinv are."""
    names = {
        "azula.denoise": {"Denoiser": torch.nn.Module, "DiracPosterior": lambda m: Answer(mean=m)},
        "deepinv.models": {"Denoiser": torch.nn.Module},
        "deepinv.physics": {
            "DecomposablePhysics": Decomposable,
            "GaussianNoise": lambda sigma: SimpleNamespace(sigma=sigma),
        },
    }
    for name, parts in names.items():
        for path in (name.partition(".")[0], name):
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
        vars(sys.modules[name]).update(parts)


@pytest.mark.usefixtures("packages")
def test_our_prior_as_a_denoiser_of_azula_and_back():
    prior = fl.problems.trimodal().diffusion
    theirs = azula.denoiser(prior)
    x = prior.sample(5, 0.3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        theirs(x, torch.tensor(0.3, dtype=torch.float64)).mean, prior.denoise(x, 0.3)
    )
    assert_close(azula.score(theirs, prior.schedule)(x, 0.3), prior.score(x, 0.3))


@pytest.mark.usefixtures("packages")
def test_our_prior_as_a_denoiser_of_deepinv_and_back():
    prior = fl.problems.one_coordinate().diffusion
    theirs = deepinv.denoiser(prior)
    x = prior.sample(5, 0.3, generator=torch.Generator().manual_seed(0))
    learned = fl.Diffusion(fl.Denoiser(deepinv.mean(theirs, (1, 1, 2)), dim=2), prior.schedule)
    assert_close(learned.score(x, 0.3), prior.score(x, 0.3))
    assert theirs(x.float(), 0.5).dtype == torch.float32
    with pytest.raises(ValueError, match="a cloud must have one noise level"):
        theirs(x, torch.tensor([0.1, 0.2]))


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["gaussian", "one_coordinate", "rank_deficient"])
def test_a_likelihood_as_physics_and_its_gradient_as_a_score(name):
    """The gradient of |y - A(m)|^2 / 2 noise^2, whose minus is what DPS adds to the prior."""
    problem = getattr(fl.problems, name)()
    prior, likelihood, noise = problem.diffusion, problem.likelihood, problem.likelihood.noise_std

    class Fidelity:
        def grad(self, x, y, physics, sigma):
            x = x.detach().requires_grad_()
            mean = deepinv.denoiser(prior)(x, sigma)
            loss = (physics.A(mean) - y).square().sum() / (2 * physics.noise_model.sigma**2)
            return torch.autograd.grad(loss, x)[0]

    x = prior.sample(6, 0.4, generator=torch.Generator().manual_seed(0))
    found = deepinv.score(Fidelity(), prior, likelihood)(x, 0.4)
    float32 = torch.finfo(torch.float32).eps  # of the singular values
    assert_close(found, fl.DPS(prior, likelihood)(x, 0.4), rtol=8 * float32, atol=8 * float32)
    physics, operator = deepinv.physics(likelihood), likelihood.operator
    y = torch.randn(3, operator.out, dtype=torch.float64)
    assert_close(physics.A_adjoint(y), operator.adjoint(y), rtol=4 * float32, atol=4 * float32)
    assert physics.noise_model.sigma == noise


@pytest.mark.usefixtures("packages", "unchecked")
def test_a_reconstructor_of_deepinv_gets_one_measurement_for_each_particle():
    def ours(task):
        def reconstruct(y, physics):
            assert y.dtype == torch.float32
            return physics.A_adjoint(y) + torch.randn(len(y), 1)

        return reconstruct

    task = task_of(50, 3)
    found = deepinv.drawn(ours).draw(task)
    assert found.x.shape == task.start.shape
    assert found.x.dtype == task.start.dtype
    assert name_of(deepinv.drawn(ours)) == "ours"
    with pytest.raises(TypeError, match="`likelihood` must be of the kind Likelihood"):
        deepinv.drawn(ours).draw(replace(task, likelihood=Counts()))


class Counts:
    """A likelihood that deepinv knows no physics for."""

    def log_prob(self, x):
        return x[..., 0]


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "azula", None)
    with pytest.raises(ImportError, match=r'azula comes with pip install "fsps_lite\[peers\]"'):
        azula.denoiser(fl.problems.gaussian().diffusion)


# The files


def test_each_adapter_is_short():
    for path in (PEERS / "azula.py", PEERS / "deepinv.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 30, f"{node.name} in {path.name}"


def test_the_stored_figures_are_of_the_versions_that_the_extra_installs():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("azula", "deepinv"):
        assert f'"{name}=={stored()["versions"][name]}"' in text


@pytest.mark.parametrize("page", ["README.md", "book/library/diagnosis.md"])
def test_readme_and_book_show_the_stored_figures(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for shown in (table(), differences()):
        assert shown in text, "print it anew: python -m tests.peers.figures"


def test_the_page_on_samplers_shows_the_stored_steps():
    text = (ROOT / "book" / "library" / "samplers.md").read_text(encoding="utf-8")
    assert steps() in text, "print it anew: python -m tests.peers.figures"
