"""The lens's own error: the tail of the weights, half of the atoms, and one atom left out."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from fsps_lite import Empirical, Likelihood, Linear, Problem, problems
from fsps_lite.diagnosis.lens import ENOUGH, halves, is_data, lens_error
from fsps_lite.measures import leave_one_out, tail_shape
from fsps_lite.measures.tails import pareto_shape
from tests.oracles import seeded

EYE = Linear(torch.eye(2, dtype=torch.float64))


def cloud(N, seed=0):
    return torch.randn(N, 2, generator=seeded(seed), dtype=torch.float64)


# The tail


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.7, 1.5])
def test_the_shape_of_a_pareto_tail_is_found(shape):
    """Without the pull towards 0.5, which is undone here; the error is (1 + k) / sqrt(M)."""
    m = 3000
    values = torch.from_numpy(
        np.sort(stats.genpareto.rvs(shape, scale=3.0, size=m, random_state=1))
    )
    found = (pareto_shape(values) * (m + 10) - 5) / m
    assert found == pytest.approx(shape, abs=4 * (1 + shape) / math.sqrt(m))
    likely = stats.genpareto.fit(values.numpy(), floc=0)[0]
    assert found == pytest.approx(likely, abs=0.01)


def test_weights_of_a_known_tail():
    """exp(z) with z exponential of rate 1 / k has a Pareto tail of this k."""
    for k in (0.3, 1.2):
        z = torch.from_numpy(stats.expon.rvs(scale=k, size=20_000, random_state=2))
        assert tail_shape(z) == pytest.approx(k, abs=4 * (1 + k) / math.sqrt(3 * 141) + 0.02)
        assert tail_shape(z + 500.0) == pytest.approx(tail_shape(z))  # up to a constant


def test_what_has_no_tail():
    assert tail_shape(torch.zeros(10).double()) == math.inf
    one = torch.full((500,), -math.inf, dtype=torch.float64)
    one[3] = 0.0
    assert tail_shape(one) == math.inf


# Half of the atoms


def data(N=400, y=0.5, noise_std=1.0):
    known = Likelihood(EYE, torch.full((2,), y, dtype=torch.float64), noise_std)
    return Problem("data", Empirical.from_samples(cloud(N)), known)


def test_halves_scatter_as_new_atoms_do():
    """The posterior mean of x[0] over halves of the atoms, and over new atoms altogether."""

    def mean(posterior):
        return float(posterior.prior.weights @ posterior.prior.atoms[:, 0])

    problem = data()
    whole = mean(problem.posterior)
    of_halves = [mean(half) for half in halves(problem, 200, generator=seeded(1))]
    stated = float((torch.tensor(of_halves) - whole).square().mean().sqrt())
    known = problem.likelihood
    anew = [
        mean(Problem("new", Empirical.from_samples(cloud(400, seed)), known).posterior)
        for seed in range(1, 201)
    ]
    # both deviations are known to 5 %, and the one from one set of atoms differs by as much more
    assert stated / float(torch.tensor(anew).std()) == pytest.approx(1.0, abs=0.3)


def test_a_half_is_never_one_without_weight():
    lonely = torch.full((30,), -math.inf, dtype=torch.float64)
    lonely[0] = 0.0
    problem = Problem("lonely", Empirical(cloud(30), lonely), data().likelihood)
    for half in halves(problem, 5, generator=seeded(0)):
        assert half.prior.effective_size == pytest.approx(1.0)
        assert len(half.prior.atoms) == 15


def test_what_exact_draws_scatter_is_taken_off():
    draws = [float(v) for v in torch.randn(500, generator=seeded(0), dtype=torch.float64)]
    moved = [float(v) for v in 3 + torch.randn(5000, generator=seeded(1), dtype=torch.float64)]
    assert lens_error(moved, draws) == pytest.approx(3.0, abs=0.2)
    assert lens_error(draws, draws) < 0.1


def test_what_counts_as_data():
    assert is_data(problems.digits_masked().prior)
    assert not is_data(problems.two_atoms().prior)
    assert not is_data(problems.trimodal().prior)
    assert is_data(Empirical.from_samples(cloud(ENOUGH)))


# One left out


def by_hand(prior, likelihood, y, left, u, level):
    """Coverage of one atom by the others, in a loop over coordinates."""
    logs = likelihood.noise.log_prob(y - likelihood.operator(prior.atoms)).clone()
    logs[left] = -math.inf
    w = logs.softmax(0)
    inside = 0
    for k in range(prior.dim):
        below = float(w[prior.atoms[:, k] < prior.atoms[left, k]].sum())
        same = float(w[prior.atoms[:, k] == prior.atoms[left, k]].sum())
        inside += (1 - level) / 2 <= below + float(u[k]) * same <= (1 + level) / 2
    return inside / prior.dim


def test_leaving_one_out_is_the_loop():
    prior, known = Empirical.from_samples(cloud(25).round(decimals=1)), data().likelihood
    found = leave_one_out(prior, known, generator=seeded(3), level=0.6)
    g = seeded(3)
    left = torch.randperm(25, generator=g)
    y = known.simulate(prior.atoms[left], generator=g)
    logs = known.noise.log_prob(y[:, None] - prior.atoms).scatter(1, left[:, None], -math.inf)
    logs.softmax(1).multinomial(1, generator=g)
    u = torch.rand(2, 25, 2, generator=g, dtype=torch.float64)[0]
    for i in range(25):
        expected = by_hand(prior, known, y[i], left[i], u[i], 0.6)
        assert float(found.coverage[i]) == pytest.approx(expected)


def test_many_atoms_cover_and_few_do_not():
    """Of the posterior's own draws, the share is the level, whatever the atoms."""
    for N, short in ((30, True), (1000, False)):
        sharp = Likelihood(EYE, torch.zeros(2).double(), 0.2)
        prior = Empirical.from_samples(cloud(N))
        found = leave_one_out(prior, sharp, generator=seeded(1), most=500)
        assert abs(found.expected.value - 0.9) < 4 * found.expected.error
        assert (found.estimate.value < 0.9 - 4 * found.estimate.error) == short
        assert len(found.coverage) == min(N, 500)
    assert float(found.effective_size.min()) >= 1.0


def test_wrong_calls_are_answered(unchecked):
    known = data().likelihood
    for arguments, error, words in (
        ((problems.trimodal().prior, known), TypeError, "`prior`"),
        ((data().prior, 3), TypeError, "`likelihood`"),
        ((Empirical.from_samples(cloud(2)), known), ValueError, "len.prior.atoms."),
    ):
        with pytest.raises(error, match=words):
            leave_one_out(*arguments, generator=seeded(0))
    with pytest.raises(ValueError, match="`level`"):
        leave_one_out(data().prior, known, level=1.5, generator=seeded(0))
    with pytest.raises(TypeError, match="`log_weights`"):
        tail_shape(torch.arange(10))
