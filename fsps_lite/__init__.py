"""fsps_lite: exact finite-sample posteriors, to check diffusion posterior samplers against."""

from fsps_lite import digits, plots, problems
from fsps_lite.diffusion import Diffusion
from fsps_lite.integrators import (
    bridge,
    ddim,
    ddpm,
    dpm_solver,
    euler_maruyama,
    exact_kernel,
    heun,
    times,
)
from fsps_lite.likelihood import Likelihood
from fsps_lite.metrics import (
    energy_distance,
    mode_weights,
    sliced_wasserstein,
    total_variation,
    wasserstein1,
)
from fsps_lite.operators import Linear, Nonlinear, blur, downsample, fourier_magnitude, mask
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.problem import Problem
from fsps_lite.schedules import VE, VP, Cosine, FlowMatching, Schedule
from fsps_lite.trajectory import Trajectory, march

__version__ = "0.1.0"

__all__ = [
    "VE",
    "VP",
    "Cosine",
    "Diffusion",
    "Empirical",
    "FlowMatching",
    "GaussianMixture",
    "Likelihood",
    "Linear",
    "Nonlinear",
    "Problem",
    "Schedule",
    "Trajectory",
    "blur",
    "bridge",
    "ddim",
    "ddpm",
    "digits",
    "downsample",
    "dpm_solver",
    "energy_distance",
    "euler_maruyama",
    "exact_kernel",
    "fourier_magnitude",
    "heun",
    "march",
    "mask",
    "mode_weights",
    "plots",
    "problems",
    "sliced_wasserstein",
    "times",
    "total_variation",
    "wasserstein1",
]
