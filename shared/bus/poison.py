"""A fact that cannot be read is told once, whoever comes upon it: services that follow the journal meet it again and
again, each of them, and after every restart.
"""

from __future__ import annotations

from shared.bus import wire
from shared.bus.port import Bus
from shared.domain import facts
from shared.domain.errors import Unreadable


async def tell(bus: Bus, rejected: facts.MessageRejected, *, source: str, at: float) -> None:
    """Record that a fact was rejected, unless that is on record. `at` is pool time.

    Two that come upon it in one moment write under one id, of which the bus keeps the first.
    """
    async for stored in bus.read((facts.MessageRejected.subject,), after=rejected.seq):
        try:
            fact = wire.read_fact(stored).fact
        except Unreadable:
            continue
        if isinstance(fact, facts.MessageRejected) and _same(fact, rejected):
            return
    id = f"rejected.{wire.FACTS_STREAM}.{rejected.seq}"
    await bus.append(wire.fact_message(rejected, source=source, at=at, id=id), id=id)


def _same(one: facts.MessageRejected, other: facts.MessageRejected) -> bool:
    return (one.seq, one.rejected_subject) == (other.seq, other.rejected_subject)
