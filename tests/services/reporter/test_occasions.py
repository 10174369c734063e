"""Which facts are occasions, and whom they concern."""

from __future__ import annotations

import re

from services.reporter import occasions
from services.reporter.occasions import Occasion
from shared.bus import matching, wire
from shared.domain import facts, messages
from shared.settings import Destination
from tests.services.reporter import story


def of(fact: facts.Fact, known: tuple[str, ...] = ("lab", "graz")) -> Occasion:
    """A fact's occasion."""
    found = occasions.occasion(wire.Recorded(fact, 100.0, "planner", 5, 200.9), known)
    assert found is not None
    return found


REJECTED = facts.MessageRejected(
    rejected_subject="rota.command.planner.start_run", seq=1, because="No.", service="planner"
)


def test_a_night_has_its_occasions_in_order() -> None:
    """Announced, started, each host, ended; nothing else."""
    found = [occasions.occasion(one) for one in story.all_well().recorded()]
    assert [one.name for one in found if one] == [
        "announced",
        "started",
        "host_done",
        "host_done",
        "host_done",
        "ended",
    ]


def test_the_filters_take_all_occasions_and_nothing_else() -> None:
    """What the durable consumer takes is exactly what is told."""
    for row in messages.FACTS:
        subject = re.sub(r"\{([a-z]+)\}", r"a-\1", row.message.subject)
        taken = any(matching.matches(pattern, subject) for pattern in occasions.FILTERS)
        assert taken == (row.message in occasions.OCCASIONS), subject


def test_an_occasion_s_id_is_its_own() -> None:
    """Same fact, same id; another fact of the same run, another id."""
    ids = [one.id for one in map(occasions.occasion, story.all_well().recorded()) if one]
    assert len(set(ids)) == len(ids)
    again = [one.id for one in map(occasions.occasion, story.all_well().recorded()) if one]
    assert ids == again


def test_a_destination_hears_of_its_pools_and_its_occasions() -> None:
    """Both must fit."""
    ended = of(story.all_well().recorded()[-1].fact)
    assert occasions.concerns(Destination(), ended)
    assert occasions.concerns(Destination(pools=("lab",)), ended)
    assert not occasions.concerns(Destination(pools=("graz",)), ended)
    assert not occasions.concerns(Destination(occasions=("held",)), ended)


def test_what_cannot_be_laid_to_a_pool_concerns_everybody() -> None:
    """A poisoned message somewhere must not go unheard because every destination is for one pool."""
    assert of(REJECTED).pool == "none"
    assert occasions.concerns(Destination(pools=("graz",)), of(REJECTED))
    unknown = facts.OrderRefused(order="o", by="anna", verb="start_run", pool="typo", because="There is no such pool.")
    assert occasions.concerns(Destination(pools=("graz",)), of(unknown))


def test_a_rejected_message_is_laid_to_the_pool_in_its_subject() -> None:
    """Executor's orders and facts name their pool."""
    order = REJECTED.model_copy(update={"rejected_subject": "rota.command.executor.survey.lab.r1.t00-s001-1"})
    fact = REJECTED.model_copy(update={"rejected_subject": "rota.fact.run.graz.r1.run.run_held"})
    assert (of(order).pool, of(fact).pool) == ("lab", "graz")
    assert not occasions.concerns(Destination(pools=("graz",)), of(order))


def test_a_subject_made_to_confuse_is_laid_to_nobody() -> None:
    """Only a pool that is known counts."""
    for subject in (
        "",
        "rota",
        "rota.command.executor.survey.>.x",
        "rota.fact.run.no-such-pool.r1.run.x",
        "a.b.c.d.e.f",
    ):
        assert of(REJECTED.model_copy(update={"rejected_subject": subject})).pool == "none"
