"""The mean of many atoms of the line from a few places: within its bound of the sum over all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import VP, Diffusion, Empirical
from fsps_lite.engine import smooth as smooth_module
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.near import known
from fsps_lite.engine.smooth import RHO, SmoothPosterior, smooth
from fsps_lite.priors.quadrature import LinePosterior
from tests.oracles import assert_near, rounding, seeded

F64 = torch.float64
BOUND = 4 * 2 * RHO**-23 / (RHO - 1)  # of the mean, in R: 24 places, and a mean of at most 2 R


def atoms_of(kind, n, seed):
    atoms = torch.randn(n, 1, generator=seeded(seed), dtype=F64)
    if kind == "two sides":
        return atoms.sign() + 1e-3 * atoms
    return {"scattered": atoms, "skew": atoms.exp(), "far": atoms + 1e3, "equal": 0 * atoms}[kind]


def pair(atoms, log_w, x, alpha, sigma):
    known = x, alpha, sigma, Centred(atoms), log_w
    return SmoothPosterior(*known), AtomPosterior(*known)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["scattered", "two sides", "skew", "far", "equal"]),
    n=st.integers(1, 100),
    alpha=st.sampled_from([1.0, 0.5, 1e-3]),
    log_sigma=st.floats(-1.3, 1.5),
    steep=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_the_mean_is_within_the_bound(kind, n, alpha, log_sigma, steep, seed):
    """Of the sum over all atoms, at points of the law, between them and far from them."""
    atoms, sigma = atoms_of(kind, n, seed), 10**log_sigma
    log_w = -steep * torch.randn(n, generator=seeded(seed + 1), dtype=F64).square()
    spread = torch.linspace(-1, 1, 61, dtype=F64)[:, None]
    x = torch.cat([alpha * atoms, alpha * atoms.mean() + 3 * (sigma + alpha) * spread])
    found, exact = pair(atoms, log_w, x, alpha, sigma)
    radius, size = found.centred.radius, float(atoms.abs().max())
    steps = alpha * radius * float(x.abs().max() + alpha * size) / sigma**2  # nats of a logit
    last = rounding(F64, size + radius * (1 + steps), operations=100)
    assert_near(found.mean, exact.mean, BOUND * radius + last)
    assert torch.equal(found.log_evidence, exact.log_evidence)


def test_intervals_that_are_too_wide_are_found(monkeypatch):
    """What the test above would say, if the strip were thought six times as wide."""
    atoms = torch.tensor([[-1.0], [1.0]], dtype=F64)
    x = torch.linspace(-3, 3, 500, dtype=F64)[:, None]
    found, exact = pair(atoms, torch.zeros(2, dtype=F64), x, 1.0, 0.3)
    assert_near(found.mean, exact.mean, 2 * BOUND)
    monkeypatch.setattr(smooth_module, "HALF", 6 * smooth_module.HALF)
    found, exact = pair(atoms, torch.zeros(2, dtype=F64), x, 1.0, 0.3)
    assert float((found.mean - exact.mean).abs().max()) > 1e3 * BOUND


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_a_prior_uses_it_by_itself(dtype):
    prior = Empirical.from_samples(atoms_of("scattered", 20_000, 0).to(dtype))
    posterior = Diffusion(prior, VP())
    x = posterior.sample(500, 0.5, generator=seeded(1))
    at = posterior.at(x, 0.5)
    assert isinstance(at, SmoothPosterior)
    exact = AtomPosterior(x, at.alpha, at.sigma, prior._centred, prior.log_weights)
    assert_near(at.score, exact.score, rounding(dtype, 10.0, operations=10) + 10 * BOUND)
    assert_near(at.cov_product(x), exact.cov_product(x), rounding(dtype, 10.0, operations=10))


def test_who_decides():
    atoms = atoms_of("scattered", 20_000, 0)
    centred, x = Centred(atoms), atoms[:500]
    assert smooth(x, 0.5, 1.0, centred)
    assert not smooth(x, 1.0, 0.05, centred)  # too many intervals for so few points
    assert not smooth(x[:20], 0.5, 1.0, centred)
    assert not smooth(torch.cat([x, x[:1] * torch.nan]), 0.5, 1.0, centred)
    assert not smooth(x.expand(-1, 2), 0.5, 1.0, Centred(atoms.expand(-1, 2)))
    with torch.enable_grad():
        assert not smooth(x.clone().requires_grad_(), 0.5, 1.0, centred)
    log_w = torch.zeros(20_000, dtype=F64)
    score = torch.func.vmap(lambda row: known(row[None], 0.5, 1.0, centred, log_w).score[0])
    assert_near(score(x[:3]), known(x[:3], 0.5, 1.0, centred, log_w).score, 1e-12)


@pytest.mark.parametrize("t", [1e-3, 0.02, 0.2, 1.0])
def test_of_a_density_only_those_panels_are_left_out_that_do_not_count(t):
    """Beside the sum over all nodes: e^-40 of the line, and the rounding of so many terms."""
    posterior = fl.problems.square().posterior
    prior, schedule = posterior.prior, posterior.schedule
    known, scales = prior._exact, (schedule.alpha(t), schedule.sigma(t))
    near = posterior.sample(72, t, generator=torch.Generator().manual_seed(0))
    for x in (near, near.sort(0).values, torch.cat([near, 9 * near])):
        some = LinePosterior(x, *scales, known._centred, known.log_weights, prior.panels)
        whole = AtomPosterior(x, *scales, known._centred, known.log_weights)
        assert_close(some.mean, whole.mean, rtol=0, atol=1e-13 * len(known.atoms))
        assert_close(some.log_evidence, whole.log_evidence, rtol=1e-12, atol=1e-11)
    x = near.sort(0).values
    some = LinePosterior(x, *scales, known._centred, known.log_weights, prior.panels)
    assert max(nodes.stop - nodes.start for _, nodes in some._groups) < 0.8 * len(known.atoms)


@pytest.mark.parametrize(("y", "n", "wide"), [(0.5, 400, 1.0), (0.5, 2000, 3.0), (0.05, 400, 3.0)])
def test_a_large_cloud_on_a_line_has_the_score_of_its_rows(y, n, wide):
    """However many times the pieces are halved: to the 1e-7 that the interpolation promises."""
    posterior = fl.problems.square(y=y).posterior
    for t in (0.0316, 0.0109, 0.0043):
        x = wide * posterior.sample(n, t, generator=seeded(1))
        rows = torch.cat([posterior.score(few, t) for few in x.split(50)])
        assert_close(posterior.score(x, t), rows, rtol=0, atol=2e-7 * float(rows.abs().max()))
