"""A training that can stop after any step, by power or by SIGKILL, and go on as if it had not."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from fsps_lite import checks
from fsps_lite.networks.unet import UNet

RATE = 2e-3  # of Adam
CALL = "train(data.images, (1, 8, 8), checkpoint='run.pt'), another file for another training"


@dataclass
class Course:
    """All of the state of a training.

    ``average`` is a moving average of the weights of ``network``, and is what comes out. ``known``
    are the settings: a checkpoint of others is refused.
    """

    network: UNet
    average: UNet
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    known: Mapping[str, object]
    done: int = 0

    @classmethod
    def new(
        cls,
        shape: tuple[int, int, int],
        channels: int,
        seed: int,
        known: Mapping[str, object],
        device: torch.device,
    ) -> "Course":
        """The beginning, drawn by ``seed``; the first weights are the same on all devices."""
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # torch draws by its own
            torch.manual_seed(seed)
            network = UNet(shape, channels)
        network.to(device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
        generator = torch.Generator(device).manual_seed(seed)
        return cls(network, copy.deepcopy(network), optimiser, generator, known)

    def save(self, path: Path) -> None:
        """Write all of it beside ``path``, then move it there: a kill leaves a whole file."""
        part = path.with_name(f".{uuid4().hex}.part")
        try:
            torch.save(self._state, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def resume(self, path: Path) -> None:
        """Go on from ``path``; raises ValueError where it belongs to another training."""
        state = _read(path)
        if state["known"] != self.known:
            known = state["known"].items()
            other = {name: value for name, value in known if value != self.known.get(name)}
            what = f"`checkpoint` {path.name} belongs to another training"
            raise ValueError(checks.complaint(what, f"one with {other}", CALL))
        network, average, optimiser = state["parts"]
        self.network.load_state_dict(network)
        self.average.load_state_dict(average)
        self.optimiser.load_state_dict(optimiser)
        self.generator.set_state(state["generator"])
        self.done = state["done"]

    @property
    def _state(self) -> dict[str, object]:
        parts = [part.state_dict() for part in (self.network, self.average, self.optimiser)]
        generator = self.generator.get_state()
        return {
            "known": dict(self.known),
            "done": self.done,
            "parts": parts,
            "generator": generator,
        }


def _read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; raises ValueError where the file is another, or damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: state[name] for name in ("known", "done", "parts", "generator")}
    except Exception:  # torch has many kinds for a file that is damaged, and advises to trust it
        what = f"`checkpoint` {path.name} must be a file that this training wrote"
        raise ValueError(checks.complaint(what, "another, or a damaged one", CALL)) from None
