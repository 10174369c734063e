"""The loop whose time jumps: to the next timer, but never over bytes in flight nor past a thread that works."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

import simulator
from simulator.clock import Clock, ManualDrive, VirtualLoop, run_virtual


def test_a_day_of_sleep_takes_no_time() -> None:
    """86,400 seconds pass at once, and exactly."""
    began = time.monotonic()

    async def sleep() -> float:
        await asyncio.sleep(86400)
        return asyncio.get_running_loop().time()

    assert run_virtual(sleep()) == 86400.0
    assert time.monotonic() - began < 2.0


def test_a_thread_that_works_holds_the_time_still() -> None:
    """A timer that is due later does not fire while a worker thread is busy."""

    async def story() -> tuple[float, list[str]]:
        order: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, order.append, "timer")
        await asyncio.to_thread(time.sleep, 0.1)
        order.append("thread")
        after = loop.time()
        await asyncio.sleep(2)
        return after, order

    assert run_virtual(story()) == (0.0, ["thread", "timer"])


def test_a_thread_that_waits_for_an_answer_lets_time_pass() -> None:
    """A blocking client gets an answer that needs 50 simulated seconds."""

    async def story() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            with loop.parked(writer.get_extra_info("peername")):
                await asyncio.sleep(50)
            writer.write(b"done\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()

        def ask() -> bytes:
            with socket.create_connection(address, timeout=5) as peer:
                peer.sendall(b"please\n")
                return peer.recv(100)

        answer = await asyncio.to_thread(ask)
        server.close()
        return answer, loop.time()

    assert run_virtual(story()) == (b"done\n", 50.0)


@pytest.mark.parametrize("other", ["closed", "to another address"])
def test_a_thread_lets_time_pass_though_a_connection_of_the_loop_has_the_same_port(other: str) -> None:
    """One that is closed and not forgotten, or goes elsewhere from the same port, is not taken for the thread's."""

    async def story() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        there = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *there)
        here = transport.get_extra_info("sockname")
        if other == "closed":
            transport.abort()
        with loop.hold(), loop.parked((here, there if other == "closed" else ("127.0.0.2", there[1]))):
            await asyncio.sleep(5)
        transport.abort()
        server.close()
        return loop.time()

    assert run_virtual(story()) == 5.0


def test_bytes_between_two_ends_in_one_loop_are_not_overtaken() -> None:
    """Three hundred round trips over a real socket take no virtual time, though a timer waits to be jumped to."""

    async def story() -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        timer = asyncio.get_running_loop().call_later(5, lambda: None)
        for _ in range(300):
            writer.write(b"x\n")
            await reader.readline()
        timer.cancel()
        now = asyncio.get_running_loop().time()
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.sleep(1)
        return now

    assert run_virtual(story()) == 0.0


def test_a_virtual_pool_is_refused_on_a_loop_that_cannot_jump() -> None:
    async def story() -> None:
        async with simulator.running("small", drive="virtual"):
            pass

    with pytest.raises(ValueError, match="run_virtual"):
        asyncio.run(story())


def test_acts_are_stamped_with_their_due_time_and_run_in_order() -> None:
    """However late the clock is asked, each act sees the second it was due; equals keep the order of planning."""
    clock = Clock(ManualDrive())
    seen: list[tuple[str, float]] = []
    clock.at(5.0, lambda: seen.append(("c", clock.seconds())))
    clock.at(2.0, lambda: seen.append(("a", clock.seconds())))

    def later() -> None:
        clock.after(1.0, lambda: seen.append(("b", clock.seconds())))

    clock.at(2.0, later)
    clock.turn(100.0)
    assert seen == [("a", 2.0), ("b", 3.0), ("c", 5.0)]
    assert clock.seconds() == 100.0


def test_a_cancelled_act_does_not_happen() -> None:
    """Cancelling leaves the others as they were."""
    clock = Clock(ManualDrive())
    seen: list[int] = []
    timer = clock.at(1.0, lambda: seen.append(1))
    clock.at(2.0, lambda: seen.append(2))
    timer.cancel()
    clock.turn(3.0)
    assert seen == [2]


def test_an_act_that_breaks_is_remembered_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The act after it runs all the same."""
    clock = Clock(ManualDrive())
    seen: list[int] = []

    def broken() -> None:
        raise ZeroDivisionError

    clock.at(1.0, broken)
    clock.at(2.0, lambda: seen.append(2))
    clock.turn(3.0)
    assert seen == [2]
    assert [type(bug) for bug in clock.bugs] == [ZeroDivisionError]
