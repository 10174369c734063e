"""Storage that a VM of the pool serves, on a simulated pool: unused, detached and attached again, with a note."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from tests.services.executor.simulated import HOST, Simulated, story

WORLD: dict[str, Any] = {
    "hosts": [{"name": name, **HOST, "local_sr": "100 GiB"} for name in ("athos", "porthos")],
    "srs": [{"name": "NAS", "default": True}, {"name": "Depot", "served_by": "filer"}],
    "vms": [
        {"name": "filer", "host": "athos", "disks": [{"sr": "Local storage on athos"}],
         "blocked": {"clean_shutdown": "serves storage"}},
        {"name": "db", "host": "porthos", "disks": [{"sr": "Depot"}]},
    ],
}  # fmt: skip


def check(pool: Simulated) -> acts.CheckUnused:
    """Whether Depot is used."""
    return acts.CheckUnused(pool["Depot"], pool["filer"], pool["athos"], backup_minutes=2.0)


def unplug(pool: Simulated, host: str) -> acts.UnplugPBD:
    """Depot goes from a host."""
    return acts.UnplugPBD(pool["Depot"], pool[host], pool["filer"])


def plug(pool: Simulated, host: str, minutes: float = 3.0) -> acts.PlugPBD:
    """And comes back."""
    return acts.PlugPBD(pool["Depot"], pool[host], pool["filer"], minutes)


def stop(pool: Simulated, vm: str, host: str, **more: Any) -> acts.ShutdownVM:
    """A VM is shut down."""
    return acts.ShutdownVM(pool[vm], pool[host], "ops", lift=True, **more)


async def attached(pool: Simulated) -> list[str]:
    """The hosts that have Depot, by the pool's word."""
    session = await pool.login()
    look = await session.sr(pool["Depot"])
    await session.close()
    assert look is not None
    return [host.name for host in look.attached]


async def notes(pool: Simulated) -> dict[str, Any]:
    """What stands in the pool about Depot."""
    session = await pool.login()
    found = (await session.look()).settings.notes
    await session.close()
    return {key: json.loads(text) for key, text in found.items() if key.startswith("rota:pbd:")}


def lost(pool: Simulated) -> list[dict[str, Any]]:
    """The journal's lines of storage that lost its server while it was attached."""
    return [line for line in pool.simulation.journal if line["kind"] == "storage" and line["state"] == "lost"]


def test_storage_goes_and_comes_back_and_its_server_in_between() -> None:
    """Each act twice is as good as once; what stands in the pool is enough to undo it by hand."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(TryAgain, match="Depot is in use by db \\(its disk db disk 0\\)"):
            await pool.do(check(pool))
        await pool.do(stop(pool, "db", "porthos"))
        assert (await pool.do(check(pool))).result == acts.Done()
        with pytest.raises(TryAgain, match="filer is not shut down: Depot, which it serves, is attached to"):
            await pool.do(stop(pool, "filer", "athos", serves=(pool["Depot"],)))
        for host in ("porthos", "athos"):
            assert (await pool.do(unplug(pool, host))).result == acts.Done()
            assert (await pool.do(unplug(pool, host))).result == acts.Done()
        assert await attached(pool) == []
        note = (await notes(pool))[f"rota:pbd:{pool['Depot'].uuid}:{pool['athos'].uuid}"]
        assert note["vm"] == {"uuid": pool["filer"].uuid, "name": "filer"}
        assert note["undo"].startswith("xe pbd-plug uuid=$(xe pbd-list ")
        await pool.do(stop(pool, "filer", "athos", serves=(pool["Depot"],)))
        with pytest.raises(GiveUp, match=r"Depot could not be attached to athos for .* which serves it, is halted"):
            await pool.do(plug(pool, "athos"))
        await pool.do(acts.StartVM(pool["filer"], pool["athos"], serves=(pool["Depot"],)))
        for host in ("athos", "porthos"):
            assert (await pool.do(plug(pool, host))).result == acts.Done()
            assert (await pool.do(plug(pool, host))).result == acts.Done()
        assert await attached(pool) == ["athos", "porthos"]
        assert await notes(pool) == {}
        await pool.do(acts.StartVM(pool["db"], pool["porthos"]))
        assert lost(pool) == []

    story(run, **WORLD)


def test_storage_is_not_detached_under_a_user() -> None:
    """The pool refuses, and it is told who it is."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(TryAgain, match="Depot cannot be detached from porthos: db \\(its disk db disk 0\\) still"):
            await pool.do(unplug(pool, "porthos"))
        assert await attached(pool) == ["athos", "porthos"]

    story(run, **WORLD)


def test_a_backups_disk_is_waited_for_and_then_told() -> None:
    """Nothing is detached while somebody reads from it: it ends within its time, or a person is asked."""

    async def run(pool: Simulated) -> None:
        await pool.do(stop(pool, "db", "porthos"))
        pool.simulation.fault("backup", vm="db", seconds=60)
        assert (await pool.do(check(pool))).result == acts.Done()
        assert any("Depot is not detached while others work with it" in said for said in pool.said)
        pool.simulation.fault("backup", vm="db", seconds=6000)
        with pytest.raises(GiveUp, match="see that it ends") as raised:
            await pool.do(check(pool))
        assert raised.value.code == "BACKUP"

    story(run, **WORLD)


def test_a_vm_that_came_to_the_host_meanwhile_is_told() -> None:
    """Only the storage VM may be left there."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(TryAgain, match="wiki came to athos meanwhile"):
            await pool.do(check(pool))

    vms = [WORLD["vms"][0], {"name": "wiki", "host": "athos", "disks": [{"sr": "NAS"}]}]
    story(run, **{**WORLD, "vms": vms})


def test_what_somebody_else_detached_is_left_to_him() -> None:
    """Neither noted nor attached again."""

    async def run(pool: Simulated) -> None:
        await pool.do(stop(pool, "db", "porthos"))
        session = await pool.login()
        await session.unplug(pool["porthos"], pool["Depot"])
        await session.close()
        ended = await pool.do(unplug(pool, "porthos"))
        assert ended.result == acts.Done(already=True)
        ended = await pool.do(plug(pool, "porthos"))
        assert ended.sentence == "Depot was not detached from porthos by a run, so it is left so."
        assert await attached(pool) == ["athos"]

    story(run, **WORLD)


def test_an_export_may_be_slow_and_one_that_never_answers_is_told_with_its_server() -> None:
    """Again and again within its time."""

    async def run(pool: Simulated) -> None:
        await pool.do(stop(pool, "db", "porthos"))
        await pool.do(unplug(pool, "porthos"))
        pool.simulation.fault("pbd_plug_fails", host="porthos")
        assert (await pool.do(plug(pool, "porthos"))).result == acts.Done()
        assert any("It is tried again" in said for said in pool.said)
        await pool.do(unplug(pool, "porthos"))
        pool.simulation.fault("pbd_plug_fails", host="porthos", times=1000)
        with pytest.raises(
            GiveUp, match="filer, which serves it, runs on athos; see that its export answers"
        ) as raised:
            await pool.do(plug(pool, "porthos"))
        assert raised.value.who_can_help == "whoever looks after filer"

    story(run, **WORLD)


def test_the_journal_tells_of_storage_that_lost_its_server() -> None:
    """And of who used it: without it nobody could judge the order."""

    async def run(pool: Simulated) -> None:
        await pool.do(stop(pool, "filer", "athos"))
        assert [(line["sr"], line["server"], line["host"], line["vms"]) for line in lost(pool)] == [
            ("Depot", "filer", "athos", []),
            ("Depot", "filer", "porthos", ["db"]),
        ]

    story(run, **WORLD)
