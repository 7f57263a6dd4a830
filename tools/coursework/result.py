"""What grading a student gave, for those who write it down: tables, pages, exports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What the tests of a question gave: points, and a remark for each test that failed.

    `stopped` says that the process did not live to the last of them.
    """

    points: float = 0
    remarks: list[str] = field(default_factory=list)
    stopped: bool = False


@dataclass(frozen=True)
class Result:
    """One student and one assignment.

    `failure` says why nothing could be graded, and is empty otherwise; `notes` say what was done to
    read the notebook at all. `code` and `written` hold the student's answers by question.
    """

    student: str
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    failure: str = ""
    notes: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
