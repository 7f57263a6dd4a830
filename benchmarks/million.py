"""A score of a million atoms of 256 numbers that lie in a file: the memory it takes, and the time.

``python -m benchmarks.million`` prints both as JSON: a process of its own, so that its peak is its
own; ``DENSE`` as an argument plants no tree.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

import fsps_lite as fl
from benchmarks.worker import time_at
from fsps_lite.engine import pruned

N, D, B = 10**6, 256, 256
RATIO = 0.03


def million() -> tuple[str, str, str, bool]:
    """What was asked, what was measured, and whether it was met."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atoms.bin"
        written(path)
        found = [asked(path, whole) for whole in (False, True)]
    ratio = found[1]["seconds"] / found[0]["seconds"]
    measured = (
        f"{found[0]['gigabytes']:.2f} GB, {ratio:.1f} times (dense {found[1]['gigabytes']:.2f})"
    )
    what, asked_for = "N = 1e6, d = 256, B = 256: anonymous memory", "<= 1.2 GB, >= 2.5 times"
    return what, asked_for, measured, found[0]["gigabytes"] <= 1.2 and ratio >= 2.5


def written(path: Path) -> None:
    """Atoms about a thousand places, as those of a real set cluster."""
    g = torch.Generator().manual_seed(0)
    places = torch.randn(1000, D, generator=g)
    with path.open("wb") as file:
        for _ in range(100):
            some = places[torch.randint(1000, (N // 100,), generator=g)]
            file.write((some + 0.3 * torch.randn(N // 100, D, generator=g)).numpy().tobytes())


def asked(path: Path, dense: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.million", str(path), *(["DENSE"] if dense else [])]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def anonymous() -> int:
    """Kilobytes of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def measure(path: str, dense: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    pruned.FEWEST = 10**12 if dense else pruned.FEWEST
    atoms = torch.from_file(path, shared=True, size=N * D).reshape(N, D)
    known = fl.Diffusion(fl.Empirical.from_samples(atoms), fl.VP())
    t, g = time_at(RATIO), torch.Generator().manual_seed(1)
    x = known.sample(B, t, generator=g)
    before, most, done = anonymous(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    known.score(x, t)
    times = []
    for i in range(1, 4):
        start = time.process_time()
        known.score(x * (1 + i * 2**-20), t)
        times.append(time.process_time() - start)
    done.set()
    watcher.join()
    return {"gigabytes": (most[0] - before) * 1.024e-6, "seconds": sorted(times)[1]}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], "DENSE" in sys.argv)))
