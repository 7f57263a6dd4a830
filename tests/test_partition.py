"""Parts of signal space: where a point belongs, what a part weighs, and the floor."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    Empirical,
    Partition,
    diagnose,
    diagnose_samples,
    digits,
    hallucination,
    mode_history,
    mode_weights,
    problems,
)
from fsps_lite.estimate import Estimate
from fsps_lite.measures.variations import multinomial_floor, total_variation_of_parts
from fsps_lite.samplers import Trajectory
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")
SIDES = Partition(("left", "right"), lambda x: (x[:, 0] > 0).long(), noun="side")


def test_the_modes_of_a_mixture_are_a_partition():
    modes = problems.unequal().modes
    x = modes.sample(500, generator=seeded(0))
    parts = Partition.of_modes(modes)
    for mine, theirs in zip(parts.shares(x), mode_weights(x, modes), strict=True):
        assert_close(mine, theirs, rtol=0, atol=0)
    assert_close(parts.members(x), modes.responsibilities(x).argmax(-1))
    assert parts.names == ("1", "2")


def test_a_point_belongs_to_the_label_of_its_nearest_atom():
    atoms = torch.randn(200, 3, generator=seeded(0), dtype=torch.float64)
    labels = torch.randint(0, 4, (200,), generator=seeded(1))
    parts = Partition.of_labels(atoms, labels, names=list("abcd"))
    x = torch.randn(3000, 3, generator=seeded(2), dtype=torch.float64)
    apart = (x[:, None] - atoms).square().sum(-1)  # by the definition, without the shortcut
    assert_close(parts.members(x), labels[apart.argmin(-1)])
    assert_close(parts.members(atoms), labels)
    assert_close(parts.members(x.float()), parts.members(x.float().double()))
    x[0, 0], x[1, 1] = math.nan, math.inf
    assert parts.members(x)[:2].tolist() == [-1, -1]


def test_the_nearest_atom_is_the_most_probable_one_without_noise():
    """The reason for the choice: p(atom | x_t) of equal atoms, as t goes to 0."""
    data = digits.load()
    atoms = Empirical.from_samples(data.images[:300])
    parts = Partition.of_labels(atoms.atoms, data.labels[:300], names=list("0123456789"))
    x = data.held_out[:50]
    posterior = atoms.logits(x, 1.0, 0.02).softmax(-1)
    assert_close(parts.members(x), data.labels[posterior.argmax(-1)])


def test_true_weights_are_sums_over_atoms():
    data, problem = digits.load(), problems.digits_masked()
    posterior = problem.posterior.prior
    assert_close(problem.parts.weights(posterior), data.label_weights(posterior.weights))
    assert problem.parts.noun == "digit"
    assert SIDES.weights(problems.unequal().posterior.prior) is None  # no atoms to count
    nowhere = Partition(("right",), lambda x: (x[:, 0] > 0).long() - 1)
    atoms = problems.two_atoms().posterior.prior
    assert_close(nowhere.weights(atoms), atoms.weights[1:])


def test_total_variation_is_half_the_sum_of_differences():
    for seed in range(20):
        p, q = torch.rand(2, 5, generator=seeded(seed), dtype=torch.float64)
        p, q = p / p.sum() * 0.9, q / q.sum()  # a tenth of p lies in no part
        found = total_variation_of_parts(p, q, 100)
        assert found.value == pytest.approx(float((p - q).abs().sum() + 0.1) / 2)
    drawn = total_variation_of_parts(p, q, 100, 50)
    assert drawn.value == found.value
    assert drawn.error > found.error


def test_the_floor_is_the_mean_deviation_of_a_binomial():
    """De Moivre: E|X - n p| = 2 v C(n, v) p^v (1 - p)^(n - v + 1), with v = floor(n p) + 1."""
    for n, p in ((10, 0.3), (2000, 0.0832), (333, 1e-4), (50, 0.5)):
        v = math.floor(n * p) + 1
        log = math.log(2 * v) + math.lgamma(n + 1) - math.lgamma(v + 1) - math.lgamma(n - v + 1)
        deviation = math.exp(log + v * math.log(p) + (n - v + 1) * math.log1p(-p))
        # two parts of weights p and 1 - p: half of twice the deviation
        floor = multinomial_floor(torch.tensor([p, 1 - p], dtype=torch.float64), n)
        assert floor == pytest.approx(deviation / n, rel=1e-9)
    assert multinomial_floor(torch.tensor([1.0, 0.0], dtype=torch.float64), 100) == 0.0


@pytest.mark.parametrize("against_draws", [False, True])
def test_exact_draws_have_the_floor_on_average(against_draws):
    weights, n, times = torch.tensor([0.6, 0.25, 0.1, 0.03], dtype=torch.float64), 80, 4000
    every = torch.cat([weights, 1 - weights.sum(0, keepdim=True)])
    g = seeded(0)

    def clouds():
        k = torch.multinomial(every.expand(times, -1), n, replacement=True, generator=g)
        return torch.nn.functional.one_hot(k, 5).double().mean(1)

    other = clouds() if against_draws else every
    drawn = (clouds() - other).abs().sum(-1) / 2
    seen = Estimate.of(drawn)
    floor = multinomial_floor(weights, n, against_draws=against_draws)
    assert abs(seen.value - floor) < 4 * seen.error


def test_measures_take_parts_in_place_of_modes():
    problem = problems.unequal()
    t = torch.tensor([0.5, 0.1, 0.01], dtype=torch.float64)
    path = Trajectory(t, torch.randn(3, 60, 1, generator=seeded(0), dtype=torch.float64))
    parts = Partition.of_modes(problem.modes)
    one, other = (mode_history(path, problem.diffusion, m) for m in (problem.modes, parts))
    assert_close(one.weights, other.weights, rtol=0, atol=0)
    assert one.commitment == other.commitment
    cloud, truth = problem.posterior.sample(400, 0.01, generator=seeded(1)).split(200)
    one, other = (
        hallucination(cloud, truth, problem, 0.01, modes=m, generator=seeded(2))
        for m in (problem.modes, parts)
    )
    assert one.prior_modes == other.prior_modes


def test_parts_of_ones_own_stand_in_the_report():
    problem = replace(problems.one_coordinate(), partition=SIDES)
    found = diagnose(problem, DPS, n=200, steps=10)
    x = problem.posterior.sample(20_000, 1e-3, generator=seeded(0))
    share = float((x[:, 0] < 0).double().mean())
    null = found["weight of side left"].null
    assert abs(null.value - share) < 4 * null.error + 0.02  # and the steps' own error
    names = [finding.label for finding in found.findings]
    for name in ("total variation between sides", "hallucinated prior sides", "commitment time"):
        assert name in names
    assert "weight of mode 1" not in names


def test_a_data_set_is_counted_by_its_labels():
    """The prior has all digits and the posterior few: that is a hallucination, and now seen."""
    problem = problems.digits_masked()
    prior = problem.prior.sample(400, generator=seeded(0))
    found = diagnose_samples(problem, prior)
    weights = digits.load().label_weights(problem.posterior.prior.weights)
    counted = digits.load().label_weights(problem.prior.weights)
    apart = float((weights - counted).abs().sum()) / 2
    seen = found["total_variation"]
    assert seen.value.value == pytest.approx(apart, abs=4 * seen.value.error + seen.truth)
    assert seen.significant
    assert found["hallucinated_prior"].significant
    assert seen.null.value == pytest.approx(seen.truth, abs=4 * seen.null.error)
    right = diagnose_samples(problem, problem.posterior.prior.sample(400, generator=seeded(3)))
    assert not [finding.label for finding in right.findings if finding.significant]
