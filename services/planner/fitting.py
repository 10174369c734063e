"""Whether a plan fits its window, said before the start. Pure.

A turn begins only where its upper end fits into what is left of an opening, and is finished whatever the hour; what
does not fit waits for the next opening (see `windows`, which holds the run to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.domain import facts, window

UPPER = 1.5
"""The upper end of an estimate, as a share of it, where the forecast gives none of its own."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A window by its name, and the pool time from which on it is asked."""

    name: str
    window: window.Window
    now: float


def upper(turn: facts.ForecastTurn) -> float:
    """Seconds that a turn may take at the most."""
    return turn.upper or turn.seconds * UPPER


def told(turns: Sequence[facts.ForecastTurn], opening: Opening) -> tuple[str, ...]:
    """In one sentence: when it can begin, and in how many openings it is done."""
    if not turns:
        return ()
    nights, at, when = list[list[facts.ForecastTurn]](), opening.now, ""
    left = [*turns]
    while left:
        begins = window.next_fit(opening.window, at, upper(left[0]))
        if begins is None:
            minutes = round(upper(left[0]) / 60)
            sentence = (
                f"The turn of {left[0].host.name} may take {minutes} min and fits into no opening of the window"
                f" {opening.name!r}; make the window longer, or start with --now."
            )
            return (sentence,)
        first = left[0]
        tonight = [turn for turn in left if window.fits(opening.window, begins, _span(first, turn))]
        tonight = tonight or [first]
        nights.append(tonight)
        left = [turn for turn in left if turn not in tonight]
        at = (window.closes(opening.window, begins, within=7 * 86400.0) or begins) + 1.0
        when = when or moment(begins, opening.window.zone)
    if len(nights) == 1:
        return (f"It fits into one opening of the window {opening.name!r}, which lets it begin at {when}.",)
    names = "; ".join(", ".join(turn.host.name for turn in night) for night in nights[:4])
    more = " and so on" if len(nights) > 4 else ""
    sentence = (
        f"It takes {len(nights)} openings of the window {opening.name!r}, the first at {when}: {names}{more}. Until the"
        " last host is done the pool runs mixed versions, and waits between the openings."
    )
    return (sentence,)


def _span(first: facts.ForecastTurn, turn: facts.ForecastTurn) -> float:
    """Seconds from the beginning of an opening's first turn until another is over, upper end of both."""
    stretch = upper(first) / first.seconds if first.seconds else UPPER
    return max(upper(turn), (turn.begins - first.begins) * stretch + upper(turn))


def moment(at: float, zone: str) -> str:
    """A moment of pool time as people of a zone say it."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"
