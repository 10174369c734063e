"""What became of telling an occasion so far, read back from the journal, and when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.bus import wire
from shared.domain import facts
from shared.domain.errors import RotaError, TryAgain

FIRST_WAIT = 10.0
"""Seconds of machine time before the second try; each further wait is twice as long."""

LONGEST_WAIT = 1800.0
"""Seconds of machine time; a mail server that is down for the night is asked every half an hour."""

PATIENCE = 86_400.0
"""Seconds of machine time from the first failure after which nobody waits for the news any more."""

OLD_NEWS = 7 * 86_400.0
"""Seconds of machine time after which an occasion that was never told is let go: the reporter was away for a week."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one destination stands with one occasion. `first_failure` is machine time, 0 where there is none."""

    sent: bool = False
    gave_up: bool = False
    failures: int = 0
    first_failure: float = 0.0

    @property
    def settled(self) -> bool:
        """Nothing more is to be done."""
        return self.sent or self.gave_up

    @property
    def attempt(self) -> int:
        """The number of the next try."""
        return self.failures + 1


NOT_TRIED = Outcome()


def outcomes(recorded: Iterable[wire.Recorded], about: int, again: int = 0) -> Mapping[str, Outcome]:
    """How each destination stands with the occasion whose fact has the sequence `about`, or with the word on it after
    `again` minutes."""
    found: dict[str, Outcome] = {}
    for one in recorded:
        fact = one.fact
        if not isinstance(fact, (facts.ReportSent, facts.ReportFailed)) or (fact.about, fact.again) != (about, again):
            continue
        so_far = found.get(fact.destination, NOT_TRIED)
        if isinstance(fact, facts.ReportSent):
            found[fact.destination] = replace(so_far, sent=True)
        else:
            found[fact.destination] = replace(
                so_far,
                gave_up=so_far.gave_up or fact.again_after is None,
                failures=so_far.failures + 1,
                first_failure=so_far.first_failure or one.stored_at,
            )
    return found


def wait(outcome: Outcome, failure: RotaError, now: float) -> float | None:
    """Seconds of machine time until the next try after a failure at `now` (machine time), None where there is none."""
    if not isinstance(failure, TryAgain):
        return None
    if outcome.failures and now - outcome.first_failure > PATIENCE:
        return None
    return max(failure.after, min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(outcome.failures, 20)))
