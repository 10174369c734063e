"""The reboot behind its fence, on a simulated pool: never with a VM, never twice, never on doubt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.executor.work import GoBack
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from tests.services.executor.simulated import HOST, Simulated, story


async def back(pool: Simulated, name: str) -> None:
    """Wait until a host is back, as the world knows it."""
    while (host := pool.simulation.state()["hosts"][name])["answers"] != "open" or not host["live"]:
        await pool.clock.sleep(1)


def test_a_member_is_rebooted_once_and_seen_to_go_down() -> None:
    """With nothing on it; the step ends when the pool sees it go."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        ended = await pool.do(act)
        assert ended.result == acts.Done()
        assert not pool.simulation.state()["hosts"]["porthos"]["live"]
        await back(pool, "porthos")
        assert pool.reboots("porthos") == 1

    story(run)


def test_the_master_is_seen_to_go_down_by_the_end_of_the_connection() -> None:
    """Nothing can be asked of the pool any more, and that is the sign."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(await pool.ready_for_reboot("athos"))
        assert ended.result == acts.Done()
        await back(pool, "athos")
        assert pool.reboots("athos") == 1

    story(run)


@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-8.3", "xcp-ng-current"])
def test_the_same_order_again_reboots_nothing(profile: str) -> None:
    """Delivered twice, days later, whatever: boot_time and the host's own time say that it was done."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        await pool.do(act)
        await back(pool, "porthos")
        await pool.clock.sleep(30)
        await pool.do(acts.DisableHost(pool["porthos"]))
        assert (await pool.do(act)).result == acts.Done(already=True)
        assert pool.reboots("porthos") == 1
        assert len(pool.calls("host.reboot")) == 1

    story(run, profile=profile)


def test_a_host_that_is_just_coming_back_is_not_rebooted_again() -> None:
    """It is live, disabled, empty, and its boot_time is still the old one: XAPI writes it a moment later."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        await pool.do(act)
        await back(pool, "porthos")
        assert (await pool.do(act, again=True)).result == acts.Done(already=True)
        assert len(pool.calls("host.reboot")) == 1

    story(run)


@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-8.3"])
def test_a_toolstack_restart_is_no_reboot(profile: str) -> None:
    """Old ones work boot_time out anew, a second off: it still is the same boot, and the host is rebooted."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        for _ in range(3):
            pool.simulation.fault("toolstack_restart", host="porthos")
            await pool.clock.sleep(60)
        await pool.do(acts.DisableHost(pool["porthos"]))
        assert (await pool.do(act)).result == acts.Done()
        await back(pool, "porthos")
        assert pool.reboots("porthos") == 1

    story(run, profile=profile)


def test_a_host_that_enabled_itself_is_not_rebooted() -> None:
    """Back to disable and sweep."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        await pool.do(acts.EnableHost(pool["porthos"]))
        with pytest.raises(GoBack) as raised:
            await pool.do(act)
        assert raised.value.to == "disable_host"
        assert pool.calls("host.reboot") == []

    story(run)


def test_a_host_with_a_vm_on_it_is_not_rebooted() -> None:
    """XAPI would do it, and shut the VM down."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        await pool.do(acts.EnableHost(pool["porthos"]))
        pool.simulation.fault("vm_starts", vm="late", host="porthos")
        await pool.clock.sleep(60)
        await pool.do(acts.DisableHost(pool["porthos"]))
        with pytest.raises(GoBack, match="late came to porthos meanwhile"):
            await pool.do(act)
        assert pool.calls("host.reboot") == []

    vms = [{"name": "late", "state": "halted", "memory": "2 GiB"}]
    story(run, vms=vms)


def test_a_host_with_a_paused_vm_on_it_is_not_rebooted() -> None:
    """Paused is on it too."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["porthos"]))
        noted = (await pool.do(acts.ReadHost(pool["porthos"]))).result
        assert isinstance(noted, acts.HostNoted)
        with pytest.raises(GoBack, match="still"):
            await pool.do(acts.RebootHost(pool["porthos"], noted))
        assert pool.calls("host.reboot") == []

    story(run, vms=[{"name": "still", "host": "porthos", "memory": "2 GiB", "state": "paused"}])


def test_a_host_that_somebody_else_works_on_is_waited_for() -> None:
    """A task of no order of this run: it is told what is waited for, and the reboot comes after its end."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        other = await pool.login("t09-s009", run="another-run")
        installing = asyncio.create_task(other.install(pool["porthos"], pool.ignored))
        await pool.clock.sleep(2)
        rebooting = asyncio.create_task(pool.do(act))
        await installing
        assert pool.calls("host.reboot") == []
        await other.close()
        await rebooting
        assert any("porthos is not rebooted while others work on it" in said for said in pool.said)

    story(run)


def test_a_backup_is_waited_for_and_not_killed() -> None:
    """Its disk hangs on the host's control domain; past the policy's time a person is asked."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("athos")
        pool.simulation.fault("backup", vm="idle", seconds=900)
        with pytest.raises(GiveUp, match="the disk idle backup at its control domain"):
            await pool.do(replace(act, backup_minutes=5))
        assert pool.calls("host.reboot") == []
        await pool.do(act)
        assert pool.reboots("athos") == 1

    halted = {"name": "idle", "memory": "2 GiB", "state": "halted"}
    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "8 GiB"}, halted])


def test_a_lost_reply_is_no_reason_to_call_again() -> None:
    """The pool took the order and its answer was lost: whoever comes next sees the host go down, and calls nothing."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        pool.simulation.fault("reply_lost", method="host.reboot", host="athos")
        with pytest.raises(TryAgain):
            await pool.do(act)
        ended = await pool.do(act, again=True)
        assert ended.result == acts.Done(already=True)
        assert ended.sentence == "porthos is going down."
        await back(pool, "porthos")
        assert (pool.reboots("porthos"), len(pool.calls("host.reboot"))) == (1, 1)

    story(run)


def test_a_second_holder_calls_only_after_the_pools_own_delay() -> None:
    """The first one died before he called: 30 s later the fence still says the same boot, and the host is rebooted."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        began = pool.clock.now()
        ended = await pool.do(act, again=True)
        assert ended.result == acts.Done()
        (call,) = pool.calls("host.reboot")
        assert pool.simulation.clock.drive.origin + call["began"] - began >= 30
        await back(pool, "porthos")
        assert pool.reboots("porthos") == 1

    story(run)


def test_a_clock_that_was_moved_leaves_doubt_and_nothing_is_rebooted() -> None:
    """A boot_time that is later, and not after the host's own time noted with it; or earlier."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        assert act.noted is not None
        for shift in (-3600, 3600):
            doubtful = replace(act, noted=replace(act.noted, boot_time=act.noted.boot_time + shift))
            with pytest.raises(GiveUp, match="not rebooted on doubt"):
                await pool.do(doubtful)
        assert pool.calls("host.reboot") == []

    story(run)


def test_a_host_whose_clock_is_behind_after_boot_is_not_rebooted_again() -> None:
    """Its boot_time lies before what was noted: that is doubt, not the same boot."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        pool.simulation.fault("clock_behind", host="porthos", seconds=7200, **{"for": 100_000})
        await pool.do(act)
        await back(pool, "porthos")
        with pytest.raises(GiveUp, match="not rebooted on doubt"):
            await pool.do(act, again=True)
        assert pool.reboots("porthos") == 1

    story(run)


def test_an_order_without_what_was_noted_is_refused() -> None:
    """There is no fence without it."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        with pytest.raises(GiveUp, match="does not say what was noted"):
            await pool.do(replace(act, noted=None))

    story(run)


def test_a_host_that_is_off_is_not_rebooted() -> None:
    """Not live, and nobody of ours asked for it: it is waited for."""

    async def run(pool: Simulated) -> None:
        act = await pool.ready_for_reboot("porthos")
        pool.simulation.fault("power_loss", host="porthos")
        await pool.clock.sleep(700)
        with pytest.raises(TryAgain, match="porthos is not live"):
            await pool.do(act)

    story(run)


def test_a_host_newer_than_its_master_is_never_rebooted() -> None:
    """Conduct 5: after the install and before the reboot its packages are compared with the master's."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="never reboot it before athos is updated") as raised:
            await pool.do(acts.ReadHost(pool["porthos"], pool["athos"]))
        assert raised.value.code == "ABOVE_THE_MASTER"
        await pool.do(acts.ReadHost(pool["aramis"], pool["athos"]))

    story(
        run, hosts=[{"name": "athos", **HOST}, {"name": "porthos", **HOST, "patched": True}, {"name": "aramis", **HOST}]
    )


def test_what_is_noted_is_the_hosts_own_time_boot_and_packages() -> None:
    """By its own clock, which may be wrong."""

    async def run(pool: Simulated) -> None:
        noted = (await pool.do(acts.ReadHost(pool["porthos"]))).result
        assert isinstance(noted, acts.HostNoted)
        assert abs(noted.servertime - pool.clock.now() - 500) < 5
        assert noted.versions.xen == "4.17.5-20.1"
        assert set(noted.installed) == {"kernel", "xapi-core", "xcp-ng-release", "xen-hypervisor"}

    story(run, hosts=[{"name": "athos", **HOST}, {"name": "porthos", **HOST, "clock_offset": 500}], vms=[])
