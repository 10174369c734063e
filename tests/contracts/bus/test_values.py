"""Reading the journal up to now, looking things up, KV buckets and large values."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import streams
from shared.bus.port import Bus, GuardLost, Message, Stored, TooLarge
from tests.contracts.bus.words import fact, guard, seen


async def read(bus: Bus, *filters: str, after: int = 0, last_per_subject: bool = False) -> list[Stored]:
    """All of it."""
    async with asyncio.timeout(10):
        return [one async for one in bus.read(filters, after=after, last_per_subject=last_per_subject)]


async def fill(bus: Bus) -> None:
    """Six facts of two pools."""
    for number, message in enumerate(
        [seen("up"), seen("down"), seen("up"), seen("up", "other"), seen("down"), seen("down", "other")]
    ):
        await bus.append(Message(message.subject, str(number).encode()), id=str(number))


async def test_reading_gives_what_is_there_and_ends(bus: Bus) -> None:
    """In order, by filters, from behind a sequence."""
    assert await read(bus, "rota.fact.>") == []
    await fill(bus)
    assert [one.data for one in await read(bus, "rota.fact.>")] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [one.data for one in await read(bus, "rota.fact.>", after=4)] == [b"4", b"5"]
    assert [one.data for one in await read(bus, "rota.fact.host.*.*.up")] == [b"0", b"2", b"3"]
    assert [one.data for one in await read(bus, "rota.fact.*.other.>", "rota.fact.host.*.h1.down")] == [
        b"1",
        b"3",
        b"4",
        b"5",
    ]
    assert await read(bus, "rota.fact.step.>") == []
    assert await read(bus, "rota.fact.>", after=6) == []


async def test_reading_the_last_of_each_subject(bus: Bus) -> None:
    """The last known state of each host, in the order it was stored."""
    await fill(bus)
    assert [one.data for one in await read(bus, "rota.fact.host.>", last_per_subject=True)] == [b"2", b"3", b"4", b"5"]
    late = await read(bus, "rota.fact.host.>", after=4, last_per_subject=True)
    assert [one.data for one in late] == [b"4", b"5"]


async def test_reading_more_than_is_fetched_at_a_time(bus: Bus) -> None:
    """And while somebody goes on writing: it ends all the same."""
    for start in range(0, 2400, 800):
        await bus.append_guarded([fact("f")] * 800, guard(start))

    async def keep_writing() -> None:
        for number in range(10_000):
            await bus.append(seen("up"), id=f"n{number}")

    writing = asyncio.create_task(keep_writing())
    try:
        found = await read(bus, "rota.fact.>")
    finally:
        writing.cancel()
    assert [one.seq for one in found][:2400] == list(range(1, 2401))
    assert [one.seq for one in found] == list(range(1, len(found) + 1))


async def test_what_is_read_is_what_was_written(bus: Bus) -> None:
    """Bytes as they are, headers with names that are not ASCII, the time it was stored."""
    headers = {"Rota-By": "Zoë 山田", "X-Empty": ""}
    written = Message("rota.fact.system.order_refused", bytes(range(256)), headers)
    await bus.append(written, id="one")
    await bus.append(Message(written.subject, b""), id="two")
    first, second = await read(bus, "rota.fact.>")
    assert (first.subject, first.data) == (written.subject, written.data)
    assert {key: first.headers[key] for key in headers} == headers
    assert second.data == b""
    assert first.stored_at <= second.stored_at
    assert second == await bus.last("rota.fact.>")


async def test_headers_that_only_speak_to_the_server_are_not_shown(bus: Bus) -> None:
    """A guard leaves no trace in what is read."""
    await bus.append_guarded([fact("a"), fact("b")], guard(0))
    await bus.append_guarded([fact("c")], guard(2))
    assert [dict(one.headers) for one in await read(bus, "rota.fact.>")] == [{}, {}, {}]
    last = await bus.last("rota.fact.>")
    assert last is not None
    assert dict(last.headers) == {}


async def test_the_last_fact_of_a_filter(bus: Bus) -> None:
    """Wildcards allowed; None where there is none."""
    assert await bus.last("rota.fact.>") is None
    await fill(bus)
    for filter_, data in {
        "rota.fact.*.lab.>": b"4",
        "rota.fact.host.lab.h1.up": b"2",
        "rota.fact.*.*.*.up": b"3",
    }.items():
        found = await bus.last(filter_)
        assert found is not None
        assert found.data == data
    assert await bus.last("rota.fact.step.>") is None


async def test_the_journals_length(bus: Bus) -> None:
    """The sequence of its last fact, 0 when empty."""
    assert await bus.last_seq() == 0
    await fill(bus)
    assert await bus.last_seq() == 6


@pytest.mark.parametrize(
    "subject", ["rota.elsewhere.x", "rota.fact", "rota.fact.a b", "rota.fact.*.x", "rota.fact..x", ""]
)
async def test_a_subject_that_nobody_keeps_is_refused_at_once(bus: Bus, subject: str) -> None:
    """It would be retried for ever."""
    with pytest.raises(ValueError, match=r"cannot be written to|No stream keeps"):
        await bus.append(Message(subject, b""), id="x")


async def test_a_message_has_a_largest_size(bus: Bus) -> None:
    """What no server takes is told with its sizes and is not sent; what is just small enough gets through."""
    subject = seen("up").subject
    with pytest.raises(TooLarge, match="make it smaller"):
        await bus.append(Message(subject, bytes(streams.LARGEST)), id="large")
    with pytest.raises(TooLarge):
        await bus.append(Message(subject, b"", {"X": "x" * streams.LARGEST}), id="large")
    with pytest.raises(TooLarge):
        await bus.put("ROTA_RUNS", "lab.r1", bytes(streams.LARGEST + 1), revision=0)
    fits = bytes(streams.LARGEST - 100)
    assert await bus.append(Message(subject, fits), id="fits") == 1
    found = await bus.last(subject)
    assert found is not None
    assert found.data == fits


async def test_a_value_is_changed_by_who_knows_it(bus: Bus, other: Bus) -> None:
    """Compare-and-set by revision."""
    assert await bus.get("ROTA_RUNS", "lab.r1") is None
    first = await bus.put("ROTA_RUNS", "lab.r1", b"one", revision=0)
    assert await other.get("ROTA_RUNS", "lab.r1") == (b"one", first)
    second = await other.put("ROTA_RUNS", "lab.r1", b"two", revision=first)
    assert second > first
    for stale in (0, first):
        with pytest.raises(GuardLost) as lost:
            await bus.put("ROTA_RUNS", "lab.r1", b"three", revision=stale)
        assert lost.value.actual == second
    assert await bus.get("ROTA_RUNS", "lab.r1") == (b"two", second)


async def test_buckets_keep_to_themselves(bus: Bus) -> None:
    """Keys are sorted, and each bucket has its own."""
    for key in ("lab.r2", "lab.r1", "a/b_c=d-e"):
        await bus.put("ROTA_RUNS", key, key.encode(), revision=0)
    await bus.put("ROTA_SCHEDULES", "nightly", b"", revision=0)
    assert await bus.keys("ROTA_RUNS") == ["a/b_c=d-e", "lab.r1", "lab.r2"]
    assert await bus.keys("ROTA_SCHEDULES") == ["nightly"]
    assert await bus.get("ROTA_SCHEDULES", "nightly") == (b"", 1)


async def test_an_empty_bucket_has_no_keys(bus: Bus) -> None:
    """And is no error."""
    assert await bus.keys("ROTA_SCHEDULES") == []


@pytest.mark.parametrize("key", ["OpaqueRef:1", "", ".a", "a.", "a b", "ü"])
async def test_a_key_that_no_bucket_takes_is_refused(bus: Bus, key: str) -> None:
    """By both adapters alike."""
    with pytest.raises(ValueError, match="is no key"):
        await bus.put("ROTA_RUNS", key, b"", revision=0)


async def test_a_bucket_that_does_not_exist_is_refused(bus: Bus) -> None:
    """Rather than waited for."""
    for asking in (
        bus.get("ELSE", "k"),
        bus.keys("ELSE"),
        bus.get_object("ELSE", "k"),
        bus.put_object("ELSE", "k", b""),
    ):
        with pytest.raises(ValueError, match="ELSE"):
            await asking


@pytest.mark.parametrize("size", [0, 1, 128 * 1024, 700_001])
async def test_a_large_value_comes_back_whole(bus: Bus, other: Bus, size: int) -> None:
    """Of any size; names may be anything."""
    data = bytes(number % 251 for number in range(size))
    name = f"lab/r1/survey {size} é"
    assert await other.get_object("ROTA_SNAPSHOTS", name) is None
    await bus.put_object("ROTA_SNAPSHOTS", name, data)
    assert await other.get_object("ROTA_SNAPSHOTS", name) == data


async def test_a_large_value_is_replaced_by_its_name(bus: Bus) -> None:
    """The last one put counts."""
    for data in (bytes(300_000), b"small", bytes(200_000)):
        await bus.put_object("ROTA_SNAPSHOTS", "lab", data)
        assert await bus.get_object("ROTA_SNAPSHOTS", "lab") == data
