"""One world judged: what the planner says of it beside what the solver says. Pure but for the solver.

A placement that the planner gives is carried out move by move, in several orders that its needs allow; the solver must
find one too. Where it says there is none, and by how much a VM is short, that sentence is taken at its word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from services.planner import placement
from services.planner.placement import Placement
from tests.prove import feasible
from tests.prove.feasible import WORK, need, reaches
from tests.prove.worlds import MIB, World, world

Verdict = Literal["placed", "impossible", "missed", "undecided", "wrong"]
"""Both found one; both say there is none; only the solver found one; it could not tell; the planner is wrong."""

ORDERS = 3
"""So many orders of a placement's moves are carried out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on one seed. `faults` are sentences on what is wrong, `rooms` the moves that make room (the planner's,
    or the solver's where it was missed), `told` the MiB that the planner says are short and `least` the fewest that
    would do (of what is impossible for want of memory)."""

    seed: int
    verdict: Verdict
    faults: tuple[str, ...] = ()
    rooms: int = 0
    told: int = 0
    least: int = 0


def judge(seed: int, *, work: float = WORK, compare: bool = True) -> Judged:
    """The verdict on a seed; the solver has so much work for each question. `compare` also asks for the fewest MiB
    that are short."""
    asked = world(seed)
    found = placement.place(asked.snapshot, asked.leaving, asked.vms, asked.conditions)
    if not found.short:
        return _placed(asked, found, work)
    said = feasible.ends(asked, work=work)
    if said.found:
        said = feasible.moves(asked, feasible.STEPS, work=work)
    if said.found:
        return Judged(seed, "missed", rooms=len(said.rooms))
    if said.said == "unknown":
        return Judged(seed, "undecided")
    faults = tuple(wrong_sentence(asked, found, work))
    told = sum(-(-one.missing // MIB) for one in found.short)
    least = feasible.least_short(asked, work=work).extra if compare and told else 0
    return Judged(seed, "wrong" if faults else "impossible", faults, told=told, least=least)


def _placed(asked: World, found: Placement, work: float) -> Judged:
    faults = [*broken(asked, found)]
    hint = [(move.vm.uuid, move.to.uuid) for move in found.rooms]
    said = feasible.moves(asked, len(found.rooms), work=work, hint=hint)
    if said.said == "infeasible":
        faults.append("the solver says that there is no placement")
    if said.said == "unknown" and not faults:
        return Judged(asked.seed, "undecided", rooms=len(found.rooms))
    return Judged(asked.seed, "wrong" if faults else "placed", tuple(faults), len(found.rooms))


def broken(asked: World, found: Placement) -> Iterator[str]:
    """What a placement breaks when it is carried out, in sentences."""
    moves = (*found.rooms, *found.moves)
    if sorted(move.vm.uuid for move in found.moves) != sorted(vm.uuid for vm in asked.vms):
        yield "not every VM that leaves has one place"
    for move in found.rooms:
        home = move.source
        if home is None or move.vm.host != home.uuid or move.vm.uuid not in (asked.movable or ()):
            yield f"{move.vm.name} may not make room"
        elif not feasible.comes_back(asked, home, move.to):
            yield f"{move.vm.name} could not come back from {move.to.name}"
    for move in moves:
        if not reaches(asked, move.vm, move.source or asked.leaving, move.to):
            yield f"{move.vm.name} may not go to {move.to.name}"
    for number in range(ORDERS):
        yield from _carried_out(asked, found, Random(f"{asked.seed}/{number}"))


def _carried_out(asked: World, found: Placement, rng: Random) -> Iterator[str]:
    """The moves in one order that their needs allow, several at once: a VM takes its memory on both hosts meanwhile."""
    free = _free(asked)
    waiting, flying = [*found.rooms, *found.moves], list[placement.Move]()
    arrived: set[str] = set()
    while waiting or flying:
        ready = [move for move in waiting if set(found.after.get(move.vm.uuid, ())) <= arrived]
        if ready and (not flying or rng.random() < 0.7):
            move = rng.choice(ready)
            waiting.remove(move)
            flying.append(move)
            free[move.to.uuid] -= need(asked, move.vm)
            if free[move.to.uuid] < 0:
                yield f"{move.vm.name} does not fit on {move.to.name} when it goes there"
                return
        elif flying:
            move = flying.pop(rng.randrange(len(flying)))
            arrived.add(move.vm.uuid)
            if move.source:
                free[move.source.uuid] += need(asked, move.vm)
        else:
            yield f"{waiting[0].vm.name} waits for what never comes"
            return


def wrong_sentence(asked: World, found: Placement, work: float = WORK) -> Iterator[str]:
    """What is not so in "VM x cannot leave, n MiB are short": the others have a place, no host that the VM may go to
    has the room, and with so much more there the solver finds a placement."""
    free = _free(asked)
    for move in found.moves:
        free[move.to.uuid] -= need(asked, move.vm)
        if not reaches(asked, move.vm, asked.leaving, move.to) or free[move.to.uuid] < 0:
            yield f"{move.vm.name} has no place on {move.to.name}, which it was given"
    hosts = {host.uuid: host for host in asked.snapshot.hosts}
    more: dict[str, int] = {}
    nowhere = False
    for short in found.short:
        able = [uuid for uuid in free if reaches(asked, short.vm, asked.leaving, hosts[uuid])]
        if bool(able) != bool(short.missing):
            yield f"{short.vm.name} is said to lack {short.missing // MIB} MiB, and may go to {len(able)} hosts"
        if not able or not short.missing:
            nowhere = True
            continue
        to = max(able, key=lambda uuid: (free[uuid], uuid))
        lacks = need(asked, short.vm) - free[to]
        if lacks <= 0:
            yield f"{short.vm.name} would fit on {hosts[to].name}"
        elif lacks != -(-short.missing // MIB):
            yield f"{short.vm.name} lacks {lacks} MiB on {hosts[to].name}, {short.missing // MIB} are told"
        more[to] = more.get(to, 0) + lacks
        free[to] -= need(asked, short.vm) - lacks
    if not nowhere and not feasible.moves(asked, 0, more, work=work).found:
        yield "with as much memory more as is told there is still no placement"


def _free(asked: World) -> dict[str, int]:
    """MiB free on each receiving host."""
    return {
        host.uuid: feasible.room(asked, host) - sum(need(asked, vm) for vm in asked.snapshot.resident(host.uuid))
        for host in asked.snapshot.hosts
        if host.uuid != asked.leaving.uuid
    }
