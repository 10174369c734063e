"""A heartbeat for each run at an address outside, so that silence is noticed by somebody who is not Rota.

In the manner of healthchecks: `/start` at the beginning and again each N minutes (there the time in which an end must
come counts from the last start), the bare address when a run ended well, `/fail` when it did not. The fact of a run's
beginning stays in a queue of its own until the run is over: so beats go on when the reporter that took it dies. A beat
comes at least once and may come twice, which does no harm; one that fails is tried again and hinders nobody.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from services.reporter.desk import Queue
from services.reporter.spoken import clean
from shared import service
from shared.bus import wire
from shared.domain import facts
from shared.settings import HeartbeatDestination

Beat = Literal["start", "end", "fail"]

ALTOGETHER = 10.0
"""Seconds of machine time for one beat."""

AGAIN = 20.0
"""Seconds of machine time until a beat that failed is tried again."""

STALE = 3600.0
"""Seconds of machine time after which an end is not told any more: whoever listens has raised the alarm by then."""

WELL: frozenset[facts.Outcome] = frozenset({"succeeded", "succeeded_with_warnings"})


@dataclass(slots=True)
class Pulse:
    """One address. One beat at a time, so that none of a run's beginning is sent after that of its end."""

    key: str
    settings: HeartbeatDestination
    context: service.Context
    session: aiohttp.ClientSession
    line: asyncio.Lock = field(default_factory=asyncio.Lock)

    def queue(self) -> Queue:
        """The beginnings and ends of runs."""
        subjects = (facts.RunRequested.subject, facts.RunEnded.subject)
        filters = tuple(re.sub(r"\{[a-z]+\}", "*", subject) for subject in subjects)
        return Queue(f"reporter-heartbeat-{self.key}", filters, self.work)

    async def work(self, recorded: wire.Recorded) -> float | None:
        """One beat; after how many seconds of machine time the next one is due, None after the last."""
        fact = recorded.fact
        async with self.line:
            if not isinstance(fact, facts.RunFact) or not await self._concerns(fact):
                return None
            if isinstance(fact, facts.RunEnded):
                return await self._end(fact, recorded.stored_at)
            if await self._is_over(fact):
                return None
            every = self.context.clock.machine_seconds(self.settings.every_minutes * 60.0)
            return every if await self._beat("start", f"Run {fact.run} of {fact.pool} goes on.") else min(every, AGAIN)

    async def _concerns(self, fact: facts.RunFact) -> bool:
        """Whether it is a run on one of its pools, and more than another try to pay what is owed."""
        if self.settings.pools and fact.pool not in self.settings.pools:
            return False
        asked = await self.context.bus.last(facts.RunRequested.subject.format(pool=fact.pool, run=fact.run))
        first = wire.read_fact(asked).fact if asked else None
        return not (isinstance(first, facts.RunRequested) and first.purpose == "pay")

    async def _is_over(self, fact: facts.RunFact) -> bool:
        return await self.context.bus.last(facts.RunEnded.subject.format(pool=fact.pool, run=fact.run)) is not None

    async def _end(self, fact: facts.RunEnded, stored_at: float) -> float | None:
        if self.context.clock.machine() - stored_at > STALE:
            return None
        return None if await self._beat("end" if fact.outcome in WELL else "fail", fact.sentence) else AGAIN

    async def _beat(self, beat: Beat, sentence: str) -> bool:
        """Whether it was taken. Why not is logged, without the address, whose path is a secret."""
        host = urlsplit(self.settings.url).hostname
        try:
            trusted = await asyncio.to_thread(_context, self.settings) if self.settings.ca_file else True
            async with self.session.post(
                address(self.settings.url, beat),
                data=clean(sentence, 1000).encode(),
                headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Rota"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=ALTOGETHER),
                ssl=trusted,
            ) as answer:
                if 200 <= answer.status < 300:
                    return True
                because = f"it answered {answer.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            because = "it did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        told = f"heartbeat.{self.key} ({host}) did not take the beat: {because}."
        self.context.log.warning("no_beat", sentence=told, beat=beat)
        return False


def address(url: str, beat: Beat) -> str:
    """Where a beat goes: `/start` or `/fail` behind the address's path, or the address as it is."""
    if beat == "end":
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{beat}"))


def _context(settings: HeartbeatDestination) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)
