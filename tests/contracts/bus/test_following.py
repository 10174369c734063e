"""Following the journal, and what holds when the server is killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from shared.bus.port import Bus, BusUnreachable, Message, OutcomeUnknown
from tests.contracts.bus.grounds import Ground, RestartableGround, outage
from tests.contracts.bus.words import ORDERS, fact, guard, nothing_comes, order, seen, some, soon


async def write(bus: Bus, *names: str) -> list[int]:
    """Unguarded facts, one after the other."""
    return [await bus.append(seen(name), id=name) for name in names]


async def test_a_follower_sees_every_fact_that_it_asked_for(bus: Bus, other: Bus) -> None:
    """What was there, then what comes, in order, from behind the sequence it named."""
    first, second = await write(bus, "f1", "f2")
    async with bus.follow(["rota.fact.host.>"], after=first) as facts:
        assert (await soon(facts)).seq == second
        await other.append_guarded([fact("run_requested")], guard(0))
        (last,) = await write(other, "f3")
        stored = await soon(facts)
        assert (stored.seq, stored.subject) == (last, seen("f3").subject)


async def test_a_fact_that_two_filters_take_is_seen_once(bus: Bus) -> None:
    """Filters may overlap, and one may lie within another."""
    await write(bus, "f1")
    filters = ["rota.fact.host.>", "rota.fact.*.lab.>", "rota.fact.host.lab.h1.f1", "rota.fact.host.>"]
    async with bus.follow(filters, after=0) as facts:
        assert (await soon(facts)).subject == seen("f1").subject
        await write(bus, "f2")
        assert (await soon(facts)).subject == seen("f2").subject
        assert await nothing_comes(facts)


async def test_followers_do_not_share(bus: Bus, other: Bus) -> None:
    """Each process folds everything."""
    async with bus.follow(["rota.fact.>"], after=0) as mine, other.follow(["rota.fact.>"], after=0) as theirs:
        seqs = await write(bus, "f1", "f2", "f3")
        assert [stored.seq for stored in await some(mine, 3)] == seqs
        assert [stored.seq for stored in await some(theirs, 3)] == seqs


async def test_a_long_journal_is_followed_without_a_gap(bus: Bus) -> None:
    """More than is fetched at a time."""
    for start in range(0, 2400, 800):
        batch = [fact("f", data=str(start + number).encode()) for number in range(800)]
        await bus.append_guarded(batch, guard(start))
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        assert [int(stored.data) for stored in await some(facts, 2400)] == list(range(2400))


async def test_an_interrupted_wait_loses_no_fact(bus: Bus) -> None:
    """A service may wait with a time limit, again and again."""
    seqs: list[int] = []
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        assert await nothing_comes(facts, within=0.05)
        written = await write(bus, *(f"f{number}" for number in range(20)))
        while len(seqs) < 20:
            try:
                async with asyncio.timeout(0.003):
                    seqs.append((await anext(facts)).seq)
            except TimeoutError:
                continue
    assert seqs == written


async def test_closing_ends_followers_and_takers_calmly(bus: Bus) -> None:
    """Their loops simply end."""
    async with bus.follow(["rota.fact.>"], after=0) as facts, bus.take(ORDERS) as orders, bus.listen("x.>") as words:
        waiting = [asyncio.ensure_future(anext(one, None)) for one in (facts, orders, words)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await bus.close()
            assert await asyncio.gather(*waiting) == [None, None, None]


async def test_a_closed_client_says_so(bus: Bus) -> None:
    """Nothing waits for ever on a client that is closed."""
    await bus.close()
    async with asyncio.timeout(5):
        with pytest.raises(BusUnreachable, match="'one' was closed"):
            await bus.append(seen("f1"), id="f1")
        with pytest.raises(BusUnreachable):
            await bus.last_seq()


async def test_a_follower_goes_on_within_a_second_of_a_restart(mortal: RestartableGround) -> None:
    """Nothing is missed, nothing is seen twice, although the server sends some of it again. Three kills."""
    writer, reader = await mortal.client("writer"), await mortal.client("reader")
    loop = asyncio.get_running_loop()
    got: list[int] = []
    async with reader.follow(["rota.fact.>"], after=0) as facts:
        written: list[int] = []
        for kill, down in enumerate((0.0, 0.3, 0.0)):
            written += await write(writer, *(f"k{kill}-{number}" for number in range(30)))
            got += [stored.seq for stored in await some(facts, 30)]
            await outage(mortal, down)
            back = loop.time()
            written += await write(writer, f"k{kill}-after")
            got.append((await soon(facts)).seq)
            assert loop.time() - back < 1
    assert got == written


async def test_an_unguarded_fact_is_stored_once_across_a_restart(mortal: RestartableGround) -> None:
    """It is retried under its id until it is stored, and never doubled."""
    bus = await mortal.client("one")
    await write(bus, "before")
    await mortal.crash()
    writing = [asyncio.create_task(bus.append(seen(f"f{number}"), id=f"f{number}")) for number in range(20)]
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in writing)
    await mortal.restart()
    async with asyncio.timeout(10):
        seqs = await asyncio.gather(*writing)
    assert len(set(seqs)) == 20
    assert await bus.last_seq() == 21


async def test_who_does_not_want_to_wait_is_told(mortal: RestartableGround) -> None:
    """With a bound, the bus being away is an error in one sentence."""
    bus = await mortal.client("one")
    await mortal.crash()
    with pytest.raises(BusUnreachable, match=r"within 0\.2 s"):
        await bus.append(seen("f1"), id="f1", within=0.2)
    await mortal.restart()


async def test_everything_waits_for_the_server(mortal: RestartableGround) -> None:
    """A server that is away for a moment is no error to anybody, at the start of a service neither."""
    bus = await mortal.client("one")
    await write(bus, "f1")
    await mortal.crash()
    waiting = asyncio.gather(
        bus.last_seq(),
        bus.last("rota.fact.>"),
        bus.orders_outstanding("rota.command.>"),
        bus.get("ROTA_RUNS", "lab.r1"),
        bus.get_object("ROTA_SNAPSHOTS", "lab"),
        decided_again(lambda: bus.send_order(order())),
        decided_again(lambda: bus.append_guarded([fact("run_requested")], guard(0))),
        followed(bus),
        taken(bus),
    )
    await bus.say("rota.progress.lab", b"lost")
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await mortal.restart()
    async with asyncio.timeout(10):
        answers = await waiting
    assert (answers[0] in (1, 2), answers[5], answers[7], answers[8]) == (
        True,
        True,
        seen("f1").subject,
        order().subject,
    )


async def decided_again(write: Callable[[], Awaitable[object]]) -> object:
    """A guarded write, tried until it is answered; only who was asking when the line broke is left without answer."""
    while True:
        with contextlib.suppress(OutcomeUnknown):
            return await write()


async def followed(bus: Bus) -> str:
    """The first fact that a new follower sees."""
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        return (await soon(facts)).subject


async def taken(bus: Bus) -> str:
    """The first order that a new taker gets."""
    async with bus.take(ORDERS) as orders:
        delivery = await soon(orders)
        await delivery.ack()
        return delivery.message.subject


async def test_a_taker_goes_on_after_a_restart(mortal: RestartableGround) -> None:
    """New orders come within a second; the one that was in hand comes again."""
    bus, other = await mortal.client("one"), await mortal.client("other")
    await bus.send_order(order("s1"))
    loop = asyncio.get_running_loop()
    async with bus.take(ORDERS) as orders:
        held = await soon(orders)
        await outage(mortal, 0.1)
        back = loop.time()
        await other.send_order(order("s2"))
        deliveries = await some(orders, 2)
        assert loop.time() - back < 1.5, "ack_wait is 0.3 s and begins anew"
        assert {delivery.message.subject for delivery in deliveries} == {order("s1").subject, order("s2").subject}
        again = next(delivery for delivery in deliveries if delivery.token.seq == held.token.seq)
        assert again.token >= held.token, "it has grown, unless the server was killed before it wrote the delivery down"
        for delivery in deliveries:
            await delivery.ack()
    assert await bus.orders_outstanding("rota.command.>") == frozenset()


async def test_an_order_that_waits_survives_a_restart(mortal: RestartableGround) -> None:
    """And still stands in the way of its copy."""
    bus = await mortal.client("one")
    await bus.send_order(order())
    await outage(mortal, 0)
    assert not await bus.send_order(order())


async def test_guards_hold_across_a_restart(mortal: RestartableGround) -> None:
    """The last sequence of a filter is what it was."""
    bus = await mortal.client("one")
    after = await bus.append_guarded([fact("run_requested"), fact("survey_ordered")], guard(0))
    await outage(mortal, 0)
    assert await bus.append_guarded([fact("run_planned")], guard(after)) == after + 1


async def test_ids_are_remembered_across_a_restart(mortal: RestartableGround) -> None:
    """A fact whose answer was lost with the server is not stored again by its retry."""
    bus = await mortal.client("one")
    (seq,) = await write(bus, "f1")
    await outage(mortal, 0)
    assert await write(bus, "f1") == [seq]


async def test_hearsay_is_heard_by_those_who_listen(ground: Ground, bus: Bus, other: Bus) -> None:
    """And is nowhere kept."""
    assert await other.last_seq() == 0  # it is connected; what is said while it is not is lost, as it may be
    async with bus.listen("rota.progress.*.>") as words:
        await other.say("rota.progress.lab.r1.s1", b"50")
        await other.say("elsewhere.lab.r1.s1", b"no")
        await other.say("rota.progress.lab.r1.s1", b"60")
        assert await some(words, 2) == [Message("rota.progress.lab.r1.s1", data) for data in (b"50", b"60")]
    async with bus.listen("rota.progress.>") as words:
        assert await nothing_comes(words, within=0.05)
    assert await bus.last_seq() == 0


async def test_a_request_is_answered_by_whoever_serves_its_subject(ground: Ground, bus: Bus, other: Bus) -> None:
    """The first answer counts, and the question says where it is waited for."""
    async with other.listen("ops.>") as questions:

        async def serve() -> None:
            question = await anext(questions)
            assert (question.subject, question.data) == ("ops.backups.idle", b"idle?")
            await other.say(question.reply, b"yes")
            await other.say(question.reply, b"too late")

        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            assert await bus.request("ops.backups.idle", b"idle?", within=5.0) == b"yes"


async def test_a_request_that_nobody_answers_is_silence(ground: Ground, bus: Bus, other: Bus) -> None:
    """Nobody is there, or whoever is there says nothing in time; and some subjects are none."""
    assert await bus.request("ops.nobody", b"", within=5.0) is None
    async with other.listen("ops.>") as questions:
        assert await bus.request("ops.deaf", b"?", within=0.5) is None
        async with asyncio.timeout(10):
            assert (await anext(questions)).data == b"?"
    with pytest.raises(ValueError, match="cannot be asked on"):
        await bus.request("ops.*", b"", within=5.0)
