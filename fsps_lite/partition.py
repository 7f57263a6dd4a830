"""Named parts of signal space, and the share of a cloud in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.priors import Empirical, GaussianMixture
from fsps_lite.types import Prior, State

CALL = "Partition(('left', 'right'), lambda x: (x[:, 0] > 0).long())"
ROWS = 2048  # points whose nearest atom is looked for at a time


@dataclass(frozen=True)
class Partition:
    """Parts of signal space with names: what a report counts instead of single particles.

    ``of(x)`` takes a cloud ``(n, d)`` and answers the index of the part of each row, ``(n,)``
    integers from 0 to K - 1, or -1 for a row that lies in no part. ``noun`` is what a part is
    called: mode, digit, class. Raises ValueError or TypeError unless there is a name for each part,
    each once, and ``of`` is a function.
    """

    names: tuple[str, ...]
    of: Callable[[State], Tensor]
    noun: str = "part"

    def __post_init__(self) -> None:
        checks.kind("names", self.names, (tuple, list), CALL)
        object.__setattr__(self, "names", tuple(self.names))
        named = all(isinstance(name, str) and name for name in self.names)
        if not (named and self.names and len(set(self.names)) == len(self.names)):
            what = "`names` must hold a name for each part, each once"
            raise ValueError(checks.complaint(what, self.names, CALL))
        checks.function("of", self.of, CALL)
        checks.kind("noun", self.noun, str, CALL)

    @classmethod
    def of_modes(cls, modes: GaussianMixture) -> "Partition":
        """The components of a mixture: a point belongs to the one most responsible for it."""
        checks.kind("modes", modes, GaussianMixture, "Partition.of_modes(modes)")
        names = tuple(str(k) for k in range(1, len(modes.means) + 1))
        return cls(names, Responsible(modes), noun="mode")

    @classmethod
    def of_labels(
        cls,
        atoms: Float[Tensor, "N d"],
        labels: Int[Tensor, "N"],
        *,
        names: Sequence[str],
        noun: str = "label",
    ) -> "Partition":
        """The labels of a data set: a point belongs to the label of its nearest atom.

        ``labels`` are integers from 0, one for each row of ``atoms``, and index ``names``. The
        nearest atom is the most probable one in the limit of no noise, if all atoms weigh the same.
        So each atom belongs to its own label, the answer depends on no time, and the true weight of
        a label is the posterior weight of its atoms. Raises ValueError or TypeError where the three
        do not fit.
        """
        call = "Partition.of_labels(atoms, labels, names=[str(k) for k in range(10)])"
        checks.floating("atoms", atoms, call)
        checks.shape("atoms", atoms, ("N", "d"), call)
        checks.finite("atoms", atoms, call)
        checks.kind("labels", labels, Tensor, call)
        checks.shape("labels", labels, (len(atoms),), call)
        _check_members("labels", labels, len(names), call, least=0)
        return cls(tuple(names), Nearest(atoms, labels), noun=noun)

    @classmethod
    def of_components(
        cls,
        modes: GaussianMixture,
        labels: Int[Tensor, "K"],
        *,
        names: Sequence[str],
        noun: str = "label",
    ) -> "Partition":
        """The labels of the components of a mixture: a point belongs to the most responsible one.

        ``labels`` are integers from 0, one for each component, and index ``names``; the components
        of a label are responsible together. Raises ValueError or TypeError where they do not fit.
        """
        call = "Partition.of_components(prior, torch.arange(20) // 2, names=list('0123456789'))"
        checks.kind("modes", modes, GaussianMixture, call)
        checks.kind("labels", labels, Tensor, call)
        checks.shape("labels", labels, (len(modes.means),), call)
        _check_members("labels", labels, len(names), call, least=0)
        return cls(tuple(names), Responsible(modes, labels.long()), noun=noun)

    def members(self, x: Float[Tensor, "n d"]) -> Tensor:
        """``of(x)``, ``(n,)``; raises where it is not one index or -1 for each row of the cloud."""
        checks.floating("x", x, CALL)
        checks.shape("x", x, ("n", "d"), CALL)
        found = self.of(x)
        checks.kind("of(x)", found, Tensor, CALL)
        checks.shape("of(x)", found, (len(x),), CALL)
        _check_members("of(x)", found, len(self.names), CALL, least=-1)
        return found.long()

    def shares(self, x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "K"], Float[Tensor, "K"]]:
        """The share of the cloud in each part, with its binomial standard error. Each ``(K,)``.

        A point in no part counts nowhere; the shares then sum to less than 1.
        """
        return self.counted(self.members(x), x.dtype)

    def counted(
        self, members: Int[Tensor, "n"], dtype: torch.dtype
    ) -> tuple[Float[Tensor, "K"], Float[Tensor, "K"]]:
        """The same, for points of which it is known where they belong."""
        found = members[members >= 0]
        share = torch.bincount(found, minlength=len(self.names)).to(dtype) / len(members)
        return share, (share * (1 - share) / len(members)).sqrt()

    def weights(self, prior: Prior) -> Float[Tensor, "K"] | None:
        """The weight of each part under ``prior``, ``(K,)``, without sampling.

        None where the prior has no points to count. A posterior is a prior too.
        """
        if not isinstance(prior, Empirical):
            return None
        k = self.members(prior.atoms)
        inside = k >= 0
        empty = prior.weights.new_zeros(len(self.names))
        return empty.index_add(0, k[inside], prior.weights[inside])


@dataclass(frozen=True)
class Responsible:
    """To which component of a mixture each point belongs; -1 where none is responsible.

    With ``labels``, one for each component, to which label.
    """

    modes: GaussianMixture
    labels: Int[Tensor, "K"] | None = None

    def __call__(self, x: State) -> Tensor:
        shares = self.modes.responsibilities(x)
        if self.labels is not None:
            count = int(self.labels.max()) + 1
            together = shares.new_zeros(*shares.shape[:-1], count)
            shares = together.index_add(-1, self.labels.to(shares.device), shares)
        return shares.argmax(-1).where(shares.isfinite().all(-1), -1)


@dataclass(frozen=True)
class Nearest:
    """The label of the atom that is nearest to each point; -1 for a point that is not finite."""

    atoms: Float[Tensor, "N d"]
    labels: Int[Tensor, "N"]

    def __call__(self, x: State) -> Tensor:
        centre = self.atoms.mean(0)
        atoms = self.atoms - centre
        half = atoms.square().sum(-1) / 2
        rows = (x.to(atoms) - centre).split(ROWS)
        # |x - a|^2 / 2, but for the part that is the same for every atom
        nearest = torch.cat([(half - part @ atoms.mT).argmin(-1) for part in rows])
        found = self.labels.to(nearest.device)[nearest].to(x.device)
        return found.where(x.isfinite().all(-1), -1)


def partition_of(modes: GaussianMixture | Partition) -> Partition:
    """A partition as it is; the components of a mixture as one."""
    checks.kind("modes", modes, (GaussianMixture, Partition), "Partition.of_modes(modes)")
    return modes if isinstance(modes, Partition) else Partition.of_modes(modes)


def mode_weights(
    x: Float[Tensor, "n d"], modes: GaussianMixture
) -> tuple[Float[Tensor, "K"], Float[Tensor, "K"]]:
    """The share of the cloud in each mode, with its binomial standard error. Each ``(K,)``.

    ``x`` is ``(n, d)``. Each point belongs to the component of ``modes`` with the largest
    responsibility for it. A point that is NaN, or too far away to have responsibilities, belongs to
    none; the shares then sum to less than 1. :class:`Partition` does the same for any parts. Raises
    ValueError or TypeError where ``x`` and ``modes`` differ in dimension or dtype.
    """
    checks.kind("modes", modes, GaussianMixture, "mode_weights(x, modes)")
    call = f"mode_weights(torch.zeros(1000, {modes.dim}, dtype={modes.dtype}), modes)"
    checks.state("x", x, modes.dim, modes.dtype, call)
    checks.shape("x", x, ("n", modes.dim), call)
    return Partition.of_modes(modes).shares(x)


def _check_members(name: str, k: Tensor, parts: int, call: str, *, least: int) -> None:
    """Raise unless ``k`` holds whole numbers from ``least`` to the number of parts - 1."""
    if k.is_floating_point() or k.is_complex() or k.dtype == torch.bool:
        raise TypeError(checks.complaint(f"`{name}` must be whole numbers", k.dtype, call))
    if len(k) and not least <= int(k.min()) <= int(k.max()) < parts:
        what = f"`{name}` must lie between {least} and {parts - 1}, for {parts} names"
        got = f"{int(k.min())} to {int(k.max())}"
        raise ValueError(checks.complaint(what, got, call))
