"""What should happen next: `decide(book, now, snapshots) -> Decision`. Pure.

A decision holds the facts to be written first (all of them or none, guarded by `after`), every order that should be
outstanding, and the one sentence that says what is being waited for. It is made from the whole state, never from the
last message, so that making it again does no harm. The rules live in `beginning`, `failing`, `turning` and `ending`;
the table at the foot is their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.planner import (
    approvals,
    beginning,
    ending,
    failing,
    gates,
    levelling,
    patience,
    posting,
    turning,
    windows,
)
from services.planner.queueing import ALONE, Crowd, no_room
from services.planner.view import Rule, Snapshots, View
from shared.domain import acts, commands, facts
from shared.domain.book import Book
from shared.domain.run import Run, StepState


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a book: facts to write under the guard `after`, orders that should be outstanding, snapshots
    that are wanted to decide further, the sentence, and when to look again (pool time) if nothing happens. `among` is
    the guard over the runs of all pools, where the facts were decided from those too."""

    after: int
    facts: tuple[facts.RunFact, ...] = ()
    orders: tuple[commands.DoStep, ...] = ()
    wants: tuple[str, ...] = ()
    sentence: str = ""
    wake_at: float | None = None
    among: int | None = None


def decide(book: Book, now: float, snapshots: Snapshots, crowd: Crowd = ALONE) -> Decision:
    """What should be outstanding on a pool at pool time `now`.

    The first rule with something to say says it. When none writes a fact, every order that is recorded and not
    answered is outstanding, and the last rule's sentence tells what is waited for.
    """
    run = book.open
    if run is None:
        return _at_rest(book, now)
    view = View(book, run, now, snapshots, no_room(run, crowd, now))
    sentence, wakes = "", []
    for rule in RULES:
        said = rule(view)
        if said is None:
            continue
        if said.facts or said.wants:
            among = crowd.seq if crowd.at_once and any(isinstance(fact, BEGIN) for fact in said.facts) else None
            return Decision(book.after, said.facts, outstanding(run), said.wants, said.sentence, among=among)
        sentence = sentence or said.sentence
        if said.wake_at is not None:
            wakes.append(said.wake_at)
    wake = min(wakes, default=None)
    return Decision(book.after, (), outstanding(run), (), sentence, wake)


def _at_rest(book: Book, now: float) -> Decision:
    """No run has the pool: nothing is done, but what is owed is tried again from time to time."""
    due = ending.due(book, now)
    if due is None:
        return Decision(book.after, sentence=f"No run has pool {book.pool}.")
    if due > now:
        wait = patience.duration(due - now)
        return Decision(book.after, sentence=f"{', '.join(book.owed)} is owed, and tried again in {wait}.", wake_at=due)
    asked = ending.pay(book, now)
    return Decision(book.after, (asked,), sentence=f"Trying again: {asked.reason}.")


def outstanding(run: Run) -> tuple[commands.DoStep, ...]:
    """Every order of a run that is recorded and not answered."""
    return tuple(
        commands.DoStep(pool=run.pool, run=run.id, step=step.id, attempt=step.attempt, act=step.act)
        for step in run.steps()
        if step.state is StepState.ORDERED and step.act.kind not in acts.WAITS
    )


BEGIN = (facts.RunBegan, facts.RunWentOn)
"""The facts by which a run takes its room beside others."""

RULES: tuple[Rule, ...] = (
    failing.deadlines,
    failing.waits,
    beginning.survey_failed,
    beginning.plan,
    approvals.of_plan,
    approvals.answered,
    windows.first_touch,
    windows.opened,
    windows.unanswered,
    beginning.begin,
    failing.master_changed,
    failing.hosts_lost,
    gates.said_no,
    failing.failures,
    failing.left_out,
    turning.turn_back,
    turning.late_comers,
    turning.plan_turns,
    turning.replan,
    approvals.of_change,
    ending.paid,
    turning.end_turns,
    levelling.look,
    levelling.plan,
    posting.held,
    turning.order,
    turning.next_turn,
    ending.end,
)
"""The rules in the order they are asked; the first that writes a fact is followed."""
