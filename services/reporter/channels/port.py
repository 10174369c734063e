"""What every way of reaching people has in common: one parcel goes out, and what became of it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.reporter.letter import Letter
from services.reporter.occasions import Occasion
from services.reporter.report import Report


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be told: the letter, the occasion it answers (the run's announcement, where that is another), and
    the report as it is now, which for a late letter is newer than the letter's own."""

    letter: Letter
    answers: Occasion | None = None
    latest: Report | None = None


class Channel(Protocol):
    """One destination. `deliver` is called again with the same parcel until it came off, so whatever names the delivery
    is made from the parcel alone."""

    @property
    def name(self) -> str:
        """How facts call it: `mail.ops`, `webhook.chat`, `file`."""
        ...

    async def deliver(self, parcel: Parcel) -> str:
        """Hand it over, within bounded machine time. Returns a reference by which it can be found at the other end.

        Raises TryAgain where it may come off later (`after` is the receiver's own wish in seconds of machine time, or
        0), GiveUp where it never will.
        """
        ...
