"""Learned denoisers: a small network, its training, its weights, and adapters for others."""

from fsps_lite.networks.adapters import (
    edm,
    eps_prediction,
    flow_prediction,
    v_prediction,
    x0_prediction,
)
from fsps_lite.networks.errors import denoising_error
from fsps_lite.networks.levels import Table, Times
from fsps_lite.networks.training import train
from fsps_lite.networks.unet import UNet
from fsps_lite.networks.units import rescaled
from fsps_lite.networks.weights import Trained, load, read, save
