"""Stopping and starting VMs on a simulated pool: as asked, as their owners want it, and what stands in the pool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.executor.ground import Ground
from services.executor.steps import table
from services.executor.work import Place, Work
from shared.domain import acts
from shared.domain.errors import GiveUp
from shared.domain.names import Named
from tests.services.executor.simulated import Simulated, story


def shutdown(pool: Simulated, **more: Any) -> acts.ShutdownVM:
    """An order to shut gitlab down."""
    return acts.ShutdownVM(pool["gitlab"], pool["athos"], "ann@desk", **more)


async def note(pool: Simulated) -> dict[str, Any]:
    """What stands in the pool about gitlab."""
    session = await pool.login()
    notes = (await session.look()).settings.notes
    await session.close()
    found = json.loads(notes.get(f"rota:vm:{pool['gitlab'].uuid}", "{}"))
    assert isinstance(found, dict)
    return found


async def blocks(pool: Simulated) -> dict[str, str]:
    """What is blocked on gitlab."""
    session = await pool.login()
    found = dict(await session.blocks(pool["gitlab"]))
    await session.close()
    return found


def state(pool: Simulated) -> str:
    """Whether gitlab runs, as the world knows it."""
    return str(pool.simulation.state()["vms"]["gitlab"]["state"])


@pytest.mark.parametrize("way", ["shutdown", "suspend"])
def test_a_vm_is_stopped_and_brought_back_to_its_home(way: str) -> None:
    """With a note in the pool from before until after, and its downtime told."""

    async def run(pool: Simulated) -> None:
        named, home = pool["gitlab"], pool["athos"]
        stop: acts.Act = shutdown(pool) if way == "shutdown" else acts.SuspendVM(named, home, "ann@desk")
        ended = await pool.do(stop)
        assert ended.result == acts.Stopped()
        assert state(pool) == ("halted" if way == "shutdown" else "suspended")
        stands = await note(pool)
        assert (stands["consent"], stands["home"]) == ("ann@desk", home.uuid)
        assert stands["undo"].startswith("xe vm-start" if way == "shutdown" else "xe vm-resume")
        assert (await pool.do(stop)).result == acts.Stopped()
        start: acts.Act = acts.StartVM(named, home) if way == "shutdown" else acts.ResumeVM(named, home)
        ended = await pool.do(start)
        assert isinstance(ended.result, acts.Started)
        assert ended.result.down > 0
        assert not ended.result.gone
        assert (state(pool), pool.where("gitlab")) == ("running", "athos")
        assert await note(pool) == {}
        assert (await pool.do(start, again=True)).sentence.startswith("gitlab runs on athos")

    story(run)


def test_a_block_is_lifted_for_the_moment_and_only_with_consent() -> None:
    """A backup's block of migration is never touched, and what its owner blocked stands again once it is down."""
    blocked = {"clean_shutdown": "ask Anna", "hard_shutdown": "ask Anna", "pool_migrate": "backup"}

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="has blocked clean_shutdown \\(ask Anna\\)"):
            await pool.do(shutdown(pool))
        assert state(pool) == "running"
        assert await blocks(pool) == blocked
        await pool.do(shutdown(pool, lift=True))
        assert state(pool) == "halted"
        assert await blocks(pool) == blocked
        assert (await note(pool))["lifted"] == {"clean_shutdown": "ask Anna", "hard_shutdown": "ask Anna"}
        assert [
            line for line in pool.calls("VM.remove_from_blocked_operations") if "pool_migrate" in line["params"]
        ] == []

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "blocked": blocked}])


@pytest.mark.parametrize("hard", [False, True])
def test_a_guest_that_does_not_listen_is_switched_off_only_where_policy_says_so(hard: bool) -> None:
    """Past its time; else its owner is asked, and it runs on."""

    async def run(pool: Simulated) -> None:
        act = shutdown(pool, minutes=2.0, hard=hard)
        began = pool.clock.now()
        if hard:
            assert (await pool.do(act)).result == acts.Stopped(hard=True)
            assert state(pool) == "halted"
        else:
            with pytest.raises(GiveUp, match="hard_shutdown = true") as raised:
                await pool.do(act)
            assert raised.value.who_can_help == "the VM's owner"
            assert state(pool) == "running"
            assert await note(pool) == {}
        assert pool.clock.now() - began < 200
        assert len(pool.calls("VM.hard_shutdown")) == hard

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "ignores_shutdown": True}])


def test_what_its_owner_did_meanwhile_is_left_so() -> None:
    """Stopped by him: not ours to start. Deleted: nothing to do."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("vm_stops", vm="gitlab")
        ended = await pool.do(shutdown(pool))
        assert ended.result == acts.Stopped(gone=True)
        assert await note(pool) == {}
        ended = await pool.do(acts.StartVM(pool["gitlab"], pool["athos"]))
        assert ended.result == acts.Started(gone=True)
        assert state(pool) == "halted"
        ghost = Named("7e57f1de-0000-4000-8000-000000000000", "ghost")
        ended = await pool.do(acts.ShutdownVM(ghost, pool["athos"], "ann"))
        assert ended.sentence == "ghost was deleted meanwhile, so it is left as it is."

    story(run)


def test_a_vm_that_somebody_started_elsewhere_stays_there() -> None:
    """Its note goes, and nothing is called."""

    async def run(pool: Simulated) -> None:
        await pool.do(shutdown(pool))
        session = await pool.login()
        await session.start(pool["gitlab"], pool["porthos"])
        await session.close()
        ended = await pool.do(acts.StartVM(pool["gitlab"], pool["athos"]))
        assert isinstance(ended.result, acts.Started)
        assert ended.result.gone
        assert "where somebody started it" in ended.sentence
        assert await note(pool) == {}
        assert pool.where("gitlab") == "porthos"

    story(run)


def test_who_starts_later_waits_for_the_delay() -> None:
    """The step ends only after it, and the downtime does not count it."""

    async def run(pool: Simulated) -> None:
        await pool.do(shutdown(pool))
        began = pool.clock.now()
        ended = await pool.do(acts.StartVM(pool["gitlab"], pool["athos"], settle=300.0))
        assert pool.clock.now() - began >= 300
        assert isinstance(ended.result, acts.Started)
        assert ended.result.down < 300

    story(run)


def test_the_ground_is_never_stopped_whoever_orders_it() -> None:
    """The executor looks too."""

    async def run(pool: Simulated) -> None:
        session = await pool.login()
        place = Place("lab", "r1", "t01-s001", 1)
        work = Work(session, pool.clock, place, pool._say, pool._keep, ground=Ground(needed_vms=("gitlab",)))
        with pytest.raises(GiveUp, match="never stopped"):
            await table.STEPS["shutdown_vm"](shutdown(pool), work)
        await session.close()
        assert state(pool) == "running"

    story(run)
