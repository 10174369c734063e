"""The modes in which VMs stay: carried out on the pure model, with the room on every host counted at every moment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import worlds as bench_worlds
from services.planner import forecasting, modes, placement
from shared.domain import acts, commands, facts
from shared.domain.model import VM, Disc, Host, PoolSettings, PoolSnapshot
from shared.domain.policy import Policy
from shared.domain.run import StepState
from tests.services.planner.play import GIB, NEW, Play, failed, host, pool, vm
from tests.services.planner.test_any_pool import Strict, worlds

STAYING = ("level", "stay")
CEILING = {4: 1.4, 8: 1.25, 16: 1.15}
"""Moves per VM at most in mode `level`, by the hosts of a pool."""


class Crowded(Strict):
    """A play in which whatever is on its way takes its room where it goes, all the while."""

    def do(self, command: commands.DoStep) -> None:
        on_their_way = {
            step.act.vm.uuid: step.act.to.uuid
            for step in self.run.steps()
            if isinstance(step.act, acts.MigrateVM) and step.state is StepState.ORDERED
        }
        for one in self.world.hosts:
            there = [moving for moving in self.world.vms if one.uuid in (moving.host, on_their_way.get(moving.uuid))]
            taken = sum(placement.comfortable(each) for each in there)
            assert taken <= one.memory_total - one.memory_overhead, f"{one.name} is promised more than it has"
        super().do(command)


def migrations(play: Play) -> list[acts.MigrateVM]:
    """The moves that were carried out."""
    return [act for act in play.done if isinstance(act, acts.MigrateVM)]


def may(one: VM, source: Host, target: Host) -> bool:
    """Whether a VM may be moved to level its hosts."""
    return modes.may_level(one, source)


def apart(world: PoolSnapshot) -> float:
    """How far the loads of the fullest and the emptiest host lie apart."""
    loads = placement.loads(world).values()
    return max(loads) - min(loads)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.integers(1, 3), st.sampled_from(STAYING))
def test_any_pool_ends_as_its_mode_has_it_and_no_constraint_is_broken_at_any_moment(
    world: tuple[tuple[Host, ...], tuple[VM, ...]], away: int, mode: str
) -> None:
    """Nothing goes home; `stay` ends where the last host's VMs were put, `level` when no move that is allowed brings
    the hosts nearer to each other; or the pool is refused before the start."""
    hosts, vms = world
    before = pool(hosts, vms or (vm("only", "athos", 1),), PoolSettings())
    play = Crowded(before, policy=Policy.model_validate({"mode": mode, "max_away": away})).start().play()

    if play.run.outcome == "refused":
        assert not [act for act in play.done if act.kind != "survey"]
        return
    assert play.run.outcome in ("succeeded", "succeeded_with_warnings"), play.run.sentence
    assert play.run.forecast
    assert play.run.warnings == play.run.forecast.warnings
    assert {one.versions for one in play.world.hosts} == {NEW}
    moves = migrations(play)
    assert {one.uuid for one in before.vms} == {act.vm.uuid for act in moves}
    assert "home" not in {act.purpose for act in moves}
    last = {act.vm.uuid: act.to.uuid for act in moves}
    assert {one.uuid: one.host for one in play.world.vms} == last
    levelled = [act for act in moves if act.purpose == "level"]
    assert mode == "level" or not levelled
    if mode == "level" and apart(play.world) > placement.WITHIN:
        looked_at = play.snapshots[max(name for name in play.snapshots if "-t00-" in name)]
        assert apart(play.world) <= apart(looked_at)
        assert (
            not placement.level(play.world, frozenset(), may) or len(placement.level(looked_at, frozenset(), may)) > 1
        )


def of_bench(hosts: int, share: float) -> PoolSnapshot:
    """A world of the benchmark as a snapshot, with the overhead of a VM about as XAPI counts it."""
    told = bench_worlds.World(hosts, share).described()
    sizes = {
        one["name"]: size // GIB for one, size in zip(told["vms"], bench_worlds.memory_of(told).values(), strict=True)
    }
    return pool(
        [replace(host(one["name"], int(one["memory"].split()[0])), memory_overhead=7 * GIB) for one in told["hosts"]],
        [vm(one["name"], one["host"], sizes[one["name"]], memory_overhead=GIB // 8) for one in told["vms"]],
        PoolSettings(),
    )


@pytest.mark.parametrize("away", [1, 2])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.74])
@pytest.mark.parametrize("hosts", CEILING)
def test_level_keeps_to_its_ceilings_and_ends_even(hosts: int, share: float, away: int) -> None:
    """30 VMs of 1 to 32 GiB a host: so many moves per VM at the most, and the loads within 10 points at the end."""
    world = of_bench(hosts, share)
    plan = forecasting.forecast(world, Policy.model_validate({"mode": "level", "max_away": away}))
    loads = [load.end / load.usable for load in plan.loads if load.end is not None]

    assert plan.blockers == ()
    assert sum(len(turn.moves) for turn in plan.turns) / len(world.vms) <= CEILING[hosts]
    assert max(loads) - min(loads) <= placement.WITHIN
    assert all(load.most <= load.usable for load in plan.loads)


@pytest.mark.parametrize(("mode", "away"), [("level", 2), ("stay", 2)])
def test_what_is_planned_is_what_happens(mode: str, away: int) -> None:
    """A run of the benchmark's smallest world makes about as many moves as its plan, and ends as it says."""
    world = of_bench(4, 0.5)
    play = Crowded(world, policy=Policy.model_validate({"mode": mode, "max_away": away})).start().play()

    assert play.run.outcome == "succeeded", play.run.sentence
    assert len(migrations(play)) / len(world.vms) <= CEILING[4]
    assert play.run.forecast
    planned = sum(len(turn.moves) for turn in play.run.forecast.turns)
    assert len(migrations(play)) == pytest.approx(planned, rel=0.05)
    if mode == "level":
        assert apart(play.world) <= placement.WITHIN


def test_a_vm_whose_disc_was_taken_out_comes_home_though_the_others_stay() -> None:
    """Nobody could put the disc back elsewhere; and it is not moved to level the hosts."""
    disc = Disc("iso-1", "setup.iso", "sr-iso", "vdb", False)
    bound = vm("bound", "athos", 4, discs=(disc,), srs=("sr-nfs", "sr-iso"))
    hosts = (host("athos", attached=("sr-nfs", "sr-iso")), host("porthos"), host("aramis"))
    vms = (bound, *(vm(f"{one.name}-{n}", one.name, 4) for one in hosts for n in (1, 2)))
    policy = Policy.model_validate({"mode": "level", "eject_discs": True})
    play = Play(pool(hosts, vms, PoolSettings()), policy=policy).start().play()

    assert play.run.outcome == "succeeded", play.run.sentence
    moves = [(act.purpose, act.to.name) for act in migrations(play) if act.vm.name == "bound"]
    assert [purpose for purpose, _ in moves] == ["empty", "home"]
    assert [act.vm.name for act in migrations(play) if act.purpose == "home"] == ["bound"]
    assert play.kinds().count("insert_media") == 1


def test_a_turn_that_goes_back_leaves_vms_where_they_are() -> None:
    """After a cancel in the middle of emptying its host is enabled, and nothing is moved any more; it says so."""
    hosts = (host("athos"), host("porthos"), host("aramis"))
    vms = tuple(vm(f"{one.name}-{n}", one.name, 4) for one in hosts for n in (1, 2, 3))
    play = Crowded(pool(hosts, vms, PoolSettings()), policy=Policy.model_validate({"mode": "stay"})).start()
    while not migrations(play):
        assert play.step()
    play.cancel(now=True)
    play.play()

    assert play.run.outcome == "cancelled"
    assert play.run.cancel
    assert "VMs that have left it stay where they are" in play.run.cancel.sentences[0]
    assert {act.purpose for act in migrations(play)} == {"empty"}
    assert all(one.enabled for one in play.world.hosts)


def test_hosts_of_one_anti_affinity_group_are_not_brought_together_to_level() -> None:
    """The emptiest host has one of the group, so another VM goes there, or none."""
    hosts = (host("athos", 66), host("porthos", 66))
    vms = (vm("one", "athos", 24, group="db"), vm("two", "porthos", 2, group="db"), vm("free", "athos", 8))
    rounds = placement.level(pool(hosts, vms), frozenset(), may)

    assert [[move.vm.name for move in moves] for moves in rounds] == [["free"]]


def test_a_level_move_that_fails_is_a_warning_and_the_run_succeeds() -> None:
    """The hosts end less even, and the report says why."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "level":
            return failed(command, f"{act.vm.name} would not go.")
        return None

    world = of_bench(4, 0.3)
    small = replace(world, vms=world.vms[::4])
    play = Crowded(small, policy=Policy.model_validate({"mode": "level"}), trouble=trouble).start().play()

    assert play.run.outcome == "succeeded_with_warnings", play.run.sentence
    assert any("would not go" in told for told in play.run.warnings)


def test_what_happens_to_vms_is_said_by_the_plan() -> None:
    """The sentence, and how full the hosts end."""
    for mode, words in (("level", "evenly loaded"), ("stay", "stay where they are put")):
        plan = forecasting.forecast(pool(), Policy.model_validate({"mode": mode}))
        assert words in plan.sentence
        assert any(f"mode = {mode}" in note for note in plan.notes)
        assert all(move.stays for turn in plan.turns for move in turn.moves)
    home = forecasting.forecast(pool(), Policy())
    assert "moved away and home again" in home.sentence
    assert not any("mode = " in note for note in home.notes)
