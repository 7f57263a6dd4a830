"""Named parts of signal space, and the share of a cloud in each."""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.types import Prior


def mode_weights(
    x: Float[Tensor, "n d"], modes: GaussianMixture
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K"]]:
    """The share of the cloud in each mode, with its binomial standard error. Each ``(K,)``.

    ``x`` is ``(n, d)``. Each point belongs to the component of ``modes`` with the largest
    responsibility for it. A point that is NaN, or too far away to have responsibilities, belongs to
    none; the shares then sum to less than 1. Raises ValueError or TypeError where ``x`` and
    ``modes`` differ in dimension or dtype.
    """
    checks.kind("modes", modes, GaussianMixture, "mode_weights(x, modes)")
    call = f"mode_weights(torch.zeros(1000, {modes.dim}, dtype={modes.dtype}), modes)"
    checks.state("x", x, modes.dim, modes.dtype, call)
    checks.shape("x", x, ("n", modes.dim), call)
    shares = modes.responsibilities(x)
    k = shares[shares.isfinite().all(-1)].argmax(-1)
    share = torch.bincount(k, minlength=len(modes.means)).to(x.dtype) / len(x)
    return share, (share * (1 - share) / len(x)).sqrt()


def true_weights(posterior: Prior, modes: GaussianMixture) -> list[float | None]:
    """The posterior weight of each mode; None for each, if the posterior has no points to count."""
    if not isinstance(posterior, Empirical):
        return [None] * len(modes.means)
    k = modes.responsibilities(posterior.atoms).argmax(-1)
    shares = posterior.weights.new_zeros(len(modes.means)).index_add(0, k, posterior.weights)
    return list(shares.tolist())
