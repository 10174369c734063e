"""The scheduler's facts: schedules set and deleted, ticks missed."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.facts.root import Fact
from shared.domain.names import Name, Sentence, Token
from shared.domain.schedule import Schedule


class ScheduleFact(Fact):
    """A fact of the scheduler about one schedule. A tick that it published is an order, and answered like any other."""

    family: ClassVar[str] = "schedule"
    schedule: Token


class ScheduleSet(ScheduleFact):
    """A schedule is in force from now on. `sentence` says what it does, and when next."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.schedule_set"
    order: Name
    by: Name
    value: Schedule
    sentence: Sentence


class ScheduleDeleted(ScheduleFact):
    """A schedule is in force no longer."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.schedule_deleted"
    order: Name
    by: Name
    sentence: Sentence


class TickMissed(ScheduleFact):
    """A tick (pool time) started nothing on some pools: nobody was there in time, or there is no such pool. `ticks`
    counts it and those missed just before it, since the last that was kept."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.tick_missed"
    tick: float
    ticks: int = 1
    pools: tuple[Token, ...] = ()
    because: Sentence
