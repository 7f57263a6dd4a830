"""A likelihood of one's own: anything with log_prob(x), from the posterior to the report."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    Diffusion,
    Drawn,
    Empirical,
    GaussianMixture,
    Likelihood,
    Problem,
    diagnose,
    hallucination,
    problems,
)
from fsps_lite.measures.hallucinations import explained, simulated
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")


@dataclass(frozen=True)
class Disguised:
    """A Gaussian likelihood that does not say that it is one."""

    known: Likelihood

    @property
    def y(self):
        return self.known.y

    def log_prob(self, x):
        return self.known.log_prob(x)

    def simulate(self, x, *, generator):
        return self.known.simulate(x, generator=generator)


@dataclass(frozen=True)
class Poisson:
    """Counts whose rate is exp(x)."""

    y: torch.Tensor

    def log_prob(self, x):
        return (self.y * x - x.exp() - torch.lgamma(self.y + 1)).sum(-1)

    def simulate(self, x, *, generator):
        return torch.poisson(x.exp(), generator=generator)


@dataclass(frozen=True)
class Laplace:
    """Heavy tails, and a kink at y; it cannot simulate."""

    y: float
    width: float

    def log_prob(self, x):
        return -(x[:, 0] - self.y).abs() / self.width


COUNTS = Poisson(torch.tensor([3.0], dtype=torch.float64))
PRIOR = problems.unequal().prior
OWN = [COUNTS, Laplace(0.7, 0.02)]


def guided(prior, likelihood):
    """DPS for any likelihood with a gradient."""

    def score(x, t):
        at = prior.at(x, t)
        with torch.enable_grad():
            mean = at.mean.clone().requires_grad_()
            (slope,) = torch.autograd.grad(likelihood.log_prob(mean).sum(), mean)
        return at.score + at.vjp(slope)

    return score


@pytest.mark.parametrize("make", [problems.trimodal, problems.unequal])
def test_a_gaussian_in_disguise_has_the_same_posterior(make):
    problem = make()
    other = replace(problem, likelihood=Disguised(problem.likelihood))
    assert isinstance(other.posterior.prior, Empirical)  # by quadrature
    for t in (1e-3, 0.1, 0.5, 1.0):
        x = problem.posterior.sample(200, t, generator=seeded(0))
        wanted = problem.posterior.score(x, t)
        # the docstring's bound: of its largest value
        bound = 1e-6 * float(wanted.abs().max())
        assert_close(other.posterior.score(x, t), wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("likelihood", OWN, ids=["Poisson", "Laplace"])
def test_the_posterior_is_bayes_by_any_other_quadrature(likelihood):
    """Moments by a trapezoid rule of a million points: its error is h^2, 1e-10 here."""
    x = torch.linspace(-6, 6, 1_000_001, dtype=torch.float64)[:, None]
    p = (PRIOR.log_prob(x) + likelihood.log_prob(x)).softmax(0)
    posterior = Problem("own", PRIOR, likelihood).posterior.prior
    for moment in (1, 2, 3):
        wanted = float(p @ x[:, 0] ** moment)
        found = float(posterior.weights @ posterior.atoms[:, 0] ** moment)
        assert found == pytest.approx(wanted, rel=1e-7)


def test_where_the_likelihood_is_zero_so_is_the_posterior():
    class Positive:
        def log_prob(self, x):
            return torch.zeros_like(x[:, 0]).where(x[:, 0] > 0, -math.inf)

    found = Problem("half", PRIOR, Positive()).posterior.prior
    assert float(found.atoms[found.weights > 0].min()) > 0
    x = torch.linspace(0, 6, 1_000_001, dtype=torch.float64)[1:, None]
    p = PRIOR.log_prob(x).softmax(0)
    mean = float(found.weights @ found.atoms[:, 0])
    # the edge lies between two of the atoms, which are .03 / 16 apart: the mass between is missed
    assert mean == pytest.approx(float(p @ x[:, 0]), abs=0.03 / 16)


def test_atoms_and_the_plane_take_it_too():
    data = torch.randn(500, 1, generator=seeded(0), dtype=torch.float64)
    posterior = Problem("atoms", Empirical.from_samples(data), COUNTS).posterior.prior
    assert_close(posterior.weights, COUNTS.log_prob(data).softmax(0))
    plane = problems.one_coordinate()
    other = replace(plane, likelihood=Disguised(plane.likelihood))
    x = plane.posterior.sample(100, 0.3, generator=seeded(0))
    wanted = plane.posterior.score(x, 0.3)
    assert_close(other.posterior.score(x, 0.3), wanted, rtol=0, atol=1e-6 * float(wanted.max()))


def test_what_is_explained_is_said_by_simulations():
    """Of y from the place itself, the rank is uniform, so 2 of 300 are not explained."""
    x = torch.full((1, 1), 1.2, dtype=torch.float64)
    y = COUNTS.simulate(x.expand(1500, 1), generator=seeded(0))
    alone = [Poisson(one) for one in y.unique()[:, None]]
    told = {float(own.y): bool(explained(own, x, generator=seeded(1))) for own in alone}
    share = sum(not told[float(one)] for one in y) / len(y)
    error = (0.01 * 0.99 / 1500) ** 0.5
    assert share <= 0.01 + 4 * error  # ties of counts make it less than 1 %
    assert not told.get(15.0, False)
    assert told[3.0]


def test_simulations_agree_with_the_chi_squared():
    problem = problems.rank_deficient()  # two measurements
    x = problem.prior.sample(300, generator=seeded(0))
    ranks = simulated(Disguised(problem.likelihood), x, seeded(1))
    misfit = problem.likelihood.noise.whiten(problem.likelihood.residual(x)).square().sum(-1)
    tail = (-misfit / 2).exp()  # of chi-squared with two terms
    # a share of 300; what standardises it is known to sqrt(2 / 300) of the misfit
    noise = (tail * (1 - tail) / 300).sqrt() + tail * misfit / 2 * (2 / 300) ** 0.5
    assert bool(((ranks - tail).abs() <= 4 * noise + 2 / 300).all())


def test_the_table_of_hallucinations_is_nearly_that_of_the_chi_squared():
    problem = problems.trimodal()
    cloud, truth = (s.sample(1500, 0.01, generator=seeded(2)) for s in both(problem))
    own = replace(problem, likelihood=Disguised(problem.likelihood))
    one, other = (
        hallucination(cloud, truth, p, 0.01, modes=p.modes, generator=seeded(3))
        for p in (problem, own)
    )
    # places at which the tail is between .5 and 2 % may fall on either side
    assert_close(other.table, one.table, rtol=0, atol=0.02)


def both(problem):
    return problem.diffusion, problem.posterior


def test_poisson_is_diagnosed_like_any_other():
    problem = Problem("counts", PRIOR, COUNTS)
    right = Drawn(lambda task: problem.posterior.prior.sample(task.n, generator=task.generator))
    for seed in range(3):
        found = diagnose(problem, right, n=300, steps=3, seed=seed)
        assert [finding.id for finding in found.findings if finding.significant] == []
    found = diagnose(problem, guided, n=300, steps=20)
    assert found.missing == ()
    assert found["path KL"].value.value > 0
    blind = diagnose(problem, lambda prior, likelihood: prior.score, n=600, steps=20)
    assert blind["hallucinated_likelihood"].null is not None
    assert blind["weight_1"].significant


def test_without_simulations_two_rows_are_missing_and_the_report_says_why():
    found = diagnose(Problem("own", PRIOR, Laplace(0.7, 0.3)), guided, n=100, steps=8)
    assert [row.id for row in found.missing] == ["hallucinated_likelihood", "hallucinated_nowhere"]
    assert "simulate(x, generator=)" in str(found)
    assert found["hallucinated_prior"].null is not None


def test_a_guidance_of_this_library_says_that_it_needs_a_likelihood():
    with pytest.raises(TypeError, match="`likelihood` must be of the kind Likelihood, got Poisson"):
        diagnose(Problem("counts", PRIOR, COUNTS), DPS, n=10, steps=2)


def test_in_three_dimensions_a_mixture_needs_samples():
    prior = GaussianMixture.isotropic(torch.zeros(1, 3, dtype=torch.float64), std=1.0)
    problem = Problem("counts", prior, Poisson(torch.ones(3, dtype=torch.float64)))
    with pytest.raises(ValueError, match=r"likelihood of one's own, .*got d = 3.*finite_sample"):
        _ = problem.posterior
    assert isinstance(problem.finite_sample(50, generator=seeded(0)), Diffusion)
