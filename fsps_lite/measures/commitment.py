"""Which mode each particle goes to, and from when on it stays there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.partition import Partition, partition_of
from fsps_lite.priors import GaussianMixture
from fsps_lite.samplers.trajectory import Trajectory

MOST = 0.9  # the share of settled particles at the commitment time


@dataclass(frozen=True)
class ModeHistory:
    """Weights of the modes over time, counted by the modes of the denoised particles.

    Any parts may take the place of modes. ``weights`` and ``errors`` are ``(T, K)``. ``settled``,
    ``(T,)``, is the share of the ``n`` particles that are in their final mode at this time and stay
    there until the end.
    """

    t: Float[Tensor, "T"]
    weights: Float[Tensor, "T K"]
    errors: Float[Tensor, "T K"]
    settled: Float[Tensor, "T"]
    n: int

    @property
    def commitment(self) -> float:
        """The time at which, coming from noise, 90 % of the particles have settled."""
        return self._crossing(MOST)

    @property
    def commitment_error(self) -> float:
        """Half the time between two crossings, those of 90 % minus and plus its standard error.

        The standard error is the binomial one of ``n`` particles.
        """
        error = (MOST * (1 - MOST) / self.n) ** 0.5
        return (self._crossing(MOST - error) - self._crossing(MOST + error)) / 2

    def _crossing(self, share: float) -> float:
        """The time at which ``settled``, which never falls, reaches ``share``, by interpolation."""
        share = min(share, 1.0)
        i = int((self.settled < share).sum())
        if i == 0:
            return float(self.t[0])
        low, high = self.settled[i - 1], self.settled[i]
        return float(torch.lerp(self.t[i - 1], self.t[i], (share - low) / (high - low)))


def mode_history(
    trajectory: Trajectory, denoiser: Diffusion, modes: GaussianMixture | Partition
) -> ModeHistory:
    """Assign E[x_0 | x_t] of each particle to the component most responsible for it, at each time.

    ``modes`` may be any :class:`~fsps_lite.Partition`, which then says where a particle belongs.
    ``denoiser`` is the prior at every time, or the exact posterior, whose E[x_0 | x_t, y] uses y.
    Raises TypeError unless each argument is of its kind.
    """
    call = "mode_history(Trajectory(t, x.expand(len(t), *x.shape)), diffusion, modes)"
    checks.kind("trajectory", trajectory, Trajectory, call)
    checks.kind("denoiser", denoiser, Diffusion, call)
    checks.kind("modes", modes, (GaussianMixture, Partition), call)
    parts = partition_of(modes)
    means = [denoiser.denoise(x, t) for t, x in zip(trajectory.t, trajectory.x, strict=True)]
    member = torch.stack([parts.members(m) for m in means])
    weights, errors = zip(*(parts.counted(k, means[0].dtype) for k in member), strict=True)
    stays = (member == member[-1]).flip(0).cummin(0).values.flip(0)  # from here to the end
    settled = stays.double().mean(1)
    return ModeHistory(
        trajectory.t, torch.stack(weights), torch.stack(errors), settled, member.shape[1]
    )
