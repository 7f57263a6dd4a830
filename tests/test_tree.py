"""Leaves that are skipped: never one that counts, and the certificate says by how much at most.

Against brute force over all atoms, in float64.
"""

import math
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import VP, Diffusion, Empirical, GaussianMixture
from fsps_lite.engine import leaves as leaves_module
from fsps_lite.engine import pruned, tree
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.bounds import bounds
from fsps_lite.engine.leaves import BANDS, Leaves
from fsps_lite.engine.near import known
from fsps_lite.engine.pruned import PrunedPosterior, pays
from fsps_lite.engine.tree import Tree
from tests.oracles import assert_near, rounding, seeded

F32, F64 = torch.float32, torch.float64
KINDS = ("scattered", "clustered", "equal", "a line", "far from the origin")
WEIGHTS = ("equal", "unequal", "steep", "some of none")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Leaves of a few atoms, and no number of atoms is too small for them."""
    monkeypatch.setattr(leaves_module, "LEAF", 16)
    monkeypatch.setattr(pruned, "FEWEST", 1)
    monkeypatch.setattr(pruned, "WORK", 1)


def cloud(kind, n, d, seed):
    atoms = torch.randn(n, d, generator=seeded(seed), dtype=F64)
    if kind == "clustered":
        return 3 * atoms[torch.arange(n) % 5] + 0.1 * atoms
    if kind == "equal":
        return atoms[:1].expand(n, d).clone()
    if kind == "a line":
        return atoms[:, :1] * torch.linspace(1, 2, d, dtype=F64)
    return atoms + (1e3 if kind == "far from the origin" else 0.0)


def log_weights(kind, n, seed):
    log_w = torch.randn(n, generator=seeded(seed + 1), dtype=F64)
    if kind == "equal":
        return torch.zeros(n, dtype=F64)
    if kind == "steep":
        return -60 * log_w.square()
    if kind == "some of none":
        return log_w.masked_fill(torch.arange(n) % 3 == 1, -torch.inf)
    return log_w


def prior_of(kind="scattered", weights="unequal", n=300, d=3, seed=0, dtype=F64):
    log_w = log_weights(weights, n, seed)
    return Empirical(cloud(kind, n, d, seed).to(dtype), log_w.to(dtype))


def asked(prior, x, alpha, sigma):
    """By the tree, whether it pays or not."""
    centred = Centred(prior.atoms)
    grown = Tree.of(centred, prior.log_weights)
    return PrunedPosterior(x, alpha, sigma, centred, prior.log_weights, grown)


def places(prior, rows, alpha, sigma, seed=5):
    """Noisy atoms, and places that no atom explains."""
    g = seeded(seed)
    index = torch.randint(len(prior.atoms), (rows,), generator=g)
    noise = torch.randn(rows, prior.dim, generator=g, dtype=F64)
    x = alpha * prior.atoms[index].double() + sigma * noise
    return torch.cat([x, x + 30 * sigma, 3 * x]).to(prior.dtype)


def terms(prior, x, alpha, sigma):
    """log w_i - |x - alpha a_i|^2 / (2 sigma^2), by differences: (B, N)."""
    apart = x.double()[:, None] - alpha * prior.atoms.double()
    log_w = prior.log_weights.double().log_softmax(0)
    return log_w - apart.square().sum(-1) / (2 * sigma**2)


few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
cases = given(
    kind=st.sampled_from(KINDS),
    weights=st.sampled_from(WEIGHTS),
    n=st.integers(1, 200),
    d=st.sampled_from([1, 2, 3, 9, 20]),
    dtype=st.sampled_from([F32, F64]),
    alpha=st.sampled_from([1.0, 0.7, 0.01]),
    log_sigma=st.floats(-3, 1),
    seed=st.integers(0, 99),
)


@few
@cases
def test_no_leaf_sums_to_more_than_its_bound(kind, weights, n, d, dtype, alpha, log_sigma, seed):
    prior, sigma = prior_of(kind, weights, n, d, seed, dtype), 10**log_sigma
    centred = Centred(prior.atoms)
    leaves = Leaves.of(prior.atoms, centred.centre, prior.log_weights)
    x = places(prior, 4, alpha, sigma)
    upper = bounds(leaves, x.double() - alpha * centred.centre, alpha, sigma)
    true = terms(prior, x, alpha, sigma)[:, leaves.order]
    for b, ends in enumerate(zip(leaves.edges, leaves.edges[1:], strict=False)):
        sums = true[:, slice(*ends)].logsumexp(-1)
        last = 1e-12 * (1 + sums.abs())  # of float64, on both sides
        assert bool((sums <= upper[:, b] + last).all())


@few
@cases
def test_the_leaves_hold_each_atom_that_has_weight_once(
    kind, weights, n, d, dtype, alpha, log_sigma, seed
):
    prior = prior_of(kind, weights, n, d, seed, dtype)
    leaves = Leaves.of(prior.atoms, Centred(prior.atoms).centre, prior.log_weights)
    alive = (prior.log_weights > -torch.inf).nonzero()[:, 0]
    assert torch.equal(leaves.order.sort().values, alive)
    assert_close(leaves.log_masses.logsumexp(0), torch.zeros((), dtype=F64), rtol=0, atol=1e-12)
    assert max(b - a for a, b in zip(leaves.edges, leaves.edges[1:], strict=False)) <= 16
    eye = torch.eye(leaves.directions.shape[1], dtype=F64)
    assert_close(leaves.directions.mT @ leaves.directions, eye, rtol=0, atol=1e-12)
    heaviest = leaves.log_weights.max()
    for a, b in zip(leaves.edges, leaves.edges[1:], strict=False):
        below = heaviest - leaves.log_weights[a:b]
        edges = torch.tensor(BANDS, dtype=F64)
        assert len(torch.bucketize(below, edges, right=True).unique()) == 1


@few
@cases
def test_the_answer_is_the_sum_over_all_atoms(kind, weights, n, d, dtype, alpha, log_sigma, seed):
    """To the rounding of float64, and where values are float32 to what is promised of them."""
    prior, sigma = prior_of(kind, weights, n, d, seed, dtype), 10**log_sigma
    x = places(prior, 4, alpha, sigma)
    found = asked(prior, x, alpha, sigma)
    exact = AtomPosterior(x.double(), alpha, sigma, *of_64(prior))
    size = float(exact.score.abs().max())
    assert_near(found.score, exact.score, 1e-6 * size)
    # a logit is a difference of squares; the answer is rounded, and float32 weights are too
    centre, radius = found.centred.centre, found.centred.radius
    squares = float((x - alpha * centre).norm(dim=-1).max() + alpha * radius) ** 2 / sigma**2
    last = rounding(F64, squares, operations=100) + {F32: 1e-6, F64: 0.0}[dtype]
    answer = rounding(dtype, float(exact.log_evidence.abs().max()), operations=2)
    assert_near(found.log_evidence, exact.log_evidence, last + answer)


def of_64(prior):
    exact = prior.to(F64)
    return Centred(exact.atoms), exact.log_weights


@few
@cases
def test_the_certificate_is_no_smaller_than_what_was_dropped(
    kind, weights, n, d, dtype, alpha, log_sigma, seed
):
    prior, sigma = prior_of(kind, weights, n, d, seed, dtype), 10**log_sigma
    x = places(prior, 4, alpha, sigma)
    found = asked(prior, x, alpha, sigma)
    assert float(found.dropped.max()) <= math.exp(-pruned.NATS)
    visits, edges = found._found.visits, found.tree.leaves.edges
    true = terms(prior, x, alpha, sigma)
    left = torch.ones_like(true, dtype=torch.bool)
    if visits is None:
        left[:] = False
    for leaf, rows in visits or []:
        atoms = found.tree.leaves.order[edges[leaf] : edges[leaf + 1]]
        assert bool(left[rows[:, None], atoms].all()), "a leaf is visited once"
        left[rows[:, None], atoms] = False
    share = true.masked_fill(~left, -torch.inf).logsumexp(-1) - true.logsumexp(-1)
    assert bool((share <= found._found.log_dropped + 1e-9 * (1 + true.amax(-1).abs())).all())


def test_leaves_are_skipped_at_all():
    """Without which the tests above would say nothing."""
    prior = prior_of("scattered", n=400)
    found = asked(prior, places(prior, 10, 0.9, 0.1)[:10], 0.9, 0.1)
    assert found.visited < 0.5
    assert 0 < float(found.dropped.max()) < 1e-17
    steep = prior_of("scattered", "steep", n=400)
    assert asked(steep, places(steep, 10, 0.1, 5.0), 0.1, 5.0).visited < 0.6


def test_a_bound_that_is_too_low_is_found():
    """What the tests above would say, if boxes and balls were a little too small."""
    prior, sigma = prior_of("scattered", n=200), 0.1
    centred = Centred(prior.atoms)
    leaves = Leaves.of(prior.atoms, centred.centre, prior.log_weights)
    x = places(prior, 20, 1.0, sigma)
    shrunk = replace(leaves, low=leaves.low + 0.1, high=leaves.high - 0.1, radii=leaves.radii - 0.1)
    true = terms(prior, x, 1.0, sigma)[:, leaves.order]
    ends = zip(leaves.edges, leaves.edges[1:], strict=False)
    sums = torch.stack([true[:, slice(*pair)].logsumexp(-1) for pair in ends], -1)
    for kept, low in ((leaves, False), (shrunk, True)):
        upper = bounds(kept, x.double() - centred.centre, 1.0, sigma)
        assert bool((sums > upper).any()) == low


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("kind", ["clustered", "scattered"])
def test_all_that_is_known_is_what_all_atoms_say(kind, dtype):
    prior, alpha, sigma = prior_of(kind, n=500, d=5, dtype=dtype), 0.9, 0.1
    x = places(prior, 20, alpha, sigma)[:20]
    found = asked(prior, x, alpha, sigma)
    assert found._found.visits is not None
    exact = AtomPosterior(x.double(), alpha, sigma, *of_64(prior))
    v = torch.randn(x.shape, generator=seeded(1), dtype=F64)
    matrix = torch.randn(3, 5, generator=seeded(2), dtype=F64)
    pairs = [
        (found.mean, exact.mean),
        (found.cov_product(v.to(dtype)), exact.cov_product(v.to(dtype).double())),
        (
            found.projected_cov(matrix.to(dtype)),
            exact.projected_cov(matrix.to(dtype).double()),
        ),
        (found.cov, exact.cov),
    ]
    sizes = 1.0, v.norm(dim=1).max(), matrix.norm() ** 2, 1.0
    for (one, other), size in zip(pairs, sizes, strict=True):
        rounded = {F32: 1e-6, F64: 0.0}[dtype] * float(other.abs().max())
        scale = float(size * prior.atoms.double().square().sum(-1).max())  # what cancels
        assert_near(one, other, rounded + rounding(F64, scale, operations=100))
    draws = (part.sample(generator=seeded(3)) for part in (found, exact))
    assert_close(next(draws).double(), next(draws), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (0, 3), (2, 4, 3), (5000, 3)])
def test_any_number_of_rows_of_any_shape(shape):
    """One place, none, a batch of batches, and more than are bounded at a time."""
    prior, alpha, sigma = prior_of("clustered", n=300), 0.9, 0.1
    x = places(prior, 5000, alpha, sigma)[: max(1, math.prod(shape[:-1]))]
    x = x[: math.prod(shape[:-1])].reshape(shape)
    found = asked(prior, x, alpha, sigma)
    exact = AtomPosterior(x, alpha, sigma, *of_64(prior))
    assert found.dropped.shape == x.shape[:-1]
    assert found.score.shape == x.shape
    assert_close(found.score, exact.score, rtol=1e-9, atol=1e-9)


def test_a_lost_row_stays_lost_and_alone():
    prior = prior_of("clustered")
    x = places(prior, 6, 0.9, 0.1)[:6]
    lost = x.clone()
    lost[2, 1], lost[4, 0] = torch.nan, torch.inf
    found = asked(prior, lost, 0.9, 0.1).score
    assert found[[2, 4]].isnan().all()
    kept = [0, 1, 3, 5]
    assert_close(found[kept], asked(prior, x, 0.9, 0.1).score[kept], rtol=1e-12, atol=1e-12)


def test_where_most_leaves_count_all_atoms_are_summed_over():
    prior = prior_of("scattered", "equal")
    x = places(prior, 5, 0.1, 5.0)[:5]
    found, exact = asked(prior, x, 0.1, 5.0), AtomPosterior(x, 0.1, 5.0, *of_64(prior))
    assert found._found.visits is None
    assert found.visited == 1.0
    assert torch.equal(found.score, exact.score)
    assert torch.equal(found.cov_product(x), exact.cov_product(x))
    assert (found.dropped == 0).all()


def test_of_many_numbers_no_second_copy_is_kept(monkeypatch):
    prior = prior_of("clustered", n=400, d=20, dtype=F32)
    x = places(prior, 10, 0.9, 0.2)
    kept = asked(prior, x, 0.9, 0.2)
    first = kept.score
    monkeypatch.setattr(tree, "KEPT", 0)
    made = asked(prior, x, 0.9, 0.2)
    assert torch.equal(made.score, first)
    assert kept.tree._kept
    assert not made.tree._kept


def test_a_copy_in_another_process_plants_its_own():
    prior = prior_of("clustered", n=400)
    x = prior.atoms[:50]
    before = prior.given(x, 1.0, 0.05).score
    copy = pickle.loads(pickle.dumps(prior))
    assert "_tree" in vars(prior._centred)
    assert "_tree" not in vars(copy._centred)
    assert torch.equal(copy.given(x, 1.0, 0.05).score, before)


def test_who_decides():
    """One rule: rows, atoms, and by how much two terms may differ."""
    prior = prior_of("scattered", "equal", n=200)
    x, centred = places(prior, 10, 1.0, 0.01), Centred(prior.atoms)

    def decided(x=x, sigma=0.01, log_w=prior.log_weights):
        return pays(x, 1.0, sigma, centred, log_w)

    assert decided()
    assert not decided(sigma=10.0)
    assert decided(sigma=10.0, log_w=log_weights("steep", 200, 0))
    with torch.enable_grad():
        assert not decided(x=x.clone().requires_grad_())
    with torch.no_grad():
        assert decided(x=x.clone().requires_grad_())


def test_few_atoms_and_few_rows_are_summed_over_as_before(monkeypatch):
    monkeypatch.setattr(pruned, "FEWEST", 2**14)
    monkeypatch.setattr(pruned, "WORK", 2**12)
    for n, rows in ((10_000, 1000), (20_000, 10)):
        prior = Empirical.from_samples(cloud("scattered", n, 2, 0))
        at = prior.given(torch.zeros(rows, 2, dtype=F64), 1.0, 0.01)
        assert type(at) is AtomPosterior


def test_a_prior_uses_it_by_itself_and_says_what_was_left_out():
    prior = prior_of("scattered", n=400, d=4)
    posterior = Diffusion(prior, VP())
    x = posterior.sample(50, 0.05, generator=seeded(1))
    at = posterior.at(x, 0.05)
    assert isinstance(at, PrunedPosterior)
    assert at.tree is posterior.at(x, 0.04).tree
    assert 0 < float(at.dropped.max()) < 1e-17
    assert (Diffusion(GaussianMixture.isotropic(x, std=0.1), VP()).at(x, 0.05).dropped == 0).all()


def test_another_prior_has_another_tree():
    prior = prior_of("clustered", n=400, d=4)
    seen = fl.Likelihood(fl.Linear(torch.ones(1, 4, dtype=F64)), torch.zeros(1, dtype=F64), 0.1)
    x = prior.atoms[:50]
    one, other = (p.given(x, 1.0, 0.05) for p in (prior, prior.condition(seen)))
    assert not torch.equal(one.tree.leaves.log_masses, other.tree.leaves.log_masses)


def test_equal_widths_use_it_too():
    """A mixture whose components are round: the centre is one of many atoms."""
    means = cloud("clustered", 400, 3, 0)
    prior = GaussianMixture.isotropic(means, std=torch.full((400,), 0.1, dtype=F64))
    x = prior.sample(50, generator=seeded(1))
    found = prior.given(x, 1.0, 0.05)
    assert isinstance(found._centre, PrunedPosterior)
    exact = known_of_all(means, x, (0.1**2 + 0.05**2) ** 0.5)
    assert_close(found.score, exact.score, rtol=1e-9, atol=1e-9)


def known_of_all(atoms, x, sigma):
    return AtomPosterior(x, 1.0, sigma, Centred(atoms), torch.zeros(len(atoms), dtype=F64))


def test_near_the_data_differences_say_what_was_left_out():
    prior = prior_of("clustered")
    found = known(prior.atoms[:3], 1.0, 1e-12, Centred(prior.atoms), prior.log_weights)
    assert_close(found.dropped, torch.full((3,), 300 * math.exp(-50), dtype=F64))
