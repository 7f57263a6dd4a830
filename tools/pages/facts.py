"""What is wrong with an algorithm as published, in numbers that are computed anew for each build.

`words.yaml` names them in braces. They are closed forms: nothing is
drawn.
"""

import functools
import math
from collections.abc import Mapping

import fsps_lite as fl
from fsps_lite import problems, theory

DAPS_TAU = 0.01  # of the published experiments, in place of noise_std
FEW, MANY = 20, 400  # steps: as DDRM is published, and what one would take for safety


@functools.cache
def facts() -> Mapping[str, str]:
    """{name in braces: text}."""
    mean, std = posterior_moments(problems.gaussian())
    y, noise = measured(problems.two_atoms())
    return {
        "gaussian_mean": f"{mean:.3f}",
        "gaussian_std": f"{std:.3f}",
        "ddrm_20": _told(*ddrm_moments(FEW)),
        "ddrm_400": _told(*ddrm_moments(MANY)),
        "daps_std": f"{DAPS_TAU:g}",
        "daps_moved": f"{100 * langevin_share(fl.Langevin(), noise, 1.0):.0f} %",
        "mcg_y": f"{y:g}",
        "mcg_true": f"{theory.true_weight(1.0, y, noise):.3f}",
        "mcg_twice": f"{theory.true_weight(1.0, 2 * y, noise):.3f}",
    }


def _told(mean: float, std: float) -> str:
    return f"mean {mean:.3f} and standard deviation {std:.3f}"


def known(problem: fl.Problem) -> fl.Likelihood:
    """The likelihood of a problem of the gallery, whose noise is Gaussian."""
    assert isinstance(problem.likelihood, fl.Likelihood)
    return problem.likelihood


def measured(problem: fl.Problem) -> tuple[float, float]:
    """y and noise_std of a problem with one measurement."""
    return float(known(problem).y), float(known(problem).noise.std)


def posterior_moments(problem: fl.Problem) -> tuple[float, float]:
    """Mean and standard deviation of a posterior on the line that is one Gaussian."""
    assert isinstance(problem.prior, fl.GaussianMixture)
    found = problem.prior.condition(known(problem))
    return float(found.means[0, 0]), float(found.covs[0, 0, 0].sqrt())


def ddrm_moments(steps: int) -> tuple[float, float]:
    """Mean and standard deviation at which DDRM ends on `gaussian`: it is affine, so no draws.

    There E[x_0 | x_t] = alpha x_t, or in u = x_t / alpha, with s = sigma / alpha: u / (1 + s^2).
    """
    problem = problems.gaussian()
    sampler, (y, noise) = fl.DDRM(problem.diffusion, known(problem)), measured(problem)
    levels = (-0.5 * problem.schedule.log_snr(fl.times(problem.schedule, steps))).exp().tolist()
    mean, var = 0.0, levels[0] ** 2
    for s_t, s_s in zip(levels[:-1], levels[1:], strict=True):
        denoised = 1 / (1 + s_t**2)
        if s_s >= noise:
            mean, var = y, s_s**2 - noise**2  # eta_b = 1: what was before is forgotten
        else:
            pull = math.sqrt(1 - sampler.eta**2) * s_s / noise
            kept = (1 - pull) * denoised
            mean, var = kept * mean + pull * y, kept**2 * var + (sampler.eta * s_s) ** 2
    return mean, math.sqrt(var)


def langevin_share(inner: fl.Langevin, noise_std: float, spread: float) -> float:
    """How far the mean of z comes on the line, of the way from h to where an exact draw has it."""
    return 1 - (1 - inner.rate * (noise_std**-2 + spread**-2)) ** inner.steps
