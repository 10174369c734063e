"""How long a run will take, in seconds of pool time, as a range: what is expected, and the upper end. Pure.

Of a pool with a history its own figures count; else the defaults below. Both ends come from one rehearsal of the
schedule each, the upper with what took longest so far and some more.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.planner import canaries, placement, replication, selection, stopping, storage_moves
from services.planner.rehearsal import Leg, Move, Rehearsal, Terms, play
from shared.domain import facts
from shared.domain.history import History, longest, typical
from shared.domain.model import PoolSnapshot
from shared.domain.policy import Policy

PREPARE_SECONDS = 10.0
"""Until the first turn begins: the pool is claimed, HA and the like switched off, its database kept."""

SURVEY_SECONDS = 20.0
MIGRATION_BYTES_PER_SECOND = 270 * 1024**2
MOVE_SECONDS = 2.0
DISK_BYTES_PER_SECOND = 100 * 1024**2
INSTALL_SECONDS = 300.0
REBOOT_SECONDS = 420.0
CHECK_SECONDS = 10.0
RESTORE_SECONDS = 10.0
"""Defaults of the estimate until a pool has a history (experience values of field reports): one migration carries some
270 MB/s on a 10 Gbit link, where a host can serve three at that rate, and of disks 60 MB/s on 1 and 120 MB/s on 10
Gbit (xcp-ng/xcp issue 145); a package step of five minutes, seven from reboot
to back; small change for the survey, each move's begin and end, the gate, and putting back."""

UPPER = 1.5
"""The upper end where nothing is known, as a share of the default: what took longest in the field beside the usual."""

SOME_MORE = 1.25
"""The upper end where a history is known: the longest so far, and a quarter more, for the next update is another."""

TOOLSTACK_SECONDS = 30.0
"""A restart of a toolstack, until it answers and is checked."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What things take on a pool; `upper` the upper end of each; `disk_rate` the bytes per second that policy says a
    move of disks copies (0: it does not say)."""

    history: History
    upper: bool = False
    disk_rate: float = 0.0

    def install(self, host: str) -> float:
        """Seconds of an installation on a host."""
        return self._of(self.history.installs, host, INSTALL_SECONDS)

    def boot(self, host: str) -> float:
        """Seconds from a reboot's order until a host is back."""
        return self._of(self.history.boots, host, REBOOT_SECONDS)

    def move(self, memory: int) -> float:
        """Seconds of a migration of so many bytes."""
        return MOVE_SECONDS + memory / self._rate()

    def send(self, memory: int, copied: int) -> float:
        """Seconds of a migration that takes disks of so many bytes along."""
        return self.move(memory) + copied / self._disk_rate()

    def small(self, seconds: float) -> float:
        """What has no history of its own."""
        return seconds * UPPER if self.upper else seconds

    def _of(self, known: Mapping[str, tuple[float, ...]], host: str, default: float) -> float:
        if self.upper:
            most = longest(known, host)
            return default * UPPER if most is None else most * SOME_MORE
        usual = typical(known, host)
        return default if usual is None else usual

    def _rate(self) -> float:
        rates = self.history.rates
        if self.upper:
            return min(rates) / SOME_MORE if rates else MIGRATION_BYTES_PER_SECOND / UPPER
        return statistics.median(rates) if rates else MIGRATION_BYTES_PER_SECOND

    def _disk_rate(self) -> float:
        rates = self.history.disk_rates
        if self.disk_rate:
            return self.disk_rate / (UPPER if self.upper else 1.0)
        if self.upper:
            return min(rates) / SOME_MORE if rates else DISK_BYTES_PER_SECOND / UPPER
        return statistics.median(rates) if rates else DISK_BYTES_PER_SECOND


def pace(history: History, policy: Policy, *, upper: bool = False) -> Pace:
    """What things take on a pool with this history, where policy does not say."""
    return Pace(history, upper, (policy.disk_mib_per_second or 0.0) * 1024**2)


def leg(turn: facts.ForecastTurn, policy: Policy, pace: Pace, *, first: bool) -> Leg:
    """A turn of the forecast as the rehearsal plays it; `first` of the run's first host. Where VMs stay, the first
    guests there are those of the next host, which is held up as long as they are watched."""
    host = turn.host.uuid
    reboots = turn.reboots
    away = tuple(
        Move(
            move.vm.uuid,
            move.source.uuid if move.source else host,
            move.to.uuid,
            move.memory,
            pace.send(move.memory, storage_moves.size(move.disks)),
        )
        for move in turn.moves
        if reboots and move.purpose != "level"
    )
    level = tuple(
        Move(move.vm.uuid, move.source.uuid if move.source else host, move.to.uuid, move.memory, pace.move(move.memory))
        for move in turn.moves
        if move.purpose == "level"
    )
    stays = {move.vm.uuid for move in turn.moves if move.stays}
    soak = max(canaries.SHORTEST, policy.soak_minutes) * 60.0 if policy.soak_minutes > 0 else 0.0
    soaks = first and policy.updates and reboots and bool(away) and soak > 0 and policy.canaries > 0
    watched_next = soaks and policy.mode != "home"
    own = [move for move in away if move.source == host and move.vm not in stays]
    rooms = [move for move in reversed(away) if move.source != host and move.vm not in stays]
    watched = sorted(own, key=lambda move: move.memory)[: policy.canaries] if soaks else []
    others = [move for move in own if move not in watched]
    home = [Move(move.vm, move.to, move.source, move.memory, move.seconds) for move in (*watched, *others, *rooms)]
    return Leg(
        turn=turn.turn,
        host=host,
        master=turn.master,
        look=pace.small(SURVEY_SECONDS),
        away=away,
        install=pace.install(host) if policy.updates and turn.updates else 0.0,
        boot=pace.boot(host) if reboots else 0.0,
        down=pace.small(stopping.one_way(turn.stops)) if reboots else 0.0,
        up=pace.small(stopping.one_way(turn.stops)) if reboots else 0.0,
        check=pace.small(CHECK_SECONDS if reboots else TOOLSTACK_SECONDS) + (soak if watched_next else 0.0),
        soak=soak if soaks and not watched_next else 0.0,
        canaries=len(watched),
        home=tuple(home),
        level=level,
    )


def of_forecast(
    snapshot: PoolSnapshot, turns: Sequence[facts.ForecastTurn], policy: Policy, terms: Terms, pace: Pace
) -> Rehearsal:
    """The whole run played through, from its beginning to the last VM's way home."""
    legs = [leg(turn, policy, pace, first=number == 0) for number, turn in enumerate(turns)]
    if replication.storage(snapshot):
        resync = pace.small(replication.RESYNC_SECONDS)
        legs = [*legs[:1], *(replace(one, look=one.look + resync) for one in legs[1:])]
    used: Counter[str] = Counter()
    for vm in snapshot.vms:
        if vm.host is not None:
            used[vm.host] += placement.comfortable(vm)
    usable = {
        host.uuid: host.memory_total - host.memory_overhead for host in snapshot.hosts if host.live and host.enabled
    }
    for host in usable:
        used.setdefault(host, 0)
    return play(
        legs,
        terms,
        begins=pace.small(PREPARE_SECONDS + replication.seconds(snapshot, policy)),
        used=used,
        usable=usable,
    )


def terms_of(turns: Sequence[facts.ForecastTurn], policy: Policy, max_away: int, empty_ahead: int) -> Terms:
    """The limits of a run with these turns, as the rehearsal keeps them. One that takes storage away is alone."""
    named = {turn.host.uuid: turn.host for turn in turns}
    alone = {turn.host.uuid for turn in turns if any(stop.serves for stop in turn.stops)}
    return Terms(
        max_away=max_away,
        empty_ahead=empty_ahead,
        per_source=policy.migrations_per_source,
        per_destination=policy.migrations_per_destination,
        per_pool=policy.migrations_per_pool,
        waits=policy.mode != "home",
        conflicts=lambda one, other: (
            not alone.isdisjoint((one, other)) or bool(selection.conflicts(named[one], (named[other],), policy))
        ),
    )
