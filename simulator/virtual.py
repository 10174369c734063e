"""An asyncio loop whose time jumps to the next timer when nothing is ready, no thread works and no bytes are in flight.

Thousands of simulated seconds pass in one real second, with real sockets and blocking clients in worker threads.
It knows nothing of pools; the simulator's clock merely reads its time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")
EPOCH = 1767225600.0
"""2026-01-01T00:00Z: the Unix second that second 0 of a virtual loop stands for."""

IN_FLIGHT = 0.00005
THREAD_WORKS = 0.05


class JumpingSelector(selectors.BaseSelector):
    """A selector that asks its loop to jump where it would have slept."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.jump: Callable[[], bool] = lambda: False

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        time.sleep(IN_FLIGHT)
        ready = self._inner.select(0)
        if ready or self.jump():
            return ready
        return self._inner.select(THREAD_WORKS)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time starts at 0 and moves only by jumps to the next timer.

    Work handed to `run_in_executor` (and so `asyncio.to_thread`) holds the time still until it is done, except while
    that thread waits for an answer which itself needs time: a server says so with `parked`.
    """

    def __init__(self) -> None:
        self._virtual = 0.0
        self._holds = 0
        self._parked = 0
        self._asking: list[tuple[str, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._own: weakref.WeakValueDictionary[Any, asyncio.BaseTransport] = weakref.WeakValueDictionary()
        selector = JumpingSelector()
        super().__init__(selector)
        selector.jump = self._jump

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def _jump(self) -> bool:
        if self._holds > self._parked:
            return False
        if self._asking:
            self._let_in()
            return True
        timers: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009
        if not timers:
            return False
        self._virtual = max(self._virtual, timers[0].when())
        return True

    def _let_in(self) -> None:
        """Everybody waits for something: of those who ask, the first by their key goes on."""
        self._asking.sort(key=lambda asking: asking[:2])
        _, _, admitted = self._asking.pop(0)
        if not admitted.done():
            admitted.set_result(None)

    async def turn(self, key: str, peer: Any) -> None:
        """Waits until nobody works any more, in a thread or in the loop, and it is this key's turn among those who ask.

        What clients ask at one virtual moment is so answered in an order that repeats, whichever thread was faster.
        """
        admitted: asyncio.Future[None] = self.create_future()
        self._asked += 1
        self._asking.append((key, self._asked, admitted))
        with self.parked(peer):
            await admitted

    @contextmanager
    def hold(self) -> Iterator[None]:
        """No jump while this is open: for work that the loop cannot see."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    @contextmanager
    def parked(self, peer: Any) -> Iterator[None]:
        """While open, an answer to `peer` waits for time to pass, so a thread behind that peer holds nothing.

        A peer is both ends of its connection, the far one first: the system gives one port to connections to different
        addresses. Those of this very loop never held anything, and change nothing; one that is closed is none of its
        own any more, because its port may have been given to a thread.
        """
        own = self._own.get(peer)
        outside = own is None or own.is_closing()
        self._parked += outside
        try:
            yield
        finally:
            self._parked -= outside

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], R],
        *args: *Ts,
    ) -> asyncio.Future[R]:
        """As asyncio's, and time stands still until the work is done and its result was seen here."""
        future = super().run_in_executor(executor, func, *args)
        self._holds += 1
        future.add_done_callback(self._released)
        return future

    def _released(self, _: asyncio.Future[Any]) -> None:
        self._holds -= 1

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """As asyncio's; remembers the connection as one of our own."""
        transport, protocol = await super().create_connection(*args, **kwargs)
        self._own[transport.get_extra_info("sockname"), transport.get_extra_info("peername")] = transport
        return transport, protocol

    async def shutdown_default_executor(self, *args: Any) -> None:
        with self.hold():
            await super().shutdown_default_executor(*args)


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a virtual loop of its own and returns what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
