"""What Rota may expect of a pool: one suite for every pool that `client` speaks to.

Always run on the simulator, each generation of the API. Run on a real pool too where ROTA_TEST_POOL_URL names one
(with ROTA_TEST_POOL_USERNAME, _PASSWORD, _FINGERPRINT): these tests change nothing there but sessions of their own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr, TypeAdapter

from shared.clock import Clock
from shared.domain.errors import GiveUp, Superseded
from shared.domain.model import PoolSnapshot
from shared.domain.names import Named
from shared.xapi import client
from shared.xapi.port import Access
from simulator import running
from simulator.virtual import EPOCH, run_virtual

PROFILES = ("xcp-ng-8.2", "xcp-ng-8.3", "xcp-ng-current")
NOBODY = Named("7e57f1de-0000-4000-8000-000000000000", "nobody")


@dataclass
class Target:
    """A pool under test: how it is reached, and its time."""

    access: Access
    clock: Clock

    async def login(self, step: str = "t01-s001", access: Access | None = None) -> client.Client:
        """A session for a step."""
        return await client.login(
            self.access if access is None else access, members=(), run="contract", step=step, clock=self.clock
        )


Test = Callable[[Target], Awaitable[None]]
Runs = Callable[[Test], None]


@pytest.fixture(params=[*PROFILES, "real"])
def on(request: pytest.FixtureRequest) -> Runs:
    """Runs a test on a simulated pool of a generation, or on the real one."""
    return _on_a_real_pool if request.param == "real" else lambda test: _on_the_simulator(request.param, test)


def _on_the_simulator(profile: str, test: Test) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        hosts = [{"name": "athos", "memory": "16 GiB"}, {"name": "porthos", "memory": "16 GiB"}]
        vms = [{"name": "gitlab", "host": "athos", "memory": "2 GiB"}]
        world = {"name": "two", "profile": profile, "hosts": hosts, "vms": vms}
        async with running(world, drive="virtual") as simulation:
            access = Access(simulation.master_url, simulation.username, SecretStr(simulation.password))
            await test(Target(access, Clock(machine=lambda: EPOCH + loop.time())))

    run_virtual(run())


def _on_a_real_pool(test: Test) -> None:
    url = os.environ.get("ROTA_TEST_POOL_URL")
    if not url:
        pytest.skip("no real pool is named in ROTA_TEST_POOL_URL")
    password = SecretStr(os.environ.get("ROTA_TEST_POOL_PASSWORD", ""))
    pin = os.environ.get("ROTA_TEST_POOL_FINGERPRINT", "")
    access = Access(url, os.environ.get("ROTA_TEST_POOL_USERNAME", "root"), password, fingerprint=pin)

    async def run() -> None:
        await test(Target(access, Clock(machine=time.time)))

    asyncio.run(run())


def test_a_survey_is_a_whole_pool(on: Runs) -> None:
    """One master among its hosts, VMs on hosts of it, sizes that are sizes, and it survives being stored."""

    async def run(target: Target) -> None:
        pool = await target.login()
        snapshot = await pool.survey(updates=True, at=7.0)
        await pool.close()
        hosts = {host.uuid: host for host in snapshot.hosts}
        assert snapshot.master in hosts
        assert hosts[snapshot.master].live
        assert all(vm.host is None or vm.host in hosts for vm in snapshot.vms)
        assert all(vm.memory > 0 for vm in snapshot.vms if vm.power_state == "running")
        assert all(host.memory_total > 0 for host in snapshot.hosts if host.live)
        assert all(host.updates is not None or host.updates_unknown_because for host in snapshot.hosts)
        assert TypeAdapter(PoolSnapshot).validate_json(TypeAdapter(PoolSnapshot).dump_json(snapshot)) == snapshot

    on(run)


def test_a_survey_tells_of_each_host_and_vm_what_a_plan_must_know(on: Runs) -> None:
    """Clocks near ours, disk space or that it cannot be told, addresses, features, disks with sizes on known SRs."""

    async def run(target: Target) -> None:
        pool = await target.login()
        snapshot = await pool.survey(updates=True, at=target.clock.now())
        await pool.close()
        srs = {sr.uuid for sr in snapshot.srs}
        for host in snapshot.hosts:
            if host.live and host.updates is not None:
                assert host.clock_offset is not None
                assert abs(host.clock_offset) < 24 * 3600
                assert host.disk_free is None or host.disk_free > 0
                assert host.networks_with_ip
                assert host.cpu_features
                assert not host.ahead
        for vm in snapshot.vms:
            assert all(disk.sr in srs and disk.size > 0 for disk in vm.disks)
            assert vm.memory_max > 0
            assert {disk.sr for disk in vm.disks} <= set(vm.srs)
        assert any(vm.disks for vm in snapshot.vms)

    on(run)


def test_looks_agree_with_the_survey(on: Runs) -> None:
    """A host, a VM and the settings, each looked at alone."""

    async def run(target: Target) -> None:
        pool = await target.login()
        snapshot = await pool.survey(updates=False, at=0.0)
        master = snapshot.host(snapshot.master)
        assert master is not None
        look = await pool.host(master.named)
        assert (look.master, look.enabled, look.live, look.boot_time) == (True, master.enabled, True, master.boot_time)
        assert set(look.storage) == {*master.attached, *master.detached}
        assert {vm.named for vm in look.residents} == {vm.named for vm in snapshot.resident(master.uuid)}
        assert (await pool.look()).settings == snapshot.settings
        for vm in snapshot.vms[:3]:
            seen = await pool.vm(vm.named)
            assert seen is not None
            assert (seen.named, seen.power_state) == (vm.named, vm.power_state)
        await pool.close()

    on(run)


def test_a_host_tells_its_time_and_its_packages(on: Runs) -> None:
    """Near to ours; what it does not have is an empty text."""

    async def run(target: Target) -> None:
        pool = await target.login()
        master = (await pool.survey(updates=False, at=0.0)).hosts[0].named
        assert abs(await pool.servertime(master) - target.clock.now()) < 600
        installed = await pool.installed(master, ["kernel", "surely-not-installed"])
        assert installed["kernel"].startswith("kernel-")
        assert installed["surely-not-installed"] == ""
        await pool.close()

    on(run)


def test_what_is_not_there_is_told_and_not_guessed(on: Runs) -> None:
    """A VM that is gone is None; a host that is gone is given up."""

    async def run(target: Target) -> None:
        pool = await target.login()
        assert await pool.vm(NOBODY) is None
        with pytest.raises(GiveUp, match="no host nobody"):
            await pool.host(NOBODY)
        await pool.close()

    on(run)


def test_a_session_can_be_ended_by_its_uuid(on: Runs) -> None:
    """The fence: every later call of it is refused, reading and acting, and it is not logged in again."""

    async def run(target: Target) -> None:
        former, later = await target.login(), await target.login()
        master = (await later.survey(updates=False, at=0.0)).hosts[0].named
        assert await later.end_session(former.session)
        with pytest.raises(Superseded):
            await former.look()
        with pytest.raises(Superseded):
            await former.enable(master)
        assert not await later.end_session(former.session)
        assert not await later.end_session(NOBODY.uuid)
        await later.look()
        await former.close()
        await later.close()

    on(run)


def test_a_session_that_waits_is_woken_when_it_is_ended(on: Runs) -> None:
    """Its event.from does not sleep on."""

    async def run(target: Target) -> None:
        former, later = await target.login(), await target.login()
        snapshot = await former.survey(updates=False, at=0.0)
        look = await former.host(snapshot.hosts[0].named)
        waiting = asyncio.create_task(former.gone_down(look, 600))
        await asyncio.sleep(2)
        await later.end_session(former.session)
        async with asyncio.timeout(10):
            with pytest.raises(Superseded):
                await waiting
        await former.close()
        await later.close()

    on(run)


def test_nothing_at_work_settles_at_once(on: Runs) -> None:
    """A step that left no task inside the pool."""

    async def run(target: Target) -> None:
        pool = await target.login()
        before = target.clock.now()

        async def told(_: float) -> None:
            raise AssertionError("nothing is at work")

        await pool.settle("contract", "t99-s999", told)
        assert target.clock.now() - before < 5
        await pool.close()

    on(run)


def test_a_wrong_password_is_given_up(on: Runs) -> None:
    """And does not stand in the sentence."""

    async def run(target: Target) -> None:
        wrong = Access(
            target.access.url, target.access.username, SecretStr("surely-wr0ng"), None, target.access.fingerprint
        )
        with pytest.raises(GiveUp) as raised:
            await target.login(access=wrong)
        assert raised.value.code == "SESSION_AUTHENTICATION_FAILED"
        assert "wr0ng" not in raised.value.because

    on(run)


def test_many_sessions_read_side_by_side(on: Runs) -> None:
    """One for each step in hand."""

    async def run(target: Target) -> None:
        sessions = await asyncio.gather(*(target.login(f"t01-s{number:03d}") for number in range(8)))
        looks = await asyncio.gather(*(session.look() for session in sessions))
        assert len({look.named for look in looks}) == 1
        assert len({session.session for session in sessions}) == 8
        await asyncio.gather(*(session.close() for session in sessions))

    on(run)
