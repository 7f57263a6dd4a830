"""The weights of a U-Net in a file: numbers only, so that nothing in it can be executed."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from fsps_lite import checks
from fsps_lite.networks.adapters import edm
from fsps_lite.networks.unet import UNet
from fsps_lite.priors import Denoiser
from fsps_lite.saving import check_target, save_bytes

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
    """Write the weights in float16, and what is needed to make the network again.

    The file appears as a whole, under this name. Raises ValueError where float16 is too small for a
    weight, and where there is no such folder.
    """
    call = "networks.save(networks.train(images, (1, 8, 8)), 'mine.npz')"
    checks.kind("trained", trained, Trained, call)
    check_target("path", path, call)
    known = trained.network.state_dict().items()
    weights = {name: w.detach().cpu().half().numpy() for name, w in known}
    large = [name for name, weight in weights.items() if not np.isfinite(weight).all()]
    if large:
        what = "`trained` must have finite weights below 65,504, to be stored in float16"
        raise ValueError(checks.complaint(what, f"others in {large[0]}", call))
    weights["_shape"] = np.array([*trained.network.shape, trained.network.channels])
    weights["_levels"] = np.array([trained.lowest, trained.highest])
    buffer = BytesIO()
    np.savez(buffer, **weights)
    save_bytes(path, buffer.getvalue())


def load(path: str | Path = STORED, *, dtype: torch.dtype = torch.float64) -> Denoiser:
    """A network from a file that :func:`save` wrote, as a prior for clouds of ``dtype``.

    Without a ``path`` it is the one that comes with the library, of the digits. Raises ValueError
    where the file holds no such network, and FileNotFoundError where there is none.
    """
    return read(path).denoiser(dtype)


def read(path: str | Path = STORED) -> Trained:
    """The same, as a :class:`Trained`."""
    checks.kind("path", path, (str, Path), CALL)
    if not Path(path).exists():
        call = "python -m fsps_lite.networks train --out mine.npz, and networks.load('mine.npz')"
        what = "`path` must be a file of weights"
        raise FileNotFoundError(checks.complaint(what, f"{path}, which does not exist", call))
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: torch.tensor(arrays[name], device="cpu") for name in arrays.files}
        channels, height, width, wide = found.pop("_shape").tolist()
        lowest, highest = found.pop("_levels").tolist()
        with torch.device("cpu"):
            network = UNet((channels, height, width), wide)
        network.load_state_dict({name: w.float() for name, w in found.items()})
    except Exception as error:  # of many kinds, where it is another file or damaged
        what = f"{Path(path).name} must hold the weights of a UNet, as networks.save wrote them"
        raise ValueError(checks.complaint(what, str(error).split("\n")[0], CALL)) from None
    return Trained(network.eval().requires_grad_(False), lowest, highest)
