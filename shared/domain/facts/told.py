"""The reporter's facts: what became of a report."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.domain.facts.root import Fact
from shared.domain.names import Name, Sentence, Token

Occasion = Literal[
    "announced",
    "started",
    "held",
    "approval",
    "host_done",
    "rejected",
    "ended",
    "owed",
    "paid",
    "updates",
    "missed",
]


class ReportFact(Fact):
    """What became of a report. `run` is `none` for an occasion without a run; `about` is the place in the journal of
    the fact that was told, because one run may be held twice; `again` after how many minutes of pool time this word on
    it came, 0 for the first."""

    family: ClassVar[str] = "report"
    pool: Token
    run: Token
    occasion: Occasion
    destination: Name
    about: int = 0
    again: int = 0


class ReportSent(ReportFact):
    """A report was accepted by its destination."""

    subject: ClassVar[str] = "rota.fact.report.{pool}.{run}.report_sent"
    reference: Name
    attempt: int = 1


class ReportFailed(ReportFact):
    """A report could not be delivered; tried again after `again_after` seconds of machine time, or never (None)."""

    subject: ClassVar[str] = "rota.fact.report.{pool}.{run}.report_failed"
    because: Sentence
    attempt: int = 1
    again_after: float | None = None
