"""Says how long a report will take, where that is long."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

LONG = 60.0  # seconds that the runs of a method may take without saying so before
TRIED = 3  # calls, of which the last two are timed: the first also prepares
BOTH = 3  # runs of the length of one, when the second takes twice the steps


@dataclass
class Patience:
    """Times the first calls of a run of ``steps`` steps, and says on stderr if it will be long."""

    n: int
    steps: int
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)  # noqa: E731
    clock: Callable[[], float] = perf_counter
    calls: int = 0
    began: float = 0.0

    def called(self) -> None:
        """After each call: the second one starts the clock, the third one reads it."""
        self.calls += 1
        if self.calls == 1:
            self.began = self.clock()
        if self.calls == TRIED:
            each = (self.clock() - self.began) / (TRIED - 1)
            self._announce(BOTH * self.steps * each)

    def _announce(self, seconds: float) -> None:
        if seconds > LONG:
            self.say(
                f"fsps_lite: the two runs of this method will take about {rounded(seconds)}, for "
                f"{self.n} particles in {self.steps} steps and in twice as many; n= and steps= "
                "make it shorter"
            )


def rounded(seconds: float) -> str:
    """Seconds in minutes or hours, for a reader."""
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
