"""Published packages, unmodified, through the adapters of fsps_lite.peers.

They are imported when a method is called: this text can be read where they are not installed.
"""

from importlib import import_module
from importlib.metadata import version as installed
from typing import Any

import torch

from fsps_lite.diagnosis import Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.likelihood import Likelihood
from fsps_lite.peers import azula, deepinv
from fsps_lite.types import PosteriorScore
from tools.gallery.entries import Entry

RUNS = 4  # independent runs of azula's TDS, whose particles depend on each other


def version(package: str) -> str:
    """The version of a package: of this library its own, of others the installed one."""
    if package == "fsps_lite":
        return str(import_module(package).__version__)
    return installed(package)


def _known(task: Task) -> Likelihood:
    assert isinstance(task.likelihood, Likelihood)
    return task.likelihood


def azula_dps(task: Task) -> Any:
    """azula's DPSSampler with its defaults: the norm runs over the whole batch."""
    sampler, known = import_module("azula.guidance.dps").DPSSampler, _known(task)
    return sampler(azula.denoiser(task.prior), known.y, known.operator)


def azula_pgdm(task: Task) -> Any:
    """azula's PGDMSampler with its defaults; A_inv is the pseudoinverse."""
    known = _known(task)
    operator = require_linear("azula's PGDMSampler", known)
    inverse = torch.linalg.pinv(operator.matrix)
    sampler = import_module("azula.guidance.pgdm").PGDMSampler
    return sampler(azula.denoiser(task.prior), known.y, operator, lambda y: y @ inverse.mT)


def azula_diffpir(task: Task) -> Any:
    """azula's DiffPIRDenoiser, run by its DDPMSampler."""
    known = _known(task)
    operator = require_linear("azula's DiffPIRDenoiser", known)
    denoiser = import_module("azula.guidance.diffpir").DiffPIRDenoiser
    guided = denoiser(azula.denoiser(task.prior), known.y, operator, known.noise_std**2)
    return import_module("azula.sample").DDPMSampler(guided)


def azula_tmpd(prior: Diffusion, likelihood: Likelihood) -> PosteriorScore:
    """azula's TMPDenoiser with its defaults."""
    require_linear("azula's TMPDenoiser", likelihood)
    denoiser = import_module("azula.guidance.tmpd").TMPDenoiser
    known = likelihood.y, likelihood.operator, likelihood.noise_std**2
    return azula.score(denoiser(azula.denoiser(prior), *known), prior.schedule)


def azula_mmps(prior: Diffusion, likelihood: Likelihood) -> PosteriorScore:
    """azula's MMPSDenoiser with its defaults, one iteration."""
    require_linear("azula's MMPSDenoiser", likelihood)
    denoiser = import_module("azula.guidance.mmps").MMPSDenoiser
    isotropic = import_module("azula.linalg.covariance").IsotropicCovariance
    noise = isotropic(torch.as_tensor(likelihood.noise_std**2, dtype=torch.float64))
    known = azula.denoiser(prior), likelihood.y, likelihood.operator, noise.__matmul__
    return azula.score(denoiser(*known), prior.schedule)


def azula_tds(task: Task) -> Any:
    """azula's TDSSampler, with the twist of PiGDM."""
    known = _known(task)
    operator = require_linear("the twist of PiGDM", known)
    gram = operator.matrix @ operator.matrix.mT
    eye = torch.eye(len(gram), dtype=gram.dtype)

    def twist(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        spread = float(known.noise.std) ** 2 * eye + level**2 / (1 + level**2) * gram
        law = torch.distributions.MultivariateNormal(known.y, spread)
        found: torch.Tensor = law.log_prob(operator(x))
        return found

    return import_module("azula.guidance.tds").TDSSampler(azula.denoiser(task.prior), twist)


def deepinv_ddrm(task: Task) -> Any:
    """deepinv's DDRM on the levels of the grid."""
    levels = (task.schedule.sigma(task.grid) / task.schedule.alpha(task.grid)).numpy()
    made = import_module("deepinv.sampling").DDRM
    return made(deepinv.denoiser(task.prior), sigmas=levels)


PEERS = (
    Entry("azula DPSSampler", azula.stepped(azula_dps), package="azula"),
    Entry("azula PGDMSampler", azula.stepped(azula_pgdm), package="azula"),
    Entry("azula DiffPIRDenoiser", azula.stepped(azula_diffpir), package="azula"),
    Entry("azula TMPDenoiser", azula_tmpd, package="azula"),
    Entry("azula MMPSDenoiser", azula_mmps, package="azula"),
    Entry("azula TDSSampler", azula.drawn(azula_tds, runs=RUNS), package="azula"),
    Entry("deepinv DDRM", deepinv.drawn(deepinv_ddrm), package="deepinv"),
)
