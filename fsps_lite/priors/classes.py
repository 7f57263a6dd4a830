"""A few Gaussians for each class of labelled data: a prior in closed form that knows the labels."""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.priors.gaussian_mixture import GaussianMixture

CALL = "fit_classes(data.images, data.labels, components=2, regularisation=0.05)"


def fit_classes(
    x: Float[Tensor, "N d"],
    labels: Int[Tensor, "N"],
    *,
    components: int = 2,
    regularisation: float = 0.05,
    seed: int = 0,
) -> GaussianMixture:
    """``components`` Gaussians for each label, fitted to its rows by the EM algorithm.

    ``labels`` are whole numbers from 0, one for each row of ``x``. ``regularisation``, in units of
    x^2, is added to each variance. Component k of the answer belongs to label k // components, also
    after :meth:`GaussianMixture.condition`, so that the weight of a label is a sum over its
    components. EM is scikit-learn's, from k-means drawn by ``seed``. Raises ValueError where a
    label has fewer rows than components.
    """
    checks.floating("x", x, CALL)
    checks.shape("x", x, ("N", "d"), CALL)
    checks.finite("x", x, CALL)
    checks.kind("labels", labels, Tensor, CALL)
    checks.shape("labels", labels, (len(x),), CALL)
    checks.count("components", components, CALL)
    checks.number("regularisation", regularisation, CALL, least=0.0)
    checks.seed(seed, CALL)
    counts = torch.bincount(labels)
    if int(counts.min()) < max(2, components):
        what = f"each of the labels 0 to {len(counts) - 1} must have {max(2, components)} rows"
        raise ValueError(checks.complaint(what, counts.tolist(), CALL))
    rows = [x[labels == k].double().cpu().numpy() for k in range(len(counts))]
    parts = [_fitted(part, components, regularisation, seed) for part in rows]
    weights = [part[0] * int(count) / len(x) for part, count in zip(parts, counts, strict=True)]
    means, covs = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    log_weights = torch.from_numpy(np.concatenate(weights)).log()
    made = GaussianMixture(log_weights, torch.from_numpy(means), torch.from_numpy(covs))
    return made.to(x.dtype).to(x.device)


def _fitted(
    x: np.ndarray, components: int, regularisation: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances for one label."""
    from sklearn.exceptions import ConvergenceWarning  # not at the top: it takes a second
    from sklearn.mixture import GaussianMixture as Fitted

    model = Fitted(components, reg_covar=regularisation, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit is judged by held-out data
        model.fit(x)
    return (
        model.weights_,
        model.means_,
        (model.covariances_ + model.covariances_.swapaxes(1, 2)) / 2,
    )
