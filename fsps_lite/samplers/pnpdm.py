"""Split Gibbs sampling: y pulls on a copy of the signal, and the prior denoises the copy."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.operators import Linear
from fsps_lite.samplers.grid import times
from fsps_lite.samplers.proximal import Langevin, proximal_draw
from fsps_lite.samplers.reverse import ddpm
from fsps_lite.samplers.sampler import Sampler
from fsps_lite.samplers.samples import Samples
from fsps_lite.schedules import VE
from fsps_lite.types import State

CALL = "PnPDM(prior, likelihood, first=10.0, factor=0.9, last=0.3, iterations=100)"


@dataclass(frozen=True)
class PnPDM(Sampler):
    """z ~ p(y | z) N(z; x, rho^2 I), x ~ p(x_0 | x_0 + rho eps = z), in turn (Wu et al., 2024).

    Gibbs sampling of p(x) N(z; x, rho^2 I) p(y | z). rho falls: rho_k = max(first factor^k, last).
    At a fixed rho the law of x is the posterior for a measurement of x + rho eps; for A = I that is
    the posterior with the noise variance noise_std^2 + rho^2. A small rho is nearer to the truth
    and moves more slowly between modes, the slower the further they are apart against rho. On
    two_atoms it takes 112 iterations to forget an atom at rho = 0.3, and 120,490 at rho = 0.2.

    The first step is exact for a Linear operator, else it takes ``inner``, Langevin steps from x.
    The second is a draw of the prior's own p(x_0 | x_t), or with ``steps`` it is a reverse
    diffusion of so many steps from sigma / alpha = rho, which a learned denoiser needs. Published:
    10, 0.9 and 0.3 for linear operators; a reverse diffusion; 100 iterations, of which 20 after the
    first 40 are kept from each chain. Here each particle is a chain, and its last x is kept; the
    grid is not used. Raises ValueError unless last <= first, 0 < factor <= 1 and iterations >= 1.
    """

    first: int | float = 10.0
    factor: int | float = 0.9
    last: int | float = 0.3
    iterations: int = 100
    steps: int | None = None
    inner: Langevin = Langevin()

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("last", self.last, CALL)
        checks.number("first", self.first, CALL, least=float(self.last))
        checks.positive("factor", self.factor, CALL)
        checks.number("factor", self.factor, CALL, most=1.0)
        checks.count("iterations", self.iterations, CALL)
        if self.steps is not None:
            checks.count("steps", self.steps, CALL)
        checks.kind("inner", self.inner, Langevin, CALL)

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """The last x of each chain, which starts from the denoised cloud. ``(n, d)``, time 0."""
        self.check_run(x, t, generator)
        x = self.prior.denoise(x, t[0])
        for k in range(self.iterations):
            rho = max(self.first * self.factor**k, self.last)
            z = self.pulled(x, rho, k, generator)
            x = self.denoised(z, rho, generator)
        return Samples(x)

    def pulled(self, x: State, rho: float, k: int, generator: torch.Generator) -> State:
        """z, in iteration ``k``. ``(n, d)``."""
        operator = self.likelihood.operator
        if isinstance(operator, Linear):
            return proximal_draw(self.likelihood, operator, x, rho**2, generator)
        inner = self.inner.at(k / self.iterations)
        return inner.draw(self.likelihood, x, rho**2, generator)

    def denoised(self, z: State, rho: float, generator: torch.Generator) -> State:
        """A draw of p(x_0 | x_0 + rho eps = z). ``(n, d)``."""
        seen = Diffusion(self.prior.prior, VE(sigma_max=rho, power=1.0))
        if self.steps is None:
            return seen.sample_denoised(z, 1.0, generator=generator)
        grid = times(seen.schedule, self.steps, start=1.0).to(z.device)
        final = ddpm(seen, seen.schedule, z, grid, generator=generator).final
        return seen.denoise(final, grid[-1])
