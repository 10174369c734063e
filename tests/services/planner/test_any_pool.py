"""Any pool, planned and carried out on the pure model: no constraint is broken at any moment, and every VM
is home at the end. Orders are carried out one after the other, in any order that their needs allow."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.planner import placement
from shared.domain import acts, commands, facts
from shared.domain.model import VM, Host, PoolSettings
from shared.domain.policy import Policy
from tests.services.planner.play import Play, host, pool, vm

SRS = ("sr-nfs", "sr-second")
NETWORKS = ("net-0", "net-1")
NAMES = ("athos", "porthos", "aramis", "rochefort", "milady")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[tuple[Host, ...], tuple[VM, ...]]:
    """Two to five hosts, not all of which reach everything, and VMs that fit on them."""
    hosts, vms = [], []
    for name in NAMES[: draw(st.integers(2, 5))]:
        one = host(name, draw(st.sampled_from((32, 48, 64))))
        srs = draw(st.sampled_from((SRS, SRS, SRS, SRS[:1])))
        hosts.append(replace(one, attached=srs, networks=draw(st.sampled_from((NETWORKS, NETWORKS, NETWORKS[:1])))))
    for one in hosts:
        left = draw(st.integers(0, one.memory_total // 2**30 - 2))
        for number in range(draw(st.integers(0, 5))):
            size = min(left, draw(st.integers(1, 24)))
            left -= size
            if size < 1:
                continue
            there = vm(f"{one.name}-{number}", one.name, size, group=draw(st.sampled_from(("", "", "twins"))))
            needs = draw(st.sampled_from((SRS[:1], SRS[:1], SRS)))
            vms.append(replace(there, srs=tuple(sr for sr in needs if sr in one.attached)))
    return tuple(hosts), tuple(vms)


class Strict(Play):
    """A play in which every move is judged when it begins."""

    def do(self, command: commands.DoStep) -> None:
        if isinstance(command.act, acts.MigrateVM):
            self.judge(command.act)
        super().do(command)
        assert len(self.away) <= (self.run.forecast.max_away if self.run.forecast else 1)

    def judge(self, act: acts.MigrateVM) -> None:
        """The host that a VM goes to is open, reaches what it needs, is not older, and has the room now."""
        moving = next(one for one in self.world.vms if one.uuid == act.vm.uuid)
        source, to = self._host(act.away_from), self._host(act.to)
        if moving.host == to.uuid:
            return
        assert moving.host == source.uuid, f"{moving.name} is not on {source.name}"
        assert not placement.obstacle(self.world, moving, source, to, frozenset())
        taken = sum(placement.comfortable(one) for one in self.world.resident(to.uuid))
        assert taken + placement.comfortable(moving) <= to.memory_total - to.memory_overhead, f"no room on {to.name}"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.integers(1, 2))
def test_a_run_of_any_pool_breaks_no_constraint_and_brings_every_vm_home(
    world: tuple[tuple[Host, ...], tuple[VM, ...]], away: int
) -> None:
    """Memory, storage, network, version rule, closed hosts and the number away are kept at each move; at the end
    every VM is home; or the pool is refused before the start."""
    hosts, vms = world
    before = pool(hosts, vms or (vm("only", "athos", 1),), PoolSettings())
    policy = Policy.model_validate({"max_away": away, "empty_ahead": 0})
    play = Strict(before, policy=policy).start().play()

    if play.run.outcome == "refused":
        assert not [act for act in play.done if act.kind != "survey"]
        assert "cannot leave" in play.run.sentence
        return
    lowered = [told for told in play.run.warnings if "are away at once" in told or "No VM can go to" in told]
    assert list(play.run.warnings) == lowered, play.run.warnings
    assert play.run.outcome == ("succeeded_with_warnings" if lowered else "succeeded"), play.run.sentence
    homes = {one.uuid: one.host for one in before.vms}
    moves = [act for act in play.done if isinstance(act, acts.MigrateVM)]
    assert {one.uuid: one.host for one in play.world.vms} == homes
    rooms = sum(act.purpose == "room" for act in moves)
    assert 2 * len(before.vms) <= len(moves) <= 2 * len(before.vms) + 2 * rooms


def test_a_vm_on_a_receiving_host_makes_room_and_goes_home_again() -> None:
    """24 GiB fit nowhere until 8 GiB go elsewhere first: that move comes before, with its reason, and is undone."""
    hosts = (host("athos", 42), host("porthos", 32), host("aramis", 32))
    vms = (vm("big", "athos", 24), vm("p", "porthos", 8), vm("q", "aramis", 8))
    play = Strict(pool(hosts, vms, PoolSettings()))
    found = placement.place(play.world, hosts[0], vms[:1], placement.Conditions(may_make_room=lambda vm: True))

    assert [(move.vm.name, move.source is not None) for move in found.rooms] in ([("p", True)], [("q", True)])
    room = found.rooms[0]
    assert found.moves[0].to == room.source
    assert found.after == {"vm-big": (room.vm.uuid,)}

    play.start().play()

    assert play.run.outcome == "succeeded", play.run.sentence
    assert {one.name: one.host for one in play.world.vms} == {one.name: one.host for one in vms}
    needs = [
        need.because
        for fact, _ in play.journal
        if isinstance(fact, facts.TurnPlanned)
        for step in fact.steps
        for need in step.needs
    ]
    assert any(because.startswith("frees 8.0 GiB on") for because in needs)
    assert play.run.forecast
    told = [move for turn in play.run.forecast.turns for move in turn.moves if move.purpose == "room"]
    assert told
    assert all(move.source and move.source != move.to and len(move.times) == 4 for move in told)
    assert all(load.most <= load.usable for load in play.run.forecast.loads)
    assert sum(isinstance(act, acts.MigrateVM) and act.purpose == "room" for act in play.done) >= 1


def test_what_is_short_is_told_with_the_vm_and_the_bytes() -> None:
    """Where no order of moves makes room, the answer is which VM lacks how much."""
    hosts = (host("athos", 66), host("porthos", 32))
    vms = (vm("big", "athos", 40), vm("p", "porthos", 8))
    found = placement.place(pool(hosts, vms), hosts[0], vms[:1], placement.Conditions(may_make_room=lambda vm: True))

    assert [(short.vm.name, short.missing // 2**30) for short in found.short] == [("big", 18)]


def test_members_of_a_group_are_kept_apart_where_there_is_a_choice() -> None:
    """The roomiest host has one of the group, so the second goes to another; a third, with no host left, goes too."""
    hosts = (host("athos"), host("porthos", 128), host("aramis"))
    vms = (vm("one", "athos", 4, group="db"), vm("two", "athos", 4, group="db"), vm("three", "porthos", 4, group="db"))
    found = placement.place(pool(hosts, vms), hosts[0], vms[:2], placement.Conditions())

    assert sorted(move.to.name for move in found.moves) == ["aramis", "porthos"]
    assert found.moves[0].to.name == "aramis"
