"""One cell of the table: a score, a size, a dtype, and what is measured of it."""

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count, cycle, repeat
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.textbook import Textbook
from fsps_lite import DPS, TMPD, VP, Empirical, Likelihood, Linear, PiGDM, Problem

METHODS = {"score": None, "DPS": DPS, "PiGDM": PiGDM, "TMPD": TMPD}
NOISE_STD = 0.5
SECONDS = 2.0  # of each of the two, a cell; more where one call takes longer
BLOCK = 0.03  # seconds of calls in a row, of each of the two in turn
MOST = 7  # rounds
ROOM = 8e9  # bytes that the textbook may take


@dataclass(frozen=True)
class Case:
    method: str
    d: int
    n: int
    batch: int
    dtype: str = "float32"
    t: float = 0.8
    patience: float = 0.375  # the seconds that one call of the textbook may take, by a guess

    def measure(self) -> dict:
        """Times in ms (medians), the engine's share of the GEMM rate, memory in MB, errors."""
        setup = Setup.of(self)
        too_big = self._too_big()
        gemm, dense, engine, rounds = self._times(setup, bool(too_big))
        return asdict(self) | {
            "arithmetic": setup.arithmetic,
            "engine_ms": 1e3 * engine,
            "textbook_ms": 1e3 * dense if dense else None,
            "speedup": dense / engine if dense else None,
            "rounds": rounds,
            "textbook_skipped": too_big,
            "gemm_gflops": gemm / 1e9,
            "gemm_fraction": self._fraction(engine, gemm) if self.method == "score" else None,
            "engine_peak_mb": self._first_call(),
            "textbook_peak_mb": None if too_big else peak(lambda: setup.textbook(setup.x[0])),
            "error": setup.error(self.t),
        }

    def _first_call(self) -> float | None:
        """Of a problem that has not been used: what is kept for later calls counts too."""
        fresh = Setup.of(self)
        return peak(lambda: fresh.engine(fresh.x[0], self.t))

    def _fraction(self, engine: float, gemm: float) -> float:
        """The engine's share of the GEMM rate; nobody multiplies faster than the multiplication."""
        fraction = 4 * self.batch * self.n * self.d / engine / gemm
        if fraction > 1:
            raise RuntimeError(
                f"{self} took {1e3 * engine:.3g} ms, {fraction:.2f} of the rate of a plain matrix "
                "product: a share above 1 means that it did not compute what was timed"
            )
        return fraction

    def _times(self, setup: "Setup", skip: bool) -> tuple[float, float | None, float, int]:
        """The two in turn, round by round, with a plain matrix product between them."""
        gemm, dense, engine, clouds = [], [], [], fresh(setup.x)
        setup.engine(setup.x[0], self.t)  # what is computed once for all steps
        while len(engine) < MOST and sum(dense or engine) < SECONDS:
            gemm.append(gemm_rate(setup.atoms.dtype))
            if not skip:
                dense.append(seconds(setup.textbook, clouds))
            engine.append(seconds(lambda x: setup.engine(x, self.t), clouds))
        middle = statistics.median
        return middle(gemm), middle(dense) if dense else None, middle(engine), len(engine)

    def _too_big(self) -> str:
        size = 8 if self.dtype == "float64" else 4
        numbers = self.batch * self.n * self.d
        if 4 * numbers * size > ROOM:
            return f"{4 * numbers * size / 1e9:.0f} GB"
        passes = {"score": 1, "TMPD": 2 + 2 * min(32, self.d)}.get(self.method, 3)
        guess = passes * numbers * size * 3e-9
        return f"about {guess:.{int(guess < 10)}f} s" if guess > self.patience else ""


@dataclass(frozen=True)
class Setup:
    """The same problem for both, and clouds of points that x_t visits."""

    atoms: Tensor
    x: list[Tensor]
    engine: Callable
    textbook: Callable
    exact: Callable
    arithmetic: str

    @classmethod
    def of(cls, case: Case) -> "Setup":
        g, dtype = torch.Generator().manual_seed(0), getattr(torch, case.dtype)
        atoms = torch.randn(case.n, case.d, generator=g, dtype=torch.float32).to(dtype)
        m = min(32 if case.method == "TMPD" else 8, case.d)
        matrix = torch.randn(m, case.d, generator=g, dtype=dtype) / case.d**0.5
        likelihood = Likelihood(Linear(matrix), matrix @ atoms[0], NOISE_STD)
        problem = Problem("bench", Empirical.from_samples(atoms), likelihood)
        method = METHODS[case.method]
        seen = problem.posterior if method is None else problem.diffusion
        engine = seen.score if method is None else method(seen, likelihood)
        x = [seen.sample(case.batch, case.t, generator=g) for _ in range(4)]
        alpha, sigma = float(VP().alpha(case.t)), float(VP().sigma(case.t))

        def book(dtype):
            parts = (part.to(dtype) for part in (atoms, matrix, likelihood.y))
            return getattr(Textbook(*parts, NOISE_STD, alpha, sigma), case.method.lower())

        known = seen.prior.given(x[0][:1], VP().alpha(case.t), VP().sigma(case.t))
        arithmetic = str(known.arithmetic).removeprefix("torch.")
        return cls(atoms, x, engine, book(dtype), book(torch.float64), arithmetic)

    def error(self, t: float) -> float:
        """Of a few rows, against the textbook in float64, over the largest entry."""
        rows = max(1, min(8, int(3e7 / self.atoms.numel())))
        x = self.x[0][:rows]
        wanted = self.exact(x.double())
        return float((self.engine(x, t).double() - wanted).abs().max() / wanted.abs().max())


def fresh(clouds: list[Tensor]) -> Iterator[Tensor]:
    """The clouds in turn, each a little larger than any before: no x is ever asked for twice."""
    return (cloud * (1 + i * 2**-20) for i, cloud in zip(count(1), cycle(clouds), strict=False))


def seconds(fn: Callable, clouds: Iterator[Tensor]) -> float:
    """Of the processor, a call, in a run of calls of at least BLOCK seconds, each of another cloud.

    On one thread of an idle machine that is the time that passes; others' work does not count.
    """
    calls, start = 0, time.process_time()
    while not calls or time.process_time() - start < BLOCK:
        fn(next(clouds))
        calls += 1
    return (time.process_time() - start) / calls


def gemm_rate(dtype: torch.dtype, n: int = 1024) -> float:
    """Floating-point operations a second of a square matrix product, here and now."""
    return 2 * n**3 / seconds(lambda a: a @ a, repeat(torch.ones(n, n, dtype=dtype)))


def peak(fn: Callable) -> float | None:
    """MB that ``fn`` needs at most, beside what is there before (Linux; None elsewhere)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5")
    before = _kilobytes(status, "VmRSS")
    fn()
    return (_kilobytes(status, "VmHWM") - before) * 1.024e-3


def _kilobytes(status: Path, name: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
