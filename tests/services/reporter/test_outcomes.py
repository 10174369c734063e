"""What the journal says of telling, and when it is tried again."""

from __future__ import annotations

from services.reporter.outcomes import LONGEST_WAIT, NOT_TRIED, PATIENCE, Outcome, outcomes, wait
from shared.bus import wire
from shared.domain import facts
from shared.domain.errors import GiveUp, TryAgain


def sent(about: int = 9, destination: str = "mail.ops") -> wire.Recorded:
    """A report that was sent."""
    fact = facts.ReportSent(
        pool="lab", run="r1", occasion="held", destination=destination, about=about, reference="<x@y>"
    )
    return wire.Recorded(fact, 0.0, "reporter", 20, 50.0)


def failed(again: float | None, at: float = 10.0, about: int = 9, destination: str = "mail.ops") -> wire.Recorded:
    """A report that was not."""
    fact = facts.ReportFailed(
        pool="lab", run="r1", occasion="held", destination=destination, about=about, because="451", again_after=again
    )
    return wire.Recorded(fact, 0.0, "reporter", 21, at)


def test_an_occasion_is_settled_for_each_destination_by_itself() -> None:
    """One sent, one given up, one to be tried again, one never tried."""
    stand = outcomes([sent(), failed(None, destination="webhook.chat"), failed(30.0, destination="file")], 9)
    assert stand["mail.ops"].settled
    assert stand["webhook.chat"].settled
    assert not stand["file"].settled
    assert "mail.other" not in stand


def test_the_same_run_held_twice_is_told_twice() -> None:
    """What was told of another fact does not count."""
    assert outcomes([sent(about=9)], 12) == {}


def test_attempts_are_counted_from_the_journal() -> None:
    """A reporter that was restarted goes on where the last one was."""
    stand = outcomes([failed(10.0, 100.0), failed(20.0, 130.0)], 9)["mail.ops"]
    assert (stand.attempt, stand.first_failure) == (3, 100.0)


def test_each_wait_is_twice_as_long_up_to_a_bound() -> None:
    """Ten seconds, twenty, forty … half an hour."""
    again = TryAgain("451", after=0.0)
    waits = [wait(Outcome(failures=n, first_failure=1.0), again, 2.0) for n in range(12)]
    assert waits[:4] == [10.0, 20.0, 40.0, 80.0]
    assert waits[-1] == LONGEST_WAIT


def test_a_receiver_s_own_wish_is_heard() -> None:
    """Retry-After longer than ours counts; a shorter one does not make us pester."""
    assert wait(NOT_TRIED, TryAgain("429", after=120.0), 0.0) == 120.0
    assert wait(NOT_TRIED, TryAgain("429", after=1.0), 0.0) == 10.0


def test_what_can_never_come_off_is_not_tried_again() -> None:
    """And after a day of failures nobody waits for the news any more."""
    assert wait(NOT_TRIED, GiveUp("550"), 0.0) is None
    tired = Outcome(failures=40, first_failure=100.0)
    assert wait(tired, TryAgain("451", after=0.0), 100.0 + PATIENCE + 1) is None
    assert wait(tired, TryAgain("451", after=0.0), 100.0 + PATIENCE - 1) is not None
