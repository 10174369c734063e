"""Waiting for a pool: until a host is seen to go down, until nothing is at work. By events; nothing is polled.

Seconds are machine time. What it means that a host went down is its step's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from shared.domain.model import Host
from shared.xapi import answers, reading
from shared.xapi.port import HostLook, Told
from shared.xapi.session import Session, TaskLost

KNOCK = 3.0
"""Machine seconds a knock at a host's own port may take."""

SAME_BOOT = 60.0
"""Two boot_times of the same boot differ by less, in seconds: xapi works them out again at each start (conduct 1)."""


async def gone_down(session: Session, host: HostLook, port: int, within: float, every: float) -> bool:
    """Whether a host was seen to go down within so many seconds.

    Seen by the pool: not live, or another boot_time. After each `every` seconds also by nobody taking connections at
    its own address and port, where somebody did before. Of a master the end of the connection is the sign.
    """
    loop = asyncio.get_running_loop()
    end, answered = loop.time() + within, await _knock(host.address, port)
    try:
        while (left := end - loop.time()) > 0:
            if await _down_within(session, host, min(left, every)):
                return True
            if left > every and answered and not await _knock(host.address, port):
                return True
    except answers.NoAnswer:
        if host.master:
            return True
        raise
    return False


async def until_none(
    session: Session, left: Callable[[Mapping[str, reading.Record]], Mapping[str, reading.Record]], told: Told | None
) -> None:
    """Wait until no task is left; each is followed to its end, whatever that is."""
    while tasks := left((await session.records(("task",)))["task"]):
        try:
            await session.over(next(iter(tasks)), told)
        except (answers.SessionGone, answers.HostIsSlave, answers.Emergency):
            raise
        except (answers.Failure, TaskLost):
            continue


async def _down_within(session: Session, host: HostLook, seconds: float) -> bool:
    def seen(records: reading.Records) -> bool:
        ref = reading.by_uuid(records, "host", host.named.uuid)
        return ref is None or _is_down(reading.host(records, ref), host)

    return await session.until(("host", "host_metrics"), seen, seconds)


def _is_down(now: Host, before: HostLook) -> bool:
    if now.boot_time is None or before.boot_time is None:
        return not now.live
    return not now.live or abs(now.boot_time - before.boot_time) > SAME_BOOT


async def _knock(address: str, port: int) -> bool:
    """Whether anybody takes a connection there."""
    try:
        async with asyncio.timeout(KNOCK):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    return True
