"""Discs taken out of drives and put back on a simulated pool: as noted, and as the VM's owner wants it."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp
from shared.domain.model import Disc
from shared.domain.names import Named
from tests.services.executor.simulated import Simulated, story

SRS = [
    {"name": "Shared NFS", "default": True},
    {"name": "ISOs of athos", "type": "iso", "host": "athos", "shared": False, "isos": ["setup.iso", "tools.iso"]},
]
VMS = [{"name": "fresh", "host": "athos", "memory": "2 GiB", "iso": "setup.iso"}]


async def disc(pool: Simulated) -> Disc | None:
    """What a survey finds in the drive of fresh."""
    (fresh,) = (vm for vm in (await pool.learn()).vms if vm.name == "fresh")
    return fresh.discs[0] if fresh.discs else None


async def notes(pool: Simulated) -> dict[str, str]:
    """What stands in the pool about discs."""
    session = await pool.login()
    found = (await session.look()).settings.notes
    await session.close()
    return {key: text for key, text in found.items() if key.startswith("rota:disc:")}


def tell(run: Any) -> None:
    """A story on a pool with such a drive."""
    story(run, srs=SRS, vms=VMS)


async def orders(pool: Simulated) -> tuple[acts.EjectMedia, acts.InsertMedia]:
    """To take it out and to put it back."""
    there = await disc(pool)
    assert there is not None
    named = Named(there.uuid, there.name)
    return (
        acts.EjectMedia(pool["fresh"], named, there.drive, pool["athos"]),
        acts.InsertMedia(pool["fresh"], named, there.drive, pool["athos"]),
    )


def test_a_disc_is_taken_out_with_a_note_and_put_back() -> None:
    """Each is done once, however often it is told; the VM can move meanwhile."""

    async def run(pool: Simulated) -> None:
        out, back = await orders(pool)
        await pool.do(out)
        assert await disc(pool) is None
        ((key, text),) = (await notes(pool)).items()
        assert key == f"rota:disc:{out.drive}"
        assert "xe vm-cd-insert" in text
        assert (await pool.do(out, again=True)).result == acts.Done(already=True)
        await pool.do(acts.MigrateVM(pool["fresh"], pool["porthos"], pool["athos"]))
        with pytest.raises(GiveUp, match="fresh is on porthos, which does not reach the disc"):
            await pool.do(back)
        await pool.do(acts.MigrateVM(pool["fresh"], pool["athos"], pool["porthos"], "home"))
        await pool.do(back)
        there = await disc(pool)
        assert there is not None
        assert there.name == "setup.iso"
        assert await notes(pool) == {}
        assert (await pool.do(back, again=True)).result == acts.Done(already=True)
        assert len(pool.calls("VBD.insert")) == 1

    tell(run)


def test_what_its_owner_has_put_in_meanwhile_stays() -> None:
    """And a disc that he took out himself is not put back."""

    async def run(pool: Simulated) -> None:
        out, back = await orders(pool)
        await pool.do(out)
        session = await pool.login()
        records = await session._records(("vdi",))
        tools = next(one["uuid"] for one in records["vdi"].values() if one["name_label"] == "tools.iso")
        await session.insert(out.drive, pool["fresh"], Named(tools, "tools.iso"))
        await session.close()
        assert "has put tools.iso into the drive" in (await pool.do(back)).sentence
        there = await disc(pool)
        assert there is not None
        assert there.name == "tools.iso"
        assert await notes(pool) == {}
        session = await pool.login()
        await session.eject(out.drive, pool["fresh"])
        await session.close()
        assert (await pool.do(out)).result == acts.Done(already=True)
        assert (await pool.do(back)).result == acts.Done(already=True)
        assert await disc(pool) is None

    tell(run)
