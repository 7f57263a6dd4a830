"""How one samples: grids of times, paths, and integrators of the reverse process."""

from fsps_lite.samplers.reverse import (
    bridge,
    ddim,
    ddpm,
    dpm_solver,
    euler_maruyama,
    exact_kernel,
    heun,
    times,
)
from fsps_lite.samplers.trajectory import Trajectory, march

__all__ = [
    "Trajectory",
    "bridge",
    "ddim",
    "ddpm",
    "dpm_solver",
    "euler_maruyama",
    "exact_kernel",
    "heun",
    "march",
    "times",
]
