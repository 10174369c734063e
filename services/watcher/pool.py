"""Watching one pool: follow its master's events, find the master again when it is gone, and watch each host."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable

from services.watcher import liveness, master
from services.watcher.attention import Attention
from services.watcher.host import HostWatch, Means
from services.watcher.liveness import Says
from shared.domain import facts
from shared.domain.names import Named, is_token
from shared.xapi import address as addresses
from shared.xapi import reading, stream

CLASSES = ("pool", "host", "host_metrics")
POLL = 20.0
"""Seconds of machine time that one event.from waits."""

ROUND = 1.0
"""Seconds of machine time from the start of one search for the master to the start of the next."""

WIDE = 5
"""Every so many rounds all known members are asked, not only the last master."""

DENIED = 30.0
"""Seconds of machine time to wait after a wrong password: directories lock an account that fails too often."""


class PoolWatch:
    """One pool. `attention` is what the journal says of runs; `remembered` are addresses that were its master's."""

    def __init__(self, means: Means, attention: Attention, remembered: Iterable[str] = ()) -> None:
        self.reader: stream.Reader | None = None
        self.address = addresses.host(means.access.url)
        self.attention = attention
        self._means = means
        self._mirror = stream.Mirror(CLASSES)
        self._known = {self.address, *remembered}
        self._hosts: dict[str, tuple[HostWatch, asyncio.Task[None]]] = {}
        self._doubt = asyncio.Event()
        self._away: str | None = None
        self._heard_at = means.clock.now()
        self._next_round = 0.0

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                reader = await self._search()
                try:
                    await self._follow(reader, group)
                except (stream.NoAnswer, stream.Failure) as gone:
                    because = str(gone).rstrip(".")
                    self._means.log.info("master_lost", sentence=f"The session on the master ended: {because}.")
                    if self._doubt.is_set():
                        self._tell_unreachable(f"{self.address} takes no connections.", stream.NoAnswer.__name__)
                    group.create_task(reader.close())
                except BaseException:
                    await reader.close()
                    raise
                finally:
                    self.reader = None

    def attend(self, attention: Attention) -> None:
        """The journal says something new of runs: look with the new interval at once."""
        if attention != self.attention:
            self.attention = attention
            for host, _ in self._hosts.values():
                host.wake()

    def heard_until(self) -> float:
        """The pool time up to which the master's word is known to hold."""
        return self._means.clock.now() if self.reader is not None else self._heard_at

    def doubt_master(self) -> None:
        """The master's own address does not answer any more: do not wait for its events to break off."""
        self._doubt.set()

    async def _search(self) -> stream.Reader:
        for number in itertools.count():
            await self._pace()
            try:
                return await master.find(self._means.access, self.address, self._known, wide=number % WIDE == 0)
            except master.NoMaster as trouble:
                self._tell_unreachable(trouble.because, trouble.code)
                if trouble.code == master.CREDENTIALS:
                    await asyncio.sleep(DENIED)
        raise AssertionError("the search ends with a master")

    async def _pace(self) -> None:
        """At most one search in a second, however fast sessions break."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._next_round - loop.time()))
        self._next_round = loop.time() + ROUND

    async def _follow(self, reader: stream.Reader, group: asyncio.TaskGroup) -> None:
        """Keep the mirror true. Raises NoAnswer or Failure when the session is over or the master is in doubt."""
        self._mirror.restart()
        self._doubt.clear()
        await self._catch_up(reader)
        self.reader, self.address = reader, addresses.host(reader.url)
        self._look(group)
        self._tell_master()
        for host, _ in self._hosts.values():
            host.anew()
        while True:
            if await self._catch_up(reader):
                self._look(group)

    async def _catch_up(self, reader: stream.Reader) -> bool:
        """One batch. Whether it changed anything."""
        batch = asyncio.ensure_future(self._mirror.catch_up(reader, POLL))
        doubt = asyncio.ensure_future(self._doubt.wait())
        try:
            await asyncio.wait({batch, doubt}, return_when=asyncio.FIRST_COMPLETED)
            if not batch.done():
                raise stream.NoAnswer("its address takes no connections")
            changes = batch.result()
        finally:
            batch.cancel()
            doubt.cancel()
            await asyncio.gather(batch, doubt, return_exceptions=True)
        self._heard_at = self._means.clock.now()
        return bool(changes)

    def _look(self, group: asyncio.TaskGroup) -> None:
        """Take from the mirror what it says of each host; a watch for each that is new, none for one that is gone."""
        found = {says.uuid: says for says in self._says()}
        self._known |= {says.address for says in found.values() if says.address}
        for uuid in [uuid for uuid in self._hosts if uuid not in found]:
            self._hosts.pop(uuid)[1].cancel()
        for uuid, says in found.items():
            if uuid in self._hosts:
                self._hosts[uuid][0].say(says)
                continue
            away = self.attention.is_away(uuid)
            watch = HostWatch(self._means, self, liveness.first(says, returning=away, now=self._means.clock.now()))
            self._hosts[uuid] = (watch, group.create_task(watch.run()))

    def _says(self) -> Iterable[Says]:
        records = self._mirror.records
        at = reading.the_pool(records)["master"]
        for ref in records["host"]:
            host = reading.host(records, ref)
            if is_token(host.uuid):
                yield Says(
                    uuid=host.uuid,
                    name=host.name,
                    address=host.address,
                    ref=ref,
                    master=ref == at,
                    live=host.live,
                    boot_time=host.boot_time,
                    agent_start_time=host.agent_start_time,
                    versions=host.versions,
                )

    def _tell_master(self) -> None:
        self._away = None
        says = next((host.sight.says for host, _ in self._hosts.values() if host.sight.says.master), None)
        if says is None:
            raise stream.NoAnswer("the pool names no master")
        named, now = Named(says.uuid, says.name), self._means.outbox.seen_at()
        self._means.outbox.put(facts.MasterChanged(pool=self._means.key, seen_at=now, host=named, address=self.address))
        self._means.log.info("master_found", sentence=f"Host {says.name} at {self.address} is the master.")

    def _tell_unreachable(self, because: str, code: str) -> None:
        """Once for each kind of trouble."""
        if self._away == code:
            return
        self._away = code
        now = self._means.outbox.seen_at()
        self._means.outbox.put(
            facts.MasterUnreachable(pool=self._means.key, seen_at=now, address=self.address, because=because)
        )
        self._means.log.warning("master_unreachable", sentence=because)
