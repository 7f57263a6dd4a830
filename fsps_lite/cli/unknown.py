"""What the shell cannot find, read or write, and the nearest name that would do."""

import difflib
from collections.abc import Iterable


class Unknown(LookupError):
    """A name that nothing has, or a file that cannot be used; its message says what works."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """No ``kind`` has this name: the nearest one, or all that there are."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    return f"no {kind} called {name!r}{hint if known else ''}"
