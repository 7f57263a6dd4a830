"""Sampling: grids of times, paths, and integrators of the reverse process."""

from fsps_lite.samplers.daps import DAPS
from fsps_lite.samplers.ddnm import DDNM, DDNMPlus
from fsps_lite.samplers.ddrm import DDRM
from fsps_lite.samplers.diffpir import DiffPIR
from fsps_lite.samplers.exact import bridge, exact_kernel
from fsps_lite.samplers.grid import times
from fsps_lite.samplers.kernels import ddpm_kernel, euler_maruyama_kernel
from fsps_lite.samplers.mcgdiff import MCGDiff
from fsps_lite.samplers.pnpdm import PnPDM
from fsps_lite.samplers.proximal import Langevin
from fsps_lite.samplers.reddiff import REDDiff
from fsps_lite.samplers.repaint import RePaint
from fsps_lite.samplers.reverse import ddim, ddpm, dpm_solver, euler_maruyama, heun
from fsps_lite.samplers.sampler import Sampler, StepSampler
from fsps_lite.samplers.samples import Samples
from fsps_lite.samplers.tds import TDS
from fsps_lite.samplers.trajectory import Trajectory, march
