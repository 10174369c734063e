"""The shortest schedule of a pool's update as a question to CP-SAT.

The rules are those of docs/planning.md, written once more: the master first and alone; the hosts' turns begin in the
plan's order, as many under way as the limits say; each host is looked at, emptied, installed (one at a time in the
pool), rebooted and checked; its VMs leave one by one to hosts that are in no turn and have the room, and go home when
it is enabled; so many moves at once from a host and into one; memory is taken on both hosts while a VM moves; of the
first host a few VMs go home first and are watched before anything else goes on.

The solver is free where the planner decides: when each part and each move begins, and where each VM goes meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.planner import estimate
from shared.domain.model import VM
from tests.prove import solver
from tests.prove.pools import Update
from tests.services.planner.play import GIB

PREPARE, LOOK, CHECK, MOVE = 10, 20, 10, 2
"""Seconds that estimate.py states for what has no history."""


def shortest(update: Update, *, work: float, fixed: bool = False) -> solver.Answer:
    """The least seconds from the beginning to the last VM's way home, or the best that was found and a bound; `fixed`
    holds VMs to the places that the planner gives them."""
    model = solver.new_model()
    _Schedule(update, model, fixed).written()
    return solver.ask(model, work=work)


@dataclass(frozen=True, slots=True)
class _Turn:
    begins: Any
    empty: Any
    reboots: Any
    enabled: Any


@dataclass(frozen=True, slots=True)
class _Span:
    """A move: its beginning and end, and for how long it goes."""

    begins: Any
    ends: Any
    seconds: int


class _Schedule:
    """One schedule while it is written down."""

    def __init__(self, update: Update, model: Any, fixed: bool) -> None:
        self.update, self.model, self.fixed = update, model, fixed
        self.hosts = {one.uuid: one for one in update.snapshot.hosts}
        self.order = [turn.host.uuid for turn in update.forecast.turns]
        self.rate = int(update.history.rates[0])
        self.horizon = round(update.length * 1.5) + 1000
        self.end = self._moment("end", round(update.length))
        self.from_: dict[str, list[Any]] = {uuid: [] for uuid in self.hosts}
        self.into: dict[str, list[Any]] = {uuid: [] for uuid in self.hosts}
        self.memory: dict[str, list[tuple[Any, int]]] = {uuid: [] for uuid in self.hosts}
        self.played = {turn.host.uuid: turn for turn in update.forecast.turns}

    def written(self) -> None:
        """All of it."""
        turns = {uuid: self._turn(uuid) for uuid in self.order}
        self._under_way(turns)
        homes: dict[str, dict[str, _Span]] = {uuid: {} for uuid in self.order}
        for vm in self.update.snapshot.vms:
            if vm.host in turns:
                homes[vm.host][vm.uuid] = self._vm(vm, turns)
            elif vm.host is not None:
                self._takes(vm.host, self._interval(0, self.horizon, self.horizon), vm)
        self._watched(turns, homes[self.order[0]])
        self._limits()
        self.model.minimize(self.end)

    # --- turns ----------------------------------------------------------------------------------------------------

    def _turn(self, uuid: str) -> _Turn:
        parts = {part.kind: part for part in self.played[uuid].parts}
        begins = self._moment("begins", round(self.played[uuid].begins))
        empty = self._moment("empty", round(parts["install"].begins))
        reboots = self._moment("reboots", round(parts["reboot"].begins))
        install, boot = self._took(self.update.history.installs, uuid), self._took(self.update.history.boots, uuid)
        enabled = reboots + boot + CHECK
        self.model.add(begins >= PREPARE)
        self.model.add(empty >= begins + LOOK)
        self.model.add(reboots >= empty + install)
        self.model.add(self.end >= enabled)
        return _Turn(begins, empty, reboots, enabled)

    def _took(self, known: Mapping[str, tuple[float, ...]], uuid: str) -> int:
        return round(known[uuid][0])

    def _under_way(self, turns: dict[str, _Turn]) -> None:
        history, told = self.update.history, self.update.forecast
        installs, away, open_ = [], [], []
        for uuid, turn in turns.items():
            installs.append(self._at(turn.empty, self._took(history.installs, uuid)))
            away.append(self._at(turn.reboots, self._took(history.boots, uuid)))
            lasts = self.model.new_int_var(0, self.horizon, "")
            open_.append(self.model.new_interval_var(turn.begins, lasts, turn.enabled, ""))
        self.model.add_no_overlap(installs)
        self.model.add_cumulative(away, [1] * len(away), told.max_away)
        self.model.add_cumulative(open_, [1] * len(open_), told.max_away + told.empty_ahead)
        master, *members = (turns[uuid] for uuid in self.order)
        for number, turn in enumerate(members):
            before = members[:number]
            self.model.add(turn.begins >= master.enabled)
            for other in before[-1:]:
                self.model.add(turn.begins >= other.begins + LOOK)
            if number >= told.max_away:
                first = self.model.new_int_var(0, self.horizon, "")
                self.model.add_min_equality(first, [other.enabled for other in before])
                self.model.add(turn.begins >= first)

    def _watched(self, turns: dict[str, _Turn], homes: dict[str, _Span]) -> None:
        """A few of the first host's VMs go home first, and are watched before the others go and another turn begins."""
        policy = self.update.policy
        sizes = {vm.uuid: vm.memory for vm in self.update.snapshot.vms}
        first = sorted(homes, key=lambda uuid: sizes[uuid])[: policy.canaries]
        if not first:
            return
        well = self._moment("well")
        for uuid in first:
            self.model.add(well >= homes[uuid].ends + round(policy.soak_minutes * 60))
        for uuid in homes.keys() - first:
            self.model.add(homes[uuid].begins >= well)
        for uuid in self.order[1:]:
            self.model.add(turns[uuid].begins >= well)
        self.model.add(self.end >= well)

    # --- VMs ------------------------------------------------------------------------------------------------------

    def _vm(self, vm: VM, turns: dict[str, _Turn]) -> _Span:
        """A VM leaves to one of the other hosts and goes home; returns its way home."""
        assert vm.host is not None
        own, home = turns[vm.host], vm.host
        move = next(one for one in self.played[home].moves if one.vm.uuid == vm.uuid)
        seconds = MOVE + vm.memory // self.rate
        away, back = (self._span(seconds, hint) for hint in (move.times[0], move.times[2]))
        self.model.add(away.begins >= own.begins + LOOK)
        self.model.add(away.ends <= own.empty)
        self.model.add(back.begins >= own.enabled)
        self.model.add(self.end >= back.ends)
        self.from_[home].append(self._at(away.begins, seconds))
        self.into[home].append(self._at(back.begins, seconds))
        self._takes(home, self._until(0, away.ends), vm)
        self._takes(home, self._until(back.begins, self.horizon), vm)
        goes = {uuid: self.model.new_bool_var("") for uuid in self.hosts if uuid != home}
        self.model.add_exactly_one(goes.values())
        for uuid, var in goes.items():
            self.model.add_hint(var, int(uuid == move.to.uuid))
            if self.fixed:
                self.model.add(var == int(uuid == move.to.uuid))
            self._guest(vm, uuid, var, away, back, turns.get(uuid))
        return back

    def _guest(self, vm: VM, uuid: str, here: Any, away: _Span, back: _Span, turn: _Turn | None) -> None:
        """A VM on a host that is not its own, where it goes there: not while that host is in its turn."""
        self.into[uuid].append(self._at(away.begins, away.seconds, here))
        self.from_[uuid].append(self._at(back.begins, back.seconds, here))
        self._takes(uuid, self._until(away.begins, back.ends, here), vm)
        if turn is None:
            return
        before = self.model.new_bool_var("")
        self.model.add(away.begins <= turn.begins).only_enforce_if(here, before)
        self.model.add(back.ends <= turn.empty).only_enforce_if(here, before)
        self.model.add(away.begins >= turn.enabled).only_enforce_if(here, before.negated())

    def _takes(self, uuid: str, interval: Any, vm: VM) -> None:
        self.memory[uuid].append((interval, vm.memory // GIB))

    def _limits(self) -> None:
        policy = self.update.policy
        for uuid, host in self.hosts.items():
            leaving, coming, there = self.from_[uuid], self.into[uuid], self.memory[uuid]
            self.model.add_cumulative(leaving, [1] * len(leaving), policy.migrations_per_source)
            self.model.add_cumulative(coming, [1] * len(coming), policy.migrations_per_destination)
            room = (host.memory_total - host.memory_overhead) // GIB
            self.model.add_cumulative([one for one, _ in there], [size for _, size in there], room)

    # --- moments --------------------------------------------------------------------------------------------------

    def _moment(self, name: str, hint: int | None = None) -> Any:
        found = self.model.new_int_var(0, self.horizon, name)
        if hint is not None:
            self.model.add_hint(found, hint)
        return found

    def _span(self, seconds: int, hint: int) -> _Span:
        begins = self._moment("move", hint)
        return _Span(begins, begins + seconds, seconds)

    def _at(self, begins: Any, seconds: int, here: Any = None) -> Any:
        if here is None:
            return self.model.new_fixed_size_interval_var(begins, seconds, "")
        return self.model.new_optional_fixed_size_interval_var(begins, seconds, here, "")

    def _until(self, begins: Any, ends: Any, here: Any = None) -> Any:
        lasts = self.model.new_int_var(0, self.horizon, "")
        if here is None:
            return self.model.new_interval_var(begins, lasts, ends, "")
        return self.model.new_optional_interval_var(begins, lasts, ends, here, "")

    def _interval(self, begins: int, seconds: int, ends: int) -> Any:
        return self.model.new_interval_var(begins, seconds, ends, "")


assert (estimate.PREPARE_SECONDS, estimate.SURVEY_SECONDS, estimate.CHECK_SECONDS, estimate.MOVE_SECONDS) == (
    PREPARE, LOOK, CHECK, MOVE,
)  # fmt: skip
