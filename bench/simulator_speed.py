"""How fast the simulated pool is with 64 hosts and 2,400 VMs: `python bench/simulator_speed.py`.

Aims: ready in 5 s; the first event.from("*") by JSON-RPC and VM.get_all_records by XML-RPC in 2 s of the server's time,
neither delaying a timer by more than 100 ms; 200 simple calls a second on one core; next to no CPU when idle.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import simulator

WORLD = "hosts-64"
CALLS = 1000
READER = """
import sys, time, urllib.request as r
time.sleep(0.5)
began = time.perf_counter()
request = r.Request(sys.argv[1], data=sys.stdin.read().encode(), headers={"Content-Type": sys.argv[2]})
with r.urlopen(request) as answer:
    body = answer.read()
print(time.perf_counter() - began, len(body))
"""
ALL_VMS = """<methodCall><methodName>VM.get_all_records</methodName>
<params><param><value>{}</value></param></params></methodCall>"""


class Lateness:
    """A timer each 10 ms in the server's own loop, and how late the latest was."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, loop.time() - due)

    def stop(self) -> float:
        self._task.cancel()
        return self.worst


async def child(url: str, body: str, kind: str) -> tuple[float, int, float]:
    """A request made by another process, so that reading the answer costs the server nothing.

    Seconds, bytes, and how late the server's timers were from the time the process stood.
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, url, kind, stdin=-1, stdout=-1)
    late = Lateness()
    out, _ = await process.communicate(body.encode())
    seconds, size = out.split()
    return float(seconds), int(size), late.stop()


async def large(what: str, url: str, body: str, kind: str) -> bool:
    seconds, size, worst = await child(url, body, kind)
    again, _, _ = await child(url, body, kind)
    say(
        f"{what}: {seconds:.2f} s, {size / 1e6:.1f} MB, timers late by {worst * 1e3:.0f} ms at most; "
        f"again {again:.2f} s"
    )
    return seconds < 2 and worst < 0.1


async def simple(url: str, session: str) -> float:
    """Simple calls a second over one connection, client and server in one process."""
    body = {"jsonrpc": "2.0", "method": "host.get_all", "params": [session], "id": 1}
    async with aiohttp.ClientSession() as http:
        began = time.perf_counter()
        for _ in range(CALLS):
            async with http.post(f"{url}/jsonrpc", json=body) as response:
                await response.read()
        return CALLS / (time.perf_counter() - began)


async def idle() -> float:
    """The share of a core that the waiting simulator takes."""
    began = time.process_time()
    await asyncio.sleep(5)
    return (time.process_time() - began) / 5


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


async def main() -> int:
    began = time.perf_counter()
    async with simulator.running(WORLD) as sim:
        ready = time.perf_counter() - began
        gc.freeze()  # as the command does
        say(f"ready in {ready:.2f} s")
        session = await login(sim.master_url)
        ask: dict[str, Any] = {"jsonrpc": "2.0", "method": "event.from", "params": [session, ["*"], "", 5.0], "id": 1}
        good = [ready < 5]
        events = (f"{sim.master_url}/jsonrpc", json.dumps(ask), "application/json")
        good.append(await large("event.from by JSON-RPC", *events))
        vms = (sim.master_url, ALL_VMS.format(session), "text/xml")
        good.append(await large("VM.get_all_records by XML-RPC", *vms))
        rate = await simple(sim.master_url, session)
        say(f"{rate:.0f} simple calls a second, client and server in one process")
        share = await idle()
        say(f"{share:.1%} of a core when idle at factor 1")
        good += [rate > 200, share < 0.02]
    return 0 if all(good) else 1


async def login(url: str) -> str:
    body = {"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["root", "simulated"], "id": 1}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/jsonrpc", json=body) as response:
        return str((await response.json())["result"])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
