"""The simulated pool's time: one heap of (due, sequence, act), stamped with the due time and never with the CPU's.

`WallDrive` follows the machine's clock times a factor, `ManualDrive` is turned by hand, and under `VirtualLoop`
(see virtual.py) the loop's own time jumps. Nothing here knows what the acts are.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Callable
from typing import Protocol

from simulator.virtual import EPOCH, VirtualLoop, run_virtual

log = logging.getLogger(__name__)


class Drive(Protocol):
    """What moves the clock: `name`, `factor`, `origin` (Unix seconds at zero) and the seconds it has come to."""

    name: str
    factor: float
    origin: float

    def reading(self) -> float: ...

    def arm(self, due: float, wake: Callable[[], None]) -> None: ...


class WallDrive:
    """Simulated seconds are the loop's seconds since the start times `factor`."""

    name = "wall"

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.origin = time.time()
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._handle: asyncio.TimerHandle | None = None

    def reading(self) -> float:
        return (self._loop.time() - self._zero) * self.factor

    def arm(self, due: float, wake: Callable[[], None]) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._zero + due / self.factor, wake)


class VirtualDrive(WallDrive):
    """The loop's time is the one time: factor 1, and second 0 of the loop is 2026-01-01T00:00Z."""

    name = "virtual"

    def __init__(self) -> None:
        super().__init__(1.0)
        self.origin = EPOCH + self._zero


class ManualDrive:
    """Stands still until it is turned."""

    name = "manual"
    factor = 0.0

    def __init__(self) -> None:
        self.origin = EPOCH
        self.at = 0.0

    def reading(self) -> float:
        return self.at

    def arm(self, due: float, wake: Callable[[], None]) -> None:
        """Nothing wakes a clock that is turned by hand."""


class Timer:
    """One act in the heap; `cancel` leaves it there and it does nothing."""

    __slots__ = ("act", "cancelled", "due")

    def __init__(self, due: float, act: Callable[[], None]) -> None:
        self.due = due
        self.act = act
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The heap and the moment it has come to.

    `catch_up()` runs everything due, in order; it is called before any request is answered.
    """

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.bugs: list[BaseException] = []
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._stamp = 0.0
        self._running = False

    def seconds(self) -> float:
        """Simulated seconds since the start: of the act that runs, else of the last `catch_up`."""
        return self._stamp

    def unix(self) -> float:
        """The Unix second that `seconds()` stands for."""
        return self.drive.origin + self._stamp

    def now(self) -> float:
        """Simulated Unix seconds at this very moment, for those who look from outside."""
        return self.drive.origin + max(self._stamp, self.drive.reading())

    def at(self, due: float, act: Callable[[], None]) -> Timer:
        """Plans an act for a simulated second since the start; one already past runs at the next opportunity."""
        timer = Timer(max(due, self._stamp), act)
        self._count += 1
        heapq.heappush(self._heap, (timer.due, self._count, timer))
        if not self._running:
            self._arm()
        return timer

    def after(self, delay: float, act: Callable[[], None]) -> Timer:
        return self.at(self.seconds() + delay, act)

    def catch_up(self, until: float | None = None) -> None:
        """Runs in order what is due by now, or by `until` if that is later."""
        if self._running:
            return
        limit = max(self.drive.reading(), self._stamp, until if until is not None else 0.0)
        self._running = True
        try:
            while self._heap and self._heap[0][0] <= limit:
                due, _, timer = heapq.heappop(self._heap)
                if not timer.cancelled:
                    self._stamp = max(self._stamp, due)
                    self._act(timer)
        finally:
            self._running = False
            self._stamp = max(self._stamp, limit)
            self._arm()

    def turn(self, seconds: float) -> None:
        """Turns a clock that is driven by hand forward by so many simulated seconds."""
        if not isinstance(self.drive, ManualDrive):
            raise ValueError(f"only a clock driven by hand can be turned, and this one is driven by {self.drive.name}")
        target = self.drive.at + seconds
        self.catch_up(until=target)
        self.drive.at = target

    def pending(self) -> float | None:
        """The second the next act is due, or None."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _act(self, timer: Timer) -> None:
        try:
            timer.act()
        except Exception as bug:  # an act that breaks must not stop the world; it is told at the end
            log.exception("an act of the simulated pool broke")
            self.bugs.append(bug)

    def _arm(self) -> None:
        due = self.pending()
        if due is not None:
            self.drive.arm(due, lambda: self.catch_up(until=due))


__all__ = ["EPOCH", "Clock", "Drive", "ManualDrive", "Timer", "VirtualDrive", "VirtualLoop", "WallDrive", "run_virtual"]
