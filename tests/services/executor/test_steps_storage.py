"""Moving VMs with their disks on a simulated pool: as planned, as their owners want it, and what stands in the pool."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.planner import storage_moves
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.domain.storage import DiskMove
from tests.services.executor.simulated import HOST, Simulated, story

GIB = 1024**3
HOME, AWAY = "Local storage on athos", "Local storage on porthos"


def pool_of(**disk: Any) -> dict[str, Any]:
    """Three hosts with local storage, and gitlab with its disk on its host's own."""
    hosts = [{"name": name, "local_sr": "60 GiB", **HOST} for name in ("athos", "porthos", "aramis")]
    disks = [{"sr": HOME, "size": "20 GiB", **disk}]
    return {"hosts": hosts, "vms": [{"name": "gitlab", "host": "athos", "memory": "2 GiB", "disks": disks}]}


def away(pool: Simulated, **more: Any) -> acts.MigrateVM:
    """An order to move gitlab to porthos with its disk."""
    disk = DiskMove("0", "gitlab disk 0", pool[HOME], pool[AWAY], 8 * GIB)
    return acts.MigrateVM(pool["gitlab"], pool["porthos"], pool["athos"], disks=(disk,), **more)


def home(pool: Simulated) -> acts.MigrateVM:
    """The order to bring it home."""
    act = away(pool)
    return replace(
        act, to=act.away_from, away_from=act.to, purpose="home", disks=tuple(disk.back for disk in act.disks)
    )


async def note(pool: Simulated) -> dict[str, Any]:
    """What stands in the pool about gitlab's disks."""
    session = await pool.login()
    notes = (await session.look()).settings.notes
    await session.close()
    found = json.loads(notes.get(f"rota:disks:{pool['gitlab'].uuid}", "{}"))
    assert isinstance(found, dict)
    return found


async def lies_on(pool: Simulated) -> list[str]:
    """The SRs of gitlab's disks."""
    session = await pool.login()
    found = [disk.sr.name for disk in await session.disks(pool["gitlab"])]
    await session.close()
    return found


def test_a_vm_goes_with_its_disks_and_comes_home_with_them() -> None:
    """With a note in the pool from before until after; asked beforehand, done once, and it never stops."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(away(pool))
        assert ended.result == acts.Moved(copied=8 * GIB)
        assert ended.sentence.startswith("Moved gitlab with 8.0 GiB of disks from athos to porthos in")
        assert (pool.where("gitlab"), await lies_on(pool)) == ("porthos", [AWAY])
        stands = await note(pool)
        assert (stands["home"], stands["disks"]) == (pool["athos"].uuid, {"0": pool[HOME].uuid})
        assert stands["undo"].startswith(f"xe vm-migrate uuid={pool['gitlab'].uuid} host=athos")
        snapshot = await pool.learn()
        ((_, lives_on, disks),) = storage_moves.away(snapshot)
        assert (lives_on.name, [disk.to.name for disk in disks]) == ("athos", [HOME])
        assert (await pool.do(away(pool), again=True)).result == acts.Moved(copied=8 * GIB)
        assert (await pool.do(away(pool))).result == acts.Moved(already=True)
        assert len(pool.calls("VM.migrate_send")) == len(pool.calls("VM.assert_can_migrate")) == 1

        assert (await pool.do(home(pool))).result == acts.Moved(copied=8 * GIB)
        assert (pool.where("gitlab"), await lies_on(pool), await note(pool)) == ("athos", [HOME], {})
        assert {line["state"] for line in pool.simulation.journal if line["kind"] == "vm"} == {"running"}

    story(run, **pool_of())


def test_a_move_that_breaks_off_half_way_leaves_the_vm_where_it_was() -> None:
    """With a sentence; no note is left, since nothing is away; and the next attempt goes through."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("mirror_fails", vm="gitlab")
        with pytest.raises(TryAgain, match="the copy of its disk gitlab disk 0 broke off") as raised:
            await pool.do(away(pool))
        assert raised.value.code == "MIRROR_FAILED"
        assert (pool.where("gitlab"), await lies_on(pool), await note(pool)) == ("athos", [HOME], {})
        assert isinstance((await pool.do(away(pool), again=True)).result, acts.Moved)
        assert await lies_on(pool) == [AWAY]

    story(run, **pool_of())


def test_an_answer_that_is_lost_is_no_second_move() -> None:
    """Whoever takes the step over finds it done, or waits for it."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("reply_lost", method="VM.migrate_send", host="athos")
        with pytest.raises(TryAgain):
            await pool.do(away(pool))
        ended = await pool.do(away(pool), again=True)
        assert isinstance(ended.result, acts.Moved)
        assert ended.result.copied == 8 * GIB
        assert await lies_on(pool) == [AWAY]
        assert len(pool.calls("VM.migrate_send")) == 1
        assert (await note(pool))["disks"] == {"0": pool[HOME].uuid}

    story(run, **pool_of())


def test_what_xapi_refuses_is_not_begun() -> None:
    """It is asked immediately before, whatever the plan thought; nothing is left in the pool."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="changed blocks of its disk gitlab disk 0 are tracked"):
            await pool.do(away(pool))
        assert pool.calls("VM.migrate_send") == []
        assert await note(pool) == {}

    story(run, **pool_of(cbt=True))


def test_room_that_went_since_the_plan_is_told_with_what_is_short() -> None:
    """By the SR's name, in GiB."""

    async def run(pool: Simulated) -> None:
        act = away(pool)
        large = replace(act, disks=(replace(act.disks[0], size=62 * GIB),))
        with pytest.raises(TryAgain, match=r"'Local storage on porthos' is 2\.0 GiB short of the 62\.0 GiB") as raised:
            await pool.do(large)
        assert raised.value.code == "SR_FULL"
        assert pool.calls("VM.migrate_send") == []

    story(run, **pool_of())


def test_disks_go_from_an_updated_host_to_none_that_is_older() -> None:
    """As XAPI has it, flag or no flag."""
    world = pool_of()
    world["hosts"][0]["updated"] = True

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="while its hosts run different versions"):
            await pool.do(away(pool))
        assert pool.where("gitlab") == "athos"

    story(run, **world)


def test_what_its_owner_did_meanwhile_is_left_so_and_no_disk_is_forgotten() -> None:
    """Stopped before it leaves: it stays. Stopped while away: its disk goes home under it. Deleted: nothing to do."""

    async def run(pool: Simulated) -> None:
        await pool.do(away(pool))
        pool.simulation.fault("vm_stops", vm="gitlab")
        ended = await pool.do(home(pool))
        assert "which its owner has stopped" in ended.sentence
        assert (await lies_on(pool), await note(pool)) == ([HOME], {})
        ended = await pool.do(away(pool))
        assert ended.result == acts.Moved(gone=True)
        assert ended.sentence == "gitlab was shut down meanwhile, so it stays."
        assert await lies_on(pool) == [HOME]
        ghost = replace(away(pool), vm=Named("7e57f1de-0000-4000-8000-000000000000", "ghost"))
        assert (await pool.do(ghost)).sentence == "ghost was deleted meanwhile, so there is nothing to move."

    story(run, **pool_of())


def test_disks_move_under_a_vm_that_stays_on_its_host() -> None:
    """From local to shared storage and back, by the same call."""
    nfs = "Shared NFS"

    async def run(pool: Simulated) -> None:
        disk = DiskMove("0", "gitlab disk 0", pool[HOME], pool[nfs], 8 * GIB)
        act = acts.MigrateVM(pool["gitlab"], pool["athos"], pool["athos"], disks=(disk,))
        assert (await pool.do(act)).result == acts.Moved(copied=8 * GIB)
        assert (pool.where("gitlab"), await lies_on(pool)) == ("athos", [nfs])
        assert (await note(pool))["disks"] == {"0": pool[HOME].uuid}
        back = replace(act, purpose="home", disks=(disk.back,))
        assert (await pool.do(back)).result == acts.Moved(copied=8 * GIB)
        assert (await lies_on(pool), await note(pool)) == ([HOME], {})

    story(run, **pool_of(), srs=[{"name": nfs, "default": True}])
