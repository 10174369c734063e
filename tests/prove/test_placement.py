"""The planner's placements beside an exact solver's: 500 turns in the suite, 10,000 by `make prove`."""

from __future__ import annotations

from collections import Counter

import pytest

from services.planner import placement
from services.planner.placement import Conditions, Move, Placement
from tests.prove import feasible, solver
from tests.prove.judged import broken, judge, wrong_sentence
from tests.prove.worlds import HOSTS, VMS, World, world
from tests.services.planner.play import GIB, host, pool, vm

pytestmark = pytest.mark.skipif(not solver.HERE, reason=solver.MISSING)

SEEDS = 500
PART = 50
"""So many seeds make one test, so that workers share them."""

MOST_MISSED = 2
"""Of one part; the share of all is in docs/planning.md."""


@pytest.mark.parametrize("first", range(1, SEEDS + 1, PART))
def test_the_planner_finds_a_placement_where_there_is_one_and_none_where_there_is_none(first: int) -> None:
    """With the order of moves; nothing is claimed that cannot be, and what is short is told truly."""
    judged = [judge(seed, compare=False) for seed in range(first, first + PART)]

    assert not [(one.seed, one.faults) for one in judged if one.verdict == "wrong"]
    assert not [one.seed for one in judged if one.verdict == "undecided"]
    missed = [one.seed for one in judged if one.verdict == "missed"]
    assert len(missed) <= MOST_MISSED, f"seeds {missed}"


def test_the_worlds_are_such_that_both_answers_are_met() -> None:
    """Placements with and without moves that make room, and turns that cannot be; of all sizes."""
    seen = Counter((one.verdict, bool(one.rooms)) for one in (judge(seed, compare=False) for seed in range(1, 101)))
    assert min(seen["placed", False], seen["placed", True], seen["impossible", False]) >= 5, seen
    worlds = [world(seed) for seed in range(1, 101)]
    assert max(len(one.snapshot.hosts) for one in worlds) == HOSTS
    assert VMS - 4 <= max(len(one.snapshot.vms) for one in worlds) <= VMS


def chain() -> World:
    """24 GiB leave athos and fit on porthos once its 8 GiB are on aramis."""
    hosts = (host("athos", 42), host("porthos", 32), host("aramis", 32))
    vms = (vm("big", "athos", 24), vm("p", "porthos", 8), vm("q", "aramis", 8))
    given = Conditions(may_make_room=lambda one: one.uuid == "vm-p")
    return World(0, pool(hosts, vms), hosts[0], vms[:1], given, frozenset({"vm-p"}))


def test_the_solver_counts_every_moment_and_not_only_the_end() -> None:
    """Two full hosts would have to exchange their VMs, and can only one at a time."""
    hosts = (host("athos"), host("porthos", 12, attached=("sr-nfs", "sr-x")), host("aramis", 14))
    vms = (vm("a", "athos", 1, srs=("sr-x",)), vm("p", "porthos", 10), vm("q", "aramis", 9))
    asked = World(0, pool(hosts, vms), hosts[0], vms[:1], Conditions(), frozenset({"vm-p", "vm-q"}))
    assert feasible.ends(asked).found
    assert feasible.moves(asked, feasible.STEPS).said == "infeasible"


def test_a_chain_of_moves_is_found_by_both() -> None:
    """None without a move that makes room, one with it."""
    asked = chain()
    assert not feasible.moves(asked, 0).found
    assert feasible.moves(asked, 1).rooms == (("vm-p", "host-aramis"),)
    found = placement.place(asked.snapshot, asked.leaving, asked.vms, asked.conditions)
    assert [*broken(asked, found)] == []


def test_seven_small_vms_make_room_for_one_large_one() -> None:
    """Each of them alone is no help, and there are too many to try them in any choice."""
    hosts = (host("athos", 42), host("porthos", 42), host("aramis", 18))
    small = [vm(f"p{number}", "porthos", 2) for number in range(9)]
    vms = (vm("big", "athos", 36), *small)
    movable = frozenset(one.uuid for one in small)
    given = Conditions(may_make_room=lambda one: one.uuid in movable)
    asked = World(0, pool(hosts, vms), hosts[0], vms[:1], given, movable)
    assert not feasible.moves(asked, 6).found
    found = placement.place(asked.snapshot, asked.leaving, asked.vms, asked.conditions)
    assert len(found.rooms) == 7
    assert [*broken(asked, found)] == []


def test_a_placement_that_breaks_a_rule_is_seen() -> None:
    """Too much on a host, a move that waits for nothing, a VM left behind."""
    asked = chain()
    porthos = asked.snapshot.hosts[1]
    big = asked.vms[0]
    greedy = Placement((Move(big, porthos, 24 * GIB),))
    assert "big does not fit on porthos when it goes there" in {*broken(asked, greedy)}
    assert [*broken(asked, Placement())] == ["not every VM that leaves has one place"]


def test_a_sentence_that_says_too_little_is_seen() -> None:
    """10 GiB are short, 1 is told."""
    hosts = (host("athos", 66), host("porthos", 32))
    vms = (vm("big", "athos", 40),)
    asked = World(0, pool(hosts, vms), hosts[0], vms, Conditions(), None)
    said = placement.place(asked.snapshot, asked.leaving, asked.vms, asked.conditions)
    assert [*wrong_sentence(asked, said)] == []
    wrong = Placement((), (placement.Short(vms[0], 1 * GIB, ""),))
    assert [*wrong_sentence(asked, wrong)] == ["big lacks 10240 MiB on porthos, 1024 are told"]
