"""Where VMs are at the end, by the policy's mode, and what each turn does about it. Pure.

`home`: each where it began. `level` and `stay`: where they were put. What was emptied must not be put where it would
have to leave again, so in these a turn that is to begin beside others waits for them as long as the hosts that are done
have not the room for its VMs (`waits`); after the last turn, `level` evens out the hosts (see `levelling`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from services.planner import blockers, limits, placement
from shared.domain import facts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.policy import Policy


def homebound(snapshot: PoolSnapshot, policy: Policy) -> Callable[[placement.Move], bool]:
    """Whether a VM that leaves its host by a move is brought back to it: in `home` each; else only one of whose drive a
    disc is taken out that no other host reaches, for the sake of the disc, and one that takes its disks along."""
    if policy.mode == "home":
        return lambda move: True
    discs = (vm.uuid for vm in snapshot.vms if policy.eject_discs and any(not disc.shared for disc in vm.discs))
    bound = frozenset(discs)
    return lambda move: bool(move.disks) or move.vm.uuid in bound


def waits(
    found: placement.Placement, host: Host, coming: Collection[str], closed: Collection[str], policy: Policy
) -> str:
    """Why a turn had better wait for those beside it, in one sentence; empty where nothing speaks for it. `coming` are
    the hosts whose turns follow, `closed` those of turns under way beside it (uuids)."""
    if policy.mode == "home":
        return ""
    if policy.mode == "level" and not coming and len(closed) > 1:
        return f"Hosts that are empty at the end have to be filled again, and {host.name} would be one too many."
    again = [move.vm.name for move in found.moves if move.to.uuid in coming and not move.disks]
    if not again:
        return ""
    more = f" and {len(again) - 1} more" if len(again) > 1 else ""
    return f"The hosts that are done have no room for {again[0]}{more} of {host.name}, which would have to move again."


# --- the forecast's world ---------------------------------------------------------------------------------------------


class Stage:
    """The pool as the turns of a forecast find it, one after the other: as it is, where VMs come home; else with each
    VM where it was put last. Lives for one forecast."""

    def __init__(self, snapshot: PoolSnapshot, policy: Policy, allowed: limits.Limits) -> None:
        self.snapshot = snapshot
        self.policy = policy
        self.allowed = allowed
        self.done: list[Host] = []
        self.comes_home = homebound(snapshot, policy)
        self._placer = placement.Placer(snapshot)

    def place(self, host: Host, vms: Sequence[VM], given: placement.Conditions) -> placement.Placement:
        """A place for each VM that leaves a host. Where they stay, hosts in their turns at the same time are closed,
        but a turn waits for them where that spares its VMs another move (as `waits` has it in the run)."""
        if self.policy.mode == "home":
            return self._placer.place(host, vms, given)
        for back in range(self._back(), len(self.done)):
            closed = frozenset(one.uuid for one in self.done[back:])
            found = self._placer.place(host, vms, replace(given, closed=closed))
            if not found.short and not waits(found, host, given.coming, closed, self.policy):
                return found
        return self._placer.place(host, vms, given)

    def _back(self) -> int:
        """How many hosts must be back before the next turn may begin, as `pacing.at_once` has it."""
        for back in range(len(self.done)):
            members = back - any(one.uuid == self.snapshot.master for one in self.done[:back])
            most = self.allowed.max_away + (self.allowed.empty_ahead if members else 0) if back else 1
            if len(self.done) - back < most:
                return back
        return len(self.done)

    def over(self, host: Host, found: placement.Placement) -> None:
        """The turn of a host is over; its VMs are where they were put."""
        self.done.append(host)
        if self.policy.mode != "home":
            self._put(move for move in (*found.rooms, *found.moves) if not self.comes_home(move))

    @property
    def newest(self) -> frozenset[str]:
        """The hosts that are updated by now, by uuid."""
        return frozenset(one.uuid for one in self.done)

    def levelled(self) -> tuple[placement.Move, ...]:
        """The moves that even out the hosts at the end, where the mode has them."""
        if self.policy.mode != "level" or not self.done:
            return ()
        newest = self.newest

        def may(vm: VM, source: Host, target: Host) -> bool:
            older = self.policy.updates and source.uuid in newest and target.uuid not in newest and target.updates
            return not older and may_level(vm, source)

        moves = tuple(move for moves in placement.level(self.snapshot, newest, may) for move in moves)
        self._put(moves)
        return moves

    def _put(self, moves: Iterable[placement.Move]) -> None:
        self.snapshot = placement.moved(self.snapshot, moves)
        self._placer = placement.Placer(self.snapshot)


def may_level(vm: VM, host: Host) -> bool:
    """Whether a VM may be moved for the sake of even loads: nothing binds it, and it is not bound to its host by a
    disc."""
    return blockers.of_running(vm, host) is None and all(disc.shared for disc in vm.discs)


# --- what is said -----------------------------------------------------------------------------------------------------


def moved(policy: Policy) -> str:
    """What a plan says that happens to VMs."""
    return {
        "home": "moved away and home again",
        "level": "moved, which stay where the hosts end evenly loaded",
        "stay": "moved, which stay where they are put",
    }[policy.mode]


def notes(policy: Policy, loads: Iterable[facts.HostLoad]) -> Iterator[str]:
    """How full the hosts end, where VMs stay."""
    shares = {load.host.name: load.end / load.usable for load in loads if load.end is not None and load.usable}
    if policy.mode == "home" or not shares:
        return
    fullest, emptiest = max(shares, key=lambda name: shares[name]), min(shares, key=lambda name: shares[name])
    apart = shares[fullest] - shares[emptiest]
    said = (
        f"VMs stay where they are put (mode = {policy.mode}). At the end the fullest host is {fullest} with"
        f" {100 * shares[fullest]:.0f} % of its memory, the emptiest {emptiest} with {100 * shares[emptiest]:.0f} %."
    )
    if policy.mode == "level" and apart > placement.WITHIN:
        said += " No move that is allowed brings them nearer to each other."
    yield said
