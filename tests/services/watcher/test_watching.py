"""The watcher on a pool that is turned by hand: signal by signal, in machine time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.bus.memory import MemoryBus, MemoryServer
from shared.domain import facts
from simulator.virtual import run_virtual
from tests.services.watcher.fake_pool import FakeHost, FakePool, pool_of
from tests.services.watcher.watching import EPOCH, Seen, loop_clock, watching

Story = Callable[[FakePool, Seen], Awaitable[None]]


def play(story: Story, *, hosts: int = 3) -> None:
    """Run a story with a pool and a watcher that has settled."""

    async def whole() -> None:
        async with pool_of(hosts) as pool, watching(pool.url) as seen:
            await settled(pool, seen)
            await story(pool, seen)

    run_virtual(whole())


async def settled(pool: FakePool, seen: Seen) -> None:
    """Every host was seen to answer."""
    for host in pool.hosts:
        await seen.wait(facts.HostAnswering, within=10, host=host.uuid)


def now() -> float:
    """Pool time."""
    return EPOCH + asyncio.get_running_loop().time()


async def pass_time(seconds: float) -> float:
    """Let time pass, and tell it."""
    await asyncio.sleep(seconds)
    return now()


def test_the_whole_state_is_told_at_the_start() -> None:
    """The master with its address, and each host with its boot; no member is asked by login."""

    async def story(pool: FakePool, seen: Seen) -> None:
        [master] = seen.of(facts.MasterChanged)
        assert (master.host.name, master.address) == ("h1", pool.master.address)
        assert [fact.name for fact in seen.of(facts.HostAnswering)] == ["h1", "h2", "h3"]
        assert {fact.boot_time for fact in seen.of(facts.HostAnswering)} == {1_000_000.0}
        assert [host.logins for host in pool.hosts] == [1, 0, 0]

    play(story)


def test_a_quiet_pool_is_told_of_once() -> None:
    """Values that do not change are not repeated, and one session is enough for an hour."""

    async def story(pool: FakePool, seen: Seen) -> None:
        before = len(seen.all)
        await pass_time(3600)
        assert len(seen.all) == before
        assert [host.logins for host in pool.hosts] == [1, 0, 0]
        assert len(pool.sessions) == 1

    play(story)


@pytest.mark.parametrize("door", ["shut", "silent"])
@pytest.mark.parametrize(("run", "within"), [(True, 5.0), (False, 35.0)])
def test_a_host_that_stops_answering_is_known_in_time(door: str, run: bool, within: float) -> None:
    """Refused or silent, from any moment on: 5 s with a run, 35 s without."""

    async def story(pool: FakePool, seen: Seen) -> None:
        if run:
            await seen.begin_run()
        for offset in (0.3, 1.1, 1.9):
            await pass_time(40 + offset)
            at = now()
            await pool.hosts[1].turn("silent" if door == "silent" else "shut")
            gone = await seen.wait(facts.HostUnreachable, within=within, after=at, name="h2")
            assert gone.seen_at - at < within
            assert pool.hosts[1].address in gone.because
            await pool.hosts[1].turn("open")
            await seen.wait(facts.HostCameBack, within=within, after=gone.seen_at, name="h2")

    play(story)


def test_one_lost_packet_is_not_an_unreachable_host() -> None:
    """A door that shuts for less than two probes is not told."""

    async def story(pool: FakePool, seen: Seen) -> None:
        await seen.begin_run()
        connects = pool.hosts[1]
        for _ in range(20):
            await pass_time(1.7)
            await connects.turn("shut")
            await pass_time(0.4)
            await connects.turn("open")
        assert seen.of(facts.HostUnreachable) == []

    play(story)


def test_a_member_that_returns_is_told_within_two_seconds() -> None:
    """Back is when the address is open, a login says HOST_IS_SLAVE and the master says live; not before."""

    async def story(pool: FakePool, seen: Seen) -> None:
        await seen.begin_run()
        host = pool.hosts[2]
        await host.turn("shut")
        await seen.wait(facts.HostUnreachable, within=5, name="h3")
        pool.live(host, False)
        await pass_time(90)
        await host.turn("starting")
        await seen.wait(facts.HostAnswering, within=2, name="h3", boot_time=None)
        await pass_time(20)
        assert seen.of(facts.HostCameBack) == []
        at = now()
        await host.turn("open")
        pool.booted(host, 2_000_000, 2_000_040)
        pool.live(host, True)
        back = await seen.wait(facts.HostCameBack, within=2, name="h3", boot_time=2_000_000.0)
        assert back.seen_at - at < 2
        assert (back.agent_start_time, back.servertime, back.versions.xen) == (2_000_040.0, EPOCH, "4.17.4")

    play(story)


def test_a_boot_time_that_comes_after_live_is_told_again() -> None:
    """xapi says live first and removes boot_time before it writes it anew; the last telling has the new one."""

    async def story(pool: FakePool, seen: Seen) -> None:
        host = pool.hosts[1]
        await seen.begin_run()
        await host.turn("shut")
        await seen.wait(facts.HostUnreachable, within=5, name="h2")
        await host.turn("open")
        first = await seen.wait(facts.HostCameBack, within=2, name="h2")
        assert first.boot_time == 1_000_000.0
        pool.booted(host, None, None)
        await pass_time(1)
        assert len(seen.of(facts.HostCameBack)) == 1
        pool.booted(host, 2_000_000, None)
        await seen.wait(facts.HostCameBack, within=1, name="h2", boot_time=2_000_000.0)
        pool.booted(host, 2_000_000, 2_000_030)
        await seen.wait(facts.HostCameBack, within=1, agent_start_time=2_000_030.0, boot_time=2_000_000.0)

    play(story)


def test_a_toolstack_restart_between_two_probes_is_seen_and_is_no_new_boot() -> None:
    """Nobody saw the port shut; the newer agent_start_time tells, with the old boot_time."""

    async def story(pool: FakePool, seen: Seen) -> None:
        pool.booted(pool.hosts[1], 1_000_001, 1_500_000)
        back = await seen.wait(facts.HostCameBack, within=2, name="h2")
        assert (back.boot_time, back.agent_start_time) == (1_000_001.0, 1_500_000.0)
        assert seen.of(facts.HostUnreachable) + seen.of(facts.HostDown) == []

    play(story)


def test_a_host_is_down_only_when_it_is_not_live_for_long() -> None:
    """Three minutes by default; its own address may answer all the time."""

    async def story(pool: FakePool, seen: Seen) -> None:
        pool.live(pool.hosts[1], False)
        await pass_time(170)
        assert seen.of(facts.HostDown) == []
        down = await seen.wait(facts.HostDown, within=15, name="h2")
        assert "not live for 3 minutes" in down.because
        pool.live(pool.hosts[1], True)
        await seen.wait(facts.HostCameBack, within=2, name="h2")

    play(story)


def test_how_long_not_live_is_not_yet_down_is_a_setting() -> None:
    """A pool whose toolstack restarts take longer is given more time."""

    async def whole() -> None:
        async with pool_of(2) as pool, watching(pool.url, down_after=600) as seen:
            await settled(pool, seen)
            pool.live(pool.hosts[1], False)
            await pass_time(590)
            assert seen.of(facts.HostDown) == []
            await seen.wait(facts.HostDown, within=15, name="h2")

    run_virtual(whole())


def test_the_master_that_goes_and_returns() -> None:
    """Unreachable at once when its connections break, back within 2 s; sessions and token start anew; all is told
    again."""

    async def story(pool: FakePool, seen: Seen) -> None:
        await seen.begin_run()
        at = now()
        await pool.master.turn("shut")
        pool.forget_sessions()
        gone = await seen.wait(facts.MasterUnreachable, within=5)
        assert gone.seen_at - at < 5
        await seen.wait(facts.HostUnreachable, within=5, name="h1")
        await pass_time(240)
        assert len(seen.of(facts.MasterUnreachable)) == 1
        assert seen.of(facts.HostDown) == []
        pool.booted(pool.master, 3_000_000, 3_000_030)
        at = now()
        await pool.master.turn("open")
        back = await seen.wait(facts.HostCameBack, within=2, name="h1")
        assert back.boot_time == 3_000_000.0
        assert back.seen_at - at < 2
        await seen.wait(facts.MasterChanged, within=2, after=at)
        for name in ("h2", "h3"):
            await seen.wait(facts.HostAnswering, within=3, after=at, name=name)

    play(story)


def test_a_master_that_falls_silent_is_not_waited_for() -> None:
    """No connection breaks and no event comes; the probes of its address tell."""

    async def story(pool: FakePool, seen: Seen) -> None:
        await seen.begin_run()
        at = now()
        host = pool.master
        # The connection of event.from stays as it is: only new ones get no answer.
        runner, host.runner = host.runner, None
        assert runner is not None
        for site in list(runner.sites):
            await site.stop()
        await host.turn("silent")
        gone = await seen.wait(facts.MasterUnreachable, within=5)
        assert gone.seen_at - at < 5
        await runner.cleanup()

    play(story)


def test_a_new_master_among_the_known_members_is_followed() -> None:
    """The old one says where it is, or nobody does and the members are asked."""

    async def story(pool: FakePool, seen: Seen) -> None:
        pool.promote(pool.hosts[1])
        changed = await seen.wait(facts.MasterChanged, within=5, address=pool.hosts[1].address)
        assert changed.host.name == "h2"
        at = now()
        await pool.hosts[1].turn("shut")
        pool.promote(pool.hosts[2])
        changed = await seen.wait(facts.MasterChanged, within=15, after=at)
        assert changed.host.name == "h3"

    play(story)


def test_an_address_that_is_no_known_member_is_not_followed() -> None:
    """A host that says the master is elsewhere gets nobody's password sent there."""

    async def whole() -> None:
        async with pool_of(2) as pool, pool_of(1) as elsewhere:
            stranger = elsewhere.hosts[0]
            pool.master = FakeHost(elsewhere, "x", stranger.uuid, stranger.address)
            async with watching(pool.url) as seen:
                gone = await seen.wait(facts.MasterUnreachable, within=10)
                assert stranger.address in gone.because
                assert "url" in gone.because
                await pass_time(30)
            assert stranger.logins == 0

    run_virtual(whole())


def test_a_wrong_password_is_told_and_not_hammered() -> None:
    """Two tries a minute: a directory locks an account that fails too often."""

    async def whole() -> None:
        async with pool_of(2) as pool, watching(pool.url, password="wrong") as seen:
            gone = await seen.wait(facts.MasterUnreachable, within=10)
            assert "password" in gone.because
            await pass_time(119)
            assert pool.hosts[0].logins <= 4

    run_virtual(whole())


def test_a_host_that_returned_while_no_watcher_looked_is_told_by_the_next() -> None:
    """The journal says that it was told to reboot, so the first sight of it is a return."""

    async def whole() -> None:
        clock = loop_clock()
        server = MemoryServer(now=clock.machine)
        seen = Seen(server, MemoryBus(server, "test"), clock)
        async with pool_of(2) as pool:
            await seen.begin_run()
            await seen.order_reboot(pool.hosts[1].uuid)
            pool.booted(pool.hosts[1], 2_000_000, 2_000_030)
            async with watching(pool.url, server=server):
                back = await seen.wait(facts.HostCameBack, within=5)
                assert (back.name, back.boot_time) == ("h2", 2_000_000.0)
                assert seen.of(facts.HostCameBack, name="h1") == []

    run_virtual(whole())


def test_a_bus_that_is_away_for_minutes_loses_nothing() -> None:
    """What was seen meanwhile comes when the bus does, in order, each under the moment it was seen."""

    async def story(pool: FakePool, seen: Seen) -> None:
        await seen.begin_run()
        seen.server.stop()
        at = now()
        await pool.hosts[1].turn("shut")
        await pass_time(60)
        await pool.hosts[1].turn("open")
        await pass_time(120)
        seen.server.start()
        back = await seen.wait(facts.HostCameBack, within=5, name="h2")
        [gone] = seen.of(facts.HostUnreachable, name="h2")
        assert at < gone.seen_at < at + 5
        assert at + 60 < back.seen_at < at + 62
        names = [fact.subject.rpartition(".")[2] for fact in seen.all if getattr(fact, "name", "") == "h2"]
        assert names[-2:] == ["host_answering", "host_came_back"]

    play(story)


def test_a_member_whose_certificate_nobody_knows_is_vouched_for_by_the_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the master's certificate is pinned: the member is not sent the password, and its return is seen."""
    from services.watcher import probe
    from services.watcher.liveness import Login

    async def untrusted(*_: object) -> tuple[Login, str]:
        return Login.UNTRUSTED, "not its certificate"

    monkeypatch.setattr(probe, "login", untrusted)

    async def story(pool: FakePool, seen: Seen) -> None:
        pool.booted(pool.hosts[1], 2_000_000, 2_000_030)
        back = await seen.wait(facts.HostCameBack, within=2, name="h2")
        assert back.servertime is not None

    play(story)


def test_two_watchers_say_the_same_and_harm_nobody() -> None:
    """What both saw at one moment is stored once, and the last word about the host is the right one."""

    async def story(pool: FakePool, seen: Seen) -> None:
        async with watching(pool.url, server=seen.server, clock=seen.clock):
            await seen.begin_run()
            await pass_time(40)
            await pool.hosts[1].turn("shut")
            await seen.wait(facts.HostUnreachable, within=5, name="h2")
            await pass_time(5)
            await pool.hosts[1].turn("open")
            await pass_time(5)
            told = [fact for fact in seen.all if getattr(fact, "name", "") == "h2"]
            assert isinstance(told[-1], facts.HostCameBack)
            assert 1 <= len(seen.of(facts.HostCameBack, name="h2")) <= 2

    play(story)


def test_a_stop_is_calm_and_leaves_no_session() -> None:
    """The session on the master is ended, not left to time out."""

    async def whole() -> None:
        async with pool_of(2) as pool:
            async with watching(pool.url) as seen:
                await settled(pool, seen)
            assert pool.sessions == set()
            assert len(pool.ended) == 1

    run_virtual(whole())


def test_a_host_that_joins_or_leaves_the_pool_is_taken_along() -> None:
    """A new member is seen; one that was forgotten is not looked at any more."""

    async def story(pool: FakePool, seen: Seen) -> None:
        gone = pool.hosts[2]
        pool.table["host"].pop(gone.ref)
        pool.write("pool", "OpaqueRef:pool", {})
        await pass_time(1)
        await gone.turn("shut")
        await pass_time(60)
        assert seen.of(facts.HostUnreachable) == []

    play(story)
