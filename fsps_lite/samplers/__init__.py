"""Sampling: grids of times, paths, and integrators of the reverse process."""

from fsps_lite.samplers.exact import bridge, exact_kernel
from fsps_lite.samplers.grid import times
from fsps_lite.samplers.kernels import ddpm_kernel, euler_maruyama_kernel
from fsps_lite.samplers.reverse import ddim, ddpm, dpm_solver, euler_maruyama, heun
from fsps_lite.samplers.sampler import Sampler, StepSampler
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.trajectory import Trajectory, march
