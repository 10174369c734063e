"""What only the memory twin has: hooks, a line that can be cut, a clock that is the event loop's."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import streams
from shared.bus.memory import MemoryBus, MemoryServer
from shared.bus.memory.consumer import Consumer
from shared.bus.memory.log import Log
from shared.bus.port import BusClosed, Guard, Intake, Message, OutcomeUnknown, Stored

FACT = Message("rota.fact.run.lab.r1.run.run_requested", b"{}")
ORDER = Message("rota.command.executor.reboot_host.lab.r1.s1-1", b"{}")
GUARD = Guard("rota.fact.run.lab.>", 0)
ORDERS = Intake(streams.COMMANDS, "executor", ("rota.command.executor.>",), ack_wait=0.05)


class Killed(BaseException):
    """What a test's hook raises in place of a kill."""


async def test_every_operation_is_announced_before_and_after() -> None:
    """With its name and its subject, filter, durable or key."""
    told: list[tuple[str, str, str]] = []

    async def before(operation: str, subject: str) -> None:
        told.append(("before", operation, subject))

    async def after(operation: str, subject: str) -> None:
        told.append(("after", operation, subject))

    bus = MemoryBus(MemoryServer(), before=before, after=after)
    await bus.append_guarded([FACT], GUARD)
    await bus.send_order(ORDER)
    async with bus.follow(["rota.fact.>"], after=0) as facts, bus.take(ORDERS) as orders:
        await anext(facts)
        await (await anext(orders)).ack()
    await bus.put("ROTA_RUNS", "lab.r1", b"", revision=0)
    await bus.say("rota.progress.lab", b"")
    both = [
        ("append_guarded", FACT.subject),
        ("send_order", ORDER.subject),
        ("follow", "rota.fact.>"),
        ("take", "executor"),
        ("see", FACT.subject),
        ("deliver", ORDER.subject),
        ("ack", ORDER.subject),
        ("put", "ROTA_RUNS/lab.r1"),
        ("say", "rota.progress.lab"),
    ]
    assert told == [(when, *what) for what in both for when in ("before", "after")]


async def test_a_kill_before_an_operation_leaves_it_undone_and_after_it_done() -> None:
    """What a hook raises reaches the caller."""
    server = MemoryServer()

    async def kill(operation: str, subject: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        await MemoryBus(server, before=kill).append_guarded([FACT], GUARD)
    assert server.facts() == []
    with pytest.raises(Killed):
        await MemoryBus(server, after=kill).append_guarded([FACT], GUARD)
    assert [stored.subject for stored in server.facts()] == [FACT.subject]


async def test_an_answer_can_be_lost() -> None:
    """Stored, and nobody knows: the hook after the write says so."""
    server = MemoryServer()

    async def lose(operation: str, subject: str) -> None:
        raise OutcomeUnknown("lost by the test")

    with pytest.raises(OutcomeUnknown):
        await MemoryBus(server, after=lose).append_guarded([FACT], GUARD)
    assert len(server.facts()) == 1


async def test_a_fact_is_not_lost_to_a_kill_while_it_is_handed_over() -> None:
    """The hook before it may raise or be cancelled; who asks again gets it."""
    server = MemoryServer()
    await MemoryBus(server).append(FACT, id="one")
    moody = True

    async def before(operation: str, subject: str) -> None:
        nonlocal moody
        if operation in ("see", "deliver") and moody:
            moody = False
            raise OutcomeUnknown("not now")

    bus = MemoryBus(server, before=before)
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        with pytest.raises(OutcomeUnknown):
            await anext(facts)
        assert (await anext(facts)).seq == 1


async def test_a_cut_line_holds_everything_up_and_loses_acks() -> None:
    """Calls wait until it is mended; what was in hand goes to somebody else after ack_wait."""
    server = MemoryServer()
    cut, other = MemoryBus(server, "cut"), MemoryBus(server, "other")
    await other.send_order(ORDER)
    async with cut.take(ORDERS) as mine, other.take(ORDERS) as theirs:
        held = await anext(mine)
        cut.cut()
        await held.ack()
        await cut.say("rota.progress.lab", b"")
        writing = asyncio.create_task(cut.append(FACT, id="one"))
        again = await asyncio.wait_for(anext(theirs), 5)
        assert again.token > held.token
        assert not writing.done()
        cut.mend()
        assert await asyncio.wait_for(writing, 5) == 1
        await again.ack()
    assert server.orders() == []


async def test_a_dropped_client_does_nothing_more() -> None:
    """As if its process were killed: its iterators end, its calls fail, what it held is delivered again."""
    server = MemoryServer()
    dead, other = MemoryBus(server, "dead"), MemoryBus(server, "other")
    await other.send_order(ORDER)
    async with dead.take(ORDERS) as mine, dead.follow(["rota.fact.>"], after=0) as facts:
        held = await anext(mine)
        waiting = asyncio.ensure_future(anext(facts, None))
        await asyncio.sleep(0)
        dead.drop()
        assert await asyncio.wait_for(waiting, 5) is None
        await held.ack()
        with pytest.raises(BusClosed):
            await dead.append(FACT, id="one")
    assert len(server.orders()) == 1
    async with other.take(ORDERS) as theirs:
        assert (await asyncio.wait_for(anext(theirs), 5)).token.delivered == 2


async def test_a_restart_sends_the_last_facts_again_and_the_follower_drops_them() -> None:
    """What the server forgets of a follower's place does not show."""
    server = MemoryServer()
    bus = MemoryBus(server)
    sent: list[int] = []
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        for number in range(5):
            await bus.append(FACT, id=str(number))
        sent += [(await anext(facts)).seq for _ in range(5)]
        server.stop()
        server.start(again=3)
        await bus.append(FACT, id="last")
        sent.append((await asyncio.wait_for(anext(facts), 5)).seq)
    assert sent == [1, 2, 3, 4, 5, 6]


async def test_a_restart_may_give_a_deliverys_number_again() -> None:
    """As a server does that was killed before it wrote the delivery down."""
    server = MemoryServer()
    bus = MemoryBus(server)
    await bus.send_order(ORDER)
    async with bus.take(ORDERS) as orders:
        held = await anext(orders)
        server.stop()
        server.start(forgotten=1)
        assert (await asyncio.wait_for(anext(orders), 5)).token == held.token


async def test_abandoned_batches_close_by_the_loops_clock() -> None:
    """Fifty open ones stand in the way of the next; ten seconds later they do not."""
    server = MemoryServer()
    bus = MemoryBus(server)
    server.abandon_batches(50)
    with pytest.raises(OutcomeUnknown):
        await bus.append_guarded([FACT, FACT], GUARD)
    loop = asyncio.get_running_loop()
    began, real = loop.time(), loop.time
    loop.time = lambda: real() + 10.0  # type: ignore[method-assign]
    try:
        assert loop.time() - began >= 10
        assert await bus.append_guarded([FACT, FACT], GUARD) == 2
    finally:
        loop.time = real  # type: ignore[method-assign]


def test_a_message_id_is_forgotten_after_its_window() -> None:
    """A retry after that stores a second copy, which is why orders carry none."""
    log = Log(streams.stream_of(FACT.subject))
    marked = Message(FACT.subject, b"", {"Nats-Msg-Id": "one"})
    assert [log.write([marked], None, now=now, stored_at=0).seq for now in (0, 60, 119.9, 120, 121)] == [1, 1, 1, 2, 2]


def test_the_wait_for_an_ack_is_by_the_time_that_is_given() -> None:
    """Nothing in it looks at a clock."""
    log = Log(streams.stream_of(ORDER.subject))
    log.write([ORDER], None, now=0, stored_at=0)
    consumer = Consumer(log, Intake(streams.COMMANDS, "executor", ("rota.command.>",), ack_wait=2))

    def delivered(now: float) -> int | None:
        given = consumer.pull(now)
        return given[1] if given else None

    assert [delivered(now) for now in (100, 101.9, 102, 103.9)] == [1, None, 2, None]
    consumer.working(1, 103.9)
    assert [delivered(now) for now in (105.8, 105.9)] == [None, 3]
    consumer.nak(1, 110)
    assert consumer.next_due() == 110
    assert [delivered(now) for now in (109.9, 110)] == [None, 4]
    consumer.ack(1)
    assert (delivered(1000), consumer.next_due()) == (None, None)


async def test_facts_are_stamped_with_the_servers_own_time() -> None:
    """So that a story has the time it is told in."""
    server = MemoryServer(now=lambda: 1_700_000_000.5)
    await MemoryBus(server).append(FACT, id="one")
    assert server.facts() == [Stored(FACT.subject, FACT.data, {"Nats-Msg-Id": "one"}, seq=1, stored_at=1_700_000_000.5)]
