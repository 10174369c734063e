"""A run as it is told to people: one frozen value, and what can be counted from it.

Built by `folding` from the journal; never sent, formatted or stored here. Times are pool time, seconds since 1970;
`None` is a time that has not come. All text is as the pool or the planner said it, cleaned of what cannot be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.facts import Outcome
from shared.domain.model import Package, Versions
from shared.domain.names import Named

Phase = Literal["preparing", "emptying", "installing", "away", "checking", "returning"]
TurnState = Literal["waiting", "not_begun", "under_way", "done", "turned_back", "left_alone", "failed"]
MoveState = Literal["under_way", "moved", "already", "gone", "failed", "skipped"]
Whereabouts = Literal["home", "elsewhere", "gone", "unknown"]
Purpose = Literal["update", "reboot", "undo"]
State = Literal[
    "requested", "planned", "waiting_for_window", "awaiting_approval", "running", "paused", "held", "finishing", "ended"
]
Tone = Literal["good", "plain", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a host's turn."""

    phase: Phase
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One host's part of the run. `away_at` is its reboot order, `back_at` when it was seen back; `offered` the
    packages of the plan, `installed` those that were, `replaced` their names with version and release from before;
    `advisories` are what the texts of either name; `estimate` seconds of the forecast."""

    id: str
    host: Named
    master: bool
    state: TurnState
    because: str
    estimate: float
    begun_at: float | None = None
    ended_at: float | None = None
    spans: tuple[Span, ...] = ()
    offered: tuple[Package, ...] = ()
    installed: tuple[Package, ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    advisories: tuple[str, ...] = ()
    away_at: float | None = None
    back_at: float | None = None
    before: Versions = Versions()
    after: Versions = Versions()
    repaired: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def away_seconds(self) -> float | None:
        """How long the host was away, or None while it has not been, or still is."""
        return None if self.away_at is None or self.back_at is None else self.back_at - self.away_at

    def version_before(self, name: str) -> str:
        """What a package that was installed had been before; nothing where it is new or nobody knows."""
        return dict(self.replaced).get(name, "")

    @property
    def seconds(self) -> float | None:
        """How long the turn took, or None while it is not over."""
        return None if self.begun_at is None or self.ended_at is None else self.ended_at - self.begun_at


@dataclass(frozen=True, slots=True)
class Move:
    """A VM's way from one host to another; `attempts` is how often it was tried. `destination` is None where XAPI chose
    it (the sweep). `copied` are the bytes of disks that went along."""

    vm: Named
    source: Named
    destination: Named | None
    purpose: Literal["empty", "room", "home", "level", "sweep"]
    state: MoveState
    started_at: float | None
    ended_at: float | None
    attempts: int = 1
    because: str = ""
    copied: int = 0


@dataclass(frozen=True, slots=True)
class Downtime:
    """A VM that was stopped for its host's turn: how, who agreed, since when, and for how many seconds it was down
    (None while it is, or where nobody started it because its owner wants it otherwise)."""

    vm: Named
    host: Named
    way: Literal["suspend", "shutdown"]
    consent: str
    since: float | None
    seconds: float | None = None
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM of the run: where it lives and where it is, as far as the journal says."""

    vm: Named
    home: Named
    at: Named | None
    whereabouts: Whereabouts
    moves: int
    because: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the pool that was changed for the run; `back_at` is None while it is not as it was."""

    setting: str
    changed_at: float
    back_at: float | None


@dataclass(frozen=True, slots=True)
class Owed:
    """A setting that could not be put back yet, and the command that does it."""

    setting: str
    because: str
    condition: str
    command: str
    since: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which the run waited for a person."""

    since: float
    until: float | None
    because: str
    step: str
    who_can_help: str
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A time in which the run waited for its window or for approval."""

    since: float
    until: float | None
    because: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A step that did not come off at once: how often it was tried, why it failed last, and how it ended."""

    what: str
    attempts: int
    because: str
    ended: Literal["done", "under_way", "gave_up", "timed_out", "skipped"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a person ordered in mid-run."""

    at: float
    by: str
    what: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the run's story."""

    at: float
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stood in the way, with names, cause and fix."""

    sentence: str
    host: str = ""
    vm: str = ""


@dataclass(frozen=True, slots=True)
class Untold:
    """A destination that could not be told of an occasion, for good."""

    destination: str
    occasion: str
    because: str


@dataclass(frozen=True, slots=True)
class Report:
    """What people are told of a run. `purpose` is `reboot` where nothing was to be installed, `undo` where only
    settings are put back; `updated` of `total` hosts with a turn are done; `moving` VMs are planned to move; `through`
    is the time of the last fact that was read; `cut` names the lists that were shortened for size."""

    pool: str
    run: str
    state: State
    sentence: str
    through: float
    pool_name: str = ""
    outcome: Outcome | None = None
    purpose: Purpose = "update"
    mode: Literal["home", "level", "stay"] = "home"
    order: str = ""
    by: str = ""
    reason: str = ""
    requested_at: float | None = None
    planned_at: float | None = None
    began_at: float | None = None
    ended_at: float | None = None
    estimate: float = 0.0
    digest: str = ""
    forecast: str = ""
    updated: int = 0
    total: int = 0
    moving: int = 0
    turns: tuple[Turn, ...] = ()
    left_alone: tuple[Named, ...] = ()
    guests: tuple[Guest, ...] = ()
    moves: tuple[Move, ...] = ()
    downtimes: tuple[Downtime, ...] = ()
    plans: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    owed: tuple[Owed, ...] = ()
    holds: tuple[Hold, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    said: tuple[Said, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    events: tuple[Event, ...] = ()
    closed_advisories: tuple[str, ...] = ()
    open_advisories: tuple[str, ...] = ()
    untold: tuple[Untold, ...] = ()
    unreadable: int = 0
    cut: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long the run was at work on the pool, waits for its window and for approval left out; None while it is
        not over or never began."""
        if self.began_at is None or self.ended_at is None:
            return None
        began, ended = self.began_at, self.ended_at
        waited = sum(max(0.0, (one.until or ended) - max(began, one.since)) for one in self.waits)
        return max(0.0, ended - began - waited)

    @property
    def hold(self) -> Hold | None:
        """What the run waits for a person with, now."""
        return self.holds[-1] if self.state == "held" and self.holds else None

    @property
    def moved(self) -> tuple[Move, ...]:
        """The moves that really took place."""
        return tuple(move for move in self.moves if move.state == "moved")

    @property
    def strays(self) -> tuple[Guest, ...]:
        """The VMs that are not at home, or of which nobody knows it; where VMs stay by the run's mode, only those that
        were to come home and could not."""
        away = [guest for guest in self.guests if guest.whereabouts in ("elsewhere", "unknown")]
        return tuple(guest for guest in away if self.mode == "home" or guest.because)

    @property
    def moved_house(self) -> tuple[Guest, ...]:
        """The VMs that are elsewhere than they began and stay there, as the run's mode has it."""
        if self.mode == "home":
            return ()
        return tuple(guest for guest in self.guests if guest.whereabouts == "elsewhere" and not guest.because)

    @property
    def gone(self) -> tuple[Guest, ...]:
        """The VMs that their owners stopped, deleted or moved meanwhile."""
        return tuple(guest for guest in self.guests if guest.whereabouts == "gone")

    def not_updated(self) -> tuple[Turn, ...]:
        """The last turn of each host that is not as it should be; one that was left alone needed nothing any more."""
        return tuple(turn for turn in last_turns(self.turns) if turn.state not in ("done", "left_alone"))


def last_turns(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Each host's last turn, in the order of the turns (the master may have had two)."""
    last = {turn.host.uuid: turn.id for turn in turns}
    return tuple(turn for turn in turns if last[turn.host.uuid] == turn.id)
