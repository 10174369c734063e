"""Which fact answers which order, and with which status."""

from __future__ import annotations

import pytest

from cli import answers
from cli.answers import Sent
from cli.exits import Exit
from shared.domain import commands, facts, names
from tests.cli import story
from tests.shared.domain import examples

ORDER, POOL = "order-7", "lab"
RUN = names.run_id(POOL, ORDER)
START = Sent(ORDER, 12, commands.StartRun.subject, POOL, RUN)
CANCEL = Sent(ORDER, 12, commands.CancelRun.subject, POOL, "r00000001")


def code_of(sent: Sent, fact: facts.Fact) -> tuple[Exit, bool] | None:
    """Status and whether it is final."""
    found = answers.answer(sent, fact)
    return (found.code, found.final) if found else None


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (facts.OrderRefused(order=ORDER, by="a", verb="start_run", because="No."), (Exit.REFUSED, True)),
        (facts.RunRefused(pool=POOL, run=RUN, order=ORDER, by="a", because="No."), (Exit.REFUSED, True)),
        (facts.RunBegan(pool=POOL, run=RUN, sentence="Go."), (Exit.DONE, True)),
        (facts.RunHeld(pool=POOL, run=RUN, because="No."), (Exit.WAITING, True)),
        (facts.RunEnded(pool=POOL, run=RUN, outcome="refused", sentence="No."), (Exit.REFUSED, True)),
        (facts.RunEnded(pool=POOL, run=RUN, outcome="failed", sentence="No."), (Exit.FAILED, True)),
        (facts.RunEnded(pool=POOL, run=RUN, outcome="cancelled", sentence="No."), (Exit.CANCELLED, True)),
        (facts.StepFailed(pool=POOL, run=RUN, step="t00-s000", attempt=1, because="No."), (Exit.DONE, False)),
        (facts.RunBegan(pool=POOL, run="r00000002", sentence="Another."), None),
        (facts.OrderRefused(order="another", by="a", verb="start_run", because="No."), None),
    ],
)
def test_an_order_to_start_is_answered_by_its_own_run_only(
    fact: facts.Fact, expected: tuple[Exit, bool] | None
) -> None:
    """Begun, refused, held and ended each have a status; what is of another run answers nothing."""
    assert code_of(START, fact) == expected


def test_a_message_that_was_rejected_is_known_by_its_place() -> None:
    """An order that could not be read has no id that a planner could repeat."""

    def rejected(seq: int) -> facts.MessageRejected:
        return facts.MessageRejected(rejected_subject=START.subject, seq=seq, because="No JSON.", service="planner")

    assert code_of(START, rejected(12)) == (Exit.REFUSED, True)
    assert code_of(START, rejected(13)) is None


def test_a_forecast_with_a_blocker_ends_as_refused() -> None:
    """A plan that could not be carried out is no success for a script."""
    plan = Sent(ORDER, 1, commands.PlanPool.subject, POOL, names.forecast_id(POOL, ORDER))

    def made(*blockers: facts.Blocker) -> facts.ForecastMade:
        forecast = story.forecast().model_copy(update={"blockers": blockers})
        return facts.ForecastMade(pool=POOL, run=plan.run, order=ORDER, forecast=forecast)

    assert code_of(plan, made()) == (Exit.DONE, True)
    assert code_of(plan, made(facts.Blocker(sentence="db1 cannot leave."))) == (Exit.REFUSED, True)
    failed = facts.ForecastFailed(pool=POOL, run=plan.run, order=ORDER, because="No answer.")
    assert code_of(plan, failed) == (Exit.FAILED, True)


def test_an_order_to_a_run_is_not_answered_by_what_happens_to_the_run() -> None:
    """The run may end while a cancel is on its way; that is no answer to it."""
    ended = facts.RunEnded(pool=POOL, run="r00000001", outcome="succeeded", sentence="Done.")
    assert code_of(CANCEL, ended) is None
    cancelling = facts.RunCancelling(pool=POOL, run="r00000001", by="a", now=False, order=ORDER, sentences=("So.",))
    assert code_of(CANCEL, cancelling) == (Exit.DONE, True)


@pytest.mark.parametrize("taken", [True, False])
def test_an_order_that_changes_nothing_says_whether_it_was_taken(taken: bool) -> None:
    """Taken is done, not taken is refused."""
    fact = facts.OrderAnswered(
        pool=POOL, run="r00000001", order=ORDER, by="a", verb="cancel_run", taken=taken, because="So."
    )
    assert code_of(CANCEL, fact) == (Exit.DONE if taken else Exit.REFUSED, True)


@pytest.mark.parametrize("command", examples.COMMANDS[:-1], ids=lambda command: command.verb)
def test_every_order_of_people_can_be_answered_by_a_fact(command: commands.Command) -> None:
    """No verb waits for an answer that no fact gives."""
    sent = Sent(examples.ORDER, 1, command.subject, examples.POOL, answers.run_named_by(command, examples.ORDER))
    finals = [found for fact in examples.FACTS if (found := answers.answer(sent, fact)) and found.final]
    assert finals


@pytest.mark.parametrize("pool", ["Lab Pool", "lab.*", ">", "", "a" * 41])
def test_a_name_that_is_no_token_never_gets_into_a_subject(pool: str) -> None:
    """A wildcard in a pool's name must not listen to other pools."""
    assert answers.filters(pool) == ("rota.fact.system.*", "rota.fact.schedule.>")
