"""deepinv: our priors as its denoisers, our likelihoods as its physics, and its methods as ours.

Written for deepinv 0.5.0, which computes in float32. For example::

    from deepinv.sampling import DDRM
    from fsps_lite.peers import deepinv

    def ddrm(task):
        levels = (task.schedule.sigma(task.grid) / task.schedule.alpha(task.grid)).numpy()
        return DDRM(deepinv.denoiser(task.prior), sigmas=levels)

    print(fl.diagnose(fl.problems.digits_masked(), deepinv.drawn(ddrm)))
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis import Drawn, Samples, Task
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.peers.packages import needed
from fsps_lite.peers.seeding import seeded
from fsps_lite.types import PosteriorScore, Scale, State, Time


def denoiser(prior: Diffusion) -> Any:
    """``prior`` as a ``deepinv.models.Denoiser``: E[x_0 | x_0 + s eps = x] for the noise level s.

    x is ``(n, d)`` or images with d numbers each, in the units of the prior, and not in [0, 1]:
    call a sampler of deepinv with ``minus_one_one=False``. Raises ValueError for two levels at
    once.
    """
    base = needed("deepinv.models")

    class Exact(base.Denoiser):  # type: ignore[misc, name-defined]
        def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            level = torch.as_tensor(sigma, dtype=torch.float64).flatten()
            if bool((level != level[0]).any()):
                what = "a cloud must have one noise level"
                raise ValueError(checks.complaint(what, level.tolist(), "denoiser(x, 0.5)"))
            flat = x.reshape(len(x), -1).to(prior.prior.dtype)
            found: Tensor = prior.prior.given(flat, 1.0, level[0]).mean
            return found.reshape(x.shape).to(x.dtype)

    return Exact()


def mean(denoiser: Any, shape: tuple[int, ...]) -> Callable[[State, Scale, Scale], State]:
    """E[x_0 | x_t] of a denoiser of deepinv, as the ``fn`` of a :class:`~fsps_lite.Denoiser`.

    ``shape`` is that of one signal for the denoiser, such as (1, 8, 8) for an image of d = 64.
    """

    def fn(x: State, alpha: Scale, sigma: Scale) -> State:
        images = (x / alpha).reshape(-1, *shape)
        answer: Tensor = denoiser(images, sigma / alpha)
        return answer.reshape(x.shape)

    return fn


def physics(likelihood: Likelihood) -> Any:
    """A linear likelihood as a ``deepinv.physics.DecomposablePhysics``, by its singular values.

    It takes clouds ``(n, d)`` and measurements ``(n, m)``. Raises ValueError for an operator that
    is not Linear or has more outputs than inputs, and for noise of more than one standard
    deviation.
    """
    theirs = needed("deepinv.physics")
    operator, out = require_linear("deepinv", likelihood), len(likelihood.y)
    if likelihood.noise.std.ndim or out > operator.dim:
        what = "deepinv takes one `noise_std`, and here no more measurements than signals"
        got = f"{out} measurements of {operator.dim} signals, noise_std {likelihood.noise_std}"
        call = "Likelihood(operator, y, noise_std=0.5)"
        raise UnsupportedLikelihood(checks.complaint(what, got, call))
    left, values, right = torch.linalg.svd(operator.matrix)
    missing = operator.dim - out
    return theirs.DecomposablePhysics(
        U=lambda z: z[:, :out] @ left.mT.to(z),
        U_adjoint=lambda y: torch.nn.functional.pad(y @ left.to(y), (0, missing)),
        V=lambda z: z @ right.to(z),
        V_adjoint=lambda x: x @ right.mT.to(x),
        mask=torch.nn.functional.pad(values, (0, missing))[None].float(),
        noise_model=theirs.GaussianNoise(float(likelihood.noise.std)),
    )


def score(fidelity: Any, prior: Diffusion, likelihood: Likelihood) -> PosteriorScore:
    """The prior's score minus the gradient of a ``NoisyDataFidelity`` of deepinv.

    The gradient is asked on deepinv's scale, x / alpha with the noise sigma / alpha.
    """
    known = physics(likelihood)

    def score(x: State, t: Time) -> State:
        alpha, sigma = prior.schedule.alpha(t), prior.schedule.sigma(t)
        y = likelihood.y.expand(len(x), -1)
        pull: Tensor = fidelity.grad(x / alpha, y, known, sigma / alpha)
        return prior.score(x, t) - pull.detach().to(x) / alpha

    return score


def drawn(make: Callable[[Task], Any]) -> Drawn:
    """``make(task)``, a ``Reconstructor`` of deepinv that samples, as a method.

    It is called once with as many equal measurements as particles, in float32, and its noise
    follows from the generator of the task.
    """

    def draw(task: Task) -> Samples:
        likelihood = task.likelihood
        checks.kind("likelihood", likelihood, Likelihood, "Problem(name, prior, Likelihood(...))")
        assert isinstance(likelihood, Likelihood)
        y = likelihood.y.float().expand(task.n, -1)
        with seeded(task.generator), torch.no_grad():
            found: Tensor = make(task)(y, physics(likelihood))
        return Samples(found.reshape(task.n, -1).to(task.start))

    draw.__name__ = make.__name__
    return Drawn(draw)
