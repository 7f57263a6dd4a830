"""DPS with a step size: three conventions use the letter zeta for different things."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance.guidance import Guidance
from fsps_lite.guidance.matched import operator_vjp
from fsps_lite.likelihood import Likelihood, UnsupportedLikelihood
from fsps_lite.types import LogDensity, State, Time


@dataclass(frozen=True)
class ZetaDPS(Guidance):
    """2 zeta / |r| times the DPS likelihood score, r = y - A(E[x_0 | x_t]): a score.

    This form is studied by (Burns and Fridovich-Keil, 2026). For noise with one standard deviation
    it is the gradient of -2 zeta |r| / noise_std^2. So it assumes Laplace noise, whatever the noise
    of the measurement is. |r| is computed for each particle. It takes any operator. Raises
    ValueError unless zeta > 0, and, when it is called, unless ``noise_std`` is one number.
    """

    zeta: int | float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("zeta", self.zeta, "ZetaDPS(prior, likelihood, zeta=1.0)")
        checks.positive("zeta", self.zeta, "ZetaDPS(prior, likelihood, zeta=1.0)")

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """2 zeta / noise_std^2 J' A' r / |r|, with J = dm/dx_t. ``(*batch, d)``."""
        scale = 2 * self.zeta / noise_var(self.likelihood)
        return scale * misfit_direction(self.likelihood, at)

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """-2 zeta |r| / noise_std^2, up to a constant: the log-density that the score belongs to.

        ``(*batch,)``, in nats.
        """
        residual = self.likelihood.residual(self.prior.denoise(x, t))
        length: Tensor = residual.norm(dim=-1)
        return -2 * self.zeta / noise_var(self.likelihood) * length


@dataclass(frozen=True)
class StepDPS(Guidance):
    """A displacement of ``zeta`` J'A'r/|r| in each step: DPS as its published code runs it.

    An integrator multiplies a score by diffusion(t) times the step. So here the displacement is
    divided by both to make a score. It therefore belongs to one ``grid`` of times, ``(T,)``, and
    has no limit of small steps. The published algorithm multiplies the gradient of |r|^2 by zeta /
    |r|, which is twice this displacement (Chung et al., 2023); :meth:`as_in_the_algorithm` takes
    that zeta. Raises ValueError unless zeta > 0 and ``grid`` decreases, and at a t that is not a
    time of the grid before its last.
    """

    zeta: int | float
    grid: Float[Tensor, "T"]

    def __post_init__(self) -> None:
        super().__post_init__()
        call = "StepDPS(prior, likelihood, zeta=1.0, grid=t)"
        checks.number("zeta", self.zeta, call)
        checks.positive("zeta", self.zeta, call)
        checks.falls("grid", self.grid, call)

    @classmethod
    def as_in_the_algorithm(
        cls,
        prior: Diffusion,
        likelihood: Likelihood,
        zeta: int | float,
        grid: Float[Tensor, "T"],
    ) -> "StepDPS":
        """With the zeta of Algorithm 1 of (Chung et al., 2023), twice that of their code."""
        return cls(prior, likelihood, 2 * zeta, grid)

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """zeta J'A'r/|r| over diffusion(t) times the step that begins at t. ``(*batch, d)``."""
        step = (self.grid - t).abs().argmin()
        if step + 1 == len(self.grid) or not torch.isclose(
            self.grid[step], torch.as_tensor(t, device=self.grid.device).to(self.grid)
        ):
            what = "`t` must be a time of the grid, before its last"
            call = "euler_maruyama(StepDPS(prior, likelihood, 1.0, t), schedule, x, t, generator=g)"
            raise ValueError(checks.complaint(what, float(t), call))
        per_score = self.prior.schedule.diffusion(t) * (self.grid[step] - self.grid[step + 1])
        return self.zeta / per_score * misfit_direction(self.likelihood, at)


def misfit_direction(likelihood: Likelihood, at: DenoisingPosterior) -> State:
    """J'A'(r / |r|), minus the gradient in x_t of |y - A(m)|; 0 where r = 0."""
    residual = likelihood.residual(at.mean)
    length = residual.norm(dim=-1, keepdim=True)
    unit = residual / length.where(length > 0, 1.0)
    return at.vjp(operator_vjp(likelihood, at.mean, unit))


def noise_var(likelihood: Likelihood) -> Float[Tensor, ""]:
    """The one variance of the noise; raises UnsupportedLikelihood for any other noise."""
    std = likelihood.noise.std
    if std.ndim:
        what = "a zeta rule needs one `noise_std` for all measurements"
        call = "Likelihood(operator, y, noise_std=0.5)"
        raise UnsupportedLikelihood(checks.complaint(what, f"shape {tuple(std.shape)}", call))
    return std**2
