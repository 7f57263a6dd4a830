"""A density on the line as points with weights, so that sums are integrals, at every sigma."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import sub

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.engine import attention
from fsps_lite.engine.atoms import AtomPosterior
from fsps_lite.engine.attention import Attended, attend
from fsps_lite.engine.chebyshev import FIT, PLACES, nodes, summed
from fsps_lite.engine.near import NearPosterior
from fsps_lite.likelihood import Likelihood
from fsps_lite.priors.empirical import Empirical
from fsps_lite.priors.gaussian_mixture import GaussianMixture
from fsps_lite.priors.panels import NODES, ORDER, WEIGHTS, Panels
from fsps_lite.types import LogDensity, LogLikelihood, Scale, State

PIECES = 4  # to begin with, at most
ACCURACY = 1e-9  # what its two highest coefficients may be, over the largest score

SEEN = 7.5  # a panel of that many sigma / alpha holds the kernel to 1e-6; a wider one is cut
REACH, CUTS = 14.0, 14  # how far around x_t it is cut, in sigma / alpha, and into how many pieces
BORDERS = 12  # of panels, at most, within that reach
LEAST = 1e-9  # the smallest sigma of a score, as a share of the line
NATS = 40.0  # the panels that are skipped have a share below e^-40, together
PIECES_APART = 64  # of more pieces, one sum over all nodes is as fast


@dataclass(frozen=True)
class Line(Empirical):
    """Thousands of atoms that stand for a density on the line, and denoise a large cloud fast.

    The score of such a density is smooth, so it is computed at few places and interpolated. Where
    sigma is small against the panels, they are cut finer around each x_t.
    """

    panels: Panels

    @classmethod
    def of(cls, panels: Panels, like: Tensor) -> "Line":
        """The nodes of ``panels`` as atoms, in the dtype and on the device of ``like``."""
        return cls(panels.nodes.to(like), panels.log_weights.to(like), panels)

    def condition(self, likelihood: LogLikelihood) -> Empirical:
        """Bayes, with panels that fit the posterior.

        A likelihood of one's own weighs the atoms instead, where it is 0 somewhere or on another
        device: then there is no polynomial to fit, or no density to ask on the CPU.
        """
        log_p = self.log_likelihood(likelihood)
        if isinstance(likelihood, Likelihood):
            likelihood = likelihood.to(torch.float64).to("cpu")
        elif not bool(log_p.isfinite().all()) or self.atoms.device.type != "cpu":
            return Empirical(self.atoms, self.log_weights + log_p)
        joint = Joint(self.panels.log_density, likelihood)
        return Line.of(Panels.of(joint, *self.panels.ends), self.atoms)

    def _given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        if alpha * self.panels.widest > SEEN * sigma > 0:
            return NearLine(x, alpha, sigma, self.panels)
        known = self._exact._centred, self._exact.log_weights
        return LinePosterior(x, alpha, sigma, *known, self.panels)

    @cached_property
    def _exact(self) -> Empirical:
        """In float64 as they were computed, and not as they were rounded."""
        atoms, log_weights = self.panels.nodes, self.panels.log_weights
        device = self.atoms.device
        return Empirical(atoms.to(device), log_weights.to(device))


@dataclass(frozen=True)
class Joint:
    """log p(x) + log p(y | x)."""

    log_density: Callable[[State], LogDensity]
    likelihood: LogLikelihood

    def __call__(self, x: State) -> LogDensity:
        return self.log_density(x) + self.likelihood.log_prob(x)


@dataclass(frozen=True, eq=False)
class SeenPosterior(AtomPosterior):
    """As of any atoms, but that points look at those panels alone that can matter to them."""

    panels: Panels

    def _over_all(self) -> Attended:
        """Of the nodes that can matter: all others have a share of e^-40 at most."""
        (queries, bias), keys = self._question, self._keys
        plain = isinstance(keys, Tensor) and attention.plain(queries, keys, bias)
        if not plain or not len(queries) or not bool(queries.isfinite().all()):
            return super()._over_all()
        parts = [
            attend(queries[rows], keys[nodes], keys[nodes], bias[nodes])
            for rows, nodes in self._groups
        ]
        return Attended(torch.cat([p.mean for p in parts]), torch.cat([p.log_sum for p in parts]))

    @property
    def _groups(self) -> list[tuple[slice, slice]]:
        """Rows, and the nodes that they look at: each piece those of its own, where that pays."""
        x = self._x.flatten()
        some = x.reshape(-1, PLACES) if len(x) % PLACES == 0 else x[None]
        first, last = self._seen(*some.aminmax(dim=-1))
        whole = slice(min(first), max(last))
        if len(some) > PIECES_APART or 2 * max(map(sub, last, first)) > whole.stop - whole.start:
            return [(slice(None), whole)]
        rows = attention.slices(len(x), some.shape[-1])
        return list(zip(rows, map(slice, first, last), strict=True))

    def _seen(self, low: Float[Tensor, "g"], high: Float[Tensor, "g"]) -> tuple[list[int], ...]:
        """The first node that can matter to a point from ``low`` to ``high``, and the last.

        A panel of mass M counts at most M exp(-near^2 / (2 sigma^2)) and at least that of far,
        where near and far are the least and the largest distance of a point and a node of it.
        """
        panels, alpha, low, high = self.panels, float(self.alpha), low[:, None], high[:, None]
        left, right = alpha * panels.left, alpha * (panels.left + panels.width)
        near = torch.maximum(left - high, low - right).clamp_(min=0.0)
        far = torch.maximum(right - low, high - left)
        rate = -0.5 / float(self.sigma) ** 2
        least = (panels.log_masses + rate * far.square_()).amax(-1, keepdim=True)
        most = panels.log_masses + rate * near.square_()
        counted = torch.arange(1, len(left) + 1, device=left.device)
        place = (most > least - NATS - math.log(len(left))).int() * counted
        last = ORDER * place.amax(-1)
        place[place == 0] = len(left)
        return (ORDER * (place.amin(-1) - 1)).tolist(), last.tolist()


@dataclass(frozen=True, eq=False)
class LinePosterior(SeenPosterior):
    """As above, but that the mean of a large cloud is interpolated."""

    @cached_property
    def _mean(self) -> State:
        """E[x_0 | x_t = x]; for a large cloud the score is right to 1e-7 of its largest value."""
        x, alpha, sigma = self._x, self.alpha, self.sigma

        def score(places: Tensor) -> Tensor:
            known = places[:, None], alpha, sigma, self.centred, self.log_weights
            return SeenPosterior(*known, self.panels).score[:, 0]

        flat = x.flatten()
        if len(flat) <= 2 * PLACES * PIECES or not bool(flat.isfinite().all()):
            return super()._mean
        low, high = flat.aminmax()
        pieces = min(PIECES, 1 + int((high - low) / (8 * sigma)))
        slope = interpolated(score, flat, pieces).reshape(x.shape)
        return (x + sigma**2 * slope) / alpha


@dataclass(frozen=True, eq=False)
class NearLine(NearPosterior):
    """The density itself around each x_t, and the nodes of all panels that are narrow already."""

    panels: Panels

    @property
    def _score(self) -> State:
        low, high = self.panels.ends
        if self.sigma < LEAST * (high - low):
            what = "a density's rounding over sigma is no score: `sigma` must be larger"
            call = f"diffusion.score(x, t), where sigma(t) is {LEAST * (high - low):.1g} or more"
            raise ValueError(checks.complaint(what, float(self.sigma), call))
        return super()._score

    def _near(self, x: Float[Tensor, "r 1"]) -> tuple[Tensor, Tensor]:
        (borders, wide), (atoms, log_weights) = self._parted
        place = x.to(borders)
        z, log_lengths = self._cut(place, borders, wide)
        clean = (place + self.sigma * z) / self.alpha
        log_p = self.panels.log_density(clean.reshape(-1, 1)).reshape(z.shape)
        away = (self.alpha * atoms - place) / self.sigma
        z, logits = (
            torch.cat([z, away], -1),
            torch.cat([log_p + log_lengths, log_weights.expand_as(away)], -1),
        )
        return z.unsqueeze(-1).to(x), (logits - self.panels.log_mass - 0.5 * z.square()).to(x)

    def _cut(self, place: Tensor, borders: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes z around each x_t, and the log of the length, in x_0, that each stands for.

        It is -inf in panels that are not wide, which have their own nodes.
        """
        start = torch.searchsorted(borders, (place - REACH * self.sigma) / self.alpha)
        index = (start + torch.arange(BORDERS, device=borders.device)).clamp(max=len(borders) - 1)
        ends = ((self.alpha * borders[index] - place) / self.sigma).clamp(-REACH, REACH)
        even = torch.linspace(
            -REACH, REACH, CUTS + 1, dtype=place.dtype, device=place.device
        ).expand(len(place), -1)
        edges = torch.cat([even, ends], -1).sort(-1).values
        middle = (place + self.sigma * (edges[:, 1:] + edges[:, :-1]) / 2) / self.alpha
        width = edges.diff() * wide[torch.searchsorted(borders, middle)]
        z = edges[:, :-1, None] + edges.diff()[..., None] * (NODES + 1) / 2
        lengths = (self.sigma / self.alpha) * width[..., None] / 2 * WEIGHTS
        return z.flatten(-2), lengths.log().flatten(-2)

    @cached_property
    def _parted(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Borders of wide panels, and whether what ends at each is wide; nodes of all others.

        Beyond the ends the line goes on as one wide panel.
        """
        left, width = self.panels.left, self.panels.width
        wide = self.alpha * width > SEEN * self.sigma
        side = torch.nn.functional.pad(wide, (1, 1), value=True)
        borders = torch.cat([left, (left + width)[-1:]])
        kept = side[1:] | side[:-1]
        narrow = ~wide.repeat_interleave(ORDER)
        known = self.panels.nodes[narrow, 0], self.panels.log_weights[narrow]
        return (borders[kept], torch.cat([side[:-1][kept], side[-1:]])), known

    @property
    def _rows(self) -> list[slice]:
        nodes = ORDER * (CUTS + BORDERS) + len(self._parted[1][0])
        return attention.blocks(len(self._flat), nodes)


def interpolated(fn: Callable[[Tensor], Tensor], x: Tensor, pieces: int) -> Tensor:
    """``fn(x)`` by a polynomial on each of ``pieces`` intervals, halved until it is one.

    Where few of the points ``x`` are left, ``fn`` itself is called.
    """
    low, high = x.aminmax()
    place = (x - low) / (high - low) * pieces
    used, k = _pieces(place, pieces)
    if not len(x) > 2 * PLACES * len(used):
        return fn(x)
    half = (high - low) / pieces / 2
    values = fn(nodes(low + (2 * used + 1) * half, half).flatten()).reshape(-1, PLACES)
    coefficients = values @ FIT.to(x.device).mT
    y = summed(coefficients, k, 2 * (place - used[k]) - 1)
    rough = coefficients[:, -2:].abs().amax(-1) > ACCURACY * values.abs().max()
    if bool(rough.any()):
        rest = rough[k]
        y[rest] = interpolated(fn, x[rest], 2 * pieces)
    return y


def _pieces(place: Float[Tensor, "n"], pieces: int) -> tuple[Tensor, Tensor]:
    """The pieces that hold a point, and for each point which of them does."""
    if pieces == 1:
        return place.new_zeros(1), torch.zeros_like(place, dtype=torch.long)
    used, k = place.floor().clamp(max=pieces - 1).unique(return_inverse=True)
    return used, k


def line(prior: GaussianMixture, low: float, high: float) -> Line:
    """The prior as atoms; conditioned on a Likelihood, they stand closer where that bends."""
    exact = prior.to(torch.float64).to("cpu")
    return Line.of(Panels.of(exact.log_prob, low, high), prior.means)
