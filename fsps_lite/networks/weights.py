"""The weights of a U-Net in a file: numbers only, so that nothing in it can be executed."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from fsps_lite import checks
from fsps_lite.networks.adapters import edm
from fsps_lite.networks.unet import UNet
from fsps_lite.priors import Denoiser

STORED = Path(__file__).parent / "digits.npz"
CALL = "networks.load('digits.npz')"


@dataclass(frozen=True)
class Trained:
    """A U-Net that was trained by :func:`~fsps_lite.networks.train`, and the levels it has seen.

    ``lowest`` and ``highest`` are the noise levels sigma / alpha between which it was trained;
    outside them it is extended as :func:`~fsps_lite.networks.edm` says.
    """

    network: UNet
    lowest: float
    highest: float

    def denoiser(self, dtype: torch.dtype = torch.float64) -> Denoiser:
        """The network as a prior for clouds of this dtype; it computes in float32 itself."""
        levels = (self.lowest, self.highest)
        return edm(self.network, self.network.shape, levels=levels, sigma_data=1.0, dtype=dtype)


def save(trained: Trained, path: str | Path) -> None:
    """Write the weights in float16, and what is needed to make the network again."""
    weights = {name: w.detach().half().numpy() for name, w in trained.network.state_dict().items()}
    shape = np.array([*trained.network.shape, trained.network.channels])
    np.savez(path, **weights, _shape=shape, _levels=np.array([trained.lowest, trained.highest]))


def load(path: str | Path = STORED) -> Denoiser:
    """A network from a file that :func:`save` wrote, as a prior in float64.

    Without a ``path`` it is the one that comes with the library, of the digits. Raises ValueError
    where the file holds no such network.
    """
    return read(path).denoiser()


def read(path: str | Path = STORED) -> Trained:
    """The same, as a :class:`Trained`."""
    checks.kind("path", path, (str, Path), CALL)
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: torch.tensor(arrays[name]) for name in arrays.files}
        channels, height, width, wide = found.pop("_shape").tolist()
        lowest, highest = found.pop("_levels").tolist()
        network = UNet((channels, height, width), wide)
        network.load_state_dict({name: w.float() for name, w in found.items()})
    except (KeyError, ValueError, RuntimeError, EOFError, OSError, BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise
        what = f"{Path(path).name} must hold the weights of a UNet, as networks.save wrote them"
        raise ValueError(checks.complaint(what, str(error).split("\n")[0], CALL)) from None
    return Trained(network.eval().requires_grad_(False), lowest, highest)
