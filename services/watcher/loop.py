"""The watcher: looks at each pool without rest and publishes what it sees. It remembers nothing and changes nothing.

Started anew it says everything again; several of them at once only say it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from services.watcher import attention as attention_
from services.watcher.attention import Attention
from services.watcher.host import Means
from services.watcher.outbox import Outbox
from services.watcher.pool import PoolWatch
from shared import service, settings
from shared.bus import wire
from shared.bus.port import Bus, Stored
from shared.domain import facts
from shared.domain.errors import Unreadable
from shared.xapi.port import Access

AFTER_A_STUMBLE = 5.0
"""Seconds of machine time before a pool is watched again after something that nobody thought of."""


class Watcher:
    """All pools of the settings, and what the journal says of their runs."""

    def __init__(self, context: service.Context, attention: Attention) -> None:
        self._context = context
        self._attention = attention
        self._watches: dict[str, PoolWatch] = {}

    async def follow_journal(self, after: int) -> None:
        """Fold what the planner says from here on, for ever."""
        async with self._context.bus.follow(_followed(), after=after) as found:
            async for stored in found:
                self._attention = attention_.fold_all(self._attention, _facts([stored]))
                for watch in self._watches.values():
                    watch.attend(self._attention)

    async def watch(self, key: str, pool: settings.PoolAccess, outbox: Outbox) -> None:
        """Watch one pool for ever, whatever happens to it."""
        log = self._context.log.bind(pool=key)
        access = Access(pool.url, pool.username, pool.password, pool.ca_file, pool.fingerprint)
        means = Means(key, access, self._context.clock, outbox, log, pool.down_after)
        remembered = await _last_master(self._context.bus, key)
        while True:
            self._watches[key] = PoolWatch(means, self._attention, remembered)
            try:
                await self._watches[key].run()
            except Exception:
                log.exception("stumbled", sentence=f"Watching pool {key} failed; it begins anew.")
            await asyncio.sleep(AFTER_A_STUMBLE)


async def serve(context: service.Context) -> None:
    """Watch every pool of the settings until the context's stop. Raises BusClosed when the bus's client was closed."""
    after = await context.bus.last_seq()
    watcher = Watcher(context, await _attention_now(context.bus))
    outboxes = {key: Outbox(context.bus, context.instance, context.clock, context.log) for key in context.settings.pool}
    await service.until_stopped(
        context,
        watcher.follow_journal(after),
        *(outbox.run() for outbox in outboxes.values()),
        *(watcher.watch(key, pool, outboxes[key]) for key, pool in context.settings.pool.items()),
    )


async def _attention_now(bus: Bus) -> Attention:
    """What the journal says of runs: which are open, then all that these said."""
    lifecycle = [stored async for stored in bus.read([_any(kind) for kind in _LIFECYCLE])]
    attention = attention_.fold_all(Attention(), _facts(lifecycle))
    for pool, run in attention.runs.items():
        said = [stored async for stored in bus.read([_any(kind, pool=pool, run=run) for kind in _STEPS])]
        attention = attention_.fold_all(attention, _facts(said))
    return attention


async def _last_master(bus: Bus, key: str) -> tuple[str, ...]:
    """The address at which the journal last knew a pool's master."""
    stored = await bus.last(_any(facts.MasterChanged, pool=key))
    known = _facts([stored]) if stored is not None else []
    return tuple(fact.address for fact in known if isinstance(fact, facts.MasterChanged))


def _facts(found: Sequence[Stored]) -> list[facts.Fact]:
    """The facts that can be read. Of the others the planner says that they cannot."""
    read: list[facts.Fact] = []
    for stored in found:
        try:
            read.append(wire.read_fact(stored).fact)
        except Unreadable:
            continue
    return read


def _followed() -> list[str]:
    return [_any(kind) for kind in (*_LIFECYCLE, *_STEPS)]


def _any(kind: type[facts.Fact], **places: str) -> str:
    """The filter for facts of a kind; what is not given may be anything."""
    return kind.subject.format_map(_Wild(places))


class _Wild(dict[str, str]):
    """Every place that is not filled takes any token."""

    def __init__(self, places: Mapping[str, str]) -> None:
        super().__init__(places)

    def __missing__(self, key: str) -> str:
        return "*"


_LIFECYCLE = (facts.RunRequested, facts.RunEnded)
_STEPS = (facts.StepOrdered, facts.WaitOver, facts.TurnEnded)
