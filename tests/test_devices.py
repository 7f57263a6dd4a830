"""Everything follows the device and the dtype of what it is given.

Without a GPU, a trap: under the default device "meta" a tensor that is made without naming a device
has no numbers, and whatever it touches fails. With one, the same on the GPU.
"""

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from tests.oracles import assert_near, condition, rounding, seeded

pytestmark = pytest.mark.usefixtures("unchecked")
MAKERS = [
    fl.problems.gaussian,
    fl.problems.two_atoms,
    fl.problems.unequal,
    fl.problems.one_coordinate,
    fl.problems.rank_deficient,
    fl.problems.absolute,
]
LINEAR = {
    "PiGDM": fl.PiGDM,
    "flat": lambda *known: fl.PiGDM(*known, data_var=math.inf),
    "TMPD": fl.TMPD,
    "DiagonalTMPD": fl.DiagonalTMPD,
}
ANY = {"DPS": fl.DPS, "ZetaDPS": fl.ZetaDPS}


def methods(problem):
    linear = isinstance(problem.likelihood.operator, fl.Linear)
    return ANY | (LINEAR if linear else {})


@dataclass(frozen=True)
class Rig:
    """A problem, and a generator and a cloud where it lives."""

    problem: fl.Problem
    g: torch.Generator
    x: torch.Tensor


def rig(make, device="cpu"):
    problem = make().to(device)
    g = torch.Generator(device).manual_seed(0)
    return Rig(problem, g, problem.schedule.noise(20, problem.prior.dim, generator=g))


def scores(r):
    """What priors, posteriors and guidances answer."""
    p, t = r.problem, 0.4
    for known in (p.diffusion, p.posterior, p.finite_sample(300, generator=r.g)):
        yield known.score(r.x, t)
        yield known.log_prob(r.x, t)
        yield known.denoise_cov(r.x, t)
        yield known.sample_denoised(r.x, t, generator=r.g)
    for method in methods(p).values():
        yield method(p.diffusion, p.likelihood)(r.x, t)
    yield p.likelihood.simulate(p.prior.sample(3, generator=r.g), generator=r.g)


def paths(r):
    """Where integrators go."""
    p, grid = r.problem, fl.times(r.problem.schedule, 6)
    noisy = {"generator": r.g}
    for integrator, noise in (
        (fl.ddpm, noisy),
        (fl.euler_maruyama, noisy),
        (fl.dpm_solver, noisy),
        (fl.exact_kernel, noisy),
        (fl.ddim, {}),
        (fl.heun, {}),
    ):
        yield integrator(p.posterior, p.schedule, r.x, grid, **noise).final


def measures(r):
    """What is measured on clouds and paths."""
    p, grid = r.problem, fl.times(r.problem.schedule, 6)
    path = fl.ddpm(p.posterior, p.schedule, r.x, grid, generator=r.g)
    truth = p.posterior.sample(30, 0.0, generator=r.g)
    yield torch.tensor(fl.sliced_wasserstein(r.x, truth, generator=r.g), device="cpu")
    yield torch.tensor(fl.energy_distance(r.x, truth), device="cpu")
    yield fl.score_error(fl.DPS(p.diffusion, p.likelihood), p.posterior, grid, generator=r.g).error
    yield fl.early_stopping(path, p.diffusion, truth, generator=r.g).denoised
    draws = truth[:20].expand(20, 20, -1)
    ranks = fl.rank_of(r.x[:, 0], draws[..., 0], generator=r.g)
    yield fl.rank_test(ranks, 20, generator=r.g).upper
    yield fl.tarp_ranks(r.x, draws, truth[:20], generator=r.g).double()
    yield torch.tensor(fl.covered(ranks, 20, 0.9).value, device="cpu")
    if p.modes is not None:
        yield fl.mode_history(path, p.diffusion, p.modes).weights
        found = fl.hallucination(path.final, truth, p, 1e-3, modes=p.modes, generator=r.g)
        yield found.table
    if p.prior.dim == 1:
        law = fl.law(p.posterior, p.schedule, grid.to(r.x.device))
        yield law.mean
        yield law.density[-1]


def answers(make, device="cpu"):
    """All of them, on the CPU."""
    found = []
    for ask in (scores, paths, measures):
        found += [value.detach() for value in ask(rig(make, device))]
    return found


@pytest.mark.filterwarnings("ignore:.*diverged")
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_nothing_is_made_on_the_default_device(make):
    expected = answers(make)

    def prepared():  # problems are made before the trap is set
        return problem

    problem = make()
    with torch.device("meta"):
        found = answers(prepared)
    for mine, other in zip(found, expected, strict=True):
        assert mine.device.type == "cpu"
        assert torch.equal(mine.nan_to_num(7.0), other.nan_to_num(7.0))


@pytest.mark.filterwarnings("ignore:.*diverged")
def test_a_report_is_made_under_the_trap_too():
    problem = fl.problems.two_atoms()
    expected = str(fl.diagnose(problem, fl.TMPD, n=40, steps=6))
    with torch.device("meta"):
        found = str(fl.diagnose(problem, fl.TMPD, n=40, steps=6))
    assert found == expected


SIZE = (2, 4, 6)  # of the pictures below: in colour, and not square
D = 48


def operators(dtype):
    """Each kind for pictures, made anew."""
    own = {"dtype": dtype}
    yield fl.blur(SIZE, 0.7, **own)
    yield fl.blur(SIZE, (0.5, 1.0), edges="reflect", **own)
    yield fl.motion_blur(SIZE, 2.5, 0.5, edges="periodic", **own)
    yield fl.downsample(SIZE, 2, **own)
    yield fl.projections(SIZE, [0.0, 0.7], **own)
    yield fl.mask([True, False] * (D // 2), **own)
    yield fl.fourier_samples(fl.fourier_mask(SIZE, 0.5, generator=seeded(3)), **own)
    yield fl.saturation(0.3, after=fl.blur(SIZE, 0.7, **own))


def functions(dtype, device="cpu"):
    """What is new for images and networks, as functions of a cloud ``(n, D)``."""
    atoms = torch.randn(40, D, generator=seeded(0), device="cpu").to(dtype)
    labels = torch.arange(40, device="cpu") % 2
    prior = fl.Empirical.from_samples(atoms).to(device)
    dark = torch.full((D,), 9.0, dtype=dtype, device="cpu")
    counts = fl.PoissonLikelihood(fl.motion_blur(SIZE, 3.0, 0.5, dtype=dtype), dark, 1.0, dark)
    posterior = prior.condition(counts.to(device))
    yield from (A.to(device) if isinstance(A, fl.Linear) else A for A in operators(dtype))
    yield counts.to(device).log_prob
    fitted = fl.fit_classes(atoms, labels, regularisation=0.5).to(device)
    nets = fl.networks
    table = nets.Table.of_betas(torch.linspace(1e-4, 0.02, 99, dtype=torch.float64, device="cpu"))
    adapted = [
        nets.eps_prediction(lambda u, k: 0.1 * u, table, SIZE, dtype=dtype),
        nets.flow_prediction(lambda u, t: -u, SIZE, dtype=dtype),
        nets.edm(lambda u, c: u.sin(), SIZE, dtype=dtype),
    ]
    for known in (fl.Smoothed(prior, 0.5), fitted, posterior, *adapted):
        yield lambda x, known=known: known.denoise(x, 0.8, 0.6)
        yield lambda x, known=known: known.given(x, 0.8, 0.6).cov_product(x.detach())


def data():
    """What is loaded, drawn or trained, made anew."""
    yield from (fl.digits.load().images, fl.digits.load().held_out_labels)
    yield from (fl.letters.load(30).images, fl.letters.load(30).labels)
    yield from (fl.patches.load(30).images, fl.patches.load(30).held_out)
    x = torch.randn(30, D, generator=seeded(1), device="cpu")
    x = (x - x.mean(0)) / x.std()
    yield from (part.images for part in fl.files.Pictures.of(x.unflatten(1, SIZE)).split(9))
    net = fl.networks.train(x, SIZE, steps=2, batch=4, channels=4, seed=1).denoiser()
    yield net.denoise(x[:3].double(), 0.8, 0.6)
    stored, some = fl.networks.load(), fl.digits.load().held_out[:3]
    yield stored.given(some, 0.8, 0.6).cov_product(some)
    error = fl.networks.denoising_error(stored, some, 1.0, generator=seeded(2))
    yield torch.tensor(error.value, device="cpu")
    table = fl.networks.Table.of_betas(torch.linspace(1e-4, 0.02, 99, device="cpu"))
    yield table.grid(fl.VP(), 9)


def pictures(dtype=torch.float64):
    return 0.5 * torch.randn(3, D, generator=seeded(2), dtype=dtype, device="cpu")


def test_nothing_of_images_is_made_on_the_default_device():
    def asked():
        return [fn(pictures()) for fn in functions(torch.float64)] + list(data())

    expected = asked()
    with torch.device("meta"):
        found = asked()
    for mine, other in zip(found, expected, strict=True):
        assert mine.device.type == "cpu"
        assert torch.equal(mine, other)


def test_images_and_networks_in_float32():
    """Each by how far it moves when what it is asked moves by the rounding of float32."""
    x = pictures(torch.float32)
    pairs = zip(functions(torch.float32), functions(torch.float64), strict=True)
    for k, (near, exact) in enumerate(pairs):
        answer = near(x)
        assert answer.dtype == torch.float32, k
        wanted = exact(x.double())
        size = max(condition(exact, x), float(wanted.abs().max()))
        # what it is made of, such as atoms and taps, is rounded too, and each step on the way
        assert_near(answer, wanted, rounding(torch.float32, size, operations=20))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_images_and_networks_run_on_a_gpu():
    x = pictures()
    for there, here in zip(functions(torch.float64, "cuda"), functions(torch.float64), strict=True):
        answer = there(x.cuda())
        assert answer.is_cuda
        assert_close(answer.cpu(), here(x), rtol=1e-9, atol=1e-9)
    digits, stored = fl.digits.load(), fl.networks.load()
    some = digits.held_out[:3]
    answer = stored.denoise(some.cuda(), 0.8, 0.6)  # its weights lie on the CPU, and stay there
    assert answer.is_cuda
    assert_close(answer.cpu(), stored.denoise(some, 0.8, 0.6), rtol=0, atol=1e-5)
    trained = fl.networks.train(digits.images.cuda(), (1, 8, 8), steps=3, batch=8, channels=4)
    assert next(trained.network.parameters()).is_cuda
    assert trained.denoiser().denoise(some.cuda(), 0.8, 0.6).is_cuda
    assert trained.denoiser().denoise(some, 0.8, 0.6).device.type == "cpu"


def test_every_measurement_is_asked_under_the_trap_too():
    def asked():
        told = fl.calibrate(problem, fl.TMPD, measurements=3, draws=4, steps=6)
        mapped = fl.failure_map(problem, fl.TMPD, measurements=7, steps=15, stop=0.1)
        return str(told), str(mapped)

    problem = fl.problems.gaussian()
    expected = asked()
    with torch.device("meta"):
        found = asked()
    assert found == expected


def test_the_trap_catches():
    with torch.device("meta"), pytest.raises((RuntimeError, NotImplementedError)):
        float(torch.ones(3) @ torch.ones(3, device="cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.filterwarnings("ignore:.*diverged")
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_everything_runs_on_a_gpu(make):
    for value in answers(make, "cuda"):
        assert value.isfinite().all() or value.is_cuda
    there, here = rig(make, "cuda"), rig(make)
    x = here.x
    for method in methods(here.problem).values():
        pair = [method(r.problem.diffusion, r.problem.likelihood) for r in (there, here)]
        on_gpu = pair[0](x.cuda(), 0.4)
        assert on_gpu.is_cuda
        assert_close(on_gpu.cpu(), pair[1](x, 0.4), rtol=1e-9, atol=1e-9)


def parts(problem, x):
    """The numbers of which a guided score is made: those that float32 rounds."""
    prior, likelihood = problem.prior, problem.likelihood
    prior = [prior.log_weights, prior.atoms if isinstance(prior, fl.Empirical) else prior.means]
    operator = getattr(likelihood.operator, "matrix", torch.ones(()))
    return x, *prior, torch.ones(()), operator, likelihood.y, likelihood.noise_std


def guided(method, problem, x, log_weights, places, width, operator, y, noise_std):
    """The score that a method makes of :func:`parts`."""
    prior, seen = problem.prior, problem.likelihood.operator
    if isinstance(prior, fl.Empirical):
        prior = fl.Empirical(places, log_weights)
    else:
        prior = fl.GaussianMixture(log_weights, places, width * prior.covs)
    if isinstance(seen, fl.Linear):
        seen = fl.Linear(operator, seen.offset)
    else:
        seen = fl.Nonlinear(lambda x, fn=seen.fn: operator * fn(x), seen.name)
    likelihood = fl.Likelihood(seen, y, noise_std)
    return method(fl.Diffusion(prior, problem.schedule), likelihood)(x, 0.4)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_to_another_dtype_and_back(make):
    problem = make()
    single = problem.to(torch.float32)
    assert single.prior.dtype == single.likelihood.y.dtype == torch.float32
    x = problem.schedule.noise(20, problem.prior.dim, generator=seeded(1))
    for method in methods(problem).values():
        exact = method(problem.diffusion, problem.likelihood)
        near = exact.to(torch.float32)
        assert type(near) is type(exact)
        answer = near(x.float(), 0.4)
        assert answer.dtype == torch.float32
        # the inputs, and mean, residual, what solves for it and the answer, which stand for them
        size = condition(partial(guided, method, problem), *parts(problem, x))
        assert_near(answer, exact(x, 0.4), rounding(torch.float32, size, operations=5))
    posterior = problem.posterior.to(torch.float32)
    assert posterior.score(x.float(), 0.4).dtype == torch.float32


def test_where_a_problem_lives():
    assert fl.problems.two_atoms().device == torch.device("cpu")
