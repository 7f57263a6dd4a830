"""What must not change the answer of a method: the units of noise, the schedule, a blind operator.

Each case is an identity: the same draws, twice, must end at the same places.
"""

import warnings

import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from tests.oracles import at_length, random_mixture_parts, seeded
from tests.test_conformance import METHODS, SAMPLERS, STEPS

pytestmark = pytest.mark.usefixtures("unchecked")
N = 16


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def run(name, prior, likelihood, x, t, seed=1):
    """What a method ends with."""
    made = METHODS[name](prior, likelihood)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*diverged")
        if isinstance(made, fl.Sampler):
            return made(x, t, generator=seeded(seed))
        path = fl.ddpm(made, prior.schedule, x, t, generator=seeded(seed))
        return fl.Samples(path.final, time=t[-1])


def plane(schedule, likelihood=None):
    """Three components in three dimensions, and two correlated measurements of them."""
    prior = fl.GaussianMixture(*random_mixture_parts(4, k=3, d=3))
    if likelihood is None:
        matrix = torch.randn(2, 3, generator=seeded(5), dtype=torch.float64)
        noise = tensor([0.9, 0.3], [0.3, 0.6])
        operator = fl.Linear(matrix, tensor(0.3, -0.2))
        likelihood = fl.Likelihood.with_cov(operator, tensor(1.0, -0.5), noise)
    return fl.Diffusion(prior, schedule), likelihood


DAILY = ("PiGDM", "DAPS", "DiffPIR", "PnPDM", "DDRM", "DDNMPlus", "TDS", "MCGDiff")


def daily(names):
    """Of the names, one of each kind every day."""
    return at_length(names, [name for name in names if name in DAILY])


# RePaint takes no matrix but a mask; no other method is left out
UNSEEN = [name for name in METHODS if name != "RePaint"]


@pytest.mark.parametrize("name", daily(UNSEEN))
def test_an_operator_that_sees_nothing_leaves_y_out(name):
    prior, _ = plane(fl.VP())
    t = fl.times(fl.VP(), STEPS, stop=0.05)
    x = fl.VP().noise(N, 3, t=t[0], generator=seeded(0))
    blind = fl.Linear(torch.zeros(2, 3, dtype=torch.float64))
    few, many = (run(name, prior, fl.Likelihood(blind, y, 0.5), x, t) for y in (UP, 80 * UP))
    assert_close(few.x, many.x)
    if few.log_weights is not None:
        assert_close(few.log_weights, many.log_weights)


UP = tensor(0.6, -0.8)
# their gamma, zeta, row sums, unfinished iterations and missing noise_std have the units of y
IN_UNITS_OF_Y = ("SDA", "ZetaDPS", "StepDPS", "DiagonalTMPD", "MMPS", "REDDiff", "RePaint")
ANY_UNITS = [name for name in METHODS if name.split(",")[0] not in IN_UNITS_OF_Y]


@pytest.mark.parametrize("name", daily(ANY_UNITS))
def test_a_measurement_in_other_units_says_the_same(name):
    """y = A x + L eps and L^-1 y = L^-1 A x + eps are one measurement, for any noise."""
    prior, known = plane(fl.VP())
    t = fl.times(fl.VP(), STEPS, stop=0.05)
    x = fl.VP().noise(N, 3, t=t[0], generator=seeded(0))
    white, offset = known.noise.whiten, known.operator.offset
    operator = fl.Linear(white(known.operator.matrix.mT).mT, white(offset))
    other = fl.Likelihood(operator, white(known.y), 1.0)
    one, same = (run(name, prior, likelihood, x, t) for likelihood in (known, other))
    scale = float(one.x.abs().max())
    assert_close(one.x, same.x, rtol=0, atol=1e-9 * scale)
    if one.log_weights is not None:
        assert_close(one.log_weights, same.log_weights, rtol=0, atol=1e-7)
    if one.log_evidence is not None:  # p(L^-1 y) = |L| p(y)
        grown = known.noise.factor.diagonal().log().sum()
        assert_close(one.log_evidence + grown, same.log_evidence, rtol=0, atol=1e-7)


# the draws of LGD and a late start are of a time, StepDPS and RED-diff of a grid, kappa of x_t
OF_ONE_SCHEDULE = ("LGD", "StepDPS", "REDDiff", "MCGDiff")
OF_ANY = [name for name in METHODS if name.split(",")[0] not in OF_ONE_SCHEDULE]
OF_ANY.remove("DiffPIR, late")
# sigma / alpha of VP ends at 149, and so this VE must go further than its default
SCHEDULES = (fl.VE(sigma_max=200.0), fl.Cosine(), fl.FlowMatching())


@pytest.mark.parametrize(
    "schedule", at_length(SCHEDULES, SCHEDULES[:1]), ids=lambda schedule: type(schedule).__name__
)
@pytest.mark.parametrize("name", daily(OF_ANY))
def test_a_method_is_the_same_on_every_schedule(name, schedule):
    """x / alpha depends on sigma / alpha alone: grids with the same levels give the same path."""
    likelihood = fl.Likelihood(fl.mask(torch.tensor([True, False, True])), UP, 0.9)
    vp, t = fl.VP(), fl.times(fl.VP(), STEPS, stop=0.05)
    same = schedule.time_of(vp.log_snr(t))
    x = vp.noise(N, 3, t=t[0], generator=seeded(0))
    beside = x / vp.alpha(t[0]) * schedule.alpha(same[0])
    one = run(name, *plane(vp, likelihood), x, t)
    other = run(name, *plane(schedule, likelihood), beside, same)
    ends = [found.x / (v.alpha(found.time)) for found, v in ((one, vp), (other, schedule))]
    assert_close(*ends, rtol=0, atol=1e-8 * float(ends[0].abs().max()))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_cloud_of_another_dtype_is_answered_with_the_right_call(name):
    problem = fl.problems.one_coordinate()
    made = SAMPLERS[name](problem.diffusion, problem.likelihood)
    t = fl.times(problem.schedule, 3)
    x = problem.schedule.noise(N, 2, t=t[0], generator=seeded(0))
    call = rf"{type(made).__name__}\(prior, likelihood\)\(x\.to\(prior\.prior\.dtype\)"
    with pytest.raises(TypeError, match=rf"`x` must have the dtype of the prior.*float32.*{call}"):
        made(x.float(), t, generator=seeded(0))
    with pytest.raises(ValueError, match=rf"`x` must have shape \(n, 2\).*{call}"):
        made(x[:, :1], t, generator=seeded(0))
    with pytest.raises(ValueError, match=rf"grid that decreases.*{call}"):
        made(x, t.flip(0), generator=seeded(0))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_particle_is_a_cloud_but_for_a_filter(name):
    problem = fl.problems.one_coordinate()
    t = fl.times(problem.schedule, 3)
    x = problem.schedule.noise(1, 2, t=t[0], generator=seeded(0))
    if name.split(",")[0] in ("TDS", "MCGDiff"):
        with pytest.raises(ValueError, match=r"two particles or more.*a cloud of 1.*TDS\(prior"):
            run(name, *(problem.diffusion, problem.likelihood), x, t)
    else:
        assert run(name, *(problem.diffusion, problem.likelihood), x, t).x.isfinite().all()
