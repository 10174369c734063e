"""Subjects and filters, against a second opinion."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus import matching

TOKENS = st.sampled_from(["a", "b", "ab", "t02-s017"])
SUBJECTS = st.lists(TOKENS, min_size=1, max_size=4).map(".".join)
FILTERS = st.tuples(
    st.lists(st.one_of(TOKENS, st.just("*")), max_size=3), st.one_of(TOKENS, st.just("*"), st.just(">"))
).map(lambda parts: ".".join([*parts[0], parts[1]]))
ALL_SUBJECTS = [".".join(parts) for length in range(1, 6) for parts in product(["a", "b", "ab"], repeat=length)]


def second_opinion(filter_: str, subject: str) -> bool:
    """The same by a regular expression."""
    parts = {"*": r"[^.]+", ">": r".+"}
    return (
        re.fullmatch(r"\.".join(parts.get(part, re.escape(part)) for part in filter_.split(".")), subject) is not None
    )


@given(FILTERS, SUBJECTS)
def test_a_filter_takes_what_a_regular_expression_takes(filter_: str, subject: str) -> None:
    """`*` is one token, `>` one or more at the end."""
    assert matching.matches(filter_, subject) is second_opinion(filter_, subject)


@given(FILTERS, FILTERS)
def test_filters_overlap_when_some_subject_is_taken_by_both(one: str, other: str) -> None:
    """Whichever way round they are asked."""
    one, other = one.replace("t02-s017", "b"), other.replace("t02-s017", "b")
    shared = any(matching.matches(one, subject) and matching.matches(other, subject) for subject in ALL_SUBJECTS)
    assert matching.overlap(one, other) is matching.overlap(other, one) is shared


@given(FILTERS, FILTERS, SUBJECTS)
def test_what_covers_takes_all_that_the_other_takes(wide: str, narrow: str, subject: str) -> None:
    """Nothing is lost by leaving a covered filter out."""
    if matching.covers(wide, narrow) and matching.matches(narrow, subject):
        assert matching.matches(wide, subject)


@given(st.lists(FILTERS, max_size=5), SUBJECTS)
def test_distinct_filters_take_the_same_subjects(filters: list[str], subject: str) -> None:
    """And none of them covers another, which a server refuses."""
    kept = matching.distinct(filters)
    assert matching.matches_any(kept, subject) is matching.matches_any(filters, subject)
    assert not any(one != other and matching.covers(one, other) for one in kept for other in kept)
    assert len(set(kept)) == len(kept)


@pytest.mark.parametrize(
    ("text", "subject", "filter_"),
    [
        ("rota.fact.run.lab", True, True),
        ("rota.*.run", False, True),
        ("rota.>", False, True),
        (">", False, True),
        ("rota.>.run", False, False),
        ("rota.a*b", False, False),
        ("", False, False),
        ("a..b", False, False),
        ("a.", False, False),
        (".a", False, False),
        ("a b", False, False),
        ("a.\r\nPUB x", False, False),
        ("ä", True, True),
    ],
)
def test_what_may_be_written_to_and_what_listened_on(text: str, subject: bool, filter_: bool) -> None:
    """Nothing that could end a line of the protocol, no empty tokens, wildcards only where they are filters."""
    assert matching.is_subject(text) is subject
    assert matching.is_filter(text) is filter_


@given(st.text(max_size=20))
def test_any_name_makes_a_token(name: str) -> None:
    """A client's name stands in the name of its consumers."""
    assert matching.is_subject(matching.token(name))
