"""`rota up` for real: what dies is started again, a full disk is survived, and a stop leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import demo, judge
from tests.e2e.conftest import LINUX, House, Sim, origin, rota_up, simulated, until

FACTOR = 60


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Sim]:
    """A small pool that runs fast."""
    with simulated(Path("small"), tmp_path / "journal.ndjson", "--factor", str(FACTOR)) as made:
        yield made


@pytest.fixture
def house(tmp_path: Path, sim: Sim) -> Iterator[House]:
    """A `rota up` for that pool, in a folder of its own."""
    clock = f"[clock]\nfactor = {FACTOR}\norigin = {origin(sim)}\n"
    (tmp_path / "rota.toml").write_text(f'{clock}[pool.lab]\nurl = "{sim.url}"\npassword_file = "password"\n')
    (tmp_path / "password").write_text("simulated")
    with rota_up(tmp_path) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder on a disk of 128 MiB."""
    folder = tmp_path / "rota-data"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no small disk can be made here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_holds_the_run_and_room_lets_it_go_on(small_disk: Path, sim: Sim, house: House) -> None:
    """Held while the bus can still say so; when it is full the bus stops; with room the run ends as it would have."""
    run = house.rota("start", "lab", "--json").document["run"]
    (small_disk / "some").write_bytes(b"\0" * 100 * 2**20)
    until(lambda: f"Run {run}: It is held" in house.said())
    held = house.rota("watch", run)
    assert held.code == 3
    assert "MiB are free on the disk of" in held.err
    _fill(small_disk / "rest")
    until(lambda: "the bus cannot store facts, and runs stand still" in house.said())
    assert "runs stand still" in house.rota().out
    (small_disk / "some").unlink()
    (small_disk / "rest").unlink()
    until(lambda: f"Run {run} goes on" in house.said())
    watched = house.rota("watch", run)
    assert (watched.code, judge.violations(demo.read_lines(sim.file))) == (0, []), watched.err


def _fill(file: Path) -> None:
    """Take all the room there is."""
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 65536)
        except OSError:
            return


@LINUX
def test_a_service_and_the_bus_that_die_are_started_again_and_the_run_goes_on(sim: Sim, house: House) -> None:
    """Killed in the middle of a run, each once; the pool sees nothing of it."""
    assert house.rota("start", "lab").code == 0
    for name in ("services.executor", "services.planner", "nats-server"):
        os.kill(_child(house, name), signal.SIGKILL)
    until(lambda: house.said().count("was killed by signal 9") >= 3)
    watched = house.rota("watch")
    assert (watched.code, judge.violations(demo.read_lines(sim.file))) == (0, []), watched.err + house.said()


def _child(house: House, name: str) -> int:
    """The process of this house that runs a service."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if name in command and parent == house.pid:
            return int(entry.name)
    raise AssertionError(f"{name} does not run")
