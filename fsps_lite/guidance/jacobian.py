"""The Jacobian of the denoiser, which a guidance needs, and what is put in its place without it."""

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.types import State


def pulled(at: DenoisingPosterior, v: State, jacobian: bool) -> State:
    """J' v with J = dm/dx_t; without ``jacobian`` v / alpha.

    m = (x_t + sigma^2 score) / alpha, so that 1 / alpha is J where the score is held constant: one
    backward pass through the denoiser is saved. ``(*batch, d)``.
    """
    return at.vjp(v) if jacobian else v / at.alpha
