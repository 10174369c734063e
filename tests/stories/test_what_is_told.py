"""What a forecast tells of each world that has something to tell: a survey through XAPI, then the planner's words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from services.planner import forecasting
from shared.clock import Clock
from shared.domain import facts
from shared.domain.policy import Policy
from shared.xapi import client
from shared.xapi.port import Access
from simulator import running
from simulator.virtual import EPOCH, run_virtual

PLAIN = {"memory": "64 GiB"}


def forecast(world: str | dict[str, Any], policy: Policy | None = None) -> facts.Forecast:
    """Survey a simulated world and plan."""
    found: list[facts.Forecast] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with running(world, drive="virtual") as sim:
            access = Access(sim.master_url, sim.username, SecretStr(sim.password))
            clock = Clock(machine=lambda: EPOCH + loop.time())
            pool = await client.login(access, members=(), run="r", step="t01-s001", clock=clock)
            snapshot = await pool.survey(updates=True, at=clock.now())
            await pool.close()
            found.append(forecasting.forecast(snapshot, policy or Policy()))

    run_virtual(run())
    return found[0]


def world(**changed: Any) -> dict[str, Any]:
    """Two hosts and a VM; `changed` keys take the place of its own."""
    hosts = [{"name": "alpha", **PLAIN}, {"name": "beta", **PLAIN}]
    return {"name": "told", "hosts": hosts, "vms": [{"name": "db", "host": "beta", "memory": "4 GiB"}], **changed}


@pytest.mark.parametrize(
    ("name", "code", "named"),
    [
        ("local-disk", "VM_REQUIRES_SR", "'scratch disk 0' on 'Local storage on beta'"),
        ("disc-in-drive", "DISC_IN_DRIVE", "the disc 'setup.iso' of 'Local ISOs on beta'"),
        ("gpu", "VM_HAS_PCI_ATTACHED", "VM render cannot leave beta: a PCI device"),
        ("gpu", "VM_HAS_VGPU", "VM cad cannot leave gamma: it uses a virtual GPU"),
        ("no-tools", "VM_LACKS_FEATURE", "VM appliance cannot leave beta: it has no guest tools"),
        ("squeezed", "HOST_NOT_ENOUGH_FREE_MEMORY", "(squeeze = true)"),
        ("too-full", "HOST_NOT_ENOUGH_FREE_MEMORY", "MiB short; stop a VM that can be spared, or add memory."),
        ("idle-vms", "VM_BAD_POWER_STATE", "VM held on beta is paused"),
        ("host-off", "HOST_OFFLINE", "Host gamma is not live"),
        ("host-disabled", "HOST_DISABLED", "Host gamma was disabled by somebody"),
        ("one-host", "ONE_HOST", "the only host of"),
    ],
)
def test_what_stops_a_run_is_told_with_its_names(name: str, code: str, named: str) -> None:
    """Cause and fix in one sentence, never a ref."""
    said = [stop.sentence for stop in forecast(name).blockers if stop.code == code]
    assert any(named in sentence for sentence in said), said
    assert not any("OpaqueRef" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("devices", "code"), [(["vusb"], "VM_HAS_VUSBS"), (["sriov"], "VM_HAS_SRIOV_VIF"), (["pci"], "VM_HAS_PCI_ATTACHED")]
)
def test_a_device_of_a_host_is_told(devices: list[str], code: str) -> None:
    """USB, SR-IOV and PCI."""
    bound = [{"name": "db", "host": "beta", "memory": "4 GiB", "devices": devices}]
    assert [stop.code for stop in forecast(world(vms=bound)).blockers] == [code]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unplugged", "No VM can go to gamma: gamma does not reach the storage 'Shared NFS'."),
        ("unplugged", "The storage 'Shared NFS' is not attached to gamma"),
        ("squeezed", "VM one may be squeezed to 8192 MiB, under half of the 32768 MiB it has"),
    ],
)
def test_what_should_be_mended_is_told(name: str, said: str) -> None:
    """It stops nothing."""
    assert said in " ".join(forecast(name).warnings)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("member-ahead", "it joins by itself after the turn of alpha"),
        ("backup", "beta waits: VM db is being backed up"),
        ("unplugged", "XAPI by itself would not empty alpha because of web (VM_REQUIRES_SR"),
        ("island", "XAPI by itself would not empty beta because of tester (VM_REQUIRES_NETWORK"),
        ("demo", "this pool refuses snapshots"),
    ],
)
def test_what_is_good_to_know_is_told(name: str, said: str) -> None:
    """Nobody need do anything."""
    told = forecast(name)
    assert told.blockers == ()
    assert said in " ".join(told.notes)


def test_a_full_disk_and_a_clock_are_seen_on_each_host() -> None:
    """Both are asked of the host itself."""
    hosts = [{"name": "alpha", **PLAIN, "clock_offset": 7300}, {"name": "beta", **PLAIN, "disk_free": "100 MiB"}]
    told = forecast(world(hosts=hosts))
    assert [stop.code for stop in told.blockers] == ["DISK_SPACE"]
    assert any("The clock of alpha is 2 h before ours" in warning for warning in told.warnings)


def test_mixed_cpus_are_no_obstacle_where_guests_saw_only_what_all_have() -> None:
    """XAPI levels a pool: a guest that was booted in it fits everywhere."""
    told = forecast("mixed-cpus")
    assert (told.blockers, told.warnings) == ((), ())


def test_a_pool_of_an_old_xapi_is_told_nothing_of_a_flag_that_it_does_not_set() -> None:
    """There the flag follows the platform's version, which an update does not change."""
    assert forecast("old-8.2").notes == ()
    assert forecast("old-8.3").notes == ()


def test_the_pools_own_migration_network_is_looked_at() -> None:
    """A host without an address on it is named."""
    networks = [{"name": "Main", "management": True}, {"name": "Fast"}]
    told = forecast(world(networks=networks), Policy(migration_network="Fast"))
    assert {stop.code for stop in told.blockers} == {"INTERFACE_HAS_NO_IP"}
    with_ip = [{"name": "Main", "management": True}, {"name": "Fast", "ip": True}]
    assert forecast(world(networks=with_ip), Policy(migration_network="Fast")).blockers == ()
