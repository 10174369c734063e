"""A run in one value that any client can read or watch: what KV ROTA_RUNS holds under `<pool>.<run>`.

Written by the planners with the sequence it was folded to; rebuilt from the journal at any time. Times are pool time.
"""

from __future__ import annotations

from typing import Literal

from shared.domain.facts import Blocker, Outcome, Value
from shared.domain.names import Name, Named, Sentence, Token

State = Literal[
    "requested",
    "surveying",
    "planned",
    "awaiting_approval",
    "running",
    "paused",
    "held",
    "waiting_for_window",
    "finishing",
    "succeeded",
    "succeeded_with_warnings",
    "failed",
    "cancelled",
    "refused",
]

Stage = Literal[
    "waiting",
    "surveying",
    "emptying",
    "installing",
    "rebooting",
    "away",
    "checking",
    "returning",
    "done",
    "turned_back",
    "left_alone",
    "failed",
]


class HostLine(Value):
    """One host of the run: how far its turn is."""

    host: Named
    master: bool
    turn: Token
    stage: Stage
    steps_done: int
    steps_total: int
    sentence: Sentence


class Outstanding(Value):
    """A step that is waited for: since when, until when (0: no deadline), and the attempt that is under way."""

    step: Token
    kind: Name
    attempt: int
    since: float
    until: float
    sentence: Sentence


class Held(Value):
    """Why the run waits for a person, and who can help."""

    since: float
    because: Sentence
    step: Token | None = None
    who_can_help: Name = ""


class OwedLine(Value):
    """A setting that could not be put back yet."""

    setting: Name
    because: Sentence
    condition: Sentence
    command: Sentence
    since: float


class RunSummary(Value):
    """A run as clients show it. `sentence` says what is being waited for, or how it ended. It is to end at about
    `estimated_end`, at the latest at `estimated_latest`: told anew as it goes, and not told while it depends on
    somebody."""

    pool: Token
    run: Token
    seq: int
    state: State
    sentence: Sentence
    order: Name
    by: Name
    reason: Sentence = ""
    pool_name: Name = ""
    requested_at: float
    began_at: float | None = None
    ended_at: float | None = None
    estimated_end: float | None = None
    estimated_latest: float | None = None
    outcome: Outcome | None = None
    cancelling: bool = False
    hosts: tuple[HostLine, ...] = ()
    steps_done: int = 0
    steps_total: int = 0
    outstanding: tuple[Outstanding, ...] = ()
    held: Held | None = None
    owed: tuple[OwedLine, ...] = ()
    not_home: tuple[Named, ...] = ()
    warnings: tuple[Sentence, ...] = ()
    blockers: tuple[Blocker, ...] = ()
