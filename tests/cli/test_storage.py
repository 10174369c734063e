"""The guard of the disk: warns, holds before it is full, starts the bus anew and lets go on with room."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from cli import disk, storage
from shared.bus import wire
from shared.domain import commands, facts
from tests.cli import story
from tests.cli.conftest import Ground

TIGHT, FULL, ROOM = 20 * 2**20, 2**20, 10 * 2**30


class Watched:
    """A guard, what it said, and how often it started the bus anew."""

    def __init__(self, data: Path, url: str = "nats://127.0.0.1:9") -> None:
        self.said: list[str] = []
        self.restarts = 0
        self.guard = storage.Guard(data, url, self.said.append, self._restart)

    async def _restart(self) -> None:
        self.restarts += 1


def obeys(command: commands.Command, order: str) -> Iterable[facts.Fact]:
    """A planner that holds and resumes as it is told."""
    if isinstance(command, commands.HoldRun):
        yield facts.RunHeld(pool=command.pool, run=command.run, because=command.because, by="rota up", order=order)
    if isinstance(command, commands.ResumeRun):
        yield facts.RunResumed(pool=command.pool, run=command.run, by="rota up", order=order)


async def test_open_runs_are_held_once_while_it_is_tight_and_go_on_with_room(ground: Ground, tmp_path: Path) -> None:
    """Only what this guard held is resumed."""
    await ground.publish(story.summary())
    await ground.publish(story.summary(run="rheld000", state="held"))
    await ground.publish(story.summary(run="rended00", state="succeeded", outcome="succeeded", ended_at=story.START))
    watched = Watched(tmp_path, ground.url)
    async with ground.planner(obeys) as came:
        await watched.guard.look(TIGHT)
        await watched.guard.look(TIGHT)
        await watched.guard.look(ROOM)
        await watched.guard.look(ROOM)
    told = [wire.read_command(message) for message in came]
    assert [command.verb for command in told] == ["hold_run", "resume_run"]
    assert {getattr(command, "run", "") for command in told} == {story.RUN}
    assert isinstance(told[0], commands.HoldRun)
    assert told[0].because.startswith("Only 20 MiB are free")
    assert watched.restarts == 0


async def test_a_bus_that_stopped_writing_is_started_anew_only_when_there_is_room(tmp_path: Path) -> None:
    """Its log says that it stopped; the server does not mend itself."""
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "nats.log").write_text(f"[ERR] write 1.blk: {disk.STOPPED_WRITING}\n")
    watched = Watched(tmp_path)
    await watched.guard.look(FULL)
    await watched.guard.look(TIGHT)
    assert watched.restarts == 0
    await watched.guard.look(ROOM)
    await watched.guard.look(ROOM)
    assert watched.restarts == 1
    assert [line for line in watched.said if "runs stand still" in line] == watched.said[:1]


async def test_a_bus_that_cannot_be_told_is_told_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard never dies of it."""
    monkeypatch.setattr("cli.client.CONNECT_WITHIN", 0.3)
    watched = Watched(tmp_path)
    await watched.guard.look(TIGHT)
    await watched.guard.look(TIGHT)
    assert sum("could not be told of the disk" in line for line in watched.said) == 2
