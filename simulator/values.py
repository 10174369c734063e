"""The values XAPI speaks in that Python has no word for: dates as text, 32-bit numbers, floats as text.

Everything else is str, int, float, bool, list (XAPI's set) and dict (XAPI's map).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]
NEVER = "19700101T00:00:00Z"
GIB = 1024**3
MIB = 1024**2


class DateTime(str):
    """A moment in XAPI's text form, `20260101T00:00:00Z`; on XML it has a tag of its own."""

    __slots__ = ()


class Int32(int):
    """A number that XML carries as <i4>; XAPI has it only in event.from's valid_ref_counts."""


def moment(unix: float) -> DateTime:
    """Unix seconds as XAPI's date, cut to the second (xen-api ocaml/libs/clock/date.ml to_rfc3339)."""
    return DateTime(datetime.fromtimestamp(int(unix), UTC).strftime("%Y%m%dT%H:%M:%SZ"))


def unix_of(text: str) -> float:
    """The Unix seconds of a date written by `moment`."""
    return datetime.strptime(text, "%Y%m%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def ocaml_float(number: float) -> str:
    """A float as OCaml's string_of_float writes it: whole numbers end in a dot (`1767225600.`)."""
    text = f"{number:.12g}"
    return text if any(mark in text for mark in ".en") else f"{text}."
