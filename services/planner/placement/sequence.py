"""The order of moves: one in which each fits at the moment it starts, and what each must wait for. Pure.

While a VM moves it takes its memory on both hosts, so room is there only once a move has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.planner.placement.values import Move

TRIED = 400
"""So many states of a set of moves are looked at before it is given up; a chain has few."""


def in_order(moves: Sequence[Move], free: Mapping[str, int]) -> tuple[Move, ...] | None:
    """The moves in an order in which each fits when those before it have ended; None where none is found. `free` are
    bytes by uuid of the host before any of them. Those that come first in `moves` go first where they can."""
    tried: set[frozenset[int]] = set()
    order: list[Move] = []

    def go_on(left: frozenset[int], room: dict[str, int]) -> bool:
        if not left:
            return True
        if left in tried or len(tried) > TRIED:
            return False
        tried.add(left)
        for number in sorted(left):
            move = moves[number]
            if room[move.to.uuid] < move.memory:
                continue
            after = dict(room)
            after[move.to.uuid] -= move.memory
            if move.source:
                after[move.source.uuid] = after.get(move.source.uuid, 0) + move.memory
            order.append(move)
            if go_on(left - {number}, after):
                return True
            order.pop()
        return False

    room = {move.to.uuid: free[move.to.uuid] for move in moves}
    room |= {move.source.uuid: free.get(move.source.uuid, 0) for move in moves if move.source}
    return tuple(order) if go_on(frozenset(range(len(moves))), room) else None


def needs(order: Sequence[Move], free: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """For each VM (uuid) the VMs that must have left the host it goes to before it starts.

    The arrivals on a host wait for its departures in their order, each for at least what the one before it waits for;
    so whichever of them start at once, the room is there: what has begun up to the last of them was counted.
    """
    left: dict[str, list[Move]] = {}
    taken: dict[str, int] = {}
    waits: dict[str, int] = {}
    after: dict[str, tuple[str, ...]] = {}
    for move in order:
        to = move.to.uuid
        departures = left.get(to, [])
        taken[to] = taken.get(to, 0) + move.memory
        count = waits.get(to, 0)
        while count < len(departures) and free[to] + sum(one.memory for one in departures[:count]) < taken[to]:
            count += 1
        waits[to] = count
        if count:
            after[move.vm.uuid] = tuple(one.vm.uuid for one in departures[:count])
        if move.source:
            left.setdefault(move.source.uuid, []).append(move)
    return after
