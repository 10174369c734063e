"""Asking one host: does its address take connections, and what does a login on it answer. Seconds are machine time.

A login is made only where the brief of the watcher allows it; a session that was not wanted is ended at once.
"""

from __future__ import annotations

import asyncio

from services.watcher.liveness import Login
from shared.xapi import stream
from shared.xapi.port import Access

ORIGINATOR = "rota-watcher"
"""Stable: XAPI bounds the sessions of each originator and evicts the oldest in silence (xapi_globs.ml)."""

CONNECT = 1.0
"""Seconds for a connection. A first packet that is lost is sent again after 1 s, which is then the next probe's."""

LOGIN = 5.0
"""Seconds for a login: a host that starts may take the connection and stay silent."""


async def connects(address: str, port: int) -> bool:
    """Whether an address takes a TCP connection within a second."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT):
            transport, _ = await loop.create_connection(asyncio.Protocol, address, port)
    except (OSError, TimeoutError, ValueError):
        return False
    transport.abort()
    return True


async def login(access: Access, address: str) -> tuple[Login, str]:
    """What a member's own address answers to a login, and the code or the sentence where that is not plain.

    HOST_IS_SLAVE comes before the password is looked at, so nothing is left behind (xen-api xapi_session.ml).
    """
    try:
        reader = await stream.Reader.open(access, address, timeout=LOGIN, originator=ORIGINATOR)
    except stream.HostIsSlave:
        return Login.MEMBER, ""
    except stream.Untrusted as untrusted:
        return Login.UNTRUSTED, untrusted.because
    except stream.Failure as failure:
        return Login.NOT_YET, failure.code
    except (stream.NoAnswer, ValueError, OSError):
        return Login.NOT_YET, ""
    await reader.close()
    return Login.NOT_YET, "as if it were the master"
