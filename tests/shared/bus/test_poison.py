"""What cannot be read is told once."""

from __future__ import annotations

from shared.bus import memory, poison, wire
from shared.domain import facts


async def test_a_rejection_is_on_record_once_whoever_tells_it_and_however_late() -> None:
    """Another service told it, long ago and under another id; a second message is another matter."""
    bus = memory.MemoryBus(memory.MemoryServer(), "test")
    first = facts.MessageRejected(rejected_subject="rota.fact.x", seq=0, because="No.", service="planner")
    await bus.append(wire.fact_message(first, source="planner", at=1.0, id="a"), id="a")
    for service in ("reporter", "planner"):
        await poison.tell(bus, first.model_copy(update={"service": service}), source=service, at=2.0)
    await poison.tell(bus, first.model_copy(update={"rejected_subject": "rota.fact.y"}), source="planner", at=3.0)

    told = [wire.read_fact(stored).fact async for stored in bus.read((facts.MessageRejected.subject,))]
    assert [fact.rejected_subject for fact in told if isinstance(fact, facts.MessageRejected)] == [
        "rota.fact.x",
        "rota.fact.y",
    ]
