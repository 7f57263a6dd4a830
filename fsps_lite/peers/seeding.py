"""The noise of a package that draws from torch's global generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Within it, torch's global noise follows from ``generator``; after it, all is as before."""
    device = generator.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed = torch.randint(2**62, (), generator=generator, device=device)
        torch.manual_seed(int(seed))
        yield
