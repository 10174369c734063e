"""A bell that everybody who waits for a change waits for, by the event loop's clock."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings when anything has changed; who waits is woken in the order of coming, and looks for himself."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    def ring(self) -> None:
        """Wake everybody."""
        for waiting in self._waiting:
            _answer(waiting)

    async def wait(self, until: float | None = None) -> None:
        """Wait for the next ring, or until a moment of loop time."""
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        timer = None if until is None else loop.call_at(until, _answer, waiting)
        self._waiting[waiting] = None
        try:
            await waiting
        finally:
            self._waiting.pop(waiting, None)
            if timer is not None:
                timer.cancel()


def _answer(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
