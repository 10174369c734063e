"""What is known of one host, and what follows from it: answering, unreachable or down, and whether it came back.

Pure: signals in, values out. Two things are never said here: that a host has rebooted, and that it is lost. The
planner judges both, from what was recorded before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from shared.domain.model import Versions

State = Literal["answering", "unreachable", "down"]

FAILURES = 2
"""Probes in a row that must fail before an address counts as closed. One may be a lost packet or a full queue; the
second follows the first after `AGAIN` seconds, so that two in a row still fit into 5 s."""

AWAY, IN_RUN, AT_REST = 1.0, 2.0, 30.0
"""Seconds of machine time between probes: of a host that is away, of others of a pool with a run, otherwise."""

AGAIN = 0.5
"""Seconds of machine time after a first probe that failed."""


class Login(Enum):
    """What a login on the host's own address was answered."""

    MEMBER = "member"
    MASTER = "master"
    NOT_YET = "not yet"
    UNTRUSTED = "untrusted"
    """It showed a certificate that nobody vouches for, so it was not asked; the master has to vouch for the host."""


@dataclass(frozen=True, slots=True)
class Says:
    """What the pool's database says of a host. Times are seconds since 1970 by the host's own clock; `boot_time` and
    `agent_start_time` are absent for a moment while its xapi starts (xen-api dbsync_slave.ml)."""

    uuid: str
    name: str
    address: str
    ref: str
    master: bool
    live: bool
    boot_time: float | None = None
    agent_start_time: float | None = None
    versions: Versions = Versions()


@dataclass(frozen=True, slots=True)
class Reach:
    """What probes of the host's own address found. `open` is None until that is settled."""

    open: bool | None = None
    failures: int = 0

    def heard(self, answered: bool) -> Reach:
        """After one more probe."""
        if answered:
            return Reach(open=True)
        failures = self.failures + 1
        return Reach(False if failures >= FAILURES else self.open, failures)


@dataclass(frozen=True, slots=True)
class Sight:
    """All that is remembered of a host. `returning` from when it was seen away until it is told that it came back;
    `not_live_since` is pool time; `told` is the state that was published last, None when it has to be published."""

    says: Says
    reach: Reach = field(default_factory=Reach)
    login: Login | None = None
    answer: str = ""
    returning: bool = False
    not_live_since: float | None = None
    told: State | None = None


def first(says: Says, *, returning: bool, now: float) -> Sight:
    """A host that is seen for the first time. `returning` when the journal says that it is away by an order."""
    return _with_liveness(Sight(says, returning=returning), says, now)


def probed(sight: Sight, *, answered: bool) -> Sight:
    """After a probe of its address."""
    reach = sight.reach.heard(answered)
    sight = replace(sight, reach=reach)
    return sight if reach.open is not False else _away(sight)


def said(sight: Sight, says: Says, now: float) -> Sight:
    """After the pool's database said something new of it, at pool time `now`.

    A newer boot or a newer xapi is a return even when nobody saw it away: a reboot or a toolstack restart can be
    shorter than the time between two probes.
    """
    known = sight.says
    merged = replace(
        says,
        boot_time=says.boot_time if says.boot_time is not None else known.boot_time,
        agent_start_time=says.agent_start_time if says.agent_start_time is not None else known.agent_start_time,
    )
    started_anew = (merged.boot_time, merged.agent_start_time, merged.versions) != (
        known.boot_time,
        known.agent_start_time,
        known.versions,
    )
    sight = _with_liveness(replace(sight, says=merged), merged, now)
    return _away(sight) if started_anew or merged.address != known.address else sight


def asked(sight: Sight, login: Login, answer: str = "") -> Sight:
    """After a login on its own address; `answer` is the code that it gave instead of a session."""
    return replace(sight, login=login, answer=answer)


def anew(sight: Sight, now: float) -> Sight:
    """After a new session on the master: everything is told again, and the master's own address is open. A host that
    was not live is given its time again, because a master that restarts keeps an old `live` until it hears from the
    host (xen-api db_gc.ml)."""
    since = sight.not_live_since if sight.told == "down" else now
    reach = Reach(open=True) if sight.says.master else sight.reach
    return replace(sight, reach=reach, told=None, not_live_since=None if sight.says.live else since)


def state(sight: Sight, now: float, *, down_after: float) -> State | None:
    """The host's state at pool time `now`, or None as long as no probe has settled it.

    Down is what the master calls not live for longer than `down_after` seconds of pool time, whatever its address
    does; that is longer than a toolstack restart takes, which makes a host not live for a short time too.
    """
    if sight.not_live_since is not None and now - sight.not_live_since > down_after:
        return "down"
    if sight.reach.open is None:
        return None
    return "answering" if sight.reach.open else "unreachable"


def came_back(sight: Sight) -> bool:
    """Whether a host that was away is there again: its address is open, a login on it is answered as a member or the
    master of a pool answers, and the master says that it is live. (Untrusted: if the master also reaches it.)"""
    there = sight.reach.open is True and sight.says.live
    return sight.returning and there and sight.login in (Login.MEMBER, Login.MASTER, Login.UNTRUSTED)


def wants_login(sight: Sight) -> bool:
    """Whether the host has to be asked by login: only one that was away and takes connections again."""
    return sight.returning and sight.reach.open is True and sight.login in (None, Login.NOT_YET)


def told(sight: Sight, what: State) -> Sight:
    """After its state was published."""
    return replace(sight, told=what)


def told_back(sight: Sight) -> Sight:
    """After its return was published."""
    return replace(sight, told="answering", returning=False, login=None, answer="")


def interval(sight: Sight, *, away: bool, run: bool) -> float:
    """Seconds of machine time from the start of one probe to the start of the next.

    `away`: by an order, as the journal says; `run`: its pool has one.
    """
    if 0 < sight.reach.failures < FAILURES:
        return AGAIN
    if away or sight.returning or sight.reach.open is not True or not sight.says.live:
        return AWAY
    return IN_RUN if run else AT_REST


def because(sight: Sight, what: State, now: float) -> str:
    """What is so of a host, and why, in one sentence."""
    name, address = sight.says.name, sight.says.address or "an address it does not have"
    if what == "answering":
        return f"Host {name} takes connections on {address}."
    if what == "unreachable":
        return f"Host {name} does not answer on {address}; that alone does not mean that it is down."
    minutes = (now - (sight.not_live_since or now)) / 60
    said = f"The pool's master has called host {name} not live for {minutes:.0f} minutes"
    if sight.reach.open and sight.answer:
        return f"{said}; its own address answers {sight.answer}, so it runs and has not joined the pool."
    return f"{said}; look at its console and its power."


def _away(sight: Sight) -> Sight:
    return replace(sight, returning=True, login=None, answer="")


def _with_liveness(sight: Sight, says: Says, now: float) -> Sight:
    if says.live:
        return replace(sight, not_live_since=None)
    since = sight.not_live_since if sight.not_live_since is not None else now
    return replace(sight, not_live_since=since, returning=True)
