"""The types that every signature uses: a name says the shape, the page *Notation* the meaning.

``State``        ``(*batch, d)``  a point of signal space, or a cloud of them
``Measurement``  ``(*batch, m)``  a point of data space
``LogDensity``   ``(*batch,)``    the log of a probability density, in nats
``Time``         a number or a 0-d tensor in [0, 1]; 0 is data, 1 is noise; one for the whole cloud
``Scale``        the value of ``alpha`` or ``sigma`` at one time
"""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from fsps_lite.denoising import DenoisingPosterior

State = Float[Tensor, "*batch d"]
Measurement = Float[Tensor, "*batch m"]
LogDensity = Float[Tensor, "*batch"]
Time = int | float | Float[Tensor, ""]
Times = int | float | Float[Tensor, "*times"]
Where = torch.dtype | torch.device | str  # what Tensor.to takes: a dtype, or a device
Scale = int | float | Float[Tensor, ""]


@runtime_checkable
class PosteriorScore(Protocol):
    """Anything that is called as ``score(x, t)`` and answers grad log p(x_t = x | y).

    ``x`` and the answer are ``(*batch, d)``. A plain function is one; so is a network in a function
    of two lines.
    """

    def __call__(self, x: State, t: Time) -> State: ...


@runtime_checkable
class LogLikelihood(Protocol):
    """Anything with ``log_prob(x)``: log p(y | x), up to a constant, for each row of ``x``."""

    def log_prob(self, x: State) -> LogDensity: ...


@runtime_checkable
class Simulator(LogLikelihood, Protocol):
    """A likelihood that knows its measurement ``y``, ``(m,)``, and can simulate others.

    ``simulate(x, generator=g)`` draws a measurement for each row of ``x``, ``(*batch, m)``.
    """

    @property
    def y(self) -> Tensor: ...

    def simulate(self, x: State, *, generator: torch.Generator) -> Measurement: ...


@runtime_checkable
class Movable(Protocol):
    """Anything with ``to(where)``: the same in another dtype, or on another device."""

    def to(self, where: Where) -> Any: ...


@runtime_checkable
class Prior(Protocol):
    """What :class:`~fsps_lite.Diffusion` needs to know about a distribution of ``x_0``.

    ``given(x, alpha, sigma)`` answers p(x_0 | x_t = x) for ``x_t = alpha x_0 + sigma eps``. It
    needs the two scales alone, and no schedule.
    """

    @property
    def dim(self) -> int: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def to(self, where: Where) -> "Prior": ...

    def sample(self, n: int, *, generator: torch.Generator) -> State: ...

    def given(self, x: State, alpha: Scale, sigma: Scale) -> "DenoisingPosterior": ...
