"""One contract for all methods, those of the families included: METHODS x PROBLEMS."""

import inspect
import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from tests.oracles import at_length, seeded

pytestmark = pytest.mark.usefixtures("unchecked")
N, STEPS = 24, 3

FLAT = {
    "DPS": fl.DPS,
    "ZetaDPS": fl.ZetaDPS,
    "StepDPS": lambda *k: fl.StepDPS(*k, 0.3, fl.times(k[0].schedule, STEPS, stop=0.05)),
    "PiGDM": fl.PiGDM,
    "TMPD": fl.TMPD,
    "DiagonalTMPD": fl.DiagonalTMPD,
    "LGD": fl.LGD,
    "LGD, no Jacobian": lambda *k: fl.LGD(*k, jacobian=False),
    "MMPS": fl.MMPS,
    "MMPS, no Jacobian": lambda *k: fl.MMPS(*k, jacobian=False),
    "DMPS": fl.DMPS,
    "SDA": fl.SDA,
    "SDA, no Jacobian": lambda *k: fl.SDA(*k, jacobian=False),
}
few = fl.Langevin(steps=2, rate=1e-3)
SAMPLERS = {
    "DAPS": lambda *k: fl.DAPS(*k, inner=few),
    "DAPS, exact": lambda *k: fl.DAPS(*k, inner=None, ode_steps=1),
    "DiffPIR": fl.DiffPIR,
    "DiffPIR, by gradient": lambda *k: fl.DiffPIR(*k, analytic=False),
    "DiffPIR, late": lambda *k: fl.DiffPIR(*k, start=0.5),
    "PnPDM": lambda *k: fl.PnPDM(*k, iterations=3, inner=few),
    "PnPDM, by steps": lambda *k: fl.PnPDM(*k, iterations=2, steps=2, inner=few),
    "DDRM": fl.DDRM,
    "DDNM": fl.DDNM,
    "DDNM, travelling": lambda *k: fl.DDNM(*k, travel_repeat=2),
    "DDNMPlus": fl.DDNMPlus,
    "REDDiff": lambda *k: fl.REDDiff(*k, steps=5),
    "RePaint": lambda *k: fl.RePaint(*k, jump=2, repeats=2),
    "TDS": lambda *k: fl.TDS(*k, particles=8),
    "TDS, PiGDM": lambda *k: fl.TDS(*k, particles=8, twist=fl.PiGDM),
    "MCGDiff": lambda *k: fl.MCGDiff(*k, particles=8),
    "MCGDiff, mended": lambda *k: fl.MCGDiff(*k, particles=8, final_weights=False),
}
METHODS = FLAT | SAMPLERS
GUIDANCES = {"DPS", "ZetaDPS", "StepDPS", "LGD", "SDA"}
OF_ANY_OPERATOR = GUIDANCES | {"DAPS", "DiffPIR", "PnPDM", "REDDiff", "TDS"}
ANY = {name for name in METHODS if name.split(",")[0] in OF_ANY_OPERATOR} - {
    "DAPS, exact",
    "DiffPIR, late",
    "TDS, PiGDM",
}
OF_MASKS = {"RePaint"}
ALONE = [name for name in SAMPLERS if "TDS" not in name and "MCGDiff" not in name]
DAILY = (fl.problems.one_coordinate, fl.problems.square)
PROBLEMS = at_length(fl.problems.GALLERY, DAILY)
each_method = pytest.mark.parametrize("name", METHODS)
each_sampler = pytest.mark.parametrize("name", SAMPLERS)
each_problem = pytest.mark.parametrize("make", PROBLEMS, ids=lambda make: make.__name__)


def takes(name, problem):
    """Whether a method takes the operator of a problem."""
    operator = problem.likelihood.operator
    if name in OF_MASKS:
        return isinstance(operator, fl.Linear) and problem.name in MASKED
    return name in ANY or isinstance(operator, fl.Linear)


MASKED = {
    "gaussian",
    "two_atoms",
    "trimodal",
    "unequal",
    "one_coordinate",
    "digits_masked",
}


def run(name, problem, *, n=N, seed=0, x=None):
    """The last cloud of a method, and all that a sampler says."""
    grid, g = fl.times(problem.schedule, STEPS, stop=0.05), seeded(seed)
    if x is None:
        size = n, problem.prior.dim
        x = problem.schedule.noise(*size, t=grid[0], generator=g, dtype=problem.prior.dtype)
    made = METHODS[name](problem.diffusion, problem.likelihood)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")
        if isinstance(made, fl.Sampler):
            return made(x, grid, generator=g)
        return fl.Samples(fl.ddpm(made, problem.schedule, x, grid, generator=g).final, grid[-1])


@each_problem
@each_method
def test_every_method_runs_on_what_it_takes_and_refuses_the_rest(name, make):
    problem = make()
    if not takes(name, problem):
        words = r"(?s)needs a (Linear operator|mask).*(DAPS|DPS)"
        with pytest.raises(fl.UnsupportedLikelihood, match=words):
            METHODS[name](problem.diffusion, problem.likelihood)
        return
    found = run(name, problem)
    assert found.x.shape == (N, problem.prior.dim)
    assert found.x.dtype == torch.float64
    assert not found.x.requires_grad
    again = run(name, problem)
    assert torch.equal(found.x.nan_to_num(), again.x.nan_to_num())  # a seed says it all
    # these are stiff in few steps
    if name not in ("ZetaDPS", "DPS", "DiffPIR, by gradient") and "DAPS" not in name:
        assert found.x.isfinite().all()
    single = run(name, problem.to(torch.float32))
    assert single.x.dtype == torch.float32
    assert single.x.shape == found.x.shape


def with_and_without_a_move(name):
    """One run, and the same with the first particle elsewhere at its start."""
    problem = fl.problems.one_coordinate()
    grid = fl.times(problem.schedule, STEPS, stop=0.05)
    x = problem.schedule.noise(N, 2, t=grid[0], generator=seeded(3))
    moved = x.clone()
    moved[0] += 0.5
    return run(name, problem, x=x), run(name, problem, x=moved)


def test_every_public_method_is_here():
    public = {getattr(fl, name) for name in fl.__all__}
    kinds = [one for one in public if isinstance(one, type)]
    wanted = {
        one.__name__
        for one in kinds
        if issubclass(one, fl.Guidance | fl.Sampler) and not inspect.isabstract(one)
    }
    assert wanted == {name.split(",")[0] for name in METHODS}
    assert len(wanted) >= 18


@pytest.mark.parametrize("name", ALONE)
def test_a_particle_does_not_move_by_the_others(name):
    """But for the noise, which is drawn for all at once: one particle is put elsewhere."""
    one, other = with_and_without_a_move(name)
    assert_close(one.x[1:], other.x[1:], rtol=1e-9, atol=1e-9)
    if one.path is not None:  # a step draws as much for one order as for another
        assert one.path.x.shape == (STEPS + 1, N, 2)
        assert torch.equal(one.path.final, one.x)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ALONE])
def test_a_particle_moves_by_those_of_its_run_alone(name):
    one, other = with_and_without_a_move(name)
    assert one.runs.bincount().tolist() == [8, 8, 8]
    elsewhere = one.runs > 0
    assert_close(one.x[elsewhere], other.x[elsewhere], rtol=1e-9, atol=1e-9)
    if one.log_weights is not None:
        sums = torch.zeros(3, dtype=torch.float64).index_add(0, one.runs, one.log_weights.exp())
        assert_close(sums, torch.ones_like(sums))
        assert one.log_evidence.shape == (3,)


@pytest.mark.parametrize("name", ALONE)
def test_a_lost_particle_troubles_nobody(name):
    problem = fl.problems.one_coordinate()
    grid = fl.times(problem.schedule, STEPS, stop=0.05)
    x = problem.schedule.noise(N, 2, t=grid[0], generator=seeded(3))
    lost = x.clone()
    lost[0] = math.nan
    one, other = run(name, problem, x=x), run(name, problem, x=lost)
    assert_close(one.x[1:], other.x[1:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ALONE])
def test_a_lost_particle_weighs_nothing_in_its_run(name):
    problem = fl.problems.one_coordinate()
    grid = fl.times(problem.schedule, STEPS, stop=0.05)
    x = problem.schedule.noise(N, 2, t=grid[0], generator=seeded(3))
    lost = x.clone()
    lost[0] = math.nan  # of 8: the others stand in for it
    lost[16:] = math.nan  # a whole run: it stays lost
    found = run(name, problem, x=lost)
    weightless = torch.zeros(N, dtype=torch.bool)
    if found.log_weights is not None:
        weightless = found.log_weights == -math.inf
    assert (found.x.isfinite().all(-1) | weightless)[:16].all()
    assert int(weightless.sum()) <= 1
    assert found.x[16:].isnan().all()
    assert found.log_weights is None or bool((found.log_weights[16:] == math.log(1 / 8)).all())


SCHEDULES = (fl.VE(), fl.Cosine(), fl.FlowMatching())


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
@pytest.mark.parametrize("name", at_length(list(SAMPLERS), ["DDRM", "MCGDiff, mended", "DAPS"]))
def test_samplers_run_on_any_schedule(name, schedule):
    problem = replace(fl.problems.one_coordinate(), schedule=schedule)
    found = run(name, problem)
    assert found.x.isfinite().all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda *k: fl.DAPS(*k, ode_steps=0), r"ode_steps.*DAPS\(prior"),
        (lambda *k: fl.DAPS(*k, tau=-1.0), r"tau.*DAPS\(prior"),
        (lambda *k: fl.DiffPIR(*k, lam=0), r"lam.*DiffPIR\(prior"),
        (lambda *k: fl.DiffPIR(*k, zeta=2), r"zeta.*DiffPIR\(prior"),
        (lambda *k: fl.PnPDM(*k, first=0.1), r"first.*PnPDM\(prior"),
        (lambda *k: fl.PnPDM(*k, factor=1.5), r"factor.*PnPDM\(prior"),
        (lambda *k: fl.DDRM(*k, eta_b=1.5), r"eta_b.*DDRM\(prior"),
        (lambda *k: fl.DDNM(*k, eta=-0.1), r"eta.*DDNM\(prior"),
        (lambda *k: fl.REDDiff(*k, steps=0), r"steps.*REDDiff\(prior"),
        (lambda *k: fl.RePaint(*k, repeats=0), r"repeats.*RePaint\(prior"),
        (lambda *k: fl.TDS(*k, threshold=2), r"threshold.*TDS\(prior"),
        (lambda *k: fl.MCGDiff(*k, kappa=0), r"kappa.*MCGDiff\(prior"),
        (lambda *k: fl.Langevin(rate=0), r"rate.*Langevin\(steps"),
    ],
)
def test_wrong_parameters_are_answered_with_the_right_call(make, message):
    problem = fl.problems.one_coordinate()
    with pytest.raises(ValueError, match=message):
        make(problem.diffusion, problem.likelihood)


@pytest.mark.parametrize("name", at_length(list(SAMPLERS), ["DDRM", "TDS"]))
def test_a_class_is_a_method_of_reports_and_calibrations(name):
    problem = fl.problems.one_coordinate()
    found = fl.diagnose(problem, SAMPLERS[name], n=48, steps=4)
    rows = {finding.id for finding in found.findings} | {row.id for row in found.missing}
    assert {"weight_1", "distance", "score_error", "path_kl"} <= rows
    assert found["diverged"].value.value == 0
    calibration = fl.calibrate(problem, SAMPLERS[name], measurements=3, draws=16, steps=3)
    assert calibration.excess.shape == (3,)
    assert calibration["w1"].value.error > 0


def test_the_name_of_a_class_stands_over_its_report():
    assert fl.diagnose(fl.problems.two_atoms(), fl.DDRM, n=20, steps=4).method == "DDRM"


def test_a_sampler_has_no_score_and_says_so():
    with pytest.raises(TypeError, match=r"a sampler has none.*DDRM.*diagnose"):
        fl.failure_map(fl.problems.two_atoms(), fl.DDRM)
    problem = fl.problems.two_atoms()
    made = fl.DDRM(problem.diffusion, problem.likelihood)
    with pytest.raises(TypeError, match="and return a score, not be one"):
        fl.diagnose(problem, made)


@each_sampler
def test_a_sampler_moves_with_its_problem(name):
    problem = fl.problems.one_coordinate()
    made = SAMPLERS[name](problem.diffusion, problem.likelihood)
    single = made.to(torch.float32)
    assert type(single) is type(made)
    assert single.likelihood.y.dtype == single.prior.prior.dtype == torch.float32


@pytest.mark.parametrize("name", at_length(METHODS, [*SAMPLERS, "LGD"]))
def test_nothing_is_made_on_the_default_device(name):
    expected = run(name, fl.problems.one_coordinate())
    problem = fl.problems.one_coordinate()
    x = problem.schedule.noise(N, 2, t=1.0, generator=seeded(0))
    grid, g = fl.times(problem.schedule, STEPS, stop=0.05), seeded(0)
    problem.schedule.noise(N, 2, t=grid[0], generator=g)
    made = METHODS[name](problem.diffusion, problem.likelihood)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")
        if isinstance(made, fl.Sampler):
            found = made(x, grid, generator=g).x
        else:
            found = fl.ddpm(made, problem.schedule, x, grid, generator=g).final
    assert found.device.type == "cpu"
    assert torch.equal(found.nan_to_num(7.0), expected.x.nan_to_num(7.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@each_method
def test_every_method_runs_on_a_gpu(name):
    problem = fl.problems.one_coordinate().to("cuda")
    grid, g = fl.times(problem.schedule, STEPS, stop=0.05).cuda(), torch.Generator("cuda")
    x = problem.schedule.noise(N, 2, t=grid[0], generator=g)
    made = METHODS[name](problem.diffusion, problem.likelihood)
    if isinstance(made, fl.Sampler):
        assert made(x, grid, generator=g).x.is_cuda
    else:
        assert made(x, 0.4).is_cuda


@pytest.mark.parametrize("name", at_length(METHODS, ["LGD", "DDRM", "MCGDiff", "TDS"]))
def test_every_method_under_the_shape_checks_too(name):
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", False)
    run(name, fl.problems.one_coordinate(), n=16)
