"""How well a denoiser denoises pictures that it has not seen."""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.types import Prior

CALL = "denoising_error(prior, data.held_out, 1.0, generator=g)"


def denoising_error(
    prior: Prior,
    held_out: Float[Tensor, "n d"],
    s: float,
    *,
    repeats: int = 10,
    generator: torch.Generator,
) -> Estimate:
    """E |m(x_0 + s eps) - x_0|^2 / d over pictures x_0, with its error. In units of x^2.

    m is the denoiser of ``prior`` at the noise level ``s`` = sigma / alpha. Each picture gets
    ``repeats`` draws of the noise; the standard error is over pictures. No denoiser has a smaller
    expected error than the mean of x_0 under the law that the pictures come from. Raises ValueError
    for one picture or none.
    """
    return Estimate.of(picture_errors(prior, held_out, s, repeats=repeats, generator=generator))


def picture_errors(
    prior: Prior,
    held_out: Float[Tensor, "n d"],
    s: float,
    *,
    repeats: int = 10,
    generator: torch.Generator,
) -> Float[Tensor, "n"]:
    """The same for each picture, ``(n,)``: to compare two denoisers picture by picture."""
    checks.kind("prior", prior, Prior, f"{CALL}, with prior = networks.load()")
    checks.positive("s", s, CALL)
    checks.count("repeats", repeats, CALL)
    checks.generator(generator)
    checks.state("held_out", held_out, prior.dim, prior.dtype, CALL)
    checks.count("len(held_out)", len(held_out), CALL, least=2)
    clean = held_out.repeat(repeats, 1)
    eps = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=generator.device)
    with torch.no_grad():
        mean = prior.given(clean + s * eps, 1.0, s).mean
    return (mean - clean).square().mean(-1).reshape(repeats, -1).mean(0)
