"""How things are said: times, spans, counts, lists; and text made safe to show.

Names come from a pool and may hold anything. What leaves this file has no control characters, no line breaks, nothing
that turns the direction of writing round, and no XAPI reference (a session's reference is a credential).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, TypeVar

LONGEST = 4000
"""Characters of one text; what facts allow for a sentence."""

JOINERS = "\u200c\u200d"
"""Invisible, and needed to write Persian or to draw a family."""

_REFERENCE = re.compile(r"OpaqueRef:[0-9A-Za-z-]+")

V = TypeVar("V")


def clean(text: str, longest: int = LONGEST) -> str:
    """A text on one line that can be shown anywhere and is at most `longest` characters."""
    if not text.isprintable():
        text = "".join(map(_shown, text))
    text = _REFERENCE.sub("(a reference)", text).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def on_one_line(text: str, longest: int) -> str:
    """A changelog, whose lines are its points, on one line: `Fix XSA-470 • Fix a race`."""
    lines = (clean(line).strip(" -*•") for line in text[: 4 * longest].splitlines())
    return clean(" • ".join(line for line in lines if line), longest)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zl", "Zp") or character in "\t\r\n\v\f\x85":
        return " "
    return "" if category[0] == "C" and character not in JOINERS else character


def each_text(value: V, change: Callable[[str], str]) -> V:
    """The same frozen value with every text in it changed, tuples and dataclasses within included."""
    changed: Any = value
    if isinstance(value, str):
        changed = change(value)
    elif isinstance(value, tuple):
        changed = tuple(each_text(one, change) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{one.name: each_text(getattr(value, one.name), change) for one in fields(value)})
    return changed  # type: ignore[no-any-return]


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """A change that puts dots in the place of every secret. Secrets below 6 characters are left: they are parts of
    words, and hiding them would spoil names."""
    known = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, known)))
    return lambda text: pattern.sub("••••••", text)


def count(number: int, one: str, many: str = "") -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def capital(text: str) -> str:
    """A phrase of ours as the beginning of a sentence; never for a name."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str], most: int = 8) -> str:
    """`a`, `a and b`, `a, b and 4 more`."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def duration(seconds: float) -> str:
    """A span of seconds as a person says it: `40 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(max(0.0, seconds))
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def gib(size: int) -> str:
    """Bytes as people read them: `12.5 GiB`."""
    return f"{size / 2**30:.1f} GiB"


def roughly(seconds: float) -> str:
    """An estimate: no more exact than it is, `about 40 min`."""
    if seconds < 90:
        return "about 1 min"
    minutes = round(seconds / 60)
    step = 1 if minutes < 20 else 5
    return f"about {duration(round(minutes / step) * step * 60)}"


def moment(at: float, zone: tzinfo) -> str:
    """A day and a time with its zone: `Sun 22 Nov 2026, 03:40 CET`."""
    when = datetime.fromtimestamp(at, zone)
    return f"{DAYS[when.weekday()]} {when.day} {MONTHS[when.month - 1]} {when:%Y, %H:%M %Z}".strip()


def clock(at: float, zone: tzinfo, *, seconds: bool = False) -> str:
    """A time of day: `03:40`."""
    return f"{datetime.fromtimestamp(at, zone):{'%H:%M:%S' if seconds else '%H:%M'}}"


def on_day(at: float, since: float, zone: tzinfo) -> str:
    """A time of day, with its day where that is another than `since`'s: `03:40`, `Mon 03:40`."""
    when, day = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(since, zone)
    return clock(at, zone) if when.date() == day.date() else f"{DAYS[when.weekday()]} {clock(at, zone)}"


DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
