"""What happened, one JSON object a line, enough to judge a run from outside without asking anybody.

Every line has `t`, simulated seconds since the start, and `kind`. Secrets and references never stand here:
objects are told by the names the world file gives them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from simulator.clock import Clock


class Journal:
    """The lines so far, in memory, and in a file where one is named."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._clock = clock
        self._file: IO[str] | None = file.open("w", encoding="utf-8") if file else None

    def write(self, kind: str, /, **what: Any) -> None:
        """Adds a line stamped with the present simulated moment, rounded to the microsecond."""
        line = {"t": round(self._clock.seconds(), 6), "kind": kind, **what}
        self.lines.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def text(self) -> str:
        """All lines as they stand in the file."""
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
