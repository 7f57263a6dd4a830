"""RED-diff: the most probable point, by stochastic gradients in which the denoiser regularises."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.guidance.matched import operator_vjp
from fsps_lite.operators import Linear
from fsps_lite.samplers.grid import times
from fsps_lite.samplers.kernels import draw
from fsps_lite.samplers.sampler import Sampler
from fsps_lite.samplers.samples import Samples
from fsps_lite.types import State, Time

CALL = "REDDiff(prior, likelihood, lam=0.25, rate=0.1, steps=1000)"
TINY = 1e-8  # beside the root of the mean square of a gradient, as Adam has it
BETAS = 0.9, 0.99  # of Adam


@dataclass(frozen=True)
class REDDiff(Sampler):
    """mu <- mu - Adam(A'(A(mu) - y) + lam s_t (eps^ - eps)), t falling (Mardani et al., 2024).

    s = sigma / alpha, x_t = alpha_t mu + sigma_t eps with eps drawn anew in each step, and eps^ =
    (x_t - alpha_t E[x_0 | x_t]) / sigma_t. It comes from a Gaussian approximation of p(x_0 | y) of
    which only the mean is kept. So each particle ends near a mode, and the cloud of particles is no
    sample: they start from one point, A^+ y, and differ by the noise of the gradient alone. No
    noise_std appears in it; lam stands for it.

    It takes any operator; where it is not Linear, mu starts from the mean of the prior. Published:
    lam = 0.25, Adam with the rate 0.1 and the betas 0.9 and 0.99, 1,000 steps evenly spaced in t.
    Their code takes means over y and over x in place of sums, which is m / d times this lam.
    The grid and the cloud that it is given are not used. Raises ValueError unless lam >= 0, rate >
    0 and steps >= 1.
    """

    lam: int | float = 0.25
    rate: int | float = 0.1
    steps: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("lam", self.lam, CALL, least=0.0)
        checks.positive("rate", self.rate, CALL)
        checks.count("steps", self.steps, CALL)

    def __call__(self, x: State, t: Float[Tensor, "T"], *, generator: torch.Generator) -> Samples:
        """mu for each particle, at time 0. ``(n, d)``."""
        self.check_run(x, t, generator)
        mu = self._start(x, t[0])
        mean, square = torch.zeros_like(mu), torch.zeros_like(mu)
        grid = times(self.prior.schedule, self.steps, spacing="time").to(mu.device)
        for k, now in enumerate(grid[:-1], start=1):
            slope = self.slope(mu, now, generator)
            mean = BETAS[0] * mean + (1 - BETAS[0]) * slope
            square = BETAS[1] * square + (1 - BETAS[1]) * slope**2
            size = (square / (1 - BETAS[1] ** k)).sqrt() + TINY
            mu = mu - self.rate * mean / (1 - BETAS[0] ** k) / size
        return Samples(mu)

    def slope(self, mu: State, t: Time, generator: torch.Generator) -> State:
        """A'(A(mu) - y) + lam s_t (eps^ - eps). ``(n, d)``."""
        schedule, eps = self.prior.schedule, draw(mu, generator)
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        x = alpha * mu + sigma * eps
        guessed = (x - alpha * self.prior.denoise(x, t)) / sigma
        misfit = operator_vjp(self.likelihood, mu, -self.likelihood.residual(mu))
        slope: Tensor = misfit + self.lam * sigma / alpha * (guessed - eps)
        return slope

    def _start(self, x: State, t: Time) -> State:
        """A^+ y for each particle, or the mean of the prior."""
        operator = self.likelihood.operator
        if not isinstance(operator, Linear):
            return self.prior.denoise(torch.zeros_like(x), t)
        y = self.likelihood.y if operator.offset is None else self.likelihood.y - operator.offset
        start: Tensor = torch.linalg.pinv(operator.matrix.double()) @ y.double()
        return start.to(x.dtype).expand_as(x).clone()
