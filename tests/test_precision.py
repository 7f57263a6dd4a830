"""Scores to the precision that is promised: of float32 clouds, and near t = 0.

Float32 clouds against float64 sums over the atoms as written: right to 1e-6 of the score. Near
t = 0, where products cancel, against 60 digits.
"""

import math

import numpy as np
import pytest
import torch

from fsps_lite import (
    VE,
    VP,
    Cosine,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    times,
)
from fsps_lite.engine import atoms as atoms_module
from fsps_lite.engine import precision
from fsps_lite.engine.runs import heavy, mixed
from tests.oracles import (
    assert_near,
    at_length,
    atoms_at,
    rounding,
    score_in_60_digits,
    seeded,
)

F32, F64 = torch.float32, torch.float64
KINDS = ("independent", "clustered", "offset", "duplicated")


def cloud(kind, n, d, t):
    """Float32 atoms; those of a cluster, and copies, are as close as makes x_t undecided."""
    g, near = seeded(d), float(VP().sigma(t) / VP().alpha(t))
    atoms = torch.randn(n, d, generator=g)
    if kind == "clustered":
        return atoms[torch.arange(n) % 20] + near * d**-0.5 * torch.randn(n, d, generator=g)
    if kind == "duplicated":
        copies = near * d**-0.5 * torch.randn(n // 2, d, generator=g)
        return torch.cat([atoms[: n // 2], atoms[: n // 2] + copies])
    return atoms + (100.0 if kind == "offset" else 0.0)


def as_written(posterior, x, t):
    """sum_i w_i (alpha a_i - x) / sigma^2, row by row in float64, with no square multiplied out."""
    prior, alpha, sigma = posterior.prior, posterior.schedule.alpha(t), posterior.schedule.sigma(t)
    atoms, scores = prior.atoms.double(), []
    for row in x.double():
        apart = alpha * atoms - row
        logits = prior.log_weights.double() - apart.square().sum(-1) / (2 * sigma**2)
        scores.append(logits.softmax(-1) @ apart / sigma**2)
    return torch.stack(scores)


def posterior_of(atoms, noise_std=0.5):
    matrix = torch.ones(1, atoms.shape[1], dtype=atoms.dtype) / atoms.shape[1] ** 0.5
    seen = Likelihood(Linear(matrix), (matrix @ atoms[0]) + 0.2, noise_std)
    return Diffusion(Empirical.from_samples(atoms).condition(seen), VP())


def worst(posterior, x, t):
    exact = as_written(posterior, x, t)
    return float((posterior.score(x, t).double() - exact).abs().max() / exact.abs().max())


SIZES = [(20_000, 1), (20_000, 2), (20_000, 64), (2000, 784), (20_000, 784)]


@pytest.mark.parametrize(("n", "d"), at_length(SIZES, SIZES[:4]))
@pytest.mark.parametrize("kind", KINDS)
def test_near_the_data_the_score_is_right_to_1e_6(kind, n, d):
    t = 1e-3
    posterior = posterior_of(cloud(kind, n, d, t))
    x = posterior.sample(4, t, generator=seeded(1))
    assert worst(posterior, x, t) < 1e-6


@pytest.mark.parametrize("d", [1, 2, 64, 784])
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_time_the_score_is_right_to_1e_6(kind, d):
    """Whichever arithmetic is chosen; and all are, where there are dimensions enough."""
    chosen = set()
    for t in (0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0):
        posterior = posterior_of(cloud(kind, 1000, d, t))
        x = posterior.sample(32 if d < 100 else 4, t, generator=seeded(2))
        assert worst(posterior, torch.cat([x, 3 * x]), t) < 1e-6
        known = posterior.prior.given(x, VP().alpha(t), VP().sigma(t))
        chosen.add((known.arithmetic, known.arithmetic_of_values))
    single, mixed, double = (F32, F32), (F64, F32), (F64, F64)
    narrow = {single, double} if d >= precision.WIDE else {double}
    assert chosen == narrow | ({mixed} if d >= precision.LONG else set())


PLACES = torch.tensor([[-1.8, 0.3], [0.2, 1.0], [2.2, -0.7]], dtype=F64)
CORRELATED = torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=F64)
CLOSE = torch.cat([PLACES, PLACES + 1e-3])  # at every time two atoms compete, more or less
TINY = {
    "one width": GaussianMixture.isotropic(PLACES, std=0.3),
    "two widths": GaussianMixture.isotropic(PLACES[:2], std=torch.tensor([0.5, 0.15], dtype=F64)),
    "correlated": GaussianMixture(PLACES[:, 0], PLACES, CORRELATED.expand(3, 2, 2)),
    "of no width": GaussianMixture.isotropic(PLACES, std=torch.tensor([0.0, 0.1, 0.0], dtype=F64)),
    "almost of none": GaussianMixture.isotropic(CLOSE, std=1e-7),
    "atoms": Empirical.from_samples(CLOSE),
    "one atom": Empirical.from_samples(PLACES[:1]),
}
EARLY = [(VE(), 1e-2), (VE(), 1e-3), (VE(), 1e-4), (VE(), 1e-12), (Cosine(), 1e-8), (VP(), 1e-15)]


@pytest.mark.parametrize(("schedule", "t"), at_length(EARLY, EARLY[1:2] + EARLY[4:]), ids=str)
@pytest.mark.parametrize("kind", TINY)
def test_the_score_is_right_to_its_last_digits_however_small_sigma_is(kind, schedule, t):
    """Two points of the law, one on an atom or a mean, and one between them.

    Of components that have width an answer is a sum of a few products, each wrong by a few
    roundings: below 100 in all. Of atoms the promise is 1e-6, as at every time.
    """
    prior, scales = TINY[kind], (schedule.alpha(t), schedule.sigma(t))
    means = prior.atoms if isinstance(prior, Empirical) else prior.means
    covs = means.new_zeros(len(means), 2, 2) if isinstance(prior, Empirical) else prior.covs
    x = Diffusion(prior, schedule).sample(2, t, generator=seeded(0))
    x = torch.cat([x, means[:1] + 0.5 * scales[1], means[:1] + 0.3])
    exact = score_in_60_digits(x, prior.log_weights, means, covs, *scales)
    found = Diffusion(prior, schedule).score(x, t)
    largest = float(exact.abs().max())
    atoms = kind in ("atoms", "one atom", "almost of none")
    promise = precision.ERROR * largest if atoms else rounding(F64, largest, operations=100)
    assert_near(found, exact, promise)


def near(x, d=3, n=60, sigma=1e-7):
    """Atoms of which a third are a few sigma from others, and what is known of them at x."""
    atoms = torch.randn(n, d, generator=seeded(d), dtype=F64)
    atoms[: n // 3] = atoms[n // 3 : 2 * n // 3] + sigma * torch.randn(
        n // 3, d, generator=seeded(9)
    )
    prior = Empirical(atoms, torch.randn(n, generator=seeded(3), dtype=F64))
    x = atoms[: len(x)] + sigma * x
    return prior, x, prior.given(x, 1.0, sigma)


def test_all_that_is_known_near_the_data_agrees_with_sums_as_written():
    """In longdouble, whose 19 digits leave 1e-5 of a nat at this sigma; draws by their shares."""
    prior, x, known = near(torch.randn(6, 3, generator=seeded(0), dtype=F64))
    parts = [atoms_at(row, prior.atoms, prior.log_weights, 1.0, 1e-7) for row in x]
    log_prob, score, mean, cov = (torch.as_tensor(np.array(v)) for v in zip(*parts, strict=True))
    torch.testing.assert_close(known.log_evidence, log_prob, rtol=0, atol=1e-9)
    torch.testing.assert_close(known.score, score, rtol=1e-9, atol=1e-9 * float(score.abs().max()))
    torch.testing.assert_close(known.mean, mean, rtol=1e-14, atol=1e-14)
    top = float(cov.abs().max())
    torch.testing.assert_close(known.cov, cov, rtol=1e-6, atol=1e-8 * top)
    matrix = torch.randn(2, 3, generator=seeded(1), dtype=F64)
    projected = matrix @ cov @ matrix.mT
    torch.testing.assert_close(known.projected_cov(matrix), projected, rtol=1e-6, atol=1e-7 * top)
    many = prior.given(x[:1].expand(20_000, 3), 1.0, 1e-7).sample(generator=seeded(2))
    spread = (many - many.mean(0)).mT @ (many - many.mean(0)) / len(many)
    assert_near(spread, cov[0], 0.12 * float(cov[0].abs().max()))


def test_a_lost_row_stays_lost_near_the_data_too():
    x = torch.zeros(4, 3, dtype=F64)
    x[1, 0] = torch.nan
    known = near(x)[2]
    assert known.score[1].isnan().all()
    assert known.score[[0, 2, 3]].isfinite().all()


def test_near_the_data_many_rows_are_one_by_one():
    x = torch.randn(40, 3, generator=seeded(4), dtype=F64)
    prior, x, known = near(x, n=90)
    apart = torch.cat([prior.given(row[None], 1.0, 1e-7).score for row in x])
    assert torch.equal(known.score, apart)
    traced = torch.func.vmap(lambda row: prior.given(row[None], 1.0, 1e-7).score[0])(x)
    torch.testing.assert_close(traced, apart, rtol=1e-12, atol=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_a_sigma_whose_square_is_zero_is_refused():
    for prior in (TINY["one width"], TINY["correlated"], TINY["atoms"]):
        with pytest.raises(ValueError, match="above 0"):
            Diffusion(prior, VE()).score(PLACES, 1e-60)


@pytest.mark.parametrize(
    ("choose", "edge"),
    [  # alpha radius / sigma, and alpha largest / sigma
        (precision.arithmetic, (precision.ERROR / precision.UNIT) ** 0.5),
        (precision.of_values, precision.ERROR / precision.UNIT / 2.5),
    ],
)
def test_the_choice_is_by_the_bound(choose, edge):
    least = {precision.arithmetic: precision.WIDE, precision.of_values: precision.LONG}[choose]
    for scale in (1e-3, 1.0, 1e3):
        below, above = 0.999 * edge * scale, 1.001 * edge * scale
        assert choose(F32, 1000, least, below, 1.0, scale) == F32
        assert choose(F32, 1000, least, above, 1.0, scale) == F64
        assert choose(F64, 1000, least, below, 1.0, scale) == F64
    assert choose(F32, 1000, least, 2 * edge, 0.4, 1.0) == F32
    assert choose(F32, precision.FEW - 1, least, 1.0, 1.0, 1.0) == F64
    assert choose(F32, 1000, least - 1, 1.0, 1.0, 1.0) == F64


# What was measured of the arithmetic before: errors of up to 8.4e-4, where the logits' bound is
# 3.7e-7, because sums of many float32 terms round too.
MANY = [(20_000, 2, 0.3), (100_000, 2, 0.3), (500_000, 2, 0.25), (100_000, 8, 0.5)]
LARGE = [(500_000, 1), (500_000, 2), (500_000, 8), (100_000, 64), (10_000, 784)]


@pytest.mark.parametrize(("n", "d", "t"), MANY)
def test_the_sum_over_many_atoms_does_not_show(n, d, t):
    posterior = posterior_of(torch.randn(n, d, generator=seeded(d)))
    x = posterior.sample(8, t, generator=seeded(1))
    assert worst(posterior, x, t) < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("kind", ["independent", "two sides"])
@pytest.mark.parametrize(("n", "d"), LARGE)
def test_at_all_times_of_the_grid_the_score_of_many_atoms_is_right_to_1e_6(n, d, kind):
    atoms = two_sides(n, d, 4.0) if kind == "two sides" else torch.randn(n, d, generator=seeded(d))
    posterior = posterior_of(atoms)
    for t in times(VP())[::2].tolist():
        x = posterior.sample(4, t, generator=seeded(1))
        assert worst(posterior, x, t) < 1e-6, t


def two_sides(n, d, radius, width=0.5):
    """Half of the atoms here and half there: a sum of values that all have one sign."""
    side = torch.nn.functional.normalize(torch.randn(d, generator=seeded(d)), dim=0)
    signs = torch.where(torch.arange(n) % 2 == 0, radius, -radius)[:, None]
    return signs * side + width * d**-0.5 * torch.randn(n, d, generator=seeded(d + 1))


@pytest.mark.parametrize("d", [2, 16, 64, 784])
@pytest.mark.parametrize(("choice", "edge"), [("arithmetic", 4.0), ("arithmetic_of_values", 6.6)])
def test_the_worst_sums_are_right_to_1e_6_where_float32_may_just_be_used(choice, edge, d):
    atoms = two_sides(2 * precision.RUN + 1, d, 1.0, width=0.5 / edge)
    sizes = {"arithmetic": atoms.norm(dim=1), "arithmetic_of_values": atoms.abs()}
    sigma = float(sizes[choice].max()) / edge
    prior = Empirical.from_samples(atoms)
    x = atoms[:8] + sigma * torch.randn(8, d, generator=seeded(3))
    known = prior.given(x, 1.0, sigma)
    least = {"arithmetic": precision.WIDE, "arithmetic_of_values": precision.LONG}[choice]
    assert getattr(known, choice) == (F32 if d >= least else F64)
    exact = prior.to(F64).given(x.double(), 1.0, sigma).score
    assert_near(known.score, exact, precision.ERROR * float(exact.abs().max()))


def test_of_many_numbers_no_second_copy_is_kept(monkeypatch):
    """The same answers, of keys that are made again block by block."""
    monkeypatch.setattr(atoms_module, "BLOCK", 300)
    posterior = posterior_of(torch.randn(1000, 20, generator=seeded(0)))
    fresh = posterior_of(posterior.prior.atoms)
    matrix = torch.randn(3, 20, generator=seeded(3))
    for t in (0.1, 0.5, 0.9):
        x = posterior.sample(16, t, generator=seeded(1))
        monkeypatch.setattr(atoms_module, "KEPT", 2**23)
        kept = everything(posterior, x, t, matrix)
        monkeypatch.setattr(atoms_module, "KEPT", 0)
        made = everything(fresh, x, t, matrix)
        for one, other in zip(kept, made, strict=True):
            size = float(other.abs().max()) + float(posterior.prior.atoms.abs().max()) ** 2
            assert_near(one, other, 1e-5 * size)  # float32 products of v
    assert not {"_exact", "_rounded"} & set(vars(fresh.prior._centred))
    assert {"_exact", "_rounded"} <= set(vars(posterior.prior._centred))


def test_a_run_of_float64_atoms_leaves_them_as_they_are(monkeypatch):
    monkeypatch.setattr(atoms_module, "KEPT", 0)
    atoms = 5 + torch.randn(40, 3, generator=seeded(0), dtype=F64)
    before = atoms.clone()
    Empirical.from_samples(atoms).given(atoms[:2], 1.0, 0.5).score  # noqa: B018
    assert torch.equal(atoms, before)


def everything(posterior, x, t, matrix):
    """All answers that sum over the atoms."""
    at = posterior.at(x, t)
    draws = at.sample(generator=seeded(2))
    return at.score, at.log_evidence, at.cov_product(x), at.projected_cov(matrix), draws


def test_one_far_atom_of_no_weight_does_not_go_unnoticed():
    atoms = torch.randn(2000, 2, generator=seeded(0))
    atoms[7] = 1e6
    posterior = posterior_of(atoms)
    x = posterior.sample(16, 0.5, generator=seeded(1))
    assert worst(posterior, x, 0.5) < 1e-6


@pytest.mark.parametrize("setting", ["medium", "high", "highest"])
def test_a_less_exact_matrix_product_is_not_used(setting):
    posterior = posterior_of(torch.randn(2000, 64, generator=seeded(0)))
    x = posterior.sample(16, 0.9, generator=seeded(1))
    assert posterior.prior.dtype == torch.float32
    try:
        torch.set_float32_matmul_precision(setting)
        fresh = Diffusion(posterior.prior, VP())
        assert worst(fresh, x, 0.9) < 1e-6
        v = torch.randn(x.shape, generator=seeded(2))
        products = fresh.denoise_cov_product(x, 0.9, v)
    finally:
        torch.set_float32_matmul_precision("highest")
    exact = Diffusion(posterior.prior.to(torch.float64), VP())
    wanted = exact.denoise_cov_product(x.double(), 0.9, v.double())
    size = float(v.norm(dim=-1).max())
    assert_near(products, wanted, covariance_bound(posterior, 0.9, wanted, size))


def covariance_bound(posterior, t, wanted, size=1.0):
    """What rounding moves in Cov v: weights by what it moves in their logarithms, and the answer.

    The logarithm of a weight is a sum of terms of up to (alpha radius / sigma)^2, radius the
    largest distance of an atom from the centre, less that of a sum over all atoms, log n or so. An
    error in it, from rounding the query, the key and their product, is one of the weight, relative
    to itself. Cov is the mean of a square, of atoms that compete for x_t: they are within about
    sigma / alpha of each other, and all of them are within their own spread. What moves the weights
    moves it by up to twice its size, in the square and in the mean that is taken from it.
    """
    atoms, alpha, sigma = posterior.prior.atoms.double(), VP().alpha(t), VP().sigma(t)
    radius = float((atoms - atoms.mean(0)).norm(dim=-1).max())
    spread = float(torch.linalg.eigvalsh(atoms.mT.cov().reshape(2 * (atoms.shape[1],))).max())
    scale = max(min(float(sigma / alpha) ** 2, spread) * size, float(wanted.abs().max()))
    logs = float(alpha * radius / sigma) ** 2 + math.log(len(atoms))
    single = (
        posterior.prior.given(posterior.prior.atoms[:1], alpha, sigma).arithmetic == torch.float32
    )
    return rounding(torch.float32, scale, operations=1 + 3 * 2 * logs * single)


@pytest.mark.parametrize("d", [2, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_covariances_are_as_right_as_the_score(kind, d):
    """Over sigma^2 / alpha^2, which is what 1 / alpha is to the slope of the denoiser."""
    for t in (0.3, 0.5, 0.8):
        atoms = cloud(kind, 2000, d, t)
        posterior = posterior_of(atoms)
        exact = Diffusion(posterior.prior.to(torch.float64), VP())
        x = posterior.sample(16, t, generator=seeded(1))
        v = torch.nn.functional.normalize(torch.randn(x.shape, generator=seeded(2)), dim=-1)
        wanted = exact.denoise_cov_product(x.double(), t, v.double())
        found = posterior.denoise_cov_product(x, t, v)
        assert_near(found, wanted, covariance_bound(posterior, t, wanted))
        matrix = torch.randn(3, d, generator=seeded(3)) / d**0.5
        wanted = exact.projected_cov(x.double(), t, matrix.double())
        found = posterior.projected_cov(x, t, matrix)
        size = float(matrix.norm(dim=-1).square().max())
        assert_near(found, wanted, covariance_bound(posterior, t, wanted, size))


@pytest.mark.parametrize("n", [300, 1000])
def test_weights_that_are_kept_say_what_others_say(n, monkeypatch):
    """Of few rows in many dimensions they serve the covariance too; rows beyond their room do not.

    The answers of rows together and one by one differ by the rounding of float64 alone.
    """
    posterior = posterior_of(torch.randn(n, 20, generator=seeded(0), dtype=F64))
    matrix = torch.randn(3, 20, generator=seeded(3), dtype=F64)
    for t in (0.001, 0.1, 0.6):
        x = posterior.sample(12, t, generator=seeded(1))
        kept = posterior.at(x, t)
        first = kept.score, kept.log_evidence, kept.cov_product(x), kept.projected_cov(matrix)
        _, weights = kept._few_attended[0]
        assert weights.shape == (12, n) if t == 0.6 else weights.shape[1] <= n
        monkeypatch.setattr(atoms_module, "FEW", 0)
        apart = posterior.at(x, t)
        other = apart.score, apart.log_evidence, apart.cov_product(x), apart.projected_cov(matrix)
        monkeypatch.undo()
        assert "_few_attended" not in vars(apart)
        size = float(posterior.prior.atoms.square().sum(-1).max()) / float(VP().sigma(t)) ** 2
        for one, another in zip(first, other, strict=True):
            assert_near(one, another, rounding(F64, size * float(x.norm()), operations=100))


def test_a_lost_row_among_kept_weights_is_lost_alone():
    posterior = posterior_of(torch.randn(300, 20, generator=seeded(0), dtype=F64))
    for t in (0.3, 1e-3):  # with all atoms, and with those alone that count
        x = posterior.sample(4, t, generator=seeded(1))
        whole = posterior.score(x, t)
        x[1, 3] = torch.nan
        found = posterior.score(x, t)
        assert found[1].isnan().all()
        last = rounding(F64, float(whole.abs().max()) / float(VP().sigma(t)), operations=100)
        assert_near(found[[0, 2, 3]], whole[[0, 2, 3]], last)


def test_atoms_that_weigh_nothing_are_left_out_of_the_averages():
    weights = torch.tensor([[1.0, 0.0, 1e-30, 0.2, 0, 0], [0.5, 1e-30, 0.0, 1.0, 0, 0]], dtype=F64)
    assert heavy(weights).tolist() == [0, 3]
    assert heavy(weights.clamp(min=1e-20)) == slice(None)  # most of them count
    lost = torch.cat([weights, torch.full((1, 6), torch.nan, dtype=F64)])
    assert heavy(lost) == slice(None)
    g = seeded(0)
    keys, queries = (torch.randn(n, 16, generator=g, dtype=F64) for n in (400, 8))
    sharp = 200 * queries, keys, keys, torch.zeros(400, dtype=F64)
    some, every = (mixed(*sharp, sparse=sparse) for sparse in (True, False))
    assert isinstance(heavy((sharp[0] @ keys.mT).softmax(-1)), torch.Tensor)
    assert torch.equal(some.log_sum, every.log_sum)
    assert_near(some.mean, every.mean, rounding(F64, float(keys.abs().max()), operations=10))
