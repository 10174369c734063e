"""How facts, summaries and words of progress change the live view's scene. Pure; one rule a fact, table at the foot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from cli.scene import OPEN, Scene, Seen, StepLine, StepState, TurnLine, VMLine
from cli.telling import count
from shared.domain import acts, facts
from shared.domain.summary import RunSummary


def after(scene: Scene, fact: facts.Fact, at: float) -> Scene:
    """The scene after a fact of this run or of a host of its pool; `at` is the fact's pool time."""
    rule: Callable[[Scene, Any, float], Scene] | None = _RULES.get(type(fact))
    if rule is None:
        return scene
    return replace(rule(scene, fact, at), at=max(at, scene.at))


def with_summary(scene: Scene, summary: RunSummary) -> Scene:
    """The scene with a newer summary; an older one changes nothing."""
    if scene.summary and summary.seq < scene.summary.seq:
        return scene
    return replace(scene, summary=summary)


def with_progress(scene: Scene, step: str, share: float, sentence: str) -> Scene:
    """The scene after a word of progress (core subject rota.progress…)."""
    line = scene.steps.get(step)
    if line is None or line.state not in OPEN:
        return scene
    return _with_step(scene, replace(line, share=min(1.0, max(0.0, share)), sentence=sentence, state="going"))


def _with_step(scene: Scene, line: StepLine) -> Scene:
    return replace(scene, steps={**scene.steps, line.step: line})


def _with_steps(scene: Scene, planned: tuple[facts.StepPlanned, ...]) -> Scene:
    new = {one.step: StepLine(one.step, one.act, one.why) for one in planned if one.step not in scene.steps}
    return replace(scene, steps={**scene.steps, **new})


def _with_homes(scene: Scene, homes: tuple[facts.Home, ...]) -> Scene:
    def line(home: facts.Home) -> VMLine:
        known = scene.vms.get(home.vm.uuid)
        return replace(known, home=home.host.uuid) if known else VMLine(home.vm, home.host.uuid, home.host.uuid)

    return replace(scene, vms={**scene.vms, **{home.vm.uuid: line(home) for home in homes}})


def _with_turn(scene: Scene, line: TurnLine) -> Scene:
    return replace(scene, turns=dict(sorted({**scene.turns, line.turn: line}.items())))


def _stepped(scene: Scene, step: str, state: StepState, at: float, sentence: str = "") -> Scene:
    line = scene.steps.get(step)
    if line is None:
        return scene
    share = 1.0 if state == "done" else 0.0
    return _with_step(scene, replace(line, state=state, share=share, sentence=sentence, since=at))


def _moving(scene: Scene, line: StepLine, *, to: str | None) -> Scene:
    """The VM of a migration, on its way (`to`) or at rest again (None)."""
    vm = scene.vms.get(line.act.vm.uuid) if isinstance(line.act, acts.MigrateVM) else None
    if vm is None:
        return scene
    return replace(scene, vms={**scene.vms, vm.vm.uuid: replace(vm, to=to, step=line.step if to else "")})


# --- one rule a fact --------------------------------------------------------------------------------------------------


def _requested(scene: Scene, fact: facts.RunRequested, at: float) -> Scene:
    return _with_steps(scene, (fact.survey,))


def _planned(scene: Scene, fact: facts.RunPlanned, at: float) -> Scene:
    for turn in fact.forecast.turns:
        ahead = f"{count(len(turn.updates), 'update')}, {count(len(turn.moves), 'VM')} to move"
        scene = _with_turn(scene, TurnLine(turn.turn, turn.host, turn.master, ahead=ahead))
    scene = _with_steps(scene, (*fact.preparation, *fact.always))
    return replace(scene, left_alone=fact.forecast.left_alone, sentence=fact.forecast.sentence)


def _homes(scene: Scene, fact: facts.HomesNoted, at: float) -> Scene:
    return _with_homes(scene, fact.homes)


def _turn_begun(scene: Scene, fact: facts.TurnBegun, at: float) -> Scene:
    scene = _with_turn(scene, TurnLine(fact.turn, fact.host, fact.master, begun=True))
    return _with_steps(scene, (fact.survey,))


def _turn_planned(scene: Scene, fact: facts.TurnPlanned, at: float) -> Scene:
    return _with_homes(_with_steps(scene, fact.steps), fact.homes)


def _added(scene: Scene, fact: facts.StepsAdded, at: float) -> Scene:
    return replace(_with_homes(_with_steps(scene, fact.steps), fact.homes), sentence=fact.because)


def _reopened(scene: Scene, fact: facts.StepsReopened, at: float) -> Scene:
    for step in fact.steps:
        scene = _stepped(scene, step, "waiting", at, fact.because)
    return scene


def _turned_back(scene: Scene, fact: facts.TurnTurnedBack, at: float) -> Scene:
    dropped = {
        key: replace(line, state="skipped") if line.turn == fact.turn and line.state == "waiting" else line
        for key, line in scene.steps.items()
    }
    return _with_steps(replace(scene, steps=dropped, sentence=fact.because), fact.steps)


def _turn_ended(scene: Scene, fact: facts.TurnEnded, at: float) -> Scene:
    line = scene.turns.get(fact.turn) or TurnLine(fact.turn, fact.host, master=False)
    return _with_turn(scene, replace(line, begun=True, ended=fact.outcome, sentence=fact.sentence))


def _ordered(scene: Scene, fact: facts.StepOrdered, at: float) -> Scene:
    old = scene.steps.get(fact.step) or StepLine(fact.step, fact.act, fact.sentence)
    line = replace(old, state="ordered", attempt=fact.attempt, share=0.0, since=at, sentence=fact.sentence)
    scene = _with_step(scene, line)
    return _moving(scene, line, to=fact.act.to.uuid) if isinstance(fact.act, acts.MigrateVM) else scene


def _waits(scene: Scene, fact: facts.WaitBegan, at: float) -> Scene:
    return _stepped(scene, fact.step, "going", at, fact.because)


def _wait_over(scene: Scene, fact: facts.WaitOver, at: float) -> Scene:
    return _stepped(scene, fact.step, "done", at, fact.because)


def _started(scene: Scene, fact: facts.StepStarted, at: float) -> Scene:
    line = scene.steps.get(fact.step)
    return _with_step(scene, replace(line, state="going")) if line and line.state in OPEN else scene


def _progressed(scene: Scene, fact: facts.StepProgressed, at: float) -> Scene:
    return with_progress(scene, fact.step, fact.share, fact.sentence)


def _succeeded(scene: Scene, fact: facts.StepSucceeded, at: float) -> Scene:
    scene = _stepped(scene, fact.step, "done", at, fact.sentence)
    line = scene.steps.get(fact.step)
    if line is None:
        return scene
    if isinstance(fact.result, acts.Swept):
        lost = {vm.uuid: replace(scene.vms[vm.uuid], at=None) for vm in fact.result.vms if vm.uuid in scene.vms}
        return replace(scene, vms={**scene.vms, **lost})
    vm = scene.vms.get(line.act.vm.uuid) if isinstance(line.act, acts.MigrateVM) else None
    if vm is None or not isinstance(line.act, acts.MigrateVM):
        return scene
    gone = isinstance(fact.result, acts.Moved) and fact.result.gone
    moved = replace(vm, at=None if gone else line.act.to.uuid, to=None, step="")
    return replace(scene, vms={**scene.vms, vm.vm.uuid: moved})


def _at_rest(scene: Scene, step: str, state: StepState, at: float, sentence: str) -> Scene:
    scene = _stepped(scene, step, state, at, sentence)
    line = scene.steps.get(step)
    return _moving(scene, line, to=None) if line else scene


def _failed(scene: Scene, fact: facts.StepFailed, at: float) -> Scene:
    return _at_rest(scene, fact.step, "failed", at, fact.because)


def _gave_up(scene: Scene, fact: facts.StepGaveUp | facts.StepTimedOut, at: float) -> Scene:
    return _at_rest(scene, fact.step, "gave_up", at, fact.because)


def _skipped(scene: Scene, fact: facts.StepSkipped, at: float) -> Scene:
    return _at_rest(scene, fact.step, "skipped", at, fact.because)


def _retried(scene: Scene, fact: facts.StepRetried, at: float) -> Scene:
    return _stepped(scene, fact.step, "waiting", at)


def _said(scene: Scene, fact: Any, at: float) -> Scene:
    return replace(scene, sentence=getattr(fact, "sentence", "") or getattr(fact, "because", ""))


def _see(seen: Seen) -> Callable[[Scene, Any, float], Scene]:
    def rule(scene: Scene, fact: facts.HostFact, at: float) -> Scene:
        return replace(scene, seen={**scene.seen, fact.host: seen})

    return rule


_RULES: Mapping[type[facts.Fact], Callable[[Scene, Any, float], Scene]] = MappingProxyType(
    {
        facts.RunRequested: _requested,
        facts.RunPlanned: _planned,
        facts.HomesNoted: _homes,
        facts.RunBegan: _said,
        facts.TurnBegun: _turn_begun,
        facts.TurnPlanned: _turn_planned,
        facts.TurnTurnedBack: _turned_back,
        facts.TurnEnded: _turn_ended,
        facts.StepsAdded: _added,
        facts.StepsReopened: _reopened,
        facts.StepOrdered: _ordered,
        facts.StepTimedOut: _gave_up,
        facts.StepGaveUp: _gave_up,
        facts.StepSkipped: _skipped,
        facts.StepRetried: _retried,
        facts.WaitBegan: _waits,
        facts.WaitOver: _wait_over,
        facts.StepStarted: _started,
        facts.StepProgressed: _progressed,
        facts.StepSucceeded: _succeeded,
        facts.StepFailed: _failed,
        facts.RunHeld: _said,
        facts.RunFinishing: _said,
        facts.RunEnded: _said,
        facts.HostAnswering: _see("answering"),
        facts.HostCameBack: _see("answering"),
        facts.HostUnreachable: _see("unreachable"),
        facts.HostDown: _see("down"),
    }
)
