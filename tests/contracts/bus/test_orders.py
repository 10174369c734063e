"""Orders: the queue is the lease. What sending one, taking one and answering one promise."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from shared.bus import streams, wire
from shared.bus.port import Bus, BusRefused, Intake, Message, Token
from tests.contracts.bus.grounds import Ground
from tests.contracts.bus.words import ORDERS, nothing_comes, order, some, soon

START = Message("rota.command.planner.start_run", b'{"pool":"lab"}', {"Rota-By": "Jörg Müller"})
PEOPLE = Intake(streams.COMMANDS, "planner", ("rota.command.planner.>",), ack_wait=0.3)


async def test_an_order_is_refused_while_a_copy_waits_or_is_worked_on(bus: Bus) -> None:
    """Sending again is free; once the first is acknowledged it is an order again, within any window of ids."""
    assert await bus.send_order(order())
    assert not await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        taken = await soon(orders)
        assert not await bus.send_order(order())
        await taken.ack()
        assert await bus.send_order(order())
        again = await soon(orders)
        assert again.token.seq > taken.token.seq
        await again.ack()


async def test_the_next_attempt_is_another_order(bus: Bus) -> None:
    """It is sent when the failure is recorded, which is before the first attempt is acknowledged."""
    assert await bus.send_order(order(attempt=1))
    assert await bus.send_order(order(attempt=2))
    assert await bus.orders_outstanding("rota.command.executor.>") == {
        order(attempt=1).subject,
        order(attempt=2).subject,
    }


async def test_outstanding_are_orders_that_wait_or_are_worked_on(bus: Bus) -> None:
    """Neither those that were acknowledged nor those of somebody else."""
    for step in ("t01-s001", "t01-s002", "t01-s003"):
        await bus.send_order(order(step))
    await bus.append(START, id="start-1")
    async with bus.take(ORDERS) as orders:
        first, _ = await some(orders, 2)
        await first.ack()
    assert await bus.orders_outstanding("rota.command.executor.>") == {
        order("t01-s002").subject,
        order("t01-s003").subject,
    }
    assert await bus.orders_outstanding("rota.command.executor.*.elsewhere.>") == frozenset()


async def test_a_persons_order_arrives_with_its_id_and_author(bus: Bus, other: Bus) -> None:
    """Both are headers; a name need not be ASCII."""
    seq = await bus.append(START, id="order-1")
    assert await bus.append(START, id="order-1") == seq
    async with other.take(PEOPLE) as orders:
        taken = await soon(orders)
        assert taken.message == dataclasses.replace(START, headers={"Rota-By": "Jörg Müller", wire.MSG_ID: "order-1"})
        assert taken.token == Token(seq, 1)
        assert taken.stored_at > 0
        assert await nothing_comes(orders), "the same order sent twice was stored twice"
        await taken.ack()


async def test_each_order_goes_to_one_of_those_who_take(bus: Bus, other: Bus) -> None:
    """Two replicas share a durable."""
    for number in range(10):
        await bus.send_order(order(f"s{number}"))
    async with bus.take(ORDERS) as mine, other.take(ORDERS) as theirs:
        taken = [*await some(mine, 5), *await some(theirs, 5)]
        assert len({delivery.message.subject for delivery in taken}) == 10
        for delivery in taken:
            await delivery.ack()
    assert await bus.orders_outstanding("rota.command.>") == frozenset()


async def test_what_is_not_answered_is_delivered_again(bus: Bus, other: Bus) -> None:
    """After ack_wait, to whoever takes; the token has grown."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as mine, other.take(ORDERS) as theirs:
        first = await soon(mine)
        second = await soon(theirs)
        assert second.message.subject == first.message.subject
        assert (second.token, first.token) == (Token(first.token.seq, 2), Token(first.token.seq, 1))
        assert second.token > first.token
        await second.ack()


async def test_a_heartbeat_holds_an_order(bus: Bus) -> None:
    """As long as it comes within ack_wait nobody else is given the order."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        taken = await soon(orders)
        for _ in range(6):
            assert await nothing_comes(orders, within=0.1)
            await taken.working()
        assert (await soon(orders)).token.delivered == 2, "without a heartbeat it comes again"


async def test_not_now_comes_again_when_asked_for(bus: Bus) -> None:
    """A nak with a delay is kept back that long, and not longer than that."""
    await bus.send_order(order())
    loop = asyncio.get_running_loop()
    async with bus.take(dataclasses.replace(ORDERS, ack_wait=30)) as orders:
        await (await soon(orders)).nak(0.4)
        began = loop.time()
        again = await soon(orders)
        assert 0.3 < loop.time() - began < 5
        await again.nak(0)
        assert (await soon(orders)).token.delivered == 3


async def test_nothing_is_given_up_by_the_bus_itself(bus: Bus) -> None:
    """Poison is judged by the handler: however often it is refused, it comes again."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        for delivered in range(1, 8):
            taken = await soon(orders)
            assert taken.token.delivered == delivered
            await taken.nak(0)


async def test_an_ack_of_a_stale_delivery_still_takes_the_order_away(bus: Bus) -> None:
    """The trap: who was superseded must be silent, for his ack ends what another is working on."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        first, second = await some(orders, 2)
        await first.ack()
        assert await bus.orders_outstanding("rota.command.>") == frozenset()
        await second.working()
        assert await nothing_comes(orders, within=0.6)


async def test_a_nak_of_a_stale_delivery_still_gives_the_order_away(bus: Bus) -> None:
    """The other half of the trap: delivery 3 comes at once, while delivery 2 is in hand."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        first, _ = await some(orders, 2)
        await first.nak(0)
        third = await soon(orders, within=0.25)
        assert third.token.delivered == 3
        await third.ack()


async def test_an_ack_of_what_is_gone_does_nothing(bus: Bus) -> None:
    """It proves nothing either."""
    await bus.send_order(order())
    async with bus.take(ORDERS) as orders:
        taken = await soon(orders)
        await taken.ack()
        await taken.ack()
        await taken.nak(0)
        assert await nothing_comes(orders)


async def test_what_can_never_be_handled_is_taken_away(bus: Bus) -> None:
    """A terminated order is not delivered again and does not stand in the way of others."""
    await bus.send_order(order("s1"))
    await bus.send_order(order("s2"))
    async with bus.take(ORDERS) as orders:
        await (await soon(orders)).term("it cannot be read:\nno such verb")
        assert (await soon(orders)).message.subject == order("s2").subject
        assert await nothing_comes(orders, within=0.1)
    assert order("s1").subject not in await bus.orders_outstanding("rota.command.>")


async def test_what_a_client_held_is_given_to_another_when_it_is_gone(ground: Ground, bus: Bus) -> None:
    """Closing gives nothing back at once: a killed process could not either."""
    await bus.send_order(order())
    gone = await ground.client("gone")
    async with gone.take(ORDERS) as orders:
        await soon(orders)
        await gone.close()
    async with bus.take(ORDERS) as orders:
        again = await soon(orders)
        assert again.token.delivered == 2
        await again.ack()


async def test_no_more_than_max_pending_are_out_at_a_time(bus: Bus, other: Bus) -> None:
    """Over all replicas together."""
    for number in range(3):
        await bus.send_order(order(f"s{number}"))
    narrow = dataclasses.replace(ORDERS, max_pending=2, ack_wait=30)
    async with bus.take(narrow) as mine, other.take(narrow) as theirs:
        first = await soon(mine)
        await soon(theirs)
        assert await nothing_comes(mine)
        await first.ack()
        assert (await soon(mine)).message.subject == order("s2").subject


async def test_two_durables_may_not_want_the_same_orders(bus: Bus) -> None:
    """A work queue has one taker for each order: the second is refused with a sentence."""
    async with bus.take(ORDERS):
        greedy = Intake(streams.COMMANDS, "greedy", ("rota.command.>",))
        with pytest.raises(BusRefused):
            async with bus.take(greedy):
                pass


async def test_a_durable_takes_its_new_settings(bus: Bus) -> None:
    """What changed between two starts of a service holds from the second on."""
    await bus.send_order(order())
    async with bus.take(dataclasses.replace(ORDERS, ack_wait=60)):
        pass
    async with bus.take(ORDERS) as orders:
        await soon(orders)
        assert (await soon(orders)).token.delivered == 2


async def test_an_interrupted_wait_loses_no_order(bus: Bus) -> None:
    """A service may ask with a time limit, again and again."""
    async with bus.take(ORDERS) as orders:
        assert await nothing_comes(orders, within=0.05)
        await bus.send_order(order())
        for _ in range(20):
            try:
                async with asyncio.timeout(0.02):
                    taken = await anext(orders)
            except TimeoutError:
                continue
            break
        else:
            pytest.fail("the order never came")
        assert taken.token.delivered == 1
        await taken.ack()


async def test_a_durable_of_the_journal_goes_on_where_it_was(bus: Bus, other: Bus) -> None:
    """The reporter's: from the beginning, each fact once for all replicas, acknowledged one by one; the facts stay."""
    reporter = Intake(streams.FACTS, "reporter", ("rota.fact.run.*.*.run.*", "rota.fact.system.>"), ack_wait=5)
    subjects = [f"rota.fact.run.lab.r1.run.f{number}" for number in range(4)]
    for subject in subjects:
        await bus.append(Message(subject, b""), id=subject)
    await bus.append(Message("rota.fact.host.lab.h1.host_answering", b""), id="h")
    async with bus.take(reporter) as facts:
        for subject in subjects[:2]:
            taken = await soon(facts)
            assert taken.message.subject == subject
            await taken.ack()
    async with other.take(reporter) as facts:
        assert [(await soon(facts)).message.subject for _ in range(2)] == subjects[2:]
    assert await bus.last_seq() == 5
