"""Work on many things side by side, each in a process of its own that cannot harm the others.

A process that crashes, is killed or takes too long costs its own piece of work. (The pools of the
standard library stop altogether when one of their processes dies.)
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Running(Generic[Item]):
    """A piece of work, its process, where its answer comes out, and when it must have."""

    item: Item
    process: multiprocessing.process.BaseProcess
    answers: Connection
    deadline: float


def each(
    work: Callable[[Item], Answer],
    failed: Callable[[Item, str], Answer],
    items: Sequence[Item],
    jobs: int,
    seconds: float,
) -> Iterator[tuple[Item, Answer]]:
    """(item, answer), as they are ready; `failed(item, why)` answers where the work does not."""
    left = list(items)
    running: list[Running[Item]] = []
    try:
        while left or running:
            while left and len(running) < jobs:
                running.append(start(work, left.pop(0), seconds))
            soonest = min(one.deadline for one in running)
            ready = wait([one.answers for one in running], max(0.0, soonest - time.monotonic()))
            for one in list(running):
                if one.answers in ready or time.monotonic() > one.deadline:
                    running.remove(one)
                    yield one.item, collect(one, failed, seconds)
    finally:
        for one in running:
            one.process.kill()


def start(work: Callable[[Item], Answer], item: Item, seconds: float) -> Running[Item]:
    """Begin one piece of work."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=run, args=(work, item, theirs))
    process.start()
    theirs.close()
    return Running(item, process, ours, time.monotonic() + seconds)


def run(work: Callable[[Item], Answer], item: Item, answers: Connection) -> None:
    """In the process: do the work and send (answer, no error), or (nothing, what went wrong)."""
    try:
        told = work(item), ""
    except Exception as error:
        answers.send((None, f"{type(error).__name__}: {error}"))
    else:
        answers.send(told)


def collect(one: Running[Item], failed: Callable[[Item, str], Answer], seconds: float) -> Answer:
    """The answer of a piece of work that is done, or dead, or too late."""
    why = f"it took more than {seconds:.0f} s"
    if one.answers.poll():
        try:
            answer, why = one.answers.recv()
        except (EOFError, OSError):
            one.process.join()
            why = f"its process ended with the status {one.process.exitcode}"
    one.process.kill()
    one.process.join()
    one.answers.close()
    if why:
        return failed(one.item, why)
    told: Answer = answer
    return told
