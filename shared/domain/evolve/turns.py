"""How facts change a turn: begun, planned, turned back, more steps, over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from shared.domain import acts, facts
from shared.domain.evolve.steps import table, with_turn
from shared.domain.names import Named
from shared.domain.run import Closed, Run, Step, StepState, Turn

RunFold = Callable[[Run, facts.Fact, float], Run]


def with_homes(run: Run, homes: Iterable[facts.Home]) -> Run:
    """The run that knows these homes of VMs too."""
    return replace(run, homes={**run.homes, **{home.vm.uuid: home for home in homes}})


def _turn_begun(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnBegun)
    return with_turn(run, Turn(fact.turn, fact.host, fact.master, at, table((fact.survey,))))


def _turn_planned(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnPlanned)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    turn = replace(
        turn,
        planned=True,
        steps={**turn.steps, **table(fact.steps)},
        differences=fact.differences,
        changes=fact.changes,
        estimate=fact.seconds,
    )
    return with_homes(with_turn(run, turn), fact.homes)


def _turned_back(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnTurnedBack)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    dropped = {
        id: step if step.settled or step.state is StepState.ORDERED
        else replace(step, state=StepState.SKIPPED, because=fact.because, ended_at=at)
        for id, step in turn.steps.items()
    }  # fmt: skip
    return with_turn(run, replace(turn, planned=True, turned_back=True, steps={**dropped, **table(fact.steps)}))


def _steps_added(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.StepsAdded)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    steps = {**turn.steps, **table(fact.steps)}
    if fact.before is not None and fact.before in turn.steps:
        waits = tuple(facts.Need(step=one.step, because=fact.because) for one in fact.steps)
        steps[fact.before] = replace(turn.steps[fact.before], needs=(*turn.steps[fact.before].needs, *waits))
    return with_homes(with_turn(run, replace(turn, steps=steps)), fact.homes)


def _steps_reopened(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.StepsReopened)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    again = {id: _once_more(step) if id in fact.steps else step for id, step in turn.steps.items()}
    return with_turn(run, replace(turn, steps=again))


def _once_more(step: Step) -> Step:
    """A step that had succeeded has failed at nothing: its tries are counted anew."""
    if step.state is StepState.SUCCEEDED:
        step = replace(step, because="", tries_from=step.attempt)
    return replace(step, state=StepState.WAITING, go_back_to="", not_before=0.0)


def _turn_ended(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnEnded)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    closed = Closed(
        turn.id,
        turn.host,
        turn.master,
        fact.outcome,
        fact.sentence,
        steps=sum(1 for step in turn.steps.values() if step.state is StepState.SUCCEEDED),
        last_boot=_last_boot(turn),
        warnings=fact.warnings,
        ended_at=at,
    )
    stranded = {**run.stranded, **_stranded(turn)}
    turns = {id: other for id, other in run.turns.items() if id != turn.id}
    return replace(
        run,
        turns=turns,
        closed=(*run.closed, closed),
        stranded=stranded,
        put={**run.put, **turn.put()},
        warnings=(*run.warnings, *fact.warnings),
    )


def _last_boot(turn: Turn) -> float:
    """When the turn's host was seen back, pool time; 0 where it was never away."""
    waits = turn.of_kind("await_host")
    return max((step.ended_at for step in waits if step.state is StepState.SUCCEEDED), default=0.0)


def _stranded(turn: Turn) -> dict[str, Named]:
    """VMs whose way home was given up in this turn; not those that were at home, and only their disks were not."""
    return {
        step.act.vm.uuid: step.act.vm
        for step in turn.steps.values()
        if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home" and step.state is StepState.SKIPPED
        if step.act.to != step.act.away_from
    }


TURN_FACTS: Mapping[str, RunFold] = MappingProxyType(
    {
        "turn_begun": _turn_begun,
        "turn_planned": _turn_planned,
        "turn_turned_back": _turned_back,
        "steps_added": _steps_added,
        "steps_reopened": _steps_reopened,
        "turn_ended": _turn_ended,
    }
)
"""Which fact of a turn is folded by what."""
