"""Networks as others publish them: each convention is recovered, and a wrong one is answered."""

import math

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    VE,
    VP,
    Denoiser,
    Diffusion,
    Empirical,
    FlowMatching,
    Likelihood,
    blur,
    files,
    networks,
)
from fsps_lite.networks import Table, Times, UNet, denoising_error
from tests.oracles import seeded
from tests.test_networks import (
    BETAS,
    F64,
    PRIOR,
    SHAPE,
    TABLE,
    dressed,
    eps,
    flow,
    made,
    of_table,
    of_time,
    scaled,
    v,
    x0,
)


def made_backwards(dtype=torch.float64):
    """A flow whose time runs from noise to data, and whose velocity is x_0 - eps."""
    told = dressed(of_time(FlowMatching()), flow, dtype)
    backwards = lambda u, t: -told(u, 1 - t)  # noqa: E731
    levels = Times(FlowMatching(), 1e-3, 0.999, condition=lambda t: 1 - t)
    turned = lambda u, t: -backwards(u, t)  # noqa: E731
    return networks.flow_prediction(turned, SHAPE, levels=levels, dtype=dtype)


def made_inside(dtype=torch.float64):
    """EDM's own class, which has the preconditioning inside and is told the noise level."""
    levels = Times(VE(), 0.03, condition=lambda t: float(VE().sigma(t)))
    network = dressed(lambda s: (1.0, s.double()), x0, dtype)
    return networks.x0_prediction(network, levels, SHAPE, dtype=dtype)


@pytest.mark.parametrize("make", [made_backwards, made_inside])
def test_other_conventions_are_recovered_as_the_docstrings_say(make):
    for s in (0.05, 1.0, 30.0):
        x = PRIOR.sample(6, generator=seeded(0)) + s * torch.randn(
            6, 12, generator=seeded(1), **F64
        )
        assert scaled(make().denoise(x, 1.0, s) - PRIOR.denoise(x, 1.0, s)) < 1e-9  # by bisection
        found = make(torch.float32).denoise(x.float(), 1.0, s).double()
        # what the network sees is rounded to float32, and is of the size of s
        assert scaled(found - PRIOR.denoise(x.float().double(), 1.0, s)) < 1e-6 * max(1, s)


WRONG = {
    "the sign of v": (networks.v_prediction, lambda u, m, a, b: -v(u, m, a, b), TABLE),
    "eps for v": (networks.v_prediction, eps, TABLE),
    "x0 for eps": (networks.eps_prediction, x0, TABLE),
    "another table": (networks.eps_prediction, eps, Table.of_betas(BETAS[::2])),
}


def test_held_out_data_see_a_network_that_is_read_wrongly():
    """The recipe of the page *Modules*: the error is below s^2 and below the variance."""
    held_out = PRIOR.sample(100, generator=seeded(0))
    variance = float(held_out.var(0).mean())

    def right(prior):
        errors = [
            (s, denoising_error(prior, held_out, s, repeats=1, generator=seeded(1)).value)
            for s in (0.1, 100.0)
        ]
        return all(error < 1.1 * min(s**2, variance) for s, error in errors)

    for what, (make, says, levels) in WRONG.items():
        assert not right(make(dressed(of_table, says, torch.float64), levels, SHAPE)), what
    for kind in ("eps", "x0", "v", "flow", "edm"):
        assert right(made(kind, torch.float64)[0]), kind


class Named:
    """An answer as diffusers gives it."""

    def __init__(self, sample):
        self.sample = sample


class Convolved(torch.nn.Module):
    """One layer of some dtype; it may compute in another by autocast."""

    def __init__(self, dtype=torch.float32, inside=None):
        super().__init__()
        self.layer = torch.nn.Conv2d(2, 2, 3, padding=1, dtype=dtype)
        self.inside = inside

    def forward(self, u, k):
        assert k.dtype == torch.int64
        with torch.autocast("cpu", dtype=self.inside, enabled=self.inside is not None):
            return self.layer(u)


def asked(network, **options):
    """A prior that is made of it, and asked once; ``options`` are those of eps_prediction."""
    known = {"levels": TABLE, "shape": (2, 3, 2)} | options
    prior = networks.eps_prediction(network, known.pop("levels"), known.pop("shape"), **known)
    return prior.denoise(torch.randn(3, 12, generator=seeded(0), dtype=prior.dtype), 0.8, 0.6)


def overwritten(u, k):
    return u.mul_(2)


KEPT = (1 - BETAS).cumprod(0)
ANSWERS = [
    (
        lambda: asked(lambda u, k: torch.cat([u, u], 1)),
        r"\(3, 4, 3, 2\).*\[:, :2\], if it says a var",
    ),
    (lambda: asked(lambda u, k: u.movedim(1, -1)), r"like x, \(3, 2, 3, 2\).*got \(3, 3, 2, 2\)"),
    (lambda: asked(lambda u, k: u[:1]), r"got \(1, 2, 3, 2\)"),
    (lambda: asked(lambda u, k: u.float()), r"got .* torch.float32.*network\(u, c\).to\(u.dtype\)"),
    (lambda: asked(Convolved(inside=torch.bfloat16)), r"got .* torch.bfloat16.*to\(u.dtype\)"),
    (lambda: asked(lambda u, k: Named(u)), r"must return a tensor, got Named.*\.sample"),
    (lambda: asked(lambda u, k: (u, None)), r"must return a tensor, got tuple.*\[0\]"),
    (lambda: asked(lambda u, k: None), "must return a tensor, got NoneType"),
    (
        lambda: asked(lambda u, k: u / 0),
        "what is finite by what is finite, got NaN or inf.* 3 of 3",
    ),
    (lambda: asked(overwritten), "`network` must not write into x"),
    (lambda: asked(lambda u, k: Convolved()(u, k)), r"`network` must take torch.float64.*u.float"),
    (lambda: asked(lambda u: u), "`network` must take two arguments"),
    (lambda: asked(torch.nn.Identity()), "`network` must take two arguments"),
    (lambda: asked(UNet), "`network` must be a function, got the class UNet"),
    (lambda: asked(lambda u, k: u, levels=None), "`levels` must be a Table or Times.*got None"),
    (
        lambda: asked(lambda u, k: u, levels=BETAS),
        "`levels` must be a Table.*got a tensor of shape",
    ),
    (lambda: asked(lambda u, k: u, levels=VP()), "`levels` must be a Table or Times.*got VP"),
    (lambda: asked(lambda u, k: u, levels=Table), "`levels` must be a Table.*got the class Table"),
    (
        lambda: asked(lambda u, k: u, shape=()),
        r"`len\(shape\)` must be a whole number above 0, got 0",
    ),
    (lambda: asked(lambda u, k: u, shape=[12]), "`shape` must be of the kind tuple, got list"),
    (lambda: asked(lambda u, k: u, dtype=torch.int64), "`dtype` must be torch.float32 or torch.fl"),
    (
        lambda: asked(lambda u, k: u, dtype=torch.float16),
        "`dtype` must be torch.float32 or torch.fl",
    ),
    (
        lambda: asked(lambda u, k: u, levels=Times(VP(), condition=lambda t: None)),
        "one number, got N",
    ),
    (lambda: networks.edm(lambda u, c: u, (12,), levels=(1, 2, 3)), "the lowest and the highest s"),
    (
        lambda: networks.edm(lambda u, c: u, (12,), levels=1.0),
        "the lowest and the highest s, got 1",
    ),
    (
        lambda: networks.edm(lambda u, c: u, (12,), sigma_data="a"),
        "`sigma_data` must be one number",
    ),
    (lambda: Table.of_betas(BETAS.flip(0)), "`betas` must lie between 0 and 1, and not fall"),
    (lambda: Table.of_betas(100 * BETAS), "`betas` must lie between 0 and 1.* 2 at last"),
    (lambda: Table.of_betas(-BETAS), "`betas` must lie between 0 and 1"),
    (lambda: Table.of_betas(BETAS * math.nan), "`betas` must lie between 0 and 1.*nan"),
    (lambda: Table.of_betas(KEPT), r"not fall.*Table\(alphas_cumprod\), where those are the prod"),
    (
        lambda: Table.of_betas(BETAS.numpy()),
        r"a torch.Tensor, got ndarray.*torch.as_tensor\(betas\)",
    ),
    (lambda: Table.of_betas(torch.arange(3)), "`betas` must have a floating dtype"),
    (lambda: Table(1 - BETAS), r"end with more noise than signal.*0.98 at last.*cumprod\(0\)"),
    (lambda: Table(KEPT.flip(0)), "2 entries or more that fall"),
    (lambda: Table(KEPT[None]), r"`alphas_cumprod` must have shape \(K,\)"),
    (lambda: Table(torch.cat([KEPT[:-1], 0 * KEPT[:1]])), r"without signal.*alphas_cumprod\[:-1\]"),
    (lambda: Table.of_betas(torch.cat([BETAS[:-1], BETAS[:1] ** 0])), r"without sig.*betas\[:-1\]"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("call", "says"), ANSWERS, ids=[says[:24] for _, says in ANSWERS])
def test_a_network_that_will_not_do_is_answered(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()


def test_a_table_that_ends_without_signal_is_served_up_to_its_last_entry():
    """v-prediction of a table that is rescaled to end at 0: the message says how, and it is so."""
    root = KEPT.sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])

    def scales(k):
        return root[k], (1 - root[k] ** 2).sqrt()

    prior = networks.v_prediction(
        dressed(scales, v, torch.float64), Table((root**2)[:-1]), SHAPE, outside="error"
    )
    for k in (0, 500, 998):
        a, b = scales(torch.tensor(k))
        x = a * PRIOR.sample(5, generator=seeded(k)) + b * torch.randn(
            5, 12, generator=seeded(1), **F64
        )
        assert scaled(prior.denoise(x, a, b) - PRIOR.denoise(x, a, b)) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_of_half_precision_computes_in_its_own(dtype):
    network = Convolved(dtype)
    single = Convolved()
    single.load_state_dict({name: w.float() for name, w in network.state_dict().items()})
    answer, wanted = asked(network), asked(single)
    assert answer.dtype == torch.float64
    # rounded: input, sum and output, each of up to 3; then over a = .8
    assert float((answer - wanted).abs().max()) < 12 * torch.finfo(dtype).eps


def test_conditions_are_whole_only_where_they_are_said_whole():
    seen = []

    def network(u, condition):
        seen.append(condition)
        return u

    for condition in (
        lambda t: 1000 * t,
        lambda t: torch.tensor(1000 * t),
        lambda t: round(1000 * t),
    ):
        asked(network, levels=Times(VP(), condition=condition))
    number, tensor, whole = seen[0], seen[len(seen) // 3], seen[-1]
    assert [c.dtype for c in (number, tensor, whole)] == [torch.float64, torch.float64, torch.int64]
    assert_close(number[0], tensor[0], rtol=1e-7, atol=0)  # a tensor of a number is in float32
    assert 0 < float((number[0] - whole[0]).abs()) <= 0.5
    assert seen[-1].shape == (3,)


def test_pure_noise_is_above_every_level():
    """alpha = 0, as a flow has it at t = 1: then the network is asked at its highest level."""
    prior = made("v", torch.float64)[0]
    x = torch.randn(4, 12, generator=seeded(0), **F64)
    high = prior.fn.levels.highest
    assert_close(prior.denoise(x, 0.0, 1.0), prior.denoise(x * high, 1.0, high))


def test_a_particle_that_diverged_is_no_fault_of_the_network():
    prior = networks.eps_prediction(lambda u, k: u * 1e300, TABLE, (12,))
    x = torch.full((2, 12), 1e30, **F64)
    x[0] = 0
    answer = prior.denoise(x, 0.8, 0.6)
    assert answer[0].isfinite().all()
    assert not answer[1].isfinite().any()


def test_colour_pictures_that_are_not_square_go_through_flat_and_back():
    """The network sees (C, H, W) as the operators mean it: one that blurs, against the operator."""
    shape = (2, 3, 2)
    A = blur(shape, 0.7)
    network = lambda u, k: A(u.flatten(1)).unflatten(-1, shape)  # noqa: E731
    x = torch.randn(3, 12, generator=seeded(0), **F64)
    s, a = TABLE._s[300], float(KEPT[300].sqrt())
    assert_close(networks.x0_prediction(network, TABLE, shape).denoise(x, 1.0, s), A(a * x))
    likelihood = Likelihood(A, A(x[0]), 0.5)
    score = DPS(Diffusion(made("v", torch.float64)[0], VP()), likelihood)
    assert score(x, TABLE.grid(VP(), 3)[1]).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_a_network_of_other_units_is_recovered(dtype):
    """A dressed denoiser of x is that of z = (x - mean) / scale; as one of x it is PRIOR again."""
    mean, scale = torch.linspace(-3, 2, 12, **F64), 0.3

    class OfZ(torch.nn.Module):
        def forward(self, z, alpha, sigma):
            x = scale * z.double() + float(alpha) * mean
            return ((PRIOR.denoise(x, alpha, scale * float(sigma)) - mean) / scale).to(z)

    of_z = Denoiser(OfZ(), 12, dtype)
    prior = networks.rescaled(of_z, -mean / scale, 1 / scale)
    for alpha, sigma in ((0.9, 0.3), (0.1, 1.0)):
        x = (alpha * PRIOR.sample(5, generator=seeded(0))).to(dtype)
        v_ = torch.randn(5, 12, generator=seeded(1), dtype=dtype)
        found, wanted = prior.given(x, alpha, sigma), PRIOR.given(x.double(), alpha, sigma)
        # the mean, of up to 3 / .3, is added and taken away again
        rounded = 40 * torch.finfo(dtype).eps
        assert scaled(found.mean.double() - wanted.mean) < rounded
        assert found.mean.dtype == dtype
        exact = wanted.cov_product(v_.double())
        assert_close(found.cov_product(v_).double(), exact, rtol=1e3 * rounded, atol=1e2 * rounded)


def test_a_network_of_pictures_from_minus_one_to_one_knows_their_prior():
    """The call of the docstring: the empirical denoiser of z, dressed, is that of the pictures."""
    raw = torch.randint(256, (9, 4, 6, 3), generator=seeded(0), dtype=torch.uint8).movedim(-1, 1)
    data = files.Pictures.of(raw)
    of_z = Empirical.from_samples(2 * raw.flatten(1).double() / 255 - 1)
    prior = networks.rescaled(
        Denoiser(of_z.denoise, 72), 2 * data.mean / 255 - 1, 2 * data.scale / 255
    )
    x = 0.8 * data.images + 0.6 * torch.randn(9, 72, generator=seeded(1), **F64)
    assert_close(prior.denoise(x, 0.8, 0.6), data.prior.denoise(x, 0.8, 0.6), rtol=0, atol=1e-9)


@pytest.mark.usefixtures("unchecked")
def test_wrong_units_are_answered():
    prior = Denoiser(lambda x, alpha, sigma: x, 12)
    for call, says in (
        (lambda: networks.rescaled(PRIOR, 0.0, 1.0), "`prior` must be of the kind Denoiser"),
        (lambda: networks.rescaled(prior, 0.0, -1.0), "`scale` must be positive"),
        (lambda: networks.rescaled(prior, 0.0, None), "`scale` must be one number"),
        (lambda: networks.rescaled(prior, torch.zeros(11), 1.0), r"`mean` must have shape \(12,\)"),
        (lambda: networks.rescaled(prior, math.nan, 1.0), "`mean` must be finite"),
        (lambda: networks.rescaled(prior, "a", 1.0), "`mean` must be a number"),
    ):
        with pytest.raises((ValueError, TypeError), match=says):
            call()
