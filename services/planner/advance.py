"""What should happen next: `decide(book, now, snapshots) -> Decision`. Pure.

A decision holds the facts to be written first (all of them or none, guarded by `after`), every order that should be
outstanding, and the one sentence that says what is being waited for. It is made from the whole state, never from the
last message, so that making it again does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

from services.planner import cancelling, planning, stepping
from shared.domain import acts, commands, facts
from shared.domain.book import Book
from shared.domain.model import PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.run import PREPARATION, RESTORATION, Run, RunState, Step, StepState, Turn

Snapshots = Mapping[str, PoolSnapshot]


class Ids(TypedDict):
    """The two fields that every fact of a run carries."""

    pool: str
    run: str


HOMES_PER_FACT = 2000
"""So that a fact stays far under the bus's largest message."""

LOST_AFTER = 300.0
"""Seconds of pool time a host of the pool may be unreachable before it is lost (conduct: unreachable is not down)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a book: facts to write under the guard `after`, orders that should be outstanding, snapshots
    that are wanted to decide further, the sentence, and when to look again (pool time) if nothing happens."""

    after: int
    facts: tuple[facts.RunFact, ...] = ()
    orders: tuple[commands.DoStep, ...] = ()
    wants: tuple[str, ...] = ()
    sentence: str = ""
    wake_at: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What every rule looks at."""

    book: Book
    run: Run
    now: float
    snapshots: Snapshots

    @property
    def ids(self) -> Ids:
        """The two fields that every fact of this run carries."""
        return Ids(pool=self.run.pool, run=self.run.id)

    def turn_of(self, step: Step) -> Turn:
        """The open turn that a step is of."""
        return next(turn for turn in self.run.turns.values() if step.id in turn.steps)

    @property
    def hosts_done(self) -> frozenset[str]:
        """Hosts whose turn is done, by uuid."""
        return frozenset(turn.host.uuid for turn in self.run.closed if turn.host and turn.outcome == "done")


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says: facts to write, or a snapshot it wants, or only what is waited for; None is no opinion."""

    facts: tuple[facts.RunFact, ...] = ()
    wants: tuple[str, ...] = ()
    sentence: str = ""
    wake_at: float | None = field(default=None)


def decide(book: Book, now: float, snapshots: Snapshots) -> Decision:
    """What should be outstanding on a pool at pool time `now`.

    The first rule with something to say says it. When none writes a fact, every order that is recorded and not
    answered is outstanding, and the last rule's sentence tells what is waited for.
    """
    run = book.open
    if run is None:
        return Decision(book.after, sentence=f"No run has pool {book.pool}.")
    view = View(book, run, now, snapshots)
    sentence, wakes = "", []
    for rule in RULES:
        said = rule(view)
        if said is None:
            continue
        if said.facts or said.wants:
            return Decision(book.after, said.facts, outstanding(run), said.wants, said.sentence)
        sentence = sentence or said.sentence
        if said.wake_at is not None:
            wakes.append(said.wake_at)
    wake = min(wakes, default=None)
    return Decision(book.after, (), outstanding(run), (), sentence, wake)


def outstanding(run: Run) -> tuple[commands.DoStep, ...]:
    """Every order of a run that is recorded and not answered."""
    return tuple(
        commands.DoStep(pool=run.pool, run=run.id, step=step.id, attempt=step.attempt, act=step.act)
        for step in run.steps()
        if step.state is StepState.ORDERED and step.act.kind not in acts.WAITS
    )


# --- the rules, in the order they are asked ---------------------------------------------------------------------------


def _deadlines(view: View) -> Said | None:
    """Steps past their deadline time out; steps that failed too often give up."""
    late = tuple(
        facts.StepTimedOut(**view.ids, step=step.id, attempt=step.attempt, because=because)
        for step in view.run.steps()
        if step.state is StepState.ORDERED and (because := stepping.late(step, view.run.policy, view.now))
    )
    worn = tuple(
        facts.StepGaveUp(**view.ids, step=step.id, because=stepping.worn_out(step))
        for step in view.run.steps()
        if step.state is StepState.WAITING and stepping.spent(step, view.run.policy)
    )
    if late or worn:
        return Said((*late, *worn), sentence=late[0].because if late else worn[0].because)
    deadlines = [
        stepping.deadline(step, view.run.policy) for step in view.run.steps() if step.state is StepState.ORDERED
    ]
    return Said(wake_at=min(deadlines)) if deadlines else None


def _waits(view: View) -> Said | None:
    """A wait is over when the values that were seen say so."""
    for step in view.run.steps():
        if isinstance(step.act, acts.AwaitHost) and step.state in (StepState.ORDERED, StepState.TIMED_OUT):
            back = stepping.back(view.book, view.run, step)
            if back.verdict == "back":
                return Said((facts.WaitOver(**view.ids, step=step.id, because=back.because),), sentence=back.because)
            if back.verdict == "doubt" and view.run.state is RunState.RUNNING:
                held = facts.RunHeld(
                    **view.ids, because=back.because, step=step.id, who_can_help="the pool's administrator"
                )
                return Said((held,), sentence=back.because)
    return None


def _survey_failed(view: View) -> Said | None:
    """A run whose first survey fails is over before it began: nothing on the pool has been changed."""
    turn = view.run.turns.get(PREPARATION)
    survey = turn.steps.get(step_id(PREPARATION, 1)) if turn else None
    if survey is None or not survey.failed or view.run.began_at:
        return None
    because = survey.because or "The pool could not be surveyed."
    return Said((_ended(view, "refused", because),), sentence=because)


def _plan(view: View) -> Said | None:
    """The plan, once the survey is there: or the run's end, where something stands in the way."""
    if view.run.state is not RunState.SURVEYING or view.run.cancel:
        return None
    survey = view.run.step(step_id(PREPARATION, 1))
    if survey is None or not isinstance(survey.result, acts.SurveyTaken):
        return None
    snapshot = view.snapshots.get(survey.result.snapshot)
    if snapshot is None:
        return Said(wants=(survey.result.snapshot,))
    shown = planning.forecast(snapshot, view.run.policy)
    if shown.blockers:
        return Said((_ended(view, "refused", shown.sentence, blockers=shown.blockers),), sentence=shown.sentence)
    if view.run.digest not in ("", shown.digest):
        because = f"The plan is not the one that was agreed to ({view.run.digest}) any more: {shown.sentence}"
        return Said((_ended(view, "refused", because),), sentence=because)
    if not shown.turns:
        return Said((_ended(view, "succeeded", shown.sentence),), sentence=shown.sentence)
    owed = {name: one.act for name, one in view.book.owed.items()}
    preparation, always = planning.preparation(snapshot.settings, owed, survey.id)
    planned = facts.RunPlanned(
        **view.ids, forecast=shown, snapshot=survey.result.snapshot, preparation=preparation, always=always
    )
    homes = planning.homes(snapshot)
    noted = tuple(
        facts.HomesNoted(**view.ids, homes=homes[first : first + HOMES_PER_FACT])
        for first in range(0, len(homes), HOMES_PER_FACT)
    )
    return Said((planned, *noted), sentence=shown.sentence)


def _begin(view: View) -> Said | None:
    """A planned run begins."""
    if view.run.state is not RunState.PLANNED or view.run.forecast is None or view.run.cancel:
        return None
    sentence = view.run.forecast.sentence
    return Said((facts.RunBegan(**view.ids, sentence=sentence),), sentence=sentence)


def _hosts_lost(view: View) -> Said | None:
    """A host that is down, or unreachable past a deadline, without an order of ours, stops what is disruptive."""
    if view.run.state is not RunState.RUNNING:
        return None
    ours = stepping.hosts_away(view.run)
    for seen in view.book.hosts.values():
        if seen.uuid in ours or seen.uuid in view.run.lost or seen.state == "answering":
            continue
        gone = view.now - seen.since
        if seen.state == "down" or gone > stepping.lost_after(view.run, seen.uuid, LOST_AFTER):
            because = (
                f"Host {seen.name} is {seen.state} and Rota did not order it; look after it, then resume or cancel."
            )
            lost = facts.HostLost(**view.ids, host=Named(seen.uuid, seen.name), because=because)
            held = facts.RunHeld(**view.ids, because=because, who_can_help="the pool's administrator")
            return Said((lost, held), sentence=because)
    return None


def _failures(view: View) -> Said | None:
    """Steps that failed: go back for what the fence found, go on with a warning, owe, hold or cancel by policy."""
    for step in view.run.steps():
        if step.state is StepState.WAITING and step.go_back_to and (said := _go_back(view, step)):
            return said
        if not step.failed:
            continue
        if step.if_it_fails == "warn" or _needed_no_more(view, step):
            return Said(_go_on_without(view, step), sentence=step.because)
        if view.run.state is RunState.RUNNING:
            return _hold_or_cancel(view, step)
    return None


def _needed_no_more(view: View, step: Step) -> bool:
    """After a cancel: what would have prepared the run, or surveyed for a turn that goes back."""
    turn = view.turn_of(step)
    return bool(view.run.cancel) and (turn.id == PREPARATION or (turn.turned_back and step.act.kind == "survey"))


def _go_back(view: View, step: Step) -> Said | None:
    turn = view.turn_of(step)
    if stepping.spent(step, view.run.policy):
        return None
    first = next((index for index, one in enumerate(turn.steps.values()) if one.act.kind == step.go_back_to), None)
    if first is None:
        return None
    again = tuple(
        one.id
        for one in list(turn.steps.values())[first:]
        if one.id <= step.id and one.act.kind in _DONE_AGAIN and one.id != step.id
    )
    reopened = facts.StepsReopened(**view.ids, turn=turn.id, steps=(*again, step.id), because=step.because)
    return Said((reopened,), sentence=step.because)


def _go_on_without(view: View, step: Step) -> tuple[facts.RunFact, ...]:
    skipped = facts.StepSkipped(**view.ids, step=step.id, because=step.because)
    if not isinstance(step.act, acts.RestorePoolSetting):
        return (skipped,)
    debt = step.debt or facts.Debt(
        setting=step.act.setting, condition="The pool takes the setting again.", command=stepping.undo(step.act)
    )
    owed = facts.SettingOwed(
        **view.ids,
        step=step.id,
        setting=debt.setting,
        because=step.because,
        condition=debt.condition,
        command=debt.command,
        act=step.act,
    )
    return (owed, skipped)


def _hold_or_cancel(view: View, step: Step) -> Said:
    if view.run.policy.on_failure == "cancel" and not view.run.cancel:
        turn = view.turn_of(step)
        if turn.host is None or not cancelling.past_return(turn):
            sentences = cancelling.sentences(view.run, now=True)
            cancel = facts.RunCancelling(**view.ids, by="policy", now=True, sentences=sentences)
            return Said((cancel,), sentence=step.because)
    if view.run.cancel and cancelling.can_turn_back(view.run, step):
        return Said(cancelling.turned_back(view.run, step.id), sentence=step.because)
    held = facts.RunHeld(
        **view.ids, because=step.because or f"Step {step.id} failed.", step=step.id, who_can_help=step.who_can_help
    )
    return Said((held,), sentence=held.because)


def _turn_back(view: View) -> Said | None:
    """Cancelled now: a turn whose install has not begun goes back."""
    if view.run.state is not RunState.RUNNING or not (view.run.cancel and view.run.cancel.now):
        return None
    back = cancelling.turned_back(view.run, None)
    return Said(back, sentence=back[0].because) if back else None


def _late_comers(view: View) -> Said | None:
    """VMs that the sweep moved come home too."""
    for turn in view.run.turns.values():
        for sweep in turn.of_kind("evacuate_rest"):
            if not isinstance(sweep.result, acts.Swept):
                continue
            if added := stepping.homeward(view.run, turn, sweep.result.vms):
                return Said((added,), sentence=added.because)
    return None


def _plan_turns(view: View) -> Said | None:
    """A turn whose survey is there gets its steps."""
    for turn in view.run.turns.values():
        if turn.planned or turn.host is None or view.run.state is not RunState.RUNNING:
            continue
        survey = turn.of_kind("survey")[0]
        if not isinstance(survey.result, acts.SurveyTaken) or survey.state is not StepState.SUCCEEDED:
            continue
        snapshot = view.snapshots.get(survey.result.snapshot)
        if snapshot is None:
            return Said(wants=(survey.result.snapshot,))
        return _planned_turn(view, turn, turn.host, survey, snapshot)
    return None


def _planned_turn(view: View, turn: Turn, host: Named, survey: Step, snapshot: PoolSnapshot) -> Said:
    standing = planning.Standing(view.run.homes, frozenset(view.run.stranded), view.hosts_done)
    plan = planning.steps_of_turn(snapshot, turn.id, host, standing, view.run.policy)
    if plan.idle:
        sentence = f"{host.name} is left alone: nothing is waiting for it any more."
        ended = facts.TurnEnded(**view.ids, turn=turn.id, host=host, outcome="left_alone", sentence=sentence)
        return Said((ended,), sentence=sentence)
    if plan.blockers:
        because = " ".join(stop.sentence for stop in plan.blockers[:5])
        held = facts.RunHeld(**view.ids, because=because, step=survey.id, who_can_help="the owners of these VMs")
        return Said((held,), sentence=because)
    differences = stepping.differences(view.run, turn.id, plan.steps)
    planned = facts.TurnPlanned(
        **view.ids,
        turn=turn.id,
        steps=plan.steps,
        homes=plan.homes,
        differences=differences,
        seconds=plan.seconds,
    )
    return Said((planned,), sentence=f"The turn of {host.name} is planned: {len(plan.steps)} steps.")


def _end_turns(view: View) -> Said | None:
    """A turn with nothing left to do is over."""
    for turn in view.run.turns.values():
        if turn.host is None or not turn.planned or not turn.settled:
            continue
        warnings = stepping.turn_warnings(turn)
        took = stepping.duration(view.now - turn.begun_at)
        done = f"{turn.host.name} is updated and its VMs are home, in {took}."
        back = f"{turn.host.name} was not updated and works as before."
        ended = facts.TurnEnded(
            **view.ids,
            turn=turn.id,
            host=turn.host,
            outcome="turned_back" if turn.turned_back else "done",
            sentence=back if turn.turned_back else done,
            warnings=warnings,
        )
        return Said((ended,), sentence=ended.sentence)
    return None


def _order(view: View) -> Said | None:
    """Every step that is ready is ordered, as far as the limits of the policy let it."""
    ready = stepping.ready(view.run, view.book, view.now)
    if ready.facts:
        return Said(ready.facts, sentence=ready.sentence)
    return Said(sentence=ready.sentence, wake_at=ready.wake_at) if ready.sentence or ready.wake_at else None


def _next_turn(view: View) -> Said | None:
    """The next host's turn begins when the one before is over; after the last, or a cancel, the run finishes."""
    run = view.run
    if run.state is RunState.FINISHING or run.state is RunState.HELD:
        return None
    preparation = run.turns.get(PREPARATION)
    if run.cancel and not any(turn.host for turn in run.turns.values()):
        return _finish(view) if preparation is None or not stepping.under_way(preparation) else None
    if run.state is not RunState.RUNNING or run.forecast is None:
        return None
    if preparation is None or not preparation.settled or any(turn.host for turn in run.turns.values()):
        return None
    begun = {turn.id for turn in run.closed}
    for planned in run.forecast.turns:
        if planned.turn in begun:
            continue
        if waits := _pool_not_whole(view):
            return Said(sentence=waits)
        sentence = f"The turn of {planned.host.name} begins."
        survey = planning.survey_step(
            planned.turn,
            run.forecast.pool_name,
            updates=True,
            why=f"Look at the pool before {planned.host.name}'s turn.",
        )
        turn = facts.TurnBegun(**view.ids, turn=planned.turn, host=planned.host, master=planned.master, survey=survey)
        return Said((turn,), sentence=sentence)
    return _finish(view)


def _pool_not_whole(view: View) -> str:
    """Why no turn may begin now: a host whose address does not answer, or a master that cannot be asked."""
    for seen in view.book.hosts.values():
        if seen.state != "answering":
            return f"Waiting to begin the next turn, because host {seen.name} does not answer."
    return ""


def _finish(view: View) -> Said:
    sentence = "No turn is left; what was changed for the run is put back."
    return Said((facts.RunFinishing(**view.ids, sentence=sentence),), sentence=sentence)


def _paid(view: View) -> Said | None:
    """A setting that was owed and has been put back is paid."""
    paid = tuple(
        facts.SettingPaid(**view.ids, step=step.id, setting=step.act.setting)
        for step in view.run.steps()
        if isinstance(step.act, acts.RestorePoolSetting)
        and step.state is StepState.SUCCEEDED
        and step.act.setting in view.book.owed
    )
    return Said(paid, sentence="What was owed is paid.") if paid else None


def _end(view: View) -> Said | None:
    """The run is over when everything that can be put back is put back."""
    turn = view.run.turns.get(RESTORATION)
    if view.run.state is not RunState.FINISHING or turn is None or not turn.settled:
        return None
    ended = _verdict(view)
    return Said((ended,), sentence=ended.sentence)


def _verdict(view: View) -> facts.RunEnded:
    run = view.run
    done = [turn for turn in run.closed if turn.outcome == "done"]
    total = len(run.forecast.turns) if run.forecast else 0
    owed = tuple(f"Owed: {one.setting} ({one.because}); when {one.condition} {one.command}" for one in run.owed)
    warnings = tuple(dict.fromkeys((*run.warnings, *owed)))
    took = stepping.duration(view.now - run.requested_at)
    if run.cancel:
        who = "policy" if run.cancel.by == "policy" else run.cancel.by
        outcome: facts.Outcome = "failed" if run.cancel.by == "policy" else "cancelled"
        return _ended(
            view, outcome, f"Cancelled by {who} after {len(done)} of {total} hosts, in {took}.", warnings=warnings
        )
    outcome = "succeeded_with_warnings" if warnings else "succeeded"
    return _ended(view, outcome, f"{len(done)} of {total} hosts are updated, in {took}.", warnings=warnings)


def _ended(
    view: View,
    outcome: facts.Outcome,
    sentence: str,
    *,
    warnings: tuple[str, ...] = (),
    blockers: tuple[facts.Blocker, ...] = (),
) -> facts.RunEnded:
    return facts.RunEnded(**view.ids, outcome=outcome, sentence=sentence, warnings=warnings, blockers=blockers)


_DONE_AGAIN = frozenset({"disable_host", "evacuate_rest", "read_host"})

Rule = Callable[[View], Said | None]

RULES: tuple[Rule, ...] = (
    _deadlines,
    _waits,
    _survey_failed,
    _plan,
    _begin,
    _hosts_lost,
    _failures,
    _turn_back,
    _late_comers,
    _plan_turns,
    _paid,
    _end_turns,
    _order,
    _next_turn,
    _end,
)
"""The rules in the order they are asked; the first that writes a fact is followed."""

NO_SNAPSHOTS: Snapshots = MappingProxyType({})
