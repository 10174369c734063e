"""Schedules as values: which counts of the file's and those of orders, and which pools one is for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.domain.schedule import Schedule, Standing, in_force, pools_of, strangers

NIGHTLY = Schedule(cron="0 2 * * *", pools=("lab",))
WEEKLY = Schedule(cron="0 2 * * SUN", tags=("night",))
TAGS = {"lab": (), "prod": ("night", "eu"), "web": ("night",)}


def standing(schedule: Schedule | None) -> Standing:
    """As an order left it."""
    return Standing(schedule=schedule, since=100.0, order="order-1", by="ann")


def test_the_files_schedule_counts_where_an_order_has_set_one_of_its_name() -> None:
    """Who reads rota.toml may believe it; schedules of other names stand beside it, deleted ones do not."""
    found = in_force({"a": NIGHTLY}, {"a": standing(WEEKLY), "b": standing(WEEKLY), "c": standing(None)})
    assert [(one.key, one.schedule, one.by, one.since) for one in found.values()] == [
        ("a", NIGHTLY, "rota.toml", 0.0),
        ("b", WEEKLY, "ann", 100.0),
    ]


def test_a_pool_that_is_named_and_tagged_is_updated_once() -> None:
    """Those that are named come first, in their order."""
    both = Schedule(cron="0 2 * * *", pools=("web", "lab"), tags=("night", "eu"))
    assert pools_of(both, TAGS) == ("web", "lab", "prod")


def test_a_pool_that_is_gone_is_still_ordered_so_that_somebody_says_so() -> None:
    """The planner refuses it with its sentence; a schedule that goes silent would be worse."""
    assert pools_of(Schedule(cron="0 2 * * *", pools=("old",)), TAGS) == ("old",)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        (NIGHTLY, ""),
        (WEEKLY, ""),
        (Schedule(cron="0 2 * * *", pools=("lob",)), "There is no pool 'lob' in rota.toml (pools: lab, prod, web)."),
        (Schedule(cron="0 2 * * *", tags=("day",)), "No pool in rota.toml has the tag 'day' (tags: eu, night)."),
    ],
)
def test_a_name_that_is_not_known_is_told_with_those_that_are(schedule: Schedule, sentence: str) -> None:
    """A slip of the pen would otherwise update nothing, night after night."""
    assert strangers(schedule, TAGS) == sentence


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"pools": []}, "it names no pool"),
        ({"pools": ["lab.>"]}, "pattern"),
        ({"missed": "sometimes"}, "'skip' or 'run_late'"),
        ({"late_hours": 0}, "greater than 0"),
        ({"late_hours": 1000}, "less than or equal to 168"),
        ({"policy": {"max_awya": 1}}, "max_awya: Extra inputs"),
        ({"policy": {"max_away": "many"}}, "max_away"),
        ({"cron": "at two"}, "five fields"),
        ({"cron": "0 25 * * *"}, "Bad hour"),
        ({"cron": "0 0 31 2 *"}, "Bad day-of-month"),
        ({"zone": "Europe/Roma"}, "no time zone"),
    ],
)
def test_what_cannot_be_meant_is_refused(fault: dict[str, object], words: str) -> None:
    """When it is written, not in the night in which it should have run."""
    with pytest.raises(ValidationError, match=words):
        Schedule.model_validate({"cron": "0 2 * * *", "pools": ["lab"], **fault})
