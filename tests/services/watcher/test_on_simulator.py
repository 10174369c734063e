"""The watcher on a simulated pool whose hosts reboot, restart and die in XAPI's real order of events.

Times are the pool's; the clock jumps, so that hours pass in a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from shared.clock import Clock
from shared.domain import facts
from shared.xapi import stream
from simulator.simulation import Simulation, running
from simulator.virtual import run_virtual
from tests.services.watcher.watching import Seen, watching

WORLD = {
    "name": "three",
    "hosts": [{"name": name, "boot": 120, "toolstack": 12} for name in ("north", "south", "east")],
    "srs": [{"name": "NFS", "type": "nfs", "default": True}],
}
SAME_BOOT = 60.0


class Scene:
    """A simulated pool, a watcher of it that has settled, and a run in the journal."""

    def __init__(self, pool: Simulation, seen: Seen) -> None:
        self.pool = pool
        self.seen = seen

    def now(self) -> float:
        """Pool time."""
        return float(self.pool.clock.now())

    async def call(self, method: str, host: str, *params: object) -> Any:
        """A call about a host, as a person's tool would make it."""
        access = stream.Access(self.pool.master_url, self.pool.username, SecretStr(self.pool.password))
        async with await stream.Reader.open(access, originator="a person") as reader:
            [ref] = await reader.call("host.get_by_name_label", host)
            return await reader.call(method, ref, *params)

    async def reboot(self, host: str) -> float:
        """Disable a host and tell it to reboot. Returns when that was."""
        await self.call("host.disable", host)
        await self.call("host.reboot", host)
        return self.now()

    def moment(self, host: str, state: str) -> float:
        """When the simulator itself says that a host came to a state the last time; pool time."""
        zero = self.now() - self.pool.clock.seconds()
        lines = [line for line in self.pool.journal if line["kind"] == "host" and line["host"] == host]
        return float(zero + max(line["t"] for line in lines if line["state"] == state))

    async def back(self, host: str, *, after: float, newer: float, within: float) -> facts.HostCameBack:
        """The first return of a host with a boot_time later than `newer`."""
        return await self.seen.until(
            lambda: [
                fact
                for fact in self.seen.of(facts.HostCameBack, name=host)
                if fact.seen_at > after and (fact.boot_time or 0) > newer
            ],
            within,
            f"return of {host}",
        )

    def told_of(self, host: str) -> list[str]:
        """The names of the facts about a host, in order."""
        return [fact.subject.rpartition(".")[2] for fact in self.seen.all if getattr(fact, "name", "") == host]


@asynccontextmanager
async def scene(*, tls: bool = False, profile: str = "", **host: object) -> AsyncIterator[Scene]:
    """A pool of three; `host` are words of the world file for every host."""
    world: dict[str, Any] = {**WORLD, "hosts": [{**one, **host} for one in WORLD["hosts"]]}  # type: ignore[dict-item]
    if profile:
        world["profile"] = profile
    async with running(world, drive="virtual", tls=tls) as pool:
        clock = Clock(machine=pool.clock.now)
        async with watching(pool.master_url, password=pool.password, ca_file=pool.ca_file, clock=clock) as seen:
            for name in pool.hosts:
                await seen.wait(facts.HostAnswering, within=10, name=name)
            await seen.begin_run()
            yield Scene(pool, seen)


def play(story: Callable[[Scene], Awaitable[None]], **words: Any) -> None:
    """Run a story to its end."""

    async def whole() -> None:
        async with scene(**words) as it:
            await story(it)

    run_virtual(whole())


def test_a_member_that_reboots_is_seen_to_go_and_to_return() -> None:
    """Closed within 5 s, back within 2 s of when it wrote its new boot into the database; the master never in doubt."""

    async def story(it: Scene) -> None:
        [before] = it.seen.of(facts.HostAnswering, name="south")
        ordered = await it.reboot("south")
        gone = await it.seen.wait(facts.HostUnreachable, within=60, after=ordered, name="south")
        assert gone.seen_at - it.moment("south", "booting") < 5
        assert before.boot_time is not None
        back = await it.back("south", after=ordered, newer=max(ordered, before.boot_time + SAME_BOOT), within=400)
        assert back.seen_at - it.moment("south", "up") < 2 + 1.2
        assert back.servertime is not None
        assert abs(back.servertime - it.now()) < 2
        assert it.seen.of(facts.MasterUnreachable) == []
        assert it.told_of("east") == ["host_answering"]

    play(story)


def test_the_master_that_reboots_is_seen_to_go_and_to_return() -> None:
    """Unreachable at once, back within 2 s of its first answer; members are not called down meanwhile."""

    async def story(it: Scene) -> None:
        [before] = it.seen.of(facts.HostAnswering, name="north")
        ordered = await it.reboot("north")
        gone = await it.seen.wait(facts.MasterUnreachable, within=60, after=ordered)
        assert gone.seen_at - it.moment("north", "booting") < 5
        await it.seen.wait(facts.HostUnreachable, within=10, name="north")
        assert before.boot_time is not None
        back = await it.back("north", after=ordered, newer=before.boot_time + SAME_BOOT, within=400)
        assert back.seen_at - it.moment("north", "up") < 2 + 1.2
        found = await it.seen.wait(facts.MasterChanged, within=5, after=ordered)
        assert found.host.name == "north"
        await asyncio.sleep(300)
        assert it.seen.of(facts.HostDown) == []
        assert "host_unreachable" not in it.told_of("south") + it.told_of("east")

    play(story)


@pytest.mark.parametrize("host", ["north", "south"])
@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-current"])
def test_a_toolstack_restart_is_not_a_reboot(host: str, profile: str) -> None:
    """xapi writes boot_time anew, on old ones a second apart; it never looks like another boot, and nobody is down."""

    async def story(it: Scene) -> None:
        [before] = it.seen.of(facts.HostAnswering, name=host)
        for _ in range(3):
            at = it.now()
            it.pool.fault("toolstack_restart", host=host)
            back = await it.back(host, after=at + 10, newer=0, within=60)
            await asyncio.sleep(30)
            back = it.seen.of(facts.HostCameBack, name=host)[-1]
            assert before.boot_time is not None
            assert back.boot_time is not None
            assert abs(back.boot_time - before.boot_time) < SAME_BOOT
            assert back.agent_start_time is not None
            assert back.agent_start_time > at - 1
        assert it.seen.of(facts.HostDown) == []

    play(story, profile=profile)


def test_a_host_that_only_we_cannot_reach_is_never_down() -> None:
    """The route to it is cut for a quarter of an hour; the master calls it live all the time."""

    async def story(it: Scene) -> None:
        at = it.now()
        it.pool.fault("unreachable", host="south", seconds=900)
        gone = await it.seen.wait(facts.HostUnreachable, within=5, name="south")
        assert gone.seen_at - at < 5
        back = await it.back("south", after=at, newer=0, within=902)
        assert back.seen_at - at < 902
        assert it.told_of("south") == ["host_answering", "host_unreachable", "host_answering", "host_came_back"]

    play(story)


def test_a_master_that_only_we_cannot_reach_comes_back_as_it_was() -> None:
    """The pool cannot be asked, and no member is taken for the master or for lost."""

    async def story(it: Scene) -> None:
        at = it.now()
        it.pool.fault("unreachable", host="north", seconds=600)
        gone = await it.seen.wait(facts.MasterUnreachable, within=5)
        assert gone.seen_at - at < 5
        found = await it.seen.wait(facts.MasterChanged, within=602, after=gone.seen_at)
        assert (found.host.name, found.seen_at - at < 602) == ("north", True)
        await asyncio.sleep(10)
        assert it.seen.of(facts.HostDown) == []
        assert it.told_of("south")[:1] == ["host_answering"]
        assert "host_unreachable" not in it.told_of("south")

    play(story)


def test_a_host_without_power_is_unreachable_at_once_and_down_much_later() -> None:
    """The master believes in it for ten minutes; then it is not live, and three minutes later down. Power returns."""

    async def story(it: Scene) -> None:
        at = it.now()
        it.pool.fault("power_loss", host="east")
        gone = await it.seen.wait(facts.HostUnreachable, within=5, name="east")
        assert gone.seen_at - at < 5
        down = await it.seen.wait(facts.HostDown, within=900, name="east")
        assert 600 + 180 <= down.seen_at - at < 660 + 180 + 5
        it.pool.fault("power_on", host="east")
        back = await it.back("east", after=down.seen_at, newer=at + SAME_BOOT, within=300)
        assert back.seen_at - it.moment("east", "up") < 2 + 1.2

    play(story)


def test_a_slow_boot_is_told_as_down_and_ends_with_a_return() -> None:
    """Not live for longer than a toolstack restart takes; whether that is expected the planner knows."""

    async def story(it: Scene) -> None:
        it.pool.fault("slow_boot", host="south", seconds=600)
        ordered = await it.reboot("south")
        await it.seen.wait(facts.HostDown, within=400, name="south")
        await it.back("south", after=ordered, newer=ordered, within=900)
        assert it.told_of("south")[-1] == "host_came_back"

    play(story)


def test_a_pool_over_tls_is_watched_too() -> None:
    """Certificates of all hosts come from one authority, which the settings name."""

    async def whole() -> None:
        async with scene(tls=True) as it:
            at = it.now()
            it.pool.fault("toolstack_restart", host="south")
            await it.back("south", after=at + 10, newer=0, within=60)

    run_virtual(whole())


def test_the_watcher_changes_nothing_and_logs_in_rarely() -> None:
    """One session on the master for all of it; members are asked only when they return, and leave no session."""

    async def story(it: Scene) -> None:
        await it.reboot("south")
        await asyncio.sleep(600)
        calls = [line for line in it.pool.journal if line["kind"] == "call" and line["client"] == "rota-watcher"]
        assert {line["method"] for line in calls} <= {
            "session.login_with_password",
            "session.get_uuid",
            "event.from",
            "host.get_servertime",
        }
        logins = [line for line in calls if line["method"] == "session.login_with_password"]
        assert [line["host"] for line in logins if line["outcome"] == "success"] == ["north"]
        assert {line["host"] for line in logins} == {"north", "south"}
        assert len(logins) < 12

    play(story)
