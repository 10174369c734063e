"""Where VMs go as far as time is concerned: what holds up the next turns is entered last; and a pool of hundreds of
hosts is not searched through for each VM."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from services.planner import placement, rehearsal, turn_plan
from services.planner.beside import Beside
from services.planner.placement import ground
from services.planner.rehearsal import Leg, Move, Terms
from shared.domain import acts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, Play, host, pool, vm


def _placed(snapshot: PoolSnapshot, **given: Any) -> dict[str, str]:
    """VMs of the first host by name, and where they go."""
    leaving = snapshot.hosts[0]
    vms = snapshot.resident(leaving.uuid)
    found = placement.place(snapshot, leaving, vms, placement.Conditions(**given))
    assert not found.short
    return {move.vm.name: move.to.name for move in found.moves}


def test_a_host_whose_vms_come_home_is_entered_last_but_for_one_that_is_emptied_next() -> None:
    """However roomy it is; and it is entered when the others are full."""
    hosts = [host("a", 64), host("home", 64), host("next", 64), host("far", 16)]
    given = {"busy": frozenset({"host-home"}), "soon": frozenset({"host-next"})}
    small = pool(hosts, [vm("one", "a", 4)])
    assert _placed(small, **given) == {"one": "far"}
    large = pool(hosts, [vm("one", "a", 32)])
    assert _placed(large, **given) == {"one": "home"}
    both = pool(hosts, [vm("one", "a", 32), vm("two", "a", 31)])
    assert _placed(both, **given) == {"one": "home", "two": "next"}


def test_as_many_hosts_are_left_clear_as_turns_may_be_under_way() -> None:
    """The turns after those begin when these VMs are home; where VMs stay, all whose turns are to come are left."""
    coming = ("b", "c", "d", "e")
    assert turn_plan.soon(coming, Policy(), 2) == {"b", "c"}
    assert turn_plan.soon(coming, Policy(), 9) == set(coming)


def test_a_host_is_busy_while_more_come_home_than_are_carried_at_once() -> None:
    """The last few hold nobody up."""
    arriving = {"many": ("1", "2", "3", "4", "5"), "few": ("6", "7")}
    assert turn_plan.busy(Beside(arriving=arriving), Policy()) == {"many"}


def test_the_smallest_go_home_first_while_turns_are_to_come_and_the_largest_after_the_last() -> None:
    """A large one keeps a place in line for long, which whoever leaves the next host waits for; at the end nobody
    waits, and the largest would end last."""
    hosts = [host("a"), host("b")]
    vms = [vm(f"{name}{size}", name, size) for name in "ab" for size in (1, 4, 8)]
    policy = Policy(soak_minutes=0, canaries=0)
    play = Play(pool(hosts, vms), policy).start().play()
    home = [act.vm.name for act in play.done if isinstance(act, acts.MigrateVM) and act.purpose == "home"]
    assert home == ["a1", "a4", "a8", "b8", "b4", "b1"]


def test_the_rehearsal_sends_a_vm_elsewhere_than_to_the_next_in_turn() -> None:
    """Its host is in a turn itself, and the roomiest is emptied next."""
    legs = [
        Leg("t01", "m", master=True, boot=10.0),
        Leg("t02", "b", boot=100.0, away=(Move("v", "b", "c", GIB, 1.0),), home=(Move("v", "c", "b", GIB, 1.0),)),
        Leg("t03", "c", boot=100.0),
        Leg("t04", "next", boot=100.0),
        Leg("t05", "last", boot=100.0),
    ]
    used = dict.fromkeys(("m", "b", "c", "last"), 4 * GIB) | {"next": 0}
    usable = dict.fromkeys(used, 8 * GIB)
    terms = Terms(max_away=1, empty_ahead=0)
    played = rehearsal.play(legs, terms, used=used, usable=usable)
    assert [move.to for move in played.turns[1].moves if not move.home] == ["c"], "c is not in its turn yet"
    closed = [legs[0], legs[1], *legs[3:]]
    played = rehearsal.play(closed, terms, used=used, usable={**usable, "c": 0})
    assert [move.to for move in played.turns[1].moves if not move.home] == ["m"]


# --- hundreds of hosts ------------------------------------------------------------------------------------------------


class Looked(Host):
    """A host that counts how often it is looked at."""

    times = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "uuid":
            Looked.times += 1
        return super().__getattribute__(name)


def _counted(snapshot: PoolSnapshot, **given: Any) -> tuple[placement.Placement, int]:
    """A placement, and how often it looked at a host."""
    Looked.times = 0
    leaving = snapshot.hosts[0]
    found = placement.place(snapshot, leaving, snapshot.resident(leaving.uuid), placement.Conditions(**given))
    return found, Looked.times


def _many(number: int, sizes: tuple[int, ...], kept: tuple[int, ...], memory: int) -> PoolSnapshot:
    """A pool of so many hosts; VMs of `sizes` GiB leave the first, VMs of `kept` are on each of the others."""
    plain = [host(f"h{n:03}", memory) for n in range(number)]
    hosts = [Looked(**{field.name: getattr(one, field.name) for field in fields(Host)}) for one in plain]
    vms = [vm(f"leaves{n}", "h000", size) for n, size in enumerate(sizes)]
    vms += [vm(f"on-{one.name}-{n}", one.name, size) for one in plain[1:] for n, size in enumerate(kept)]
    return pool(hosts, vms)


@pytest.mark.parametrize(
    ("sizes", "kept", "rooms", "looks"),
    [((4,) * 30, (8,), 0, 25), ((6, 6, 6), (2, 8), 3, 100)],
    ids=["all have a place at once", "others make room"],
)
def test_no_pool_of_hundreds_is_looked_through_for_each_vm(
    sizes: tuple[int, ...], kept: tuple[int, ...], rooms: int, looks: int
) -> None:
    """What a placement looks at grows with the hosts some times over, as each is asked what it has and whom it takes,
    for each way that is tried; not once more for each of 30 VMs, or for each of thousands of attempts."""
    given = {"may_make_room": lambda one: True}
    memory = 2 + sum(kept) + (4 if rooms else 16)
    found, few = _counted(_many(200, sizes, kept, memory), **given)
    more_found, more = _counted(_many(400, sizes, kept, memory), **given)
    assert not (*found.short, *more_found.short)
    assert len(found.rooms) == len(more_found.rooms) == rooms
    assert (more - few) / 200 < looks


def test_a_vm_of_a_group_looks_at_a_hundred_hosts_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its group stands on every host, so none is better than the first."""
    looked: list[str] = []
    beside = ground.Ground.beside

    def counted(self: ground.Ground, vm: VM, host: str) -> int:
        looked.append(host)
        return beside(self, vm, host)

    monkeypatch.setattr(ground.Ground, "beside", counted)
    hosts = [host(f"h{n:03}") for n in range(300)]
    found = placement.place(
        pool(hosts, [vm(one.name, one.name, 4, group="spread") for one in hosts]),
        hosts[0],
        [vm("h000", "h000", 4, group="spread")],
        placement.Conditions(),
    )
    assert not found.short
    assert len(looked) == ground.MANY
