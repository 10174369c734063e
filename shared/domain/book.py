"""What the journal says of one pool right now: its run, its hosts as last seen, what is owed.

`fold` takes facts of every writer in any order. Hosts are values, never edges: two facts about a host are told apart
by when it was seen, and what is decided compares values (boot times), never waits for the next fact to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from shared.domain import evolve, facts, history
from shared.domain.acts import HostNoted
from shared.domain.model import Versions
from shared.domain.names import Named
from shared.domain.run import Owed, Run

SAME_BOOT = 60.0
"""Two boot_times that differ by less are the same boot: up to xapi v24.19.2 it is now minus uptime, recomputed at each
toolstack start (xen-api dbsync_slave.ml), so the same boot comes out a second apart."""


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host as the watcher last saw it. `closed_at` is when its address was last seen closed; the rest of the
    values are what the host said when it last came back."""

    uuid: str
    name: str
    state: Literal["answering", "unreachable", "down"]
    seen_at: float
    since: float
    closed_at: float = 0.0
    back_at: float = 0.0
    boot_time: float | None = None
    agent_start_time: float | None = None
    servertime: float | None = None
    versions: Versions = Versions()


@dataclass(frozen=True, slots=True)
class Book:
    """A pool's page in the journal. `after` is the sequence of the last run fact folded: the guard of any decision
    made from this value. `seq` is the last fact of all, `ended` are the ids of runs that are over, `boots` how many
    seconds each host's last boot took, by uuid, in this run or an earlier one,
    `history` what the turns took that are over."""

    pool: str
    after: int = 0
    seq: int = 0
    run: Run | None = None
    hosts: Mapping[str, HostSeen] = field(default_factory=dict)
    owed: Mapping[str, Owed] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    boots: Mapping[str, float] = field(default_factory=dict)
    master: Named | None = None
    master_unreachable_since: float | None = None
    history: history.History = field(default_factory=history.History)

    @property
    def open(self) -> Run | None:
        """The run that has the pool, or None."""
        return self.run if self.run is not None and self.run.open else None


def fold(book: Book, fact: facts.Fact, *, seq: int, at: float) -> Book:
    """The book after a fact with this sequence that happened at pool time `at`. What was folded already is dropped."""
    if seq <= book.seq:
        return book
    book = replace(book, seq=seq)
    if isinstance(fact, facts.RunFact):
        return _run_fact(replace(book, after=seq), fact, at)
    if isinstance(fact, facts.StepFact):
        run = book.run
        return replace(book, run=evolve.evolve(run, fact, at)) if run and run.id == fact.run else book
    apply = _SEEN.get(type(fact))
    return apply(book, fact) if apply else book


def _run_fact(book: Book, fact: facts.RunFact, at: float) -> Book:
    if isinstance(fact, facts.RunRequested):
        return book if book.open else replace(book, run=evolve.begin(fact, at))
    if isinstance(fact, facts.SettingOwed):
        since = book.owed[fact.setting].since if fact.setting in book.owed else at
        owed = Owed(fact.setting, fact.because, fact.condition, fact.command, since, fact.act)
        book = replace(book, owed={**book.owed, fact.setting: owed})
    if isinstance(fact, facts.SettingPaid):
        book = replace(book, owed={name: owed for name, owed in book.owed.items() if name != fact.setting})
    if isinstance(fact, facts.WaitOver) and fact.host is not None and fact.seconds > 0:
        book = replace(book, boots={**book.boots, fact.host.uuid: fact.seconds})
    if isinstance(fact, facts.TurnEnded):
        book = replace(book, history=history.after(book.history, fact))
    if isinstance(fact, facts.RunEnded):
        book = replace(book, ended=book.ended | {fact.run})
    if book.run is None or book.run.id != fact.run:
        return book
    return replace(book, run=evolve.evolve(book.run, fact, at))


# --- hosts ------------------------------------------------------------------------------------------------------------


def _with_host(book: Book, seen: HostSeen) -> Book:
    return replace(book, hosts={**book.hosts, seen.uuid: seen})


def _seen(book: Book, fact: facts.HostFact, state: Literal["answering", "unreachable", "down"]) -> HostSeen | None:
    """The host's value with its new state, or None when the fact is older than what is known."""
    known = book.hosts.get(fact.host)
    if known is None:
        return HostSeen(fact.host, fact.name, state, fact.seen_at, fact.seen_at)
    if fact.seen_at < known.seen_at:
        return None
    since = known.since if known.state == state else fact.seen_at
    return replace(known, name=fact.name, state=state, seen_at=fact.seen_at, since=since)


def _answering(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.HostAnswering)
    seen = _seen(book, fact, "answering")
    return _with_host(book, seen) if seen else book


def _unreachable(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.HostUnreachable)
    seen = _seen(book, fact, "unreachable")
    return _with_host(book, replace(seen, closed_at=fact.seen_at)) if seen else book


def _down(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.HostDown)
    seen = _seen(book, fact, "down")
    return _with_host(book, replace(seen, closed_at=max(seen.closed_at, fact.seen_at))) if seen else book


def _came_back(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.HostCameBack)
    seen = _seen(book, fact, "answering")
    if seen is None:
        return book
    return _with_host(
        book,
        replace(
            seen,
            back_at=fact.seen_at,
            boot_time=fact.boot_time if fact.boot_time is not None else seen.boot_time,
            agent_start_time=fact.agent_start_time,
            servertime=fact.servertime,
            versions=fact.versions,
        ),
    )


def _master_unreachable(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.MasterUnreachable)
    since = book.master_unreachable_since
    return replace(book, master_unreachable_since=fact.seen_at if since is None else since)


def _master_changed(book: Book, fact: facts.Fact) -> Book:
    assert isinstance(fact, facts.MasterChanged)
    return replace(book, master=fact.host, master_unreachable_since=None)


# --- is it back? ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Return:
    """Whether a host that was rebooted is back: `back`, `not_yet`, or `doubt` (a person must look)."""

    verdict: Literal["back", "not_yet", "doubt"]
    because: str


def is_back(name: str, noted: HostNoted, seen: HostSeen | None, *, ordered_at: float) -> Return:
    """Judge a return by values alone: what was noted before the reboot, and what was seen since.

    Rebooted means a boot_time more than 60 s later than the noted one and after the host's own time noted with it;
    agent_start_time only says that xapi started. Where the host's clock was moved, only a closed address after the
    order together with new software counts; otherwise it is doubt. Nothing is ever rebooted again on doubt.
    """
    if seen is None or seen.back_at <= ordered_at or seen.boot_time is None:
        return Return("not_yet", f"Waiting for {name} to come back; its API does not answer yet.")
    if seen.state != "answering":
        return Return("not_yet", f"Waiting for {name}, whose address does not answer at the moment.")
    moved = seen.boot_time - noted.boot_time
    if abs(moved) < SAME_BOOT:
        return Return("not_yet", f"{name} answers, but it is still the same boot; waiting for it to go down.")
    if moved > 0 and seen.boot_time > noted.servertime:
        return Return("back", f"{name} is back: it booted, its API answers and it is live.")
    if seen.closed_at > ordered_at and seen.versions != noted.versions:
        return Return("back", f"{name} is back: its clock was moved, but it was away and runs new software.")
    return Return(
        "doubt",
        f"{name} answers with a boot time that cannot be right, so its clock was moved; look whether it has rebooted.",
    )


_SEEN: Mapping[type[facts.Fact], Callable[[Book, facts.Fact], Book]] = MappingProxyType(
    {
        facts.HostAnswering: _answering,
        facts.HostUnreachable: _unreachable,
        facts.HostDown: _down,
        facts.HostCameBack: _came_back,
        facts.MasterUnreachable: _master_unreachable,
        facts.MasterChanged: _master_changed,
    }
)
