"""Processes that we start and end: each in a session of its own, ended by its id, killed after a bound.

Also how `rota up` and `rota demo` are told to stop: Ctrl-C, SIGTERM and SIGHUP cancel once, and what follows is calm.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cli

GRACE = 12.0
"""Seconds that a child has to stop by itself; a service takes at most ten."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours and the file its words go to."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    def last_words(self, lines: int = 3) -> str:
        """The end of its log, for a person who must know why it died."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])
        return ""


async def begin(
    name: str, module: str, *arguments: str, environment: Mapping[str, str], log: Path, answers: bool = False
) -> Child:
    """Start `python -m module arguments` with its stderr, and unless it `answers` on it its stdout, in `log`.

    It cannot be reached by the terminal's Ctrl-C, and on Linux it ends with this process however that ends.
    """
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if answers else file,
            stderr=file,
            env=with_our_path(environment),
            start_new_session=True,
            preexec_fn=_last_will(),
        )
    return Child(name, process, log)


async def end(children: Sequence[Child], within: float = GRACE) -> None:
    """End them all at once and wait; who has not ended within `within` seconds of machine time is killed."""
    living = [child for child in children if child.running]
    for child in living:
        _signal(child, signal.SIGCONT)
        _signal(child, signal.SIGTERM)
    try:
        async with asyncio.timeout(within):
            await asyncio.gather(*(child.process.wait() for child in living))
    except TimeoutError:
        for child in living:
            _signal(child, signal.SIGKILL)
        await asyncio.gather(*(child.process.wait() for child in living))


@contextlib.asynccontextmanager
async def stoppable() -> AsyncIterator[None]:
    """Inside, the first Ctrl-C, SIGTERM or SIGHUP cancels this task; the next ones change nothing, so that cleaning
    up is never interrupted. Everything that is cleaned up must therefore be bounded in time."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    told = False

    def stop() -> None:
        nonlocal told
        if not told and task is not None:
            told = True
            task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


def with_our_path(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a child finds our packages, also from a checkout that is not installed."""
    root = Path(cli.__file__).resolve().parent.parent
    if not (root / "pyproject.toml").exists():
        return dict(environment)
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), environment.get("PYTHONPATH"))))}


def _signal(child: Child, signal_: signal.Signals) -> None:
    if child.running:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(signal_)


def _last_will() -> Callable[[], None] | None:
    """What a child does before it becomes itself: ask to be ended with its parent (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGTERM)

    return ask
