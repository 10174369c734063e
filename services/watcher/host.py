"""Watching one host: probe its address, ask it by login when it returns, and publish what that comes to.

What follows from the signals is `liveness`'s; here is only the asking, the waiting and the telling.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Protocol

from structlog.stdlib import BoundLogger

from services.watcher import liveness, probe
from services.watcher.attention import Attention
from services.watcher.liveness import Login, Says, Sight
from services.watcher.outbox import Outbox
from shared.clock import Clock
from shared.domain import facts
from shared.domain.errors import Unreadable
from shared.xapi import address as addresses
from shared.xapi import reading, stream
from shared.xapi.port import Access

SERVERTIME = 5.0
"""Seconds of machine time for the master to pass on a question to a host."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a pool and its hosts are watched with. `key` is the pool's in the settings; a host that is not live for
    `down_after` seconds of pool time is down."""

    key: str
    access: Access
    clock: Clock
    outbox: Outbox
    log: BoundLogger
    down_after: float


class Pool(Protocol):
    """What a host's watch needs of its pool's: the session on the master while there is one (and the address it goes
    to), what the journal says, and the pool time up to which the master's word holds."""

    reader: stream.Reader | None
    address: str
    attention: Attention

    def heard_until(self) -> float: ...

    def doubt_master(self) -> None: ...


class HostWatch:
    """One host, as long as the pool has it."""

    def __init__(self, means: Means, pool: Pool, sight: Sight) -> None:
        self.sight = sight
        self._means = means
        self._pool = pool
        self._wake = asyncio.Event()
        self._warned = False

    def say(self, says: Says) -> None:
        """Take in what the pool's database says now."""
        if says != self.sight.says:
            self.sight = liveness.said(self.sight, says, self._means.clock.now())
            self.wake()

    def anew(self) -> None:
        """There is a new session on the master: tell everything again."""
        self.sight = liveness.anew(self.sight, self._means.clock.now())
        self.wake()

    def wake(self) -> None:
        """Look now, not at the end of the interval."""
        self._wake.set()

    async def run(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._wake.clear()
            answered = await probe.connects(self._address(), addresses.port(self._means.access.url))
            self.sight = liveness.probed(self.sight, answered=answered)
            self._tell_state()
            await self._see_return()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began + self._interval()):
                    await self._wake.wait()

    def _address(self) -> str:
        """The host's own address; for the master the one it was found at, which a name may stand for."""
        says = self.sight.says
        return self._pool.address if says.master else says.address

    def _interval(self) -> float:
        attention = self._pool.attention
        away, run = attention.is_away(self.sight.says.uuid), attention.has_run(self._means.key)
        return liveness.interval(self.sight, away=away, run=run)

    def _tell_state(self) -> None:
        heard = self._pool.heard_until()
        state = liveness.state(self.sight, heard, down_after=self._means.down_after)
        if state is None or state == self.sight.told:
            return
        because = liveness.because(self.sight, state, heard)
        self._means.outbox.put(self._fact(state, because))
        self._means.log.info("host_" + state, host=self.sight.says.name, sentence=because)
        self.sight = liveness.told(self.sight, state)
        if state == "unreachable" and self.sight.says.master:
            self._pool.doubt_master()

    def _fact(self, state: liveness.State, because: str) -> facts.HostFact:
        says, key, now = self.sight.says, self._means.key, self._means.outbox.seen_at()
        if state == "unreachable":
            return facts.HostUnreachable(pool=key, host=says.uuid, name=says.name, seen_at=now, because=because)
        if state == "down":
            return facts.HostDown(pool=key, host=says.uuid, name=says.name, seen_at=now, because=because)
        boot_time = None if self.sight.returning else says.boot_time
        return facts.HostAnswering(pool=key, host=says.uuid, name=says.name, seen_at=now, boot_time=boot_time)

    async def _see_return(self) -> None:
        reader = self._pool.reader
        if reader is None:
            return
        if liveness.wants_login(self.sight):
            await self._ask()
        if liveness.came_back(self.sight):
            await self._tell_return(reader)

    async def _ask(self) -> None:
        if self.sight.says.master:
            self.sight = liveness.asked(self.sight, Login.MASTER)
            return
        login, answer = await probe.login(self._means.access, self.sight.says.address)
        self.sight = liveness.asked(self.sight, login, answer)
        if login is Login.UNTRUSTED and not self._warned:
            self._warned = True
            self._means.log.warning("untrusted", host=self.sight.says.name, sentence=answer)

    async def _tell_return(self, reader: stream.Reader) -> None:
        """Publish the return with the host's own time. A pool that says something new meanwhile is heard first."""
        says = self.sight.says
        try:
            servertime = await self._servertime(reader)
        except (stream.NoAnswer, stream.SessionGone):
            return
        if says != self.sight.says or not liveness.came_back(self.sight):
            return
        if servertime is None and self.sight.login is Login.UNTRUSTED:
            return
        back = facts.HostCameBack(
            pool=self._means.key,
            host=says.uuid,
            name=says.name,
            seen_at=self._means.outbox.seen_at(),
            boot_time=says.boot_time,
            agent_start_time=says.agent_start_time,
            servertime=servertime,
            versions=says.versions,
        )
        self._means.outbox.put(back)
        self.sight = liveness.told_back(self.sight)
        self._means.log.info("host_came_back", host=says.name, sentence=f"Host {says.name} takes logins and is live.")

    async def _servertime(self, reader: stream.Reader) -> float | None:
        """The host's own clock, asked through the master, or None where the master cannot ask it."""
        try:
            text = await reader.call("host.get_servertime", self.sight.says.ref, timeout=SERVERTIME)
            return reading.moment(text)
        except stream.SessionGone:
            raise
        except (stream.Failure, Unreadable):
            return None
