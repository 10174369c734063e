"""Two times. *Pool time* is what deadlines, windows, facts and reports speak; it follows a simulated pool's clock
factor. *Machine time* is what sockets, heartbeats and probes live by; it never does.

Nothing else in Rota asks the operating system for the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Pool time, seconds since 1970: `origin + (machine - origin) * factor`. `factor` is 1 for every real pool."""

    factor: float = 1.0
    origin: float = 0.0
    machine: Callable[[], float] = time.time

    def now(self) -> float:
        """Pool time now, seconds since 1970."""
        return self.at(self.machine())

    def at(self, machine: float) -> float:
        """The pool time at a moment of machine time (seconds since 1970), for example a fact's stream time."""
        return self.origin + (machine - self.origin) * self.factor

    def machine_seconds(self, pool_seconds: float) -> float:
        """How long a span of pool time lasts in machine time."""
        return max(0.0, pool_seconds) / self.factor

    async def sleep(self, pool_seconds: float) -> None:
        """Sleep for a span of pool time."""
        await asyncio.sleep(self.machine_seconds(pool_seconds))
