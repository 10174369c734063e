"""Whole runs on a pool without shared storage: every VM takes its disks along and comes home with them, running."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import acts, commands, facts
from tests.stories.house import House, tell
from tests.stories.test_recipes import recipe

ALONG: Mapping[str, Any] = {"owner": "ops", "chains": {"local_disk": ["migrate_with_storage", "shutdown", "block"]}}


def homes(house: House) -> dict[str, list[str]]:
    """The SRs of every VM's disks."""
    return dict(house.sim.state()["disks"])


def notes(house: House) -> list[str]:
    """What stands in the pool about disks."""
    return [key for key in house.sim.state()["pool"]["other_config"] if key.startswith("rota:disks:")]


def test_a_pool_of_local_storage_is_updated_without_a_vm_being_stopped(tmp_path: Path) -> None:
    """The recipe's run: disks out and home again; the plan said how much, the report how much it was."""
    world, policy = recipe("local-only")

    async def story(house: House) -> None:
        before = homes(house)
        await house.order(commands.StartRun(pool="lab", policy=policy))
        planned = await house.until("run_planned")
        assert isinstance(planned, facts.RunPlanned)
        moves = [move for turn in planned.forecast.turns for move in turn.moves]
        assert {move.vm.name for move in moves if move.disks} == {"web", "db", "mail", "wiki", "files"}
        assert not any(turn.stops for turn in planned.forecast.turns)
        over = await house.until("run_ended")
        await house.until("report_sent")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, judge.Promise()) == []
        assert homes(house) == before
        assert notes(house) == []
        copied = sum(
            fact.result.copied for fact in await house.journal()
            if isinstance(fact, facts.StepSucceeded) and isinstance(fact.result, acts.Moved)
        )  # fmt: skip
        assert copied == 2 * sum(disk.size for move in moves for disk in move.disks)

    tell(story, tmp_path, world=world)
    page = next(tmp_path.glob("reports/*.html")).read_text(encoding="utf-8")
    assert "GiB of disks" in page


TWO: Mapping[str, Any] = {
    "name": "two",
    "pool": {"name": "two"},
    "hosts": [
        {"name": "north", "master": True, "memory": "32 GiB", "boot": 60, "install": 30, "local_sr": "60 GiB"},
        {"name": "south", "memory": "32 GiB", "boot": 60, "install": 30, "local_sr": "60 GiB"},
    ],
    "srs": [],
    "vms": [
        {"name": "web", "host": "north", "memory": "2 GiB", "disks": [{"sr": "Local storage on north"}]},
        {"name": "mail", "host": "south", "memory": "2 GiB", "disks": [{"sr": "Local storage on south"}]},
    ],
}


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_while_disks_are_copied_gives_them_back_or_owes_them(tmp_path: Path, now: bool) -> None:
    """On the second host: what is on the updated one may not go back to an older one, so it is owed with its command,
    and noted for `rota undo`; after the turn it is home."""

    async def story(house: House) -> None:
        run = await house.order(commands.StartRun(pool="lab", policy=ALONG))
        await house.until("t02-s003.step_progressed")
        await house.order(commands.CancelRun(pool="lab", run=run, now=now), "order-2", "bob")
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        state = house.sim.state()
        assert {vm["state"] for vm in state["vms"].values()} == {"running"}
        assert all(host["enabled"] for host in state["hosts"].values())
        assert state["disks"]["web"] == ["Local storage on north"]
        if not now:
            assert state["disks"]["mail"] == ["Local storage on south"]
            assert notes(house) == []
            return
        assert over.outcome == "cancelled", over
        assert state["disks"]["mail"] == ["Local storage on north"]
        (owed,) = [fact for fact in await house.journal() if isinstance(fact, facts.SettingOwed)]
        assert owed.setting == "the disks of mail"
        (key,) = notes(house)
        note = json.loads(state["pool"]["other_config"][key])
        assert note["undo"].startswith("xe vm-migrate")

    tell(story, tmp_path, world=TWO)


def test_no_room_anywhere_and_a_copy_that_breaks_are_told_with_names(tmp_path: Path) -> None:
    """A copy that breaks again and again: by the chain the VM is shut down instead, and started at home."""
    faults = [{"kind": "mirror_fails", "vm": "web", "times": 5}]

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=ALONG))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, judge.Promise(may_stop=frozenset({"web"}))) == []
        stopped = [fact.act.vm.name for fact in await house.journal()
                   if isinstance(fact, facts.StepOrdered) and isinstance(fact.act, acts.ShutdownVM)]  # fmt: skip
        assert stopped == ["web"]
        assert notes(house) == []
        assert homes(house)["web"] == ["Local storage on north"]

    tell(story, tmp_path, world={**TWO, "faults": faults})
