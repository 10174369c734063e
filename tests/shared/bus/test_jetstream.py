"""What only the adapter to a real server has to withstand: lost lines, lost consumers, refusals, other clients."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import nats.js.errors
import pytest
from nats.aio.client import Client

from shared.bus import embedded, jetstream, streams
from shared.bus.embedded import EmbeddedServer
from shared.bus.jetstream import JetStreamBus
from shared.bus.port import BusRefused, BusUnreachable, Guard, Intake, Message, OutcomeUnknown
from tests.shared.bus.proxy import Line

ORDERS = Intake(streams.COMMANDS, "executor", ("rota.command.executor.>",), ack_wait=0.3)
ORDER = Message("rota.command.executor.reboot_host.lab.r1.s1-1", b"{}")


def fact(name: str = "host_answering") -> Message:
    """A fact of the watcher's."""
    return Message(f"rota.fact.host.lab.h1.{name}", b"{}")


@pytest.fixture
async def raw(server: EmbeddedServer) -> AsyncIterator[Client]:
    """Another client, without a word of ours."""
    client = await nats.connect(server.url)
    yield client
    await client.close()


async def api(raw: Client, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request to JetStream."""
    answer = await raw.request(f"$JS.API.{verb}", json.dumps(body or {}).encode(), timeout=5)
    decoded = dict(json.loads(answer.data))
    assert "error" not in decoded, decoded
    return decoded


async def test_facts_lost_with_the_line_are_seen_all_the_same(server: EmbeddedServer, bus: JetStreamBus) -> None:
    """The server counts as sent what never arrived, and has no acks to know better. The follower does."""
    async with Line(server.port) as line:
        far = await jetstream.connect(line.url, name="far", within=5)
        async with far.follow(["rota.fact.>"], after=0) as facts:
            await bus.append(fact(), id="before")
            async with asyncio.timeout(10):
                assert (await anext(facts)).seq == 1
            line.deafen()
            for number in range(5):
                await bus.append(fact(), id=f"lost-{number}")
            line.cut()
            async with asyncio.timeout(10):
                assert [(await anext(facts)).seq for _ in range(5)] == [2, 3, 4, 5, 6]
        await far.close()


async def test_an_answer_lost_with_the_line_is_known_at_once(server: EmbeddedServer, bus: JetStreamBus) -> None:
    """A guarded write is not waited for on a line that broke: it may be stored, decide again. An unguarded one is
    sent again and stored once."""
    async with Line(server.port) as line:
        far = await jetstream.connect(line.url, name="far", within=5)
        line.deafen()
        guarded = asyncio.create_task(
            far.append_guarded([Message("rota.fact.run.lab.r1.run.x", b"")], Guard("rota.fact.run.lab.>", 0))
        )
        unguarded = asyncio.create_task(far.append(fact(), id="one"))
        async with asyncio.timeout(10), bus.follow(["rota.fact.>"], after=0) as facts:
            assert {(await anext(facts)).seq for _ in range(2)} == {1, 2}
        line.cut()
        async with asyncio.timeout(2):
            with pytest.raises(OutcomeUnknown):
                await guarded
            assert await unguarded in (1, 2)
        assert await bus.last_seq() == 2
        await far.close()


async def test_a_follower_outlives_its_consumer(bus: JetStreamBus, raw: Client) -> None:
    """Deleted by a person, or forgotten by the server: another is made, behind what was seen."""
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        await bus.append(fact(), id="one")
        assert (await anext(facts)).seq == 1
        for name in (await api(raw, f"CONSUMER.NAMES.{streams.FACTS}"))["consumers"]:
            await api(raw, f"CONSUMER.DELETE.{streams.FACTS}.{name}")
        await bus.append(fact(), id="two")
        async with asyncio.timeout(5):
            assert (await anext(facts)).seq == 2


async def test_a_taker_outlives_its_consumer(bus: JetStreamBus, raw: Client) -> None:
    """The durable is made again."""
    async with bus.take(ORDERS) as orders:
        waiting = asyncio.ensure_future(anext(orders))
        await asyncio.sleep(0.05)
        await api(raw, f"CONSUMER.DELETE.{streams.COMMANDS}.executor")
        await bus.send_order(ORDER)
        async with asyncio.timeout(5):
            assert (await waiting).message.subject == ORDER.subject


async def test_followers_and_readers_leave_no_consumer_behind(bus: JetStreamBus, raw: Client) -> None:
    """The server need not wait to forget them."""
    await bus.append(fact(), id="one")
    async with bus.follow(["rota.fact.>"], after=0) as facts:
        await anext(facts)
        assert len((await api(raw, f"CONSUMER.NAMES.{streams.FACTS}"))["consumers"]) == 1
    assert [stored.seq async for stored in bus.read(["rota.fact.>"])] == [1]
    await bus.last_seq()
    assert not (await api(raw, f"CONSUMER.NAMES.{streams.FACTS}"))["consumers"]


async def test_a_client_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    """Whatever is started first."""
    first = await embedded.start(tmp_path)
    await first.stop()
    connecting = asyncio.create_task(jetstream.connect(first.url, name="early"))
    await asyncio.sleep(0.2)
    assert not connecting.done()
    server = await embedded.start(tmp_path, port=first.port)
    async with asyncio.timeout(5):
        bus = await connecting
        await bus.ensure_streams()
    await bus.close()
    await server.stop()


async def test_who_does_not_want_to_wait_is_told_without_the_password(server: EmbeddedServer) -> None:
    """In one sentence with the address."""
    await server.stop()
    url = server.url.replace("//", "//rota:secret@")
    with pytest.raises(BusUnreachable, match=rf"at 127\.0\.0\.1:{server.port} let nobody in within 0\.3 s") as told:
        await jetstream.connect(url, name="cli", within=0.3)
    assert "secret" not in str(told.value)


async def test_wrong_credentials_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right ones, in the address, are let in."""
    server = await embedded.start(tmp_path, extra='authorization { user: "rota", password: "right" }')
    with pytest.raises(BusUnreachable, match=r"let nobody in .*[Aa]uthorization"):
        await jetstream.connect(server.url.replace("//", "//rota:wrong@"), name="cli", within=1)
    assert "right" not in caplog.text
    assert "wrong" not in caplog.text
    bus = await jetstream.connect(server.url.replace("//", "//rota:right@"), name="cli", within=5)
    await bus.close()
    await server.stop()


async def test_a_server_that_is_too_old_is_refused() -> None:
    """Before anything is asked of it that it does not know."""

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.10.4","max_payload":1048576,"headers":true,"proto":1}\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        with pytest.raises(BusRefused, match=r"is 2\.10; Rota needs 2\.12 or newer"):
            await jetstream.connect(f"nats://127.0.0.1:{port}", name="cli", within=5)


async def test_streams_are_made_as_the_table_says_and_kept_so(bus: JetStreamBus, raw: Client) -> None:
    """Made once, left alone when right, put right when somebody changed them; by any number of services at once."""
    name = f"STREAM.INFO.{streams.FACTS}"
    made = (await api(raw, name))["config"]
    assert (made["retention"], made["max_age"], made["allow_atomic"]) == ("limits", 90 * 86_400 * 10**9, True)
    assert (await api(raw, f"STREAM.INFO.{streams.COMMANDS}"))["config"]["retention"] == "workqueue"
    await api(raw, f"STREAM.UPDATE.{streams.FACTS}", {**made, "max_age": 10**9 * 600, "description": "ours"})
    await asyncio.gather(*(bus.ensure_streams() for _ in range(5)))
    assert (await api(raw, name))["config"] == {**made, "description": "ours"}


async def test_streams_are_made_by_whoever_comes_first(server: EmbeddedServer) -> None:
    """Several services that start at once do not trip over each other."""
    clients = [await jetstream.connect(server.url, name=f"c{number}", within=5) for number in range(4)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(client.ensure_streams() for client in clients))
    assert await clients[0].append(fact(), id="one") == 1
    for client in clients:
        await client.close()


async def test_more_replicas_than_servers_are_refused(bus: JetStreamBus) -> None:
    """With what the server says."""
    with pytest.raises(BusRefused, match="replicas"):
        await bus.ensure_streams(replicas=3)


async def test_a_stream_that_is_missing_is_waited_for_and_told_once(
    server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever makes them may come later; silence would be worse."""
    early = await jetstream.connect(server.url, name="early", within=5)
    with caplog.at_level(logging.WARNING):
        asking = asyncio.create_task(early.last_seq())
        await asyncio.sleep(0.4)
        assert not asking.done()
    assert [record.getMessage() for record in caplog.records] == [
        "early: The bus is there but cannot serve yet: stream not found. Waiting for it."
    ]
    with pytest.raises(BusUnreachable, match=r"nobody serves rota\.fact\.host"):
        await early.append(fact(), id="one", within=0.1)
    with pytest.raises(OutcomeUnknown):
        await early.send_order(ORDER)
    await early.ensure_streams()
    async with asyncio.timeout(5):
        assert await asking == 0
    await early.close()


async def test_a_full_stream_is_told_with_its_reason(
    bus: JetStreamBus, raw: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """An unguarded fact waits for room, a guarded one is decided again, and both are told in one sentence each."""
    made = (await api(raw, f"STREAM.INFO.{streams.FACTS}"))["config"]
    await api(raw, f"STREAM.UPDATE.{streams.FACTS}", {**made, "max_bytes": 10, "discard": "new"})
    with caplog.at_level(logging.WARNING), pytest.raises(BusUnreachable, match="maximum bytes exceeded"):
        await bus.append(fact(), id="one", within=0.3)
    with pytest.raises(OutcomeUnknown, match="maximum bytes exceeded"):
        await bus.append_guarded([Message("rota.fact.run.lab.r1.run.x", b"")], Guard("rota.fact.run.lab.>", 0))
    assert len(caplog.records) == 2


async def test_an_outage_is_told_once_and_without_tracebacks(
    server: EmbeddedServer, bus: JetStreamBus, caplog: pytest.LogCaptureFixture
) -> None:
    """That it is away, and that it is back."""
    with caplog.at_level(logging.WARNING):
        await server.kill()
        await asyncio.sleep(0.5)
        again = await embedded.start(server.folder, port=server.port)
        async with asyncio.timeout(5):
            await bus.last_seq()
    assert [record.getMessage() for record in caplog.records] == [
        "bus: The bus is away; waiting for it.",
        "bus: The bus is back.",
    ]
    assert all(record.exc_info is None for record in caplog.records)
    await again.stop()


async def test_closing_is_bounded_when_the_server_is_gone(server: EmbeddedServer, bus: JetStreamBus) -> None:
    """A service ends although its bus does not answer."""
    async with bus.follow(["rota.fact.>"], after=0):
        await server.kill()
        async with asyncio.timeout(3.5):
            await bus.close()


async def test_other_clients_read_our_values_and_we_theirs(bus: JetStreamBus, raw: Client) -> None:
    """KV in the common form; a key that a person deleted is one that does not exist."""
    kv = await raw.jetstream().key_value(streams.RUNS)
    revision = await bus.put(streams.RUNS, "lab.r1", b"ours", revision=0)
    assert (await kv.get("lab.r1")).value == b"ours"
    revision = await kv.update("lab.r1", b"theirs", last=revision)
    assert await bus.get(streams.RUNS, "lab.r1") == (b"theirs", revision)
    await kv.delete("lab.r1")
    assert await bus.get(streams.RUNS, "lab.r1") is None
    assert await bus.keys(streams.RUNS) == []
    assert await bus.put(streams.RUNS, "lab.r1", b"again", revision=0) > revision
    assert await bus.keys(streams.RUNS) == ["lab.r1"]


async def test_other_clients_read_our_large_values_and_we_theirs(bus: JetStreamBus, raw: Client) -> None:
    """The object store in the common form; what was replaced takes no room."""
    store = await raw.jetstream().object_store(streams.SNAPSHOTS)
    data = bytes(range(256)) * 2000
    await bus.put_object(streams.SNAPSHOTS, "lab/survey", data)
    assert (await store.get("lab/survey")).data == data
    await store.put("theirs", data)
    assert await bus.get_object(streams.SNAPSHOTS, "theirs") == data
    await bus.put_object(streams.SNAPSHOTS, "theirs", b"small")
    await bus.put_object(streams.SNAPSHOTS, "lab/survey", b"small")
    assert (await store.get("lab/survey")).data == b"small"
    assert (await api(raw, f"STREAM.INFO.OBJ_{streams.SNAPSHOTS}"))["state"]["messages"] == 4
    await store.delete("theirs")
    assert await bus.get_object(streams.SNAPSHOTS, "theirs") is None


async def test_a_damaged_large_value_is_not_handed_out(bus: JetStreamBus, raw: Client) -> None:
    """Its digest is looked at."""
    await bus.put_object(streams.SNAPSHOTS, "lab", bytes(300_000))
    info = await api(raw, f"STREAM.INFO.OBJ_{streams.SNAPSHOTS}", {"subjects_filter": "$O.*.C.>"})
    (chunks,) = info["state"]["subjects"]
    await raw.jetstream().publish(chunks, b"one too many")
    with pytest.raises(BusRefused, match="lab in ROTA_SNAPSHOTS is damaged"):
        await bus.get_object(streams.SNAPSHOTS, "lab")


async def test_a_service_needs_few_rights(tmp_path: Path) -> None:
    """An executor that may neither make streams nor read others' inboxes does its work; what it may not is told."""
    permissions = """
authorization {
  users: [
    { user: admin, password: a },
    { user: executor, password: e, permissions: {
        publish: { allow: [
          "rota.fact.step.>", "rota.progress.>", "$JS.API.DIRECT.GET.ROTA_FACTS", "$JS.ACK.ROTA_COMMANDS.executor.>",
          "$JS.API.CONSUMER.INFO.ROTA_COMMANDS.executor", "$JS.API.CONSUMER.MSG.NEXT.ROTA_COMMANDS.executor" ] },
        subscribe: { allow: ["_INBOX_executor.>"] } } }
  ]
}"""
    server = await embedded.start(tmp_path, extra=permissions)
    admin = await jetstream.connect(server.url.replace("//", "//admin:a@"), name="admin", within=5)
    await admin.ensure_streams()
    async with admin.take(ORDERS):
        await admin.send_order(ORDER)
    access = jetstream.Access(inbox_prefix="_INBOX_executor")
    executor = await jetstream.connect(
        server.url.replace("//", "//executor:e@"), name="executor", access=access, within=5
    )
    async with asyncio.timeout(10), executor.take(ORDERS) as orders:
        taken = await anext(orders)
        assert await executor.last("rota.fact.*.lab.r1.s1.*") is None
        started = Message("rota.fact.step.lab.r1.s1.step_started", b"")
        await executor.append_guarded([started], Guard("rota.fact.*.lab.r1.s1.*", 0))
        await executor.append(Message("rota.fact.step.lab.r1.s1.step_succeeded", b""), id="s1-1")
        await taken.ack()
    assert await admin.orders_outstanding("rota.command.>") == frozenset()
    with pytest.raises(BusUnreachable):
        await executor.append(fact(), id="one", within=0.3)
    await executor.close()
    await admin.close()
    await server.stop()
