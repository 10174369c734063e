"""Pools that are not as one would wish: updated by half, in the wrong order, under backup; and runs of some hosts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.domain import commands, facts
from tests.stories.house import House, tell


def reboots(house: House) -> list[str]:
    """The hosts that were rebooted, by name, in order."""
    return [str(line["host"]) for line in house.sim.journal if line["kind"] == "host" and line["state"] == "rebooting"]


async def ran(house: House, policy: Mapping[str, Any] | None = None) -> tuple[facts.RunEnded, list[facts.TurnEnded]]:
    """Start a run and wait for its end; its last fact, and those of its turns."""
    await house.order(commands.StartRun(pool="lab", policy=policy or {}))
    ended = await house.until("run_ended")
    assert isinstance(ended, facts.RunEnded)
    return ended, [fact for fact in await house.journal() if isinstance(fact, facts.TurnEnded)]


def test_a_member_ahead_of_its_master_is_cured_by_the_masters_turn(tmp_path: Path) -> None:
    """It is no blocker; the master's turn lets it in, and it is left alone then, because it has nothing to do."""

    async def story(house: House) -> None:
        ended, turns = await ran(house)
        assert ended.outcome == "succeeded", ended
        outcomes = {turn.host.name: turn.outcome for turn in turns}
        assert outcomes == {"alpha": "done", "beta": "left_alone", "gamma": "done"}
        assert reboots(house) == ["alpha", "gamma"]
        assert all(host["enabled"] and host["live"] for host in house.sim.state()["hosts"].values())

    tell(story, tmp_path, world="member-ahead")


def test_a_half_updated_pool_is_finished(tmp_path: Path) -> None:
    """The master, done already, is left alone; the others have their turns."""

    async def story(house: House) -> None:
        ended, _ = await ran(house)
        assert ended.outcome.startswith("succeeded"), ended
        assert reboots(house) == ["beta", "gamma"]

    tell(story, tmp_path, world="half-updated")


def test_a_host_that_was_patched_and_not_rebooted_has_a_turn(tmp_path: Path) -> None:
    """Nothing waits for it, and what is installed does not run."""

    async def story(house: House) -> None:
        ended, turns = await ran(house)
        assert ended.outcome == "succeeded", ended
        assert reboots(house) == ["alpha", "beta", "gamma"]
        assert [turn.outcome for turn in turns] == ["done", "done", "done"]

    tell(story, tmp_path, world="patched-not-rebooted")


def test_a_run_of_some_hosts_leaves_the_others_alone(tmp_path: Path) -> None:
    """The master and the one that is named, in the order of the policy; who is left out is told."""

    async def story(house: House) -> None:
        ended, _ = await ran(house, {"only": ["gamma", "alpha"]})
        assert ended.outcome == "succeeded", ended
        assert reboots(house) == ["alpha", "gamma"]

    tell(story, tmp_path, world="slow-boot")


def test_a_run_that_would_update_a_member_before_its_master_is_refused(tmp_path: Path) -> None:
    """One sentence with both names, and nothing is changed."""

    async def story(house: House) -> None:
        ended, _ = await ran(house, {"skip": ["north"]})
        assert ended.outcome == "refused"
        assert "north is the master" in ended.sentence
        assert "south cannot be updated before it" in ended.sentence
        assert reboots(house) == []

    tell(story, tmp_path, world="small")


def test_a_backup_is_waited_for_before_a_turn(tmp_path: Path) -> None:
    """It runs to its end, its block stays alone, and the turn comes after it."""

    async def story(house: House) -> None:
        ended, _ = await ran(house)
        assert ended.outcome == "succeeded", ended
        disabled = {
            line["host"]: line["t"]
            for line in house.sim.journal
            if line["kind"] == "host" and line["state"] == "disabled" and line["cause"] == "call"
        }
        assert disabled["beta"] > 1800

    tell(story, tmp_path, world="backup")


def test_a_backup_that_does_not_end_is_a_persons_business(tmp_path: Path) -> None:
    """Past the policy's minutes the run holds with its name, and nothing was done to the host."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"backup_minutes": 10}))
        held = await house.until("run_held")
        assert isinstance(held, facts.RunHeld)
        assert held.because.startswith("beta waits: VM db is being backed up")
        assert house.sim.state()["hosts"]["beta"]["enabled"]

    tell(story, tmp_path, world="backup")


def test_updates_of_the_toolstack_alone_leave_vms_where_they_are(tmp_path: Path) -> None:
    """Where the policy allows it: the packages are installed, the toolstack restarted, the master's first."""

    async def story(house: House) -> None:
        ended, turns = await ran(house, {"reboot": "when_needed"})
        assert ended.outcome == "succeeded", ended
        assert [(turn.host.name, turn.outcome) for turn in turns] == [("alpha", "done"), ("beta", "done")]
        assert reboots(house) == []
        hosts = house.sim.state()["hosts"]
        assert all(host["updates"] == 0 for host in hosts.values())
        assert all(host["installed"]["xapi-core"] == host["running"]["xapi-core"] for host in hosts.values())
        assert not [line for line in house.sim.journal if line["kind"] == "migration"]

    tell(story, tmp_path, world="toolstack")


def test_a_guest_that_freezes_on_the_updated_host_stops_the_others(tmp_path: Path) -> None:
    """The run holds with its name before any other host is touched, though XAPI says that it runs."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        held = await house.until("run_held")
        assert isinstance(held, facts.RunHeld)
        assert "web came to alpha and has not reported for 3 min" in held.because
        assert reboots(house) == ["alpha"]
        hosts = house.sim.state()["hosts"]
        assert all(host["enabled"] for host in hosts.values())

    tell(story, tmp_path, world="frozen-guest")
