"""A problem: what was measured, and what was known before."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.priors.lattice import lattice
from fsps_lite.priors.quadrature import Joint, line
from fsps_lite.schedules import VP, Schedule
from fsps_lite.types import Where

MOST_MODES = 20  # atoms that are counted one by one
REACH = 8.0  # how many standard deviations around each mean the quadrature covers


@dataclass(frozen=True)
class Problem:
    """Find x from y = A(x) + noise, when x ~ prior: everything that an inverse problem is.

    ``moral`` says in one line what it teaches. A method may see ``diffusion`` and ``likelihood``;
    ``posterior`` is the truth that it is measured against.
    """

    name: str
    prior: Empirical | GaussianMixture
    likelihood: Likelihood
    schedule: Schedule = field(default_factory=VP)
    moral: str = ""

    @property
    def device(self) -> torch.device:
        """Where prior and measurement live."""
        return self.likelihood.y.device

    def to(self, where: Where) -> "Problem":
        """The same problem in another dtype, or on another device."""
        return replace(self, prior=self.prior.to(where), likelihood=self.likelihood.to(where))

    @property
    def diffusion(self) -> Diffusion:
        """The prior at every diffusion time: all that a sampler may know, beside the likelihood."""
        return Diffusion(self.prior, self.schedule)

    @cached_property
    def posterior(self) -> Diffusion:
        """The exact posterior at every diffusion time.

        Closed form where there is one; for a nonlinear operator on a mixture, quadrature (d <= 2).
        For d = 1 its points fit the posterior at every t, and the score is right to 1e-6. For d = 2
        it is, where sigma(t) is above the spacing of the points; below it the posterior is those
        points. Raises ValueError where no posterior is known, or takes too many points.
        """
        prior, nonlinear = self.prior, not isinstance(self.likelihood.operator, Linear)
        if nonlinear and isinstance(prior, GaussianMixture):
            prior = self._quadrature(prior)
        return Diffusion(prior.condition(self.likelihood), self.schedule)

    @property
    def modes(self) -> GaussianMixture | None:
        """The prior's components, to count weights by; a few atoms count as modes, many do not."""
        if isinstance(self.prior, GaussianMixture):
            return self.prior
        if len(self.prior.atoms) > MOST_MODES:
            return None
        width = 1e-3 * self.prior.total_variance.sqrt()
        return GaussianMixture.isotropic(self.prior.atoms, std=width.expand(len(self.prior.atoms)))

    def finite_sample(self, n: int, *, generator: torch.Generator) -> Diffusion:
        """The posterior at every diffusion time when ``n`` samples stand for the prior."""
        atoms = Empirical.from_samples(self.prior.sample(n, generator=generator))
        return Diffusion(atoms.condition(self.likelihood), self.schedule)

    def _quadrature(self, prior: GaussianMixture) -> Empirical:
        """The mixture as points with weights, close enough together to be integrated over."""
        if prior.dim > 2:
            what = (
                "a nonlinear operator on a GaussianMixture has an exact posterior for d <= 2 only"
            )
            call = f"problem.finite_sample(10_000, generator=g), where problem is {self.name!r}"
            raise ValueError(checks.complaint(what, f"d = {prior.dim}", call))
        reach = REACH * prior.covs.diagonal(dim1=-2, dim2=-1).sqrt()
        low, high = (prior.means - reach).amin(0), (prior.means + reach).amax(0)
        if prior.dim == 1:
            return line(prior, float(low), float(high))
        points = lattice(Joint(prior.log_prob, self.likelihood), low, high)
        return Empirical(points, prior.log_prob(points))
