"""fsps_lite: exact finite-sample posteriors, a reference for diffusion posterior samplers."""

from importlib import import_module
from typing import TYPE_CHECKING

from fsps_lite import moved, networks, problems
from fsps_lite.datasets import digits, files, letters, patches
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.diagnosis import (
    Calibration,
    Decomposition,
    Drawn,
    FailureMap,
    Finding,
    Report,
    Samples,
    Scored,
    Stepped,
    Task,
    calibrate,
    compare,
    decompose,
    diagnose,
    diagnose_samples,
    failure_map,
    sweep,
)
from fsps_lite.diffusion import Diffusion
from fsps_lite.distances import (
    energy_distance,
    sliced_wasserstein,
    total_variation,
    wasserstein1,
)
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import (
    DMPS,
    DPS,
    LGD,
    MMPS,
    SDA,
    TMPD,
    DiagonalTMPD,
    Guidance,
    GuidedUntil,
    MatchedGaussian,
    PiGDM,
    StepDPS,
    ZetaDPS,
    matched_log_likelihood,
    matched_score,
)
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.measures import (
    Hallucination,
    Law,
    ModeHistory,
    RankTest,
    ScoreError,
    Stopping,
    covariance_ratio,
    covered,
    early_stopping,
    hallucination,
    implied_density,
    implied_spread,
    law,
    mode_history,
    rank_of,
    rank_test,
    score_error,
    tarp_ranks,
)
from fsps_lite.noise import Noise
from fsps_lite.operators import (
    Linear,
    Nonlinear,
    blur,
    downsample,
    fourier_magnitude,
    fourier_mask,
    fourier_samples,
    mask,
    motion_blur,
    projections,
    saturation,
)
from fsps_lite.partition import Partition, mode_weights
from fsps_lite.poisson import PoissonLikelihood
from fsps_lite.priors import (
    Denoiser,
    Empirical,
    GaussianMixture,
    ShardedEmpirical,
    Smoothed,
    fit_classes,
)
from fsps_lite.problems import Problem
from fsps_lite.samplers import (
    DAPS,
    DDNM,
    DDRM,
    TDS,
    DDNMPlus,
    DiffPIR,
    Langevin,
    MCGDiff,
    PnPDM,
    REDDiff,
    RePaint,
    Sampler,
    StepSampler,
    Trajectory,
    bridge,
    ddim,
    ddpm,
    dpm_solver,
    euler_maruyama,
    exact_kernel,
    heun,
    march,
    times,
)
from fsps_lite.schedules import VE, VP, Cosine, FlowMatching, Schedule

if TYPE_CHECKING:
    from fsps_lite import plots, theory
else:
    # Imported on first use: without matplotlib and scipy the library is imported faster.
    LATER = ("plots", "theory")

    def __getattr__(name):
        if name in LATER:
            return import_module(f"fsps_lite.{name}")
        if (old := f"fsps_lite.{name}") in moved.MOVED:
            raise AttributeError(moved.told(old))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *LATER})


__version__ = "0.2.0"

# fmt: off
__all__ = [  # one paragraph for each room
    "Partition", "Problem", "digits", "files", "letters", "networks", "patches", "problems",
    "Likelihood", "Linear", "Noise", "Nonlinear", "blur", "downsample", "fourier_magnitude",
    "fourier_mask", "fourier_samples", "mask", "motion_blur", "PoissonLikelihood", "projections",
    "saturation", "UnsupportedLikelihood",
    "Denoiser", "DenoisingPosterior", "Diffusion", "Empirical", "GaussianMixture",
    "ShardedEmpirical", "Smoothed", "fit_classes",
    "Cosine", "FlowMatching", "Schedule", "VE", "VP",
    "DMPS", "DPS", "DiagonalTMPD", "Guidance", "GuidedUntil", "LGD", "MMPS", "MatchedGaussian",
    "PiGDM", "SDA", "StepDPS", "TMPD", "ZetaDPS", "matched_log_likelihood", "matched_score",
    "DAPS", "DDNM", "DDNMPlus", "DDRM", "DiffPIR", "Langevin", "MCGDiff", "PnPDM", "REDDiff",
    "RePaint", "Sampler", "StepSampler", "TDS",
    "Trajectory", "bridge", "ddim", "ddpm", "dpm_solver", "euler_maruyama", "exact_kernel",
    "heun", "march", "times",
    "Estimate", "Hallucination", "Law", "ModeHistory", "RankTest", "ScoreError", "Stopping",
    "covariance_ratio", "covered", "early_stopping", "hallucination", "implied_density",
    "implied_spread", "law", "mode_history", "rank_of", "rank_test", "score_error", "tarp_ranks",
    "energy_distance", "mode_weights", "sliced_wasserstein", "total_variation", "wasserstein1",
    "Calibration", "Decomposition", "Drawn", "FailureMap", "Finding", "Report", "Samples", "Scored",
    "Stepped", "Task", "calibrate", "compare", "decompose", "diagnose", "diagnose_samples",
    "failure_map", "sweep",
    "plots", "theory",
]
# fmt: on
