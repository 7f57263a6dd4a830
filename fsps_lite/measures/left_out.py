"""Whether a prior of atoms knows an atom that it does not hold: one is left out at a time."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors import Empirical

CALL = "leave_one_out(problem.prior, problem.likelihood, generator=g)"
CELLS = 2**23  # weights at a time, one for each pair of a measurement and an atom


@dataclass(frozen=True)
class LeftOut:
    """How often the posterior of all other atoms covers an atom.

    ``coverage``, ``(M,)``, is the share of the d coordinates of each atom that its intervals cover,
    at the nominal ``level``. ``own``, ``(M,)``, is the same for an atom drawn from that posterior
    itself, which is what a right prior would have. ``effective_size``, ``(M,)``, is that of the
    posterior.
    """

    level: float
    coverage: Float[Tensor, "M"]
    own: Float[Tensor, "M"]
    effective_size: Float[Tensor, "M"]

    @property
    def estimate(self) -> Estimate:
        """The coverage, with its error over atoms."""
        return Estimate.of(self.coverage)

    @property
    def expected(self) -> Estimate:
        """The coverage of the posterior's own draws."""
        return Estimate.of(self.own)


def leave_one_out(
    prior: Empirical,
    likelihood: Likelihood,
    *,
    level: float = 0.9,
    most: int | None = None,
    generator: torch.Generator,
) -> LeftOut:
    """Measure each atom, and ask whether the posterior of all the others covers it.

    It takes no held-out data: atom i gives a measurement y_i by ``likelihood.simulate``, and the
    other atoms, weighted by their weights times p(y_i | atom), central intervals of each coordinate
    with the probability ``level``. An atom is as good as a draw of what the atoms are a sample of.
    So the coverage falls short of ``level`` as far as the atoms fall short of that distribution. A
    coordinate is covered if its rank, with ties broken at random, is. ``most`` limits the number of
    atoms that are left out, which are then drawn. Raises TypeError or ValueError unless the prior
    has three atoms or more and each part is of its kind.
    """
    _check(prior, likelihood, level)
    checks.generator(generator, CALL)
    n = len(prior.atoms)
    left = torch.randperm(n, generator=generator, device=generator.device)[: most or n]
    left = left.to(prior.atoms.device)
    y = likelihood.simulate(prior.atoms[left], generator=generator)
    predicted = likelihood.operator(prior.atoms)
    size = max(1, CELLS // n)
    parts = [
        _covered(prior, w, rows, level, generator)
        for rows, ys in zip(left.split(size), y.split(size), strict=True)
        for w in [_weights(prior, likelihood, predicted, rows, ys)]
    ]
    return LeftOut(level, *(torch.cat(column) for column in zip(*parts, strict=True)))


def _weights(
    prior: Empirical, likelihood: Likelihood, predicted: Tensor, left: Tensor, y: Tensor
) -> Float[Tensor, "B N"]:
    """The weights of all atoms given each y, without the atom that was left out."""
    logs = likelihood.noise.log_prob(y[:, None] - predicted).double() + prior.log_weights.double()
    logs.scatter_(1, left[:, None], -math.inf)
    return logs.softmax(1)


def _covered(
    prior: Empirical,
    w: Float[Tensor, "B N"],
    left: Tensor,
    level: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """The share of coordinates covered, of the atoms left out and of draws, and the sizes."""
    drawn = w.multinomial(1, generator=generator)[:, 0]
    shape = 2, len(left), prior.dim
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    edge, inside = (1 - level) / 2, []
    for atoms, ties in zip((prior.atoms[left], prior.atoms[drawn]), u.to(w.device), strict=True):
        ranks = torch.stack(
            [_rank(w, prior.atoms[:, k], atoms[:, k], ties[:, k]) for k in range(prior.dim)],
            1,
        )
        inside.append(((ranks >= edge) & (ranks <= 1 - edge)).double().mean(1))
    return inside[0], inside[1], 1 / w.square().sum(1)


def _rank(w: Float[Tensor, "B N"], values: Tensor, of: Tensor, ties: Tensor) -> Tensor:
    """P(X < x) + u P(X = x) under the weights of each row. ``(B,)``."""
    below = (w * (values < of[:, None])).sum(1)
    return below + ties * (w * (values == of[:, None])).sum(1)


def _check(prior: object, likelihood: object, level: object) -> None:
    checks.kind("prior", prior, Empirical, CALL)
    checks.kind("likelihood", likelihood, Likelihood, CALL)
    checks.number("level", level, CALL, least=0.0, most=1.0)
    assert isinstance(prior, Empirical)
    checks.count("len(prior.atoms)", len(prior.atoms), CALL, least=3)
