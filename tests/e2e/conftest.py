"""Real processes for the outer ring: simulated pools, and `rota up` in a folder of its own.

Each fixture has its own folder, ports and loopback addresses, and ends what it started by its id.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.bus import jetstream, wire
from shared.domain import facts
from shared.domain.errors import Unreadable

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = 90.0
"""Seconds of machine time after which something that should have happened will not."""

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are looked up in /proc, as on Linux")


def environment(**more: str) -> dict[str, str]:
    """The environment of a process of ours: no bus and no settings of somebody else."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ROTA_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **more}


def end(process: subprocess.Popen[Any], within: float = 30.0) -> int:
    """End a process of ours, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@dataclass(frozen=True)
class Sim:
    """A simulated pool under way."""

    line: Mapping[str, Any]
    file: Path

    @property
    def url(self) -> str:
        return str(self.line["master"])

    def journal(self) -> list[dict[str, Any]]:
        """What happened so far."""
        return [json.loads(text) for text in self.file.read_text(encoding="utf-8").splitlines()]

    def changes(self) -> list[dict[str, Any]]:
        """What was changed on the pool since it began."""
        kinds = ("host", "vm", "pool", "migration", "install", "xapi")
        return [line for line in self.journal() if line["kind"] in kinds and line["t"] > 0]


@contextmanager
def simulated(world: Path, journal: Path, *options: str) -> Iterator[Sim]:
    """A simulated pool in a process of its own."""
    arguments = [sys.executable, "-m", "simulator", str(world), "--journal", str(journal), *options]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment(), text=True)
    try:
        yield Sim(json.loads(_first_line(process)), journal)
    finally:
        end(process)
        assert process.stdout is not None
        process.stdout.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process says, with a deadline."""
    assert process.stdout is not None
    timer = threading.Timer(LONG, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


@dataclass(frozen=True)
class Said:
    """What a process of `rota` left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class House:
    """A `rota up` under way in a folder; `pid` is its process."""

    folder: Path
    pid: int

    @property
    def url(self) -> str:
        return (self.folder / "rota-data" / "nats.url").read_text().strip()

    def said(self) -> str:
        """What `rota up` has said so far."""
        return (self.folder / "up.log").read_text()

    def rota(self, *arguments: str) -> Said:
        """Run `rota` in the folder of this house, as a person would."""
        command = [sys.executable, "-m", "cli.main", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=LONG, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def told(self) -> list[facts.Fact]:
        """Every fact so far."""
        return asyncio.run(self._facts())

    async def _facts(self) -> list[facts.Fact]:
        found = []
        async with self.bus() as bus:
            async for stored in bus.read(["rota.fact.>"]):
                try:
                    found.append(wire.read_fact(stored).fact)
                except Unreadable:
                    continue
        return found

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[jetstream.JetStreamBus]:
        """A client of this house's bus."""
        bus = await jetstream.connect(self.url, name="test", within=10)
        try:
            yield bus
        finally:
            await bus.close()


def origin(sim: Sim) -> float:
    """The moment from which a pool's clock runs faster."""
    with urllib.request.urlopen(f"{sim.line['control']}/clock") as answer:  # noqa: S310 - loopback
        return float(json.load(answer)["origin"])


@contextmanager
def rota_up(folder: Path) -> Iterator[House]:
    """Everything of Rota, run by `rota up` with the rota.toml that stands in the folder."""
    with (folder / "up.log").open("w") as log:
        arguments = [sys.executable, "-m", "cli.main", "up"]
        process = subprocess.Popen(arguments, cwd=folder, env=environment(), stdout=log, stderr=log)
        try:
            house = House(folder, process.pid)
            until(lambda: _says_it_is_up(folder / "up.log", process))
            yield house
        finally:
            assert end(process) == 0


def _says_it_is_up(log: Path, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, log.read_text()
    return "Rota is up" in log.read_text()


def until(true: Callable[[], bool]) -> None:
    """Look again and again until something is so."""
    gone = threading.Event()
    for _ in range(int(LONG / 0.05)):
        if true():
            return
        gone.wait(0.05)
    pytest.fail("it did not come to be in time")
