"""The methods of the gallery and their grids; the problems on which they are ranked.

The rule is one for all: a method is run with its published parameters; and, if it has parameters,
with the best of at most four points, by the expected error at other measurements.
"""

import math
from typing import Any

import fsps_lite as fl
from fsps_lite import problems
from fsps_lite.diagnosis import Scored, Task
from fsps_lite.diagnosis.counted import Counted
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood
from fsps_lite.problems import Problem
from fsps_lite.types import PosteriorScore
from tools.gallery.entries import Entry, grid

PROBLEMS = (
    problems.gaussian,
    problems.two_atoms,
    problems.trimodal,
    problems.one_coordinate,
    problems.square,
    problems.rank_deficient,
    problems.digits_masked,
    problems.digits_blurred,
    problems.unequal,
    problems.absolute,
    problems.digits_fourier,
)
DEAR = problems.digits_blurred, problems.digits_fourier  # on one set of digits methods are tuned
TUNED = tuple(make for make in PROBLEMS if make not in DEAR)
EXACT = "exact score"


def exact(task: Task) -> PosteriorScore:
    """The score of the posterior, which no method may know: what it misses, the integrator does."""
    asked = task.prior.prior
    known: Any = asked.known if isinstance(asked, Counted) else asked
    return Problem("exact", known, task.likelihood, task.schedule).posterior


def prior_alone(prior: Diffusion, likelihood: Likelihood) -> PosteriorScore:
    """No method at all: the prior, whatever y is."""
    return prior


def pigdm_flat(prior: Diffusion, likelihood: Likelihood) -> PosteriorScore:
    """PiGDM with the variance of a flat prior, sigma^2 / alpha^2."""
    return fl.PiGDM(prior, likelihood, data_var=math.inf)


def daps_exact(prior: Diffusion, likelihood: Likelihood) -> fl.DAPS:
    """DAPS from E[x_0 | x_t] with an exact draw in place of its Langevin steps."""
    return fl.DAPS(prior, likelihood, inner=None, ode_steps=1)


def mcgdiff_once(prior: Diffusion, likelihood: Likelihood) -> fl.MCGDiff:
    """MCGDiff without its final weights, which count y a second time."""
    return fl.MCGDiff(prior, likelihood, final_weights=False)


def tds_pigdm(prior: Diffusion, likelihood: Likelihood) -> fl.TDS:
    """TDS twisted by PiGDM."""
    return fl.TDS(prior, likelihood, twist=fl.PiGDM)


METHODS = (
    Entry(EXACT, Scored(exact)),
    Entry("prior alone", prior_alone),
    Entry("DPS", fl.DPS),
    Entry("ZetaDPS", fl.ZetaDPS, grid(zeta=(1.0, 0.1, 0.3, 3.0))),
    Entry("PiGDM", fl.PiGDM, grid(data_var=(1.0, 0.3, 3.0, math.inf))),
    Entry("PiGDM, flat", pigdm_flat),
    Entry("TMPD", fl.TMPD),
    Entry("DiagonalTMPD", fl.DiagonalTMPD),
    Entry("LGD", fl.LGD, grid(draws=(10, 1, 3))),
    Entry("MMPS", fl.MMPS, grid(iterations=(1, 2, 5))),
    Entry("DMPS", fl.DMPS),
    Entry("SDA", fl.SDA, grid(gamma=(0.01, 0.1, 0.3, 1.0))),
    Entry("DAPS", fl.DAPS, grid(tau=(None, 0.01))),
    Entry("DAPS, exact inner step", daps_exact),
    Entry("DiffPIR", fl.DiffPIR, grid(lam=(8.0, 1.0), zeta=(0.1, 1.0))),
    Entry("PnPDM", fl.PnPDM, grid(last=(0.3, 0.1, 0.2, 0.5))),
    Entry("DDRM", fl.DDRM, grid(eta=(0.85, 1.0), eta_b=(1.0, 0.5))),
    Entry("DDNM", fl.DDNM, grid(eta=(0.85, 0.5, 1.0))),
    Entry("DDNMPlus", fl.DDNMPlus, grid(eta=(0.85, 0.5, 1.0))),
    Entry("REDDiff", fl.REDDiff, grid(lam=(0.25, 0.05, 1.0))),
    Entry("RePaint", fl.RePaint),
    Entry("TDS", fl.TDS, grid(twist=(fl.DPS, fl.PiGDM, fl.TMPD))),
    Entry("TDS, twist PiGDM", tds_pigdm),
    Entry("MCGDiff", fl.MCGDiff, grid(kappa=(1e-4, 1e-2, 0.1))),
    Entry("MCGDiff, no final weights", mcgdiff_once),
)
