"""Moving VMs on a simulated pool: look, act, confirm, and what their owners did meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from tests.services.executor.simulated import Simulated, story


def move(pool: Simulated, vm: str = "gitlab", to: str = "porthos", network: str = "") -> acts.MigrateVM:
    """An order to empty athos of a VM."""
    return acts.MigrateVM(pool[vm], pool[to], pool["athos"], network=network)


def test_a_vm_is_moved_and_seen_to_be_there() -> None:
    """With its progress, in one call, tagged and live; the sentence says how long it took."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(move(pool))
        assert ended.result == acts.Moved()
        assert ended.sentence.startswith("Moved gitlab from athos to porthos in ")
        assert pool.where("gitlab") == "porthos"
        (call,) = pool.calls("VM.pool_migrate")
        assert call["params"][2] == {"live": "true"}
        assert any("50%" in said or "49%" in said for said in pool.said)

    story(run)


def test_a_vm_that_is_there_already_is_not_moved() -> None:
    """Done before anything was done; found by a second holder it may be the first one's doing."""

    async def run(pool: Simulated) -> None:
        await pool.do(move(pool))
        assert (await pool.do(move(pool))).result == acts.Moved(already=True)
        assert (await pool.do(move(pool), again=True)).result == acts.Moved(already=False)
        assert len(pool.calls("VM.pool_migrate")) == 1

    story(run)


def test_a_vm_that_was_shut_down_stays() -> None:
    """By its owner, before the move."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("vm_stops", vm="gitlab")
        ended = await pool.do(move(pool))
        assert ended.result == acts.Moved(gone=True)
        assert ended.sentence == "gitlab was shut down meanwhile, so it stays."
        assert pool.calls("VM.pool_migrate") == []

    story(run)


def test_a_vm_that_is_shut_down_during_its_move_is_no_failure() -> None:
    """The move fails, the look says why, and the goal is met: it is not on the host any more."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("vm_stops", vm="gitlab", **{"in": 10})
        ended = await pool.do(move(pool))
        assert ended.result == acts.Moved(gone=True)

    story(run)


def test_a_vm_that_its_owner_moved_elsewhere_is_left_there() -> None:
    """It is away from the host, which is all that was wanted."""

    async def run(pool: Simulated) -> None:
        await pool.do(move(pool, to="aramis"))
        ended = await pool.do(move(pool, to="porthos"))
        assert ended.result == acts.Moved(gone=True)
        assert "aramis" in ended.sentence
        assert pool.where("gitlab") == "aramis"

    story(run)


def test_a_vm_that_was_deleted_is_gone() -> None:
    """The pool does not know its uuid."""

    async def run(pool: Simulated) -> None:
        act = acts.MigrateVM(Named("7e57f1de-0000-4000-8000-000000000000", "ghost"), pool["porthos"], pool["athos"])
        ended = await pool.do(act)
        assert ended.result == acts.Moved(gone=True)
        assert ended.sentence == "ghost was deleted meanwhile, so there is nothing to move."

    story(run)


def test_a_paused_vm_needs_its_owner() -> None:
    """It cannot move; nothing is called."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp) as raised:
            await pool.do(move(pool))
        assert "paused" in raised.value.because
        assert raised.value.who_can_help == "the VM's owner"
        assert pool.calls("VM.pool_migrate") == []

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "state": "paused"}])


def test_a_vm_without_room_is_told_with_the_figures() -> None:
    """It may be tried again: room may come."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(TryAgain) as raised:
            await pool.do(move(pool))
        assert raised.value.code == "HOST_NOT_ENOUGH_FREE_MEMORY"
        assert raised.value.because.startswith("gitlab could not be moved to porthos: there is not enough free memory")
        assert pool.where("gitlab") == "athos"

    vms = [
        {"name": "gitlab", "host": "athos", "memory": "20 GiB"},
        {"name": "x", "host": "porthos", "memory": "20 GiB"},
    ]
    story(run, vms=vms)


def test_a_blocked_vm_is_told_with_its_blocks_text() -> None:
    """A backup blocks it for a while; names stand where XAPI gave refs."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(TryAgain) as raised:
            await pool.do(move(pool))
        assert raised.value.code == "OPERATION_BLOCKED"
        assert "for gitlab (VM migration is blocked during backup)" in raised.value.because
        assert "OpaqueRef" not in raised.value.because

    blocked = {"pool_migrate": "VM migration is blocked during backup"}
    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "blocked": blocked}])


def test_a_move_that_breaks_off_leaves_the_vm_where_it_was() -> None:
    """And says so; the next try moves it."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("migration_fails", vm="gitlab")
        with pytest.raises(TryAgain) as raised:
            await pool.do(move(pool))
        assert "from athos to porthos" in raised.value.because
        assert pool.where("gitlab") == "athos"
        await pool.do(move(pool))
        assert pool.where("gitlab") == "porthos"

    story(run)


def test_a_move_uses_the_network_that_was_chosen() -> None:
    """By name or by uuid; one that does not exist is a fault of the policy."""

    async def run(pool: Simulated) -> None:
        await pool.do(move(pool, network="Fast lane"))
        (call,) = pool.calls("VM.pool_migrate")
        assert set(call["params"][2]) == {"live", "network"}
        with pytest.raises(GiveUp, match="no network Slow lane"):
            await pool.do(move(pool, vm="wiki", network="Slow lane"))

    networks = [{"name": "management", "management": True}, {"name": "Fast lane", "ip": True}]
    story(run, networks=networks)


def test_an_empty_host_needs_no_sweep() -> None:
    """host.evacuate is asked for only when something is there."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.EvacuateRest(pool["aramis"]))
        assert ended.result == acts.Swept()
        assert pool.calls("host.evacuate") == []

    story(run)


@pytest.mark.parametrize(("profile", "params"), [("xcp-ng-8.2", 1), ("xcp-ng-8.3", 3), ("xcp-ng-current", 3)], ids=str)
def test_a_sweep_moves_what_appeared_on_every_generation(profile: str, params: int) -> None:
    """Three signatures of host.evacuate; an old XAPI is asked with fewer parameters."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["athos"]))
        ended = await pool.do(acts.EvacuateRest(pool["athos"]))
        assert isinstance(ended.result, acts.Swept)
        assert {vm.name for vm in ended.result.vms} == {"gitlab", "wiki"}
        assert ended.sentence == "The pool moved gitlab and wiki off athos."
        done = [call for call in pool.calls("host.evacuate") if call["outcome"] == "success"]
        assert [len(call["params"]) for call in done] == [params]
        assert "athos" not in (pool.where("gitlab"), pool.where("wiki"))

    story(run, profile=profile)


def test_a_sweep_that_the_pool_refuses_names_the_vm() -> None:
    """Its own error code, with names for refs."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp) as raised:
            await pool.do(acts.EvacuateRest(pool["athos"]))
        assert raised.value.code == "VM_LACKS_FEATURE"
        assert raised.value.because.startswith("athos could not be emptied: gitlab has no guest tools")

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "tools": False}])


def test_a_lost_reply_of_a_move_is_followed_by_its_task() -> None:
    """The order was taken and its answer lost: whoever comes next finds the task by its tags, waits, and looks."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("reply_lost", method="VM.pool_migrate", host="athos")
        with pytest.raises(TryAgain) as raised:
            await pool.do(move(pool))
        assert raised.value.code == "NO_ANSWER"
        later = await pool.login()
        shares: list[float] = []

        async def told(share: float) -> None:
            shares.append(share)

        await later.settle("r1", "t01-s001", told)
        await later.close()
        assert pool.where("gitlab") == "porthos"
        assert max(shares) > 0.5
        assert (await pool.do(move(pool), again=True)).result == acts.Moved()
        assert len(pool.calls("VM.pool_migrate")) == 1

    story(run)


def test_two_moves_go_side_by_side() -> None:
    """Each in a session of its own."""

    async def run(pool: Simulated) -> None:
        await asyncio.gather(pool.do(move(pool)), pool.do(move(pool, vm="wiki", to="aramis")))
        assert (pool.where("gitlab"), pool.where("wiki")) == ("porthos", "aramis")

    story(run)
