"""Acts that take simulated time, written as coroutines and driven by the clock's heap, not by asyncio.

Each runs on as soon as what it waits for is there, at exactly that simulated moment. A group holds the processes that
die together: those of one host's xapi, or of one host.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from simulator.clock import Clock
from simulator.failure import Failure


class Gone(Exception):
    """Thrown into a process when what ran it is no more: its xapi stopped, its host went down."""


class Cancelled(Exception):
    """Thrown into a process when a client asked for its task to be cancelled."""


@types.coroutine
def pause() -> Generator[None, Any, Any]:
    """Gives way until somebody resumes the process; returns what it is resumed with."""
    return (yield)


class Process:
    """One coroutine under way. `result` or `error` are there once `done`."""

    def __init__(self, scheduler: Scheduler, act: Coroutine[Any, Any, Any], name: str) -> None:
        self.name = name
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._scheduler = scheduler
        self._act = act
        self._endings: list[Callable[[Process], None]] = []
        self._doom: BaseException | None = None

    def when_done(self, ending: Callable[[Process], None]) -> None:
        """Calls `ending` with this process when it is over, at once if it is."""
        if self.done:
            ending(self)
        else:
            self._endings.append(ending)

    def resume(self, value: Any = None) -> None:
        self._step(lambda: self._act.send(value))

    def throw(self, error: BaseException) -> None:
        """Raises `error` inside the process where it waits; in the middle of an act, when it waits next."""
        if getattr(self._act, "cr_running", False):
            self._doom = error
        elif not self.done:
            self._step(lambda: self._act.throw(error))

    def _step(self, advance: Callable[[], Any]) -> None:
        if self.done:
            return
        before, self._scheduler.current = self._scheduler.current, self
        try:
            advance()
            if self._doom is None:
                return
            doom, self._doom = self._doom, None
            self._act.throw(doom)
            return
        except StopIteration as end:
            self.result = end.value
        except (Failure, Gone, Cancelled) as refused:
            self.error = refused
        except Exception as bug:  # noqa: BLE001 - a broken act ends itself alone, and is told when the simulation ends
            self._scheduler.clock.bugs.append(bug)
            self.error = Failure("INTERNAL_ERROR", repr(bug))
        finally:
            self._scheduler.current = before
        self.done = True
        for ending in self._endings:
            ending(self)


class Signal:
    """Something to wait for that may happen any number of times."""

    def __init__(self) -> None:
        self._waiting: dict[Process, None] = {}

    def fire(self, value: Any = None) -> None:
        """Wakes everyone who waits now."""
        for process in list(self._waiting):
            if process in self._waiting:
                del self._waiting[process]
                process.resume(value)

    async def wait(self, scheduler: Scheduler) -> Any:
        process = scheduler.running()
        self._waiting[process] = None
        try:
            return await pause()
        finally:
            self._waiting.pop(process, None)


class Group:
    """Processes that die together."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.name = name
        self._scheduler = scheduler
        self._alive: dict[Process, None] = {}

    def spawn(self, act: Coroutine[Any, Any, Any], name: str = "") -> Process:
        """Starts a coroutine now, as far as it gets without waiting."""
        process = Process(self._scheduler, act, name)
        self._alive[process] = None
        process.when_done(lambda ended: self._alive.pop(ended, None))
        process.resume()
        return process

    def kill(self) -> None:
        """Ends every process of the group with Gone, oldest first, but not the one that calls."""
        for process in list(self._alive):
            if process is not self._scheduler.current:
                process.throw(Gone(self.name))


class Scheduler:
    """Starts processes on a clock and lets them sleep and wait for one another."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.current: Process | None = None

    def running(self) -> Process:
        if self.current is None:
            raise RuntimeError("only a process can wait")
        return self.current

    async def sleep(self, seconds: float) -> None:
        """Waits so many simulated seconds, exactly."""
        await self.until(self.clock.seconds() + seconds)

    async def until(self, due: float) -> None:
        """Waits for a simulated second since the start."""
        process = self.running()
        timer = self.clock.at(due, process.resume)
        try:
            await pause()
        finally:
            timer.cancel()

    async def join(self, process: Process) -> Any:
        """Waits for another process and returns its result, or raises its error."""
        if not process.done:
            ended = Signal()
            process.when_done(lambda _: ended.fire())
            await ended.wait(self)
        if process.error is not None:
            raise process.error
        return process.result
