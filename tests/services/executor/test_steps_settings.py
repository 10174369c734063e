"""A pool's settings on a simulated pool: switched off, put back, and owed when the pool refuses."""

from __future__ import annotations

from typing import Any

import pytest

from services.executor.work import Owed
from shared.domain import acts
from shared.domain.model import HA, PoolSettings
from tests.services.executor.simulated import HOST, Simulated, story

POOL = {
    "name": "lab",
    "wlb": True,
    "auto_poweron": True,
    "ha": {"enabled": True, "srs": ["nfs"], "failures": 1, "configuration": {"timeout": "60"}},
}
NFS = [{"name": "nfs", "type": "nfs", "default": True}]


async def settings(pool: Simulated) -> PoolSettings:
    """As the pool has them now."""
    session = await pool.login("look")
    try:
        return (await session.look()).settings
    finally:
        await session.close()


def with_settings(test: Any, **changed: Any) -> None:
    """A story on a pool with HA, WLB and auto_poweron on."""
    story(test, **{"pool": POOL, "srs": NFS, **changed})


def test_ha_is_switched_off_and_put_back_as_it_was() -> None:
    """On the same SR, with its configuration and the failures to tolerate."""

    async def run(pool: Simulated) -> None:
        before = (await settings(pool)).ha
        assert before == HA(True, (pool["nfs"].uuid,), {"timeout": "60"}, 1)
        ended = await pool.do(acts.ChangePoolSetting("ha", before))
        assert (ended.result, (await settings(pool)).ha.enabled) == (acts.Done(), False)
        ended = await pool.do(acts.RestorePoolSetting("ha", before))
        assert ended.result == acts.Done()
        assert (await settings(pool)).ha == before

    with_settings(run)


def test_wlb_is_switched_off_and_on() -> None:
    """Nothing but that flag changes."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.ChangePoolSetting("wlb", "true"))
        assert not (await settings(pool)).wlb_enabled
        await pool.do(acts.RestorePoolSetting("wlb", "true"))
        assert (await settings(pool)).wlb_enabled

    with_settings(run)


@pytest.mark.parametrize("before", [True, False, None], ids=["true", "false", "absent"])
def test_auto_poweron_is_put_back_to_its_text_or_taken_away(before: bool | None) -> None:
    """By add and remove alone: other keys that others set are never written over."""

    async def run(pool: Simulated) -> None:
        noted = (await settings(pool)).auto_poweron
        await pool.do(acts.ChangePoolSetting("auto_poweron", noted))
        assert (await settings(pool)).auto_poweron == "false"
        await pool.do(acts.RestorePoolSetting("auto_poweron", noted))
        assert (await settings(pool)).auto_poweron == noted
        assert pool.calls("pool.set_other_config") == []

    told = {} if before is None else {"auto_poweron": before}
    with_settings(run, pool={key: value for key, value in POOL.items() if key != "auto_poweron"} | told)


@pytest.mark.parametrize("setting", ["ha", "wlb", "auto_poweron"])
def test_what_is_off_already_is_not_touched(setting: Any) -> None:
    """Look first; twice is once."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.ChangePoolSetting(setting, "true"))
        before = len(pool.simulation.journal)
        ended = await pool.do(acts.ChangePoolSetting(setting, "true"))
        assert ended.result == acts.Done(already=True)
        called = {line["method"] for line in pool.simulation.journal[before:] if line["kind"] == "call"}
        assert {"Async.pool.disable_ha", "pool.set_wlb_enabled", "pool.add_to_other_config"}.isdisjoint(called)

    with_settings(run)


def test_ha_that_the_pool_refuses_for_now_is_owed() -> None:
    """While a host is off: cause, condition, the exact command, and when it is tried again."""

    async def run(pool: Simulated) -> None:
        before = (await settings(pool)).ha
        await pool.do(acts.ChangePoolSetting("ha", before))
        pool.simulation.fault("power_loss", host="porthos")
        await pool.clock.sleep(700)
        with pytest.raises(Owed) as raised:
            await pool.do(acts.RestorePoolSetting("ha", before))
        owed = raised.value
        assert owed.because == (
            "HA could not be switched on again: porthos is off, or its master has not heard of it for long."
        )
        assert (owed.code, owed.after) == ("HOST_OFFLINE", 60.0)
        assert owed.debt.setting == "ha"
        assert "every host is up" in owed.debt.condition
        uuid = pool["nfs"].uuid
        assert owed.debt.command.startswith(f"xe pool-ha-enable heartbeat-sr-uuids={uuid} ha-config:timeout=60 && ")
        assert owed.debt.command.endswith(" ha-host-failures-to-tolerate=1")

    with_settings(run)


def test_ha_is_owed_while_versions_differ() -> None:
    """NOT_SUPPORTED_DURING_UPGRADE: what GiveUp is elsewhere is only `not yet` here."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(Owed) as raised:
            await pool.do(acts.RestorePoolSetting("ha", HA(True, (pool["nfs"].uuid,), {}, 1)))
        assert raised.value.code == "NOT_SUPPORTED_DURING_UPGRADE"

    hosts = [{"name": "athos", **HOST, "updated": True}, {"name": "porthos", **HOST}]
    vms: list[dict[str, Any]] = []
    with_settings(run, pool={"name": "lab"}, hosts=hosts, vms=vms)


def test_failures_to_tolerate_are_put_back_when_only_they_are_missing() -> None:
    """Killed between the two calls: HA is on, and plans for too few hosts."""

    async def run(pool: Simulated) -> None:
        before = (await settings(pool)).ha
        session = await pool.login()
        await session.disable_ha()
        await session.enable_ha(before)
        await session.tolerate_failures(0)
        await session.close()
        assert (await settings(pool)).ha.failures_to_tolerate == 0
        await pool.do(acts.RestorePoolSetting("ha", before))
        assert (await settings(pool)).ha == before
        assert len(pool.calls("pool.enable_ha")) == 1

    with_settings(run)
