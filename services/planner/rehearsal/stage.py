"""The stage on which a schedule is played: turns begin, moves fly, hosts go away and come back, in their order."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from services.planner.rehearsal.values import Kind, Leg, Move, Moved, Part, Played, Rehearsal, Terms
from services.planner.rooms import Rooms


def play(
    legs: Sequence[Leg],
    terms: Terms,
    *,
    begins: float = 0.0,
    used: Mapping[str, int] | None = None,
    usable: Mapping[str, int] | None = None,
) -> Rehearsal:
    """Play a schedule from `begins` on. `used` are the bytes that VMs take on each host now, `usable` what they may
    take; without them memory holds nothing up."""
    return _Stage(legs, terms, begins, dict(used or {}), usable or {}).played()


class _Turn:
    """A leg under way; lives for one rehearsal."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.at: Kind | Literal["waiting", "done"] = "waiting"
        self.running = False
        self.begins = self.since = self.ends = 0.0
        self.waiting: list[Move] = []
        self.later: list[Move] = []
        self.level = [*leg.level]
        self.returns = frozenset(move.vm for move in leg.home)
        self.flying = 0
        self.unwatched = bool(leg.soak and leg.canaries and leg.home)
        self.watching = False
        self.falling: bool | None = None if leg.down else False
        self.rising = False
        self.back = leg.back
        self.parts: list[Part] = []
        self.moves: list[Moved] = []


Event = tuple[float, int, Callable[[], None]]


class _Stage:
    """One rehearsal."""

    def __init__(
        self, legs: Sequence[Leg], terms: Terms, begins: float, used: dict[str, int], usable: Mapping[str, int]
    ) -> None:
        self.turns = [_Turn(leg) for leg in legs]
        self.terms = terms
        self.now = begins
        self.rooms = Rooms(used, usable, begins)
        self.events: list[Event] = []
        self.leaving: Counter[str] = Counter()
        self.arriving: Counter[str] = Counter()
        self.guests: Counter[str] = Counter()
        self.where: dict[str, str] = {}
        self.installing = False
        self.away = 0
        self.master_away = False
        self.masters, self.members = terms.masters, terms.members
        self.coming = [*reversed(self.turns)]
        self.open: list[_Turn] = []
        self.closed: set[str] = set()
        self.number = 0
        for turn in self.turns:
            leaving = {move.vm for move in turn.leg.away}
            self.guests.update(move.source for move in turn.leg.home if move.vm not in leaving)

    def played(self) -> Rehearsal:
        self._start()
        while self.events or self._forced():
            at = self.events[0][0]
            self.now = max(self.now, at)
            while self.events and self.events[0][0] <= self.now:
                heapq.heappop(self.events)[2]()
            self._start()
        turns = tuple(
            Played(turn.leg.turn, turn.begins, turn.ends, tuple(turn.parts), tuple(turn.moves)) for turn in self.turns
        )
        return Rehearsal(turns, self.now, self.rooms.high)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.events, (self.now + seconds, self.number, act))

    # --- what begins ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Everything that may begin now, until nothing more does; ways home last, as `stepping` orders them."""
        going = True
        while going:
            going = self._begin_next()
            for turn in sorted(self.open, key=lambda turn: turn.at == "home"):
                going = self._go_on(turn) or going

    def _begin_next(self) -> bool:
        if not self.coming or not (self.coming[-1].leg.begun or self._may_begin(self.coming[-1].leg)):
            return False
        turn = self.coming.pop()
        self.open.append(turn)
        if turn.leg.boot:
            self.closed.add(turn.leg.host)
        turn.begins = turn.since = self.now
        turn.at, turn.running = "look", True
        self._later(turn.leg.look, lambda: self._looked(turn))
        return True

    def _may_begin(self, leg: Leg) -> bool:
        """As `pacing` has it: the master alone, as many under way as the limits say, one looked at at a time, never two
        of one group, and nobody while the first guests are watched."""
        if any(turn.unwatched for turn in self.open):
            return False
        others = [turn for turn in self.open if not turn.back]
        if not others:
            return True
        if leg.master or any(turn.leg.master for turn in others) or any(turn.at == "look" for turn in others):
            return False
        if any(self.terms.conflicts(leg.host, turn.leg.host) for turn in others):
            return False
        back = self.masters + self.members
        most = self.terms.max_away + (self.terms.empty_ahead if self.members else 0) if back else 1
        return len(others) < most

    def _looked(self, turn: _Turn) -> None:
        self._part(turn, "look")
        turn.at, turn.waiting = "empty", [*turn.leg.away]

    def _go_on(self, turn: _Turn) -> bool:
        """What a turn does next, if it may; whether anything began."""
        if turn.at == "empty":
            return self._empties(turn)
        if turn.at == "install" and not turn.running and not self.installing:
            self.installing = turn.running = True
            turn.since = self.now
            self._later(turn.leg.install, lambda: self._installed(turn))
            return True
        if turn.at == "reboot" and not turn.running and self.away < self.terms.max_away:
            self.away += 1
            self.master_away = self.master_away or turn.leg.master
            turn.running, turn.since = True, self.now
            self._later(turn.leg.boot, lambda: self._booted(turn))
            return True
        if turn.at == "home":
            return self._returns(turn)
        if turn.at == "level":
            return self._levels(turn)
        return False

    # --- moves ----------------------------------------------------------------------------------------------------

    def _empties(self, turn: _Turn) -> bool:
        began = self._fly(turn, home=False)
        if turn.waiting or turn.flying or (turn.leg.boot and self.guests[turn.leg.host]):
            return began
        if turn.falling is None:
            turn.falling = True
            self._later(turn.leg.down, lambda: self._fallen(turn))
        if turn.falling:
            return began
        self._part(turn, "empty")
        self._to(turn, "install" if turn.leg.install else "reboot")
        return True

    def _fallen(self, turn: _Turn) -> None:
        turn.falling = False

    def _risen(self, turn: _Turn) -> None:
        turn.rising = False

    def _returns(self, turn: _Turn) -> bool:
        began = self._fly(turn, home=True)
        if turn.flying or turn.waiting or turn.watching or (turn.rising and not turn.unwatched):
            return began
        if turn.unwatched:
            turn.watching = True
            self._later(turn.leg.soak, lambda: self._well(turn))
            return True
        self._part(turn, "home")
        if turn.level:
            turn.at, turn.waiting, turn.level = "level", turn.level, []
            return True
        return self._end(turn)

    def _levels(self, turn: _Turn) -> bool:
        """When no other turn is left, a few VMs move until the hosts are evenly full."""
        if self.coming or len(self.open) > 1:
            turn.since = self.now
            return False
        began = self._fly(turn, home=True)
        if turn.flying or turn.waiting:
            return began
        self._part(turn, "level")
        return self._end(turn)

    def _end(self, turn: _Turn) -> bool:
        self.open.remove(turn)
        turn.at, turn.ends = "done", self.now
        return True

    def _well(self, turn: _Turn) -> None:
        turn.waiting, turn.later = turn.later, []
        turn.unwatched = turn.watching = False

    def _fly(self, turn: _Turn, *, home: bool) -> bool:
        """Begin the moves of a turn for which hosts have a slot and memory."""
        if self.master_away:
            return False
        began, left = False, list[Move]()
        for number, move in enumerate(turn.waiting):
            source = self.where.get(move.vm, move.source)
            if self._full(turn.leg.host, home=home):
                left += turn.waiting[number:]
                break
            to = move.to if home or self._open(move) else self._elsewhere(move, source)
            if to and self.leaving[source] < self.terms.per_source and self.arriving[to] < self.terms.per_destination:
                self._leave(turn, move, source, to, home=home)
                began = True
            else:
                left.append(move)
        turn.waiting = left
        return began

    def _full(self, host: str, *, home: bool) -> bool:
        if self.terms.per_pool is not None and self.leaving.total() >= self.terms.per_pool:
            return True
        if home:
            return self.arriving[host] >= self.terms.per_destination
        return self.leaving[host] >= self.terms.per_source

    def _open(self, move: Move) -> bool:
        return self._takes(move.to) and self._fits(move, move.to)

    def _takes(self, host: str) -> bool:
        """Whether a host takes VMs: it is in no turn, or enabled again."""
        return host not in self.closed

    def _fits(self, move: Move, host: str) -> bool:
        return self.rooms.fits(host, move.memory)

    def _elsewhere(self, move: Move, source: str) -> str:
        """Where a VM goes whose host is not to be had at that moment: the plan of the turn itself will say; here the
        roomiest host, rather one that is not emptied soon. Nowhere, where it waits."""
        if self.terms.waits:
            return ""
        soon = {turn.leg.host for turn in self.coming[-(self.terms.max_away + self.terms.empty_ahead) :]}
        soonest = ""
        for host in self.rooms.roomiest(move.memory):
            if host != source and self._takes(host):
                if host not in soon:
                    return host
                soonest = soonest or host
        return soonest

    def _leave(self, turn: _Turn, move: Move, source: str, to: str, *, home: bool) -> None:
        self.leaving[source] += 1
        self.arriving[to] += 1
        turn.flying += 1
        self.rooms.take(to, move.memory, self.now)
        level = home and turn.at == "level"
        moved = Moved(move.vm, source, to, home, self.now, self.now + move.seconds, level)
        self._later(move.seconds, lambda: self._arrived(turn, move, moved))

    def _arrived(self, turn: _Turn, move: Move, moved: Moved) -> None:
        self.leaving[moved.source] -= 1
        self.arriving[moved.to] -= 1
        self.rooms.take(moved.source, -move.memory, self.now)
        self.where[moved.vm] = moved.to
        turn.flying -= 1
        turn.moves.append(moved)
        if moved.home and moved.vm in turn.returns:
            self.guests[moved.source] -= 1
        elif moved.vm in turn.returns:
            self.guests[moved.to] += 1

    def _forced(self) -> bool:
        """Nothing goes on by itself although something is left: memory holds everything up. It is let through, because
        a plan that cannot be carried out is said by placement, not by a schedule without an end."""
        for turn in self.open:
            if turn.waiting and turn.at in ("empty", "home", "level"):
                move = turn.waiting.pop(0)
                self._leave(turn, move, self.where.get(move.vm, move.source), move.to, home=turn.at != "empty")
                return True
        for turn in self.open:
            if turn.at == "empty" and not turn.flying:
                self.guests[turn.leg.host] = 0
                self._start()
                return bool(self.events)
        return False

    # --- the host's own -------------------------------------------------------------------------------------------

    def _to(self, turn: _Turn, kind: Kind) -> None:
        turn.at, turn.running, turn.since = kind, False, self.now
        if kind == "reboot" and not turn.leg.boot:
            self._check(turn)

    def _installed(self, turn: _Turn) -> None:
        self.installing = False
        self._part(turn, "install")
        self._to(turn, "reboot")

    def _booted(self, turn: _Turn) -> None:
        self.away -= 1
        self.master_away = self.master_away and not turn.leg.master
        self._part(turn, "reboot")
        self._check(turn)

    def _check(self, turn: _Turn) -> None:
        turn.at, turn.running, turn.since = "check", True, self.now
        self._later(turn.leg.check, lambda: self._enabled(turn))

    def _enabled(self, turn: _Turn) -> None:
        self._part(turn, "check")
        if not turn.back:
            self.masters += turn.leg.master
            self.members += not turn.leg.master
        turn.back = True
        self.closed.discard(turn.leg.host)
        turn.at, turn.since = "home", self.now
        if turn.leg.up:
            turn.rising = True
            self._later(turn.leg.up, lambda: self._risen(turn))
        first = turn.leg.canaries if turn.unwatched else len(turn.leg.home)
        turn.waiting, turn.later = [*turn.leg.home[:first]], [*turn.leg.home[first:]]

    def _part(self, turn: _Turn, kind: Kind) -> None:
        if self.now > turn.since:
            turn.parts.append(Part(kind, turn.since, self.now))
        turn.since = self.now
