"""Rows in a file that is mapped into memory: written as a whole, and found again by a later call.

Beside the rows, which are nothing but float32 numbers, lies a small file that says what they are.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from uuid import uuid4

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.saving import check_target, save_bytes

Facts = dict[str, object]  # what JSON can hold
CALL = "patches.load(1_000_000, side=16, file='patches.bin')"


@dataclass(frozen=True)
class Mapped:
    """Rows of ``shape`` in the file ``path``, which are those of ``key`` and of no other."""

    path: Path
    shape: tuple[int, int]
    key: str

    def rows(
        self, write: Callable[[Float[Tensor, "N p"]], Facts]
    ) -> tuple[Float[Tensor, "N p"], Facts]:
        """The rows, and what ``write`` said of them when it filled them, now or at an earlier call.

        They are mapped privately: who writes into them changes no file. A call that is interrupted
        leaves nothing under the name of the file. Raises FileExistsError where that holds others.
        """
        check_target("file", self.path, CALL)
        if not self.path.exists():
            self._write(write)
        facts = self._known()
        return self._mapped(self.path, shared=False), facts

    def _write(self, write: Callable[[Float[Tensor, "N p"]], Facts]) -> None:
        part = self.path.with_name(f".{uuid4().hex}.part")
        try:
            facts = write(self._mapped(part, shared=True))
            said = json.dumps({"key": self.key, "shape": self.shape, "facts": facts})
            save_bytes(self._beside, said.encode())  # first: then rows are never without it
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def _known(self) -> Facts:
        """What was said of the rows; raises where the file was not written for this key."""
        try:
            said = json.loads(self._beside.read_bytes())
        except (OSError, ValueError):
            said = {}
        whole = self.path.stat().st_size == 4 * prod(self.shape)
        if not whole or said.get("key") != self.key or said.get("shape") != list(self.shape):
            what = "`file` must not exist yet, or hold what an equal call has written"
            raise FileExistsError(checks.complaint(what, f"{self.path}, another", CALL))
        facts: Facts = said["facts"]
        return facts

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def _mapped(self, path: Path, shared: bool) -> Float[Tensor, "N p"]:
        size = prod(self.shape)
        flat = torch.from_file(
            str(path), shared=shared, size=size, dtype=torch.float32, device="cpu"
        )
        return flat.reshape(self.shape)
