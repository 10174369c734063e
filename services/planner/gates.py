"""Gates of the owner's: steps that ask them, around a run and around each turn, and what follows from a no. Pure.

They are asked one after the other. Those before stand in the way of the first change of the pool, or of the turn's
first act; those after wait for everything else. A no before is failed like any step; a no after is the run's to hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.planner.view import Said, View
from shared.domain import acts, facts
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.run import PREPARATION, RESTORATION, Run, RunState, Step, StepState, Turn

Steps = tuple[facts.StepPlanned, ...]


def around_run(preparation: Steps, always: Steps, policy: Policy, pool: str) -> tuple[Steps, Steps]:
    """The steps of a run's preparation and restoration with their gates: before the pool is claimed, and after it is
    let go."""
    first = _last(preparation) + 1
    survey = facts.Need(step=step_id(PREPARATION, 1), because="the pool was looked at")
    before = _chain(
        PREPARATION, first, [acts.AskGate(name, "before_run") for name in policy.gates_before_run], (survey,),
        f"before anything is changed on {pool}",
    )  # fmt: skip
    done = tuple(facts.Need(step=step.step, because="everything is put back") for step in always)
    after = _chain(
        RESTORATION, _last(always) + 1, [acts.AskGate(name, "after_run") for name in policy.gates_after_run], done,
        f"after the run on {pool}",
    )  # fmt: skip
    return (*before, *_behind(preparation, before, survey.step)), (*always, *after)


def around_turn(steps: Steps, turn: str, host: Named, policy: Policy) -> Steps:
    """A turn's steps with their gates: before its first act, and after everything else."""
    if not steps:
        return steps
    survey = facts.Need(step=step_id(turn, 1), because="the plan is fresh")
    before = _chain(
        turn, _last(steps) + 1, [acts.AskGate(name, "before_turn", host) for name in policy.gates_before_turn],
        (survey,), f"before the turn of {host.name}",
    )  # fmt: skip
    done = tuple(facts.Need(step=step.step, because=f"{host.name} is done") for step in steps)
    after = _chain(
        turn, _last((*steps, *before)) + 1,
        [acts.AskGate(name, "after_turn", host) for name in policy.gates_after_turn], done,
        f"after the turn of {host.name}",
    )  # fmt: skip
    return (*before, *_behind(steps, before, survey.step), *after)


def first_after(turn: Turn) -> str | None:
    """The step that asks a turn's first gate after it, for what joins the turn and must be done before; or None."""
    return next((step.id for step in _after(turn) if not step.settled), None)


def after_first(view: View, planned: facts.ForecastTurn) -> Said | None:
    """A hurdle: no turn begins before the gates after the one before have said yes."""
    for turn in view.run.turns.values():
        if turn.host and first_after(turn):
            return Said(sentence=f"{planned.host.name} waits for the gates after the turn of {turn.host.name}.")
    return None


def said_no(view: View) -> Said | None:
    """A gate after a turn or the run has not said yes: the run holds, or is cancelled by policy. When it is cancelled
    already there is nothing to hold back, and the run goes on without that yes."""
    run = view.run
    for turn in run.turns.values():
        step = next((step for step in _after(turn) if step.failed), None)
        if step is None:
            continue
        if run.cancel:
            return Said((facts.StepSkipped(**view.ids, step=step.id, because=step.because),), sentence=step.because)
        if run.policy.on_failure == "cancel" and turn.id != RESTORATION and run.state is RunState.RUNNING:
            sentences = (f"No other turn begins. {step.because}",)
            cancel = facts.RunCancelling(**view.ids, by="policy", now=False, sentences=sentences)
            return Said((cancel,), sentence=step.because)
        if run.state in (RunState.RUNNING, RunState.FINISHING):
            held = facts.RunHeld(
                **view.ids, because=step.because, step=step.id, who_can_help=step.who_can_help or _keeper(step)
            )
            return Said((held,), sentence=step.because)
    return None


def unanswered(view: View) -> Said | None:
    """The window ends on a hold by a gate after the run: nothing is left to cancel, so it ends without that yes."""
    if view.run.hold is None:
        return None
    because = f"Nobody answered before the window ended. {view.run.hold.because}"
    let_go = gone_on_without(view.run, because, by="policy")
    return Said(let_go, sentence=because) if let_go else None


def gone_on_without(run: Run, because: str, *, by: str, order: str = "") -> tuple[facts.RunFact, ...]:
    """A run that is held by a gate after it ends without its yes; nothing where it is held by something else."""
    if run.state is not RunState.HELD or run.before_hold is not RunState.FINISHING or not run.hold or not run.hold.step:
        return ()
    skipped = facts.StepSkipped(pool=run.pool, run=run.id, step=run.hold.step, because=because, by=by)
    return (skipped, facts.RunResumed(pool=run.pool, run=run.id, by=by, order=order))


def warnings(turn: Turn | None) -> tuple[str, ...]:
    """The gates after a turn, or after the run, whose yes the run went on without."""
    steps = _after(turn) if turn else ()
    without = (step for step in steps if step.attempt and step.state is StepState.SKIPPED)
    return tuple(f"{step.why.rstrip('.')}: {step.because}" for step in without)


def notes(policy: Policy) -> tuple[str, ...]:
    """What the plan says of gates."""
    asked = (
        (policy.gates_before_run, "before anything is changed"),
        (policy.gates_before_turn, "before each turn"),
        (policy.gates_after_turn, "after each turn"),
        (policy.gates_after_run, "after the run"),
    )
    return tuple(f"Asked {when}: the gate {' and the gate '.join(names)}." for names, when in asked if names)


def _chain(turn: str, first: int, asked: Sequence[acts.AskGate], needs: tuple[facts.Need, ...], when: str) -> Steps:
    """Steps that ask gates one after the other."""
    found: list[facts.StepPlanned] = []
    for number, act in enumerate(asked, first):
        why = f"Ask the gate {act.gate} {when}."
        found.append(facts.StepPlanned(step=step_id(turn, number), act=act, needs=needs, why=why))
        needs = (facts.Need(step=found[-1].step, because=f"the gate {act.gate} says yes"),)
    return tuple(found)


def _behind(steps: Steps, before: Steps, survey: str) -> Steps:
    """The steps, those that wait for the survey made to wait for the last gate too."""
    if not before:
        return steps
    yes = facts.Need(step=before[-1].step, because="the gates before it say yes")
    return tuple(
        step.model_copy(update={"needs": (*step.needs, yes)}) if survey in {need.step for need in step.needs} else step
        for step in steps
    )


def _after(turn: Turn) -> tuple[Step, ...]:
    return tuple(
        step
        for step in turn.of_kind("ask_gate")
        if isinstance(step.act, acts.AskGate) and step.act.when in ("after_turn", "after_run")
    )


def _last(steps: Steps) -> int:
    """The highest number of any of the steps."""
    return max((int(step.step.rpartition("s")[2]) for step in steps), default=1)


def _keeper(step: Step) -> str:
    assert isinstance(step.act, acts.AskGate)
    return f"whoever keeps the gate {step.act.gate}"
