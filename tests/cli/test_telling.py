"""Every fact and act has words."""

from __future__ import annotations

import typing

import pytest

from cli import telling
from shared.domain import acts, facts, messages
from tests.shared.domain import examples


@pytest.mark.parametrize("fact", examples.FACTS, ids=lambda fact: type(fact).__name__)
def test_every_fact_is_told_in_a_sentence_of_its_own(fact: facts.Fact) -> None:
    """No fact falls back to its machine name."""
    told = telling.sentence(fact)
    assert told != messages.fact_name(fact).replace("_", " ") + "."
    assert told
    assert "<" not in told


def test_every_kind_of_act_and_result_has_words() -> None:
    """A new kind without words fails here."""
    for union, table in ((acts.Act, telling._ACTS), (acts.Result, telling._RESULTS)):
        kinds = typing.get_args(typing.get_args(union)[0])
        assert set(kinds) == set(table)


def test_a_sentence_stays_on_its_line() -> None:
    """What people and pools write cannot break a line or a terminal."""
    fact = facts.RunHeld(pool="p", run="r", because="a\nb\x1b[31mc")
    assert telling.sentence(fact) == "A person is needed: a b[31mc"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "2 h 0 min"), (11_100, "3 h 5 min")]
)
def test_spans_are_told_as_people_say_them(seconds: float, words: str) -> None:
    """Seconds for short ones, hours for long ones."""
    assert telling.span_words(seconds) == words
