"""Times, spans, lists, and text made safe."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from services.reporter import spoken
from services.reporter.letter import Fact, Point
from tests.services.reporter.story import MIDNIGHT


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_said_as_a_person_would(seconds: float, said: str) -> None:
    """Two units at most."""
    assert spoken.duration(seconds) == said


def test_an_estimate_is_no_more_exact_than_it_is() -> None:
    """2,300 s is about 40 min, not 38 min 20 s."""
    assert [spoken.roughly(seconds) for seconds in (50, 700, 2300, 9000)] == [
        "about 1 min",
        "about 12 min",
        "about 40 min",
        "about 2 h 30 min",
    ]


def test_a_moment_is_told_in_its_zone() -> None:
    """The zone's name stands with it, because nobody reads offsets at seven in the morning."""
    assert spoken.moment(MIDNIGHT, UTC) == "Mon 23 Nov 2026, 01:00 UTC"
    assert spoken.moment(MIDNIGHT, ZoneInfo("Europe/Vienna")) == "Mon 23 Nov 2026, 02:00 CET"
    assert spoken.on_day(MIDNIGHT + 86_400, MIDNIGHT, UTC) == "Tue 01:00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nBcc: b", "a  Bcc: b"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("\x00\x1b[0m\x7f", "[0m"),
        ("\u202eabc\u2066", "abc"),
        ("a\ud800b", "ab"),
        ("caf\u00e9 \U0001f468\u200d\U0001f469", "caf\u00e9 \U0001f468\u200d\U0001f469"),
        ("session OpaqueRef:0f1e-2d3c.", "session (a reference)."),
    ],
)
def test_text_is_made_safe_to_show(text: str, shown: str) -> None:
    """No control characters, line breaks, direction marks or references; everything else as it was."""
    assert spoken.clean(text) == shown


def test_long_text_is_cut_with_a_sign() -> None:
    """Cut text ends with an ellipsis and is never longer than allowed."""
    assert spoken.clean("x" * 50, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b"), "a and b"),
        (("a", "b", "c"), "a, b and c"),
        (tuple("abcdefghij"), "a, b and 8 more"),
    ],
)
def test_names_are_listed_and_the_rest_counted(names: tuple[str, ...], said: str) -> None:
    """No list grows without end."""
    assert spoken.listed(names, 3 if len(names) > 3 else 8) == said


def test_secrets_are_hidden_wherever_they_stand() -> None:
    """Also inside nested values; a secret too short to be told from a word is left."""
    hide = spoken.hiding(["s3cret-word", "", "ab", "s3cret-word-longer"])
    point = Point("bad", "the password is s3cret-word-longer", "ab", "curl -u x:s3cret-word")
    hidden = spoken.each_text((point, Fact("s3cret-word", "ab")), hide)
    assert "s3cret" not in repr(hidden)
    assert hidden[0].more == "ab"


def test_nothing_is_hidden_where_there_are_no_secrets() -> None:
    """An empty password must not put dots between all letters."""
    assert spoken.hiding([""])("abc") == "abc"
