"""Replicated storage on a simulated pool: waited for, its packages and its services."""

from __future__ import annotations

from typing import Any

import pytest

from services.executor.ground import Ground, stood_on
from shared.domain import acts
from shared.domain.errors import GiveUp
from shared.domain.model import Package
from tests.services.executor.simulated import HOST, Simulated, story

SRS = [{"name": "Replicated", "type": "linstor", "default": True, "resync": 300}]
NEWER = [
    {"name": "linstor-satellite", "version": "1.31.0", "release": "1.xcpng8.3"},
    {"name": "linstor-controller", "version": "1.31.0", "release": "1.xcpng8.3"},
]


def tell(run: Any, updates: Any = ()) -> None:
    """A story on three hosts that hold the storage together."""
    hosts = [{"name": name, **HOST, "updates": list(updates)} for name in ("athos", "porthos", "aramis")]
    story(run, srs=SRS, hosts=hosts)


def check(pool: Simulated, **more: Any) -> acts.CheckReplication:
    """The order to wait for it."""
    return acts.CheckReplication((pool["Replicated"],), **more)


async def away(pool: Simulated, name: str) -> None:
    """Reboot a host; returns when it is back, its replicas behind."""
    await pool.do(await pool.ready_for_reboot(name))
    await pool.clock.sleep(200)


def test_storage_is_waited_for_until_it_is_whole_and_a_survey_says_what_it_lacks() -> None:
    """With what it waits for, and for how long at most."""

    async def run(pool: Simulated) -> None:
        assert (await pool.do(check(pool))).sentence == "The storage Replicated is whole."
        await away(pool, "porthos")
        session = await pool.login()
        (sr,) = (one for one in (await session.survey(updates=True, at=0.0)).srs if one.name == "Replicated")
        await session.close()
        assert "3 of 3 volumes are not the same everywhere, for want of porthos" in sr.degraded
        began = pool.clock.now()
        await pool.do(check(pool))
        assert pool.clock.now() - began > 60
        assert any("Waiting for the storage Replicated to be whole, for 1 h" in said for said in pool.said)

    tell(run)


def test_past_its_time_a_person_is_asked() -> None:
    """From the order on, whoever has it in hand."""

    async def run(pool: Simulated) -> None:
        await away(pool, "porthos")
        with pytest.raises(GiveUp, match="is not whole after") as told:
            await pool.do(check(pool, minutes=1.0, since=pool.clock.now() - 50))
        assert told.value.who_can_help == "whoever looks after the storage"

    tell(run)


def test_packages_and_services_bring_the_hosts_to_one_version() -> None:
    """In between LINSTOR loses the satellites that are behind its controller; each thing may be done twice."""

    async def run(pool: Simulated) -> None:
        package = Package("linstor-satellite", "1.31.0", "1.xcpng8.3")
        other = Package("linstor-controller", "1.31.0", "1.xcpng8.3")
        with pytest.raises(GiveUp, match="newer than its master"):
            await pool.do(acts.InstallPackage(pool["porthos"], package, pool["athos"]))
        with pytest.raises(GiveUp, match="which must be on all hosts before any is rebooted; nothing was installed"):
            await pool.do(acts.InstallUpdates(pool["athos"], apart=("linstor-satellite",)))
        for one in (package, other):
            for name in ("athos", "porthos", "aramis"):
                act = acts.InstallPackage(pool[name], one, None if name == "athos" else pool["athos"])
                result = (await pool.do(act)).result
                assert isinstance(result, acts.Installed)
                assert [done.name for done in result.packages] == [one.name]
                assert list(result.before) == [one.name]
                assert (await pool.do(act, again=True)).result == acts.Installed()
        await pool.do(check(pool))
        await pool.do(acts.SwitchService(pool["athos"], "linstor-controller", "stop"))
        with pytest.raises(GiveUp, match="VERSION MISMATCH"):
            await pool.do(check(pool, minutes=1.0))
        for name in ("athos", "porthos", "aramis"):
            await pool.do(acts.SwitchService(pool[name], "linstor-satellite", "restart"))
        await pool.do(check(pool))
        pool.simulation.fault("publish", packages=[{"name": package.name, "version": "1.32.0", "release": "1"}])
        with pytest.raises(GiveUp, match="would not be alike; nothing was installed"):
            await pool.do(acts.InstallPackage(pool["athos"], package))

    tell(run, NEWER)


def test_what_the_owner_calls_replicated_is_known_by_name_or_uuid() -> None:
    """And what there is not is told."""

    async def run(pool: Simulated) -> None:
        snapshot = await pool.learn()
        assert stood_on(snapshot, Ground(replicated=("Replicated",))).replicated == (pool["Replicated"].uuid,)

    tell(run)
