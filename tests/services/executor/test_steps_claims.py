"""What Rota writes into the pool itself, on a simulated pool: a claim, notes of changes, and a kept database."""

from __future__ import annotations

import json

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp
from shared.domain.model import HA, PoolSettings
from tests.services.executor.simulated import HOST, Simulated, story

OURS = '{"run": "r1"}'
ANOTHERS = '{"by": "somebody else", "run": "r9"}'
NFS = [{"name": "nfs", "type": "nfs", "default": True}]
POOL = {"name": "lab", "wlb": True, "auto_poweron": True, "ha": {"enabled": True, "srs": ["nfs"], "failures": 1}}


async def settings(pool: Simulated) -> PoolSettings:
    """As the pool has them now."""
    session = await pool.login("look")
    try:
        return (await session.look()).settings
    finally:
        await session.close()


def test_a_pool_is_claimed_once_and_let_go() -> None:
    """By one key that everybody can read; twice is once."""

    async def run(pool: Simulated) -> None:
        assert (await pool.do(acts.ClaimPool(OURS))).result == acts.Done()
        assert (await settings(pool)).notes == {"rota:claim": OURS}
        assert (await pool.do(acts.ClaimPool(OURS))).result == acts.Done(already=True)
        assert (await pool.do(acts.ReleasePool(OURS))).result == acts.Done()
        assert (await settings(pool)).notes == {}
        assert (await pool.do(acts.ReleasePool(OURS))).result == acts.Done(already=True)

    story(run)


def test_anothers_claim_is_never_overwritten_nor_let_go() -> None:
    """The sentence has the claim's own text, and what to do."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="somebody else") as raised:
            await pool.do(acts.ClaimPool(OURS))
        assert raised.value.code == "POOL_CLAIMED"
        await pool.do(acts.ReleasePool(OURS))
        assert (await settings(pool)).notes == {"rota:claim": ANOTHERS}

    story(run, pool={"name": "lab", "other_config": {"rota:claim": ANOTHERS}})


def test_a_leftover_of_our_own_is_replaced() -> None:
    """That very text and no other."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp):
            await pool.do(acts.ClaimPool(OURS, replaces="something else"))
        await pool.do(acts.ClaimPool(OURS, replaces=ANOTHERS))
        assert (await settings(pool)).notes == {"rota:claim": OURS}

    story(run, pool={"name": "lab", "other_config": {"rota:claim": ANOTHERS}})


def test_of_two_who_claim_at_once_one_has_the_pool() -> None:
    """Both saw a pool without a claim: adding a key is no overwriting."""

    async def run(pool: Simulated) -> None:
        one, two = await pool.login("a"), await pool.login("b")
        assert await one.note("rota:claim", OURS)
        assert not await two.note("rota:claim", ANOTHERS)
        assert (await settings(pool)).notes == {"rota:claim": OURS}
        await one.close()
        await two.close()

    story(run)


def test_what_was_changed_is_noted_until_it_is_put_back() -> None:
    """Old value, run and command, for a person with nothing but XAPI; other keys stay as they are."""

    async def run(pool: Simulated) -> None:
        before = await settings(pool)
        old: dict[acts.Setting, str | HA | None] = {"ha": before.ha, "wlb": "true", "auto_poweron": "true"}
        for setting, value in old.items():
            await pool.do(acts.ChangePoolSetting(setting, value))
        notes = {key: json.loads(text) for key, text in (await settings(pool)).notes.items()}
        assert set(notes) == {"rota:ha", "rota:wlb", "rota:auto_poweron"}
        assert {note["run"] for note in notes.values()} == {"r1"}
        assert notes["rota:auto_poweron"]["before"] == "true"
        assert notes["rota:ha"]["before"]["heartbeat_srs"] == [pool["nfs"].uuid]
        assert notes["rota:ha"]["undo"].startswith("xe pool-ha-enable heartbeat-sr-uuids=")
        for setting, value in old.items():
            await pool.do(acts.RestorePoolSetting(setting, value))
        after = await settings(pool)
        assert (after.notes, after.ha, after.auto_poweron) == ({}, before.ha, "true")

    story(run, pool=POOL, srs=NFS)


def test_a_disabled_host_is_noted_until_it_is_enabled() -> None:
    """With its name and the command that enables it."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["porthos"]))
        ((key, text),) = (await settings(pool)).notes.items()
        assert key == f"rota:host:{pool['porthos'].uuid}"
        note = json.loads(text)
        assert (note["host"], note["undo"]) == ("porthos", f"xe host-enable uuid={pool['porthos'].uuid}")
        await pool.do(acts.EnableHost(pool["porthos"]))
        assert (await settings(pool)).notes == {}

    story(run)


def test_a_copy_of_the_database_is_kept() -> None:
    """After it was written to the members; under run, step and attempt."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.DumpDatabase("lab"))
        assert isinstance(ended.result, acts.Dumped)
        data = pool.kept[ended.result.name]
        assert data.startswith(b"<?xml")
        assert b"gitlab" in data
        assert (ended.result.name, ended.result.size) == ("lab/r1/t01-s001-1.xmldb", len(data))
        assert len(pool.calls("pool.sync_database")) == 1

    story(run)


def test_a_dummy_of_the_database_is_not_kept() -> None:
    """XAPI hands one out while hosts differ in version."""

    async def run(pool: Simulated) -> None:
        await pool.clock.sleep(60)
        ended = await pool.do(acts.DumpDatabase("lab"))
        assert ended.result == acts.Dumped()
        assert pool.kept == {}

    story(run, hosts=[{"name": "athos", **HOST, "updated": True}, {"name": "porthos", **HOST}], vms=[])
