"""A problem: what was measured, and what was known before."""

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood, refuse_batch
from fsps_lite.operators import Linear
from fsps_lite.partition import Partition
from fsps_lite.priors import Empirical, GaussianMixture, Smoothed
from fsps_lite.priors.lattice import lattice
from fsps_lite.priors.quadrature import Joint, line
from fsps_lite.schedules import VP, Schedule
from fsps_lite.types import LogLikelihood, Movable, Where

MOST_MODES = 20  # the most atoms that count as modes
SEEN = 0.05  # noise at which samples are compared, relative to the distance between atoms
MOST_COMPARED = 1000  # the most atoms whose distances are computed
REACH = 8.0  # standard deviations around each mean that the quadrature covers


@runtime_checkable
class Conditioned(Protocol):
    """A prior with a method ``condition``, which applies Bayes' rule."""

    def condition(self, likelihood: Likelihood) -> object: ...


@dataclass(frozen=True)
class Problem:
    """Find x from y = A(x) + noise, when x ~ prior: everything that an inverse problem is.

    ``likelihood`` is a :class:`Likelihood`, or any object with ``log_prob(x)``: Poisson, Laplace, a
    simulator's own. ``moral`` says in one line what the problem teaches. ``partition`` are the
    parts of signal space by which weights are counted; if it is not given, they are the modes. A
    method may use ``diffusion`` and ``likelihood``; ``posterior`` is the truth that the method is
    compared with. Raises TypeError unless each part is of its kind, the prior can be conditioned,
    and prior and y of a Likelihood have one dtype.
    """

    name: str
    prior: Empirical | GaussianMixture | Smoothed
    likelihood: LogLikelihood
    schedule: Schedule = field(default_factory=VP)
    moral: str = ""
    partition: Partition | None = None

    def __post_init__(self) -> None:
        call = "Problem('mine', prior, likelihood)"
        checks.kind("name", self.name, str, call)
        if not isinstance(self.prior, Conditioned) or isinstance(self.prior, type):
            what = "`prior` must be conditioned, for the truth is: an Empirical or GaussianMixture"
            raise TypeError(checks.complaint(what, checks.described(self.prior), call))
        if not isinstance(self.likelihood, LogLikelihood) or isinstance(self.likelihood, type):
            what = "`likelihood` must be a Likelihood, or have a log_prob(x)"
            raise TypeError(checks.complaint(what, checks.described(self.likelihood), call))
        checks.kind("schedule", self.schedule, Schedule, call)
        checks.kind("partition", self.partition, (Partition, type(None)), call)
        if isinstance(self.likelihood, Likelihood):
            refuse_batch(self.likelihood)
            dtype = self.likelihood.y.dtype
            checks.same_dtype("prior", self.prior.dtype, "y", dtype, call)

    @property
    def device(self) -> torch.device:
        """The device of y, or of the prior where the likelihood is of another kind."""
        if isinstance(self.likelihood, Likelihood):
            return self.likelihood.y.device
        prior = self.prior
        return prior.means.device if isinstance(prior, GaussianMixture) else prior.atoms.device

    def to(self, where: Where) -> "Problem":
        """The same problem in another dtype, or on another device.

        Raises TypeError where the likelihood cannot be moved.
        """
        if not isinstance(self.likelihood, Movable):
            what = "`to` moves a problem whose likelihood has a `to(where)` of its own"
            got = checks.described(self.likelihood)
            raise TypeError(checks.complaint(what, got, "Problem('mine', prior, likelihood)"))
        return replace(self, prior=self.prior.to(where), likelihood=self.likelihood.to(where))

    @property
    def diffusion(self) -> Diffusion:
        """The prior at every time: with the likelihood, all that a sampler may know."""
        return Diffusion(self.prior, self.schedule)

    @property
    def posterior(self) -> Diffusion:
        """The exact posterior at every diffusion time.

        It has a closed form, except for a mixture with a nonlinear operator, or with a likelihood
        of another kind; that is integrated by quadrature for d <= 2. For d = 1 the points of the
        quadrature fit the posterior at every t, and the score is right to 1e-6. For d = 2 the score
        is right where sigma(t) is above the spacing of the points; at smaller t the posterior
        consists of those points. It is computed once, and again when torch has written into y or
        another tensor of the problem. Raises ValueError where no posterior is known, or where the
        quadrature takes too many points.
        """
        writes = checks.writes(self)
        if vars(self).get("_writes") != writes:
            vars(self).update(_writes=writes, _posterior=self._conditioned())
        posterior: Diffusion = vars(self)["_posterior"]
        return posterior

    def _conditioned(self) -> Diffusion:
        prior, known = self.prior, self.likelihood
        if isinstance(prior, GaussianMixture):
            if isinstance(known, Likelihood) and isinstance(known.operator, Linear):
                return Diffusion(prior.condition(known), self.schedule)
            prior = self._quadrature(prior)
        return Diffusion(prior.condition(self.likelihood), self.schedule)

    @property
    def modes(self) -> GaussianMixture | None:
        """The modes by which weights are counted, or None.

        They are the components of a mixture, or the atoms if there are at most 20. Equal atoms are
        one mode.
        """
        if isinstance(self.prior, GaussianMixture):
            return self.prior
        if len(self.prior.atoms) > MOST_MODES:
            return None
        atoms, of = self.prior.atoms.unique(dim=0, return_inverse=True)
        if len(atoms) < len(self.prior.atoms):  # equal atoms are one mode
            first = torch.stack([(of == k).nonzero()[0, 0] for k in range(len(atoms))])
            atoms = self.prior.atoms[first.sort().values]
        width = 1e-3 * self.prior.total_variance.sqrt()
        width = width if width > 0 else torch.ones_like(width)  # a single atom: any width will do
        return GaussianMixture.isotropic(atoms, std=width.expand(len(atoms)))

    @property
    def parts(self) -> Partition | None:
        """The parts by which weights are counted: ``partition``, or the modes, or None."""
        if self.partition is not None:
            return self.partition
        modes = self.modes
        return None if modes is None else Partition.of_modes(modes)

    @property
    def resolution(self) -> float:
        """The time at which sigma / alpha is a twentieth of the distance between neighbour atoms.

        The distance is that of an atom to its nearest other one, in the median over at most 1,000
        atoms. It is 0 for a prior without atoms, or with a single one.
        """
        if not isinstance(self.prior, Empirical):
            return 0.0
        atoms = self.prior.atoms[:MOST_COMPARED].double().unique(dim=0)
        apart = torch.cdist(atoms, atoms).fill_diagonal_(torch.inf).amin(-1).median()
        if not bool(apart.isfinite()):
            return 0.0
        return float(self.schedule.time_of(-2 * (SEEN * apart).log()))

    def finite_sample(self, n: int, *, generator: torch.Generator) -> Diffusion:
        """The posterior at every time, if ``n`` samples of the prior stand for the prior."""
        atoms = Empirical.from_samples(self.prior.sample(n, generator=generator))
        return Diffusion(atoms.condition(self.likelihood), self.schedule)

    def _quadrature(self, prior: GaussianMixture) -> Empirical:
        """The mixture as weighted points, which lie close enough together to integrate."""
        if prior.dim > 2:
            what = (
                "a nonlinear operator, or a likelihood of one's own, on a GaussianMixture has an "
                "exact posterior for d <= 2 only"
            )
            call = f"problem.finite_sample(10_000, generator=g), where problem is {self.name!r}"
            raise ValueError(checks.complaint(what, f"d = {prior.dim}", call))
        reach = REACH * prior.covs.diagonal(dim1=-2, dim2=-1).sqrt()
        low, high = (prior.means - reach).amin(0), (prior.means + reach).amax(0)
        if prior.dim == 1:
            return line(prior, float(low), float(high))
        points = lattice(Joint(prior.log_prob, self.likelihood), low, high)
        return Empirical(points, prior.log_prob(points))
