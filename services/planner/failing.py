"""Rules of what goes wrong: deadlines, waits that are over or in doubt, hosts lost, steps that failed. Pure."""

from __future__ import annotations

from services.planner import cancelling, discs, patience, replication, stepping, stopping, storage_graph, storage_moves
from services.planner.view import Said, View
from shared.domain import acts, facts
from shared.domain.names import Named
from shared.domain.run import PREPARATION, RunState, Step, StepState, Turn

REPLANS = 3
"""How often the moves of one turn are planned again before the run holds."""

LOST_AFTER = 300.0
"""Seconds of pool time a host of the pool may be unreachable before it is lost (conduct: unreachable is not down)."""

DONE_AGAIN = frozenset({"disable_host", "evacuate_rest", "read_host"})
"""What is done once more when a reboot's fence finds that its host is not empty."""


TAKES_DOWN = frozenset({"shutdown_vm", "suspend_vm", "check_unused", "unplug_pbd", "eject_media"})
"""What takes something down: of a turn that goes back it need not come to be."""


def deadlines(view: View) -> Said | None:
    """Steps past their deadline time out; steps that failed too often give up."""
    late = tuple(
        facts.StepTimedOut(**view.ids, step=step.id, attempt=step.attempt, because=because)
        for step in view.run.steps()
        if step.state is StepState.ORDERED and (because := patience.late(step, view.run.policy, view.now))
    )
    worn = tuple(
        facts.StepGaveUp(**view.ids, step=step.id, because=patience.worn_out(step))
        for step in view.run.steps()
        if step.state is StepState.WAITING and patience.spent(step, view.run.policy)
    )
    if late or worn:
        return Said((*late, *worn), sentence=late[0].because if late else worn[0].because)
    deadlines = [
        patience.deadline(step, view.run.policy) for step in view.run.steps() if step.state is StepState.ORDERED
    ]
    return Said(wake_at=min(deadlines)) if deadlines else None


def waits(view: View) -> Said | None:
    """A wait is over when the values that were seen say so."""
    for step in view.run.steps():
        if isinstance(step.act, acts.AwaitHost) and step.state in (StepState.ORDERED, StepState.TIMED_OUT):
            back = stepping.back(view.book, view.run, step)
            if back.verdict == "back":
                over = facts.WaitOver(
                    **view.ids,
                    step=step.id,
                    because=back.because,
                    host=step.act.host,
                    seconds=patience.boot_seconds(view.book, view.run, step),
                )
                return Said((over,), sentence=back.because)
            if back.verdict == "doubt" and view.run.state is RunState.RUNNING:
                held = facts.RunHeld(
                    **view.ids, because=back.because, step=step.id, who_can_help="the pool's administrator"
                )
                return Said((held,), sentence=back.because)
    return None


def hosts_lost(view: View) -> Said | None:
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
            if view.run.policy.on_host_lost == "cancel" and not view.run.cancel:
                sentences = cancelling.sentences(view.run, now=False)
                cancel = facts.RunCancelling(**view.ids, by="policy", now=False, sentences=sentences)
                return Said((lost, cancel), sentence=because)
            held = facts.RunHeld(**view.ids, because=because, who_can_help="the pool's administrator")
            return Said((lost, held), sentence=because)
    return None


def failures(view: View) -> Said | None:
    """Steps that failed: go back for what the fence found, go on with a warning, owe, hold or cancel by policy."""
    for step in view.run.steps():
        if step.state is StepState.WAITING and step.go_back_to and (said := _go_back(view, step)):
            return said
        if not step.failed:
            continue
        if step.if_it_fails == "warn" or _needed_no_more(view, step) or _owed_after_cancel(view, step):
            return Said(_go_on_without(view, step), sentence=step.because)
        if view.run.state is RunState.RUNNING:
            return _elsewhere(view, step) or _hold_or_cancel(view, step)
    return None


def _elsewhere(view: View, step: Step) -> Said | None:
    """A VM that could not leave for the host it was to go to, or hangs on its way: look at the pool again, and plan its
    move anew. Not where its disks leave storage that goes away: what detaches that waits for this very step."""
    turn = view.turn_of(step)
    if not isinstance(step.act, acts.MigrateVM) or step.act.purpose != "empty" or turn.host is None:
        return None
    tried = sum(1 for one in turn.of_kind("survey"))
    sweep = turn.of_kind("evacuate_rest")
    if turn.turned_back or view.run.cancel or tried > REPLANS or not sweep:
        return None
    if storage_graph.leaves_storage(turn, step.act):
        return None
    because = f"{step.because.rstrip('.')}; the move of {step.act.vm.name} is planned again."
    why = f"Look at the pool again for {step.act.vm.name}."
    survey = facts.StepPlanned(step=turn.next_step, act=acts.Survey(turn.host.name, updates=False), why=why)
    added = facts.StepsAdded(**view.ids, turn=turn.id, steps=(survey,), before=sweep[0].id, because=because)
    skipped = facts.StepSkipped(**view.ids, step=step.id, because=because)
    return Said((added, skipped), sentence=because)


def _needed_no_more(view: View, step: Step) -> bool:
    """After a cancel what would have prepared the run, or surveyed for a turn that goes back; and of such a turn what
    was to take something down, which the way back gives back however it ended."""
    turn = view.turn_of(step)
    if turn.turned_back and step.act.kind in TAKES_DOWN:
        return True
    prepares = turn.id == PREPARATION and step.act.kind not in replication.PARITY
    return bool(view.run.cancel) and (prepares or (turn.turned_back and step.act.kind == "survey"))


def _owed_after_cancel(view: View, step: Step) -> bool:
    """A VM that cannot be started again, or storage that cannot be attached, is owed where somebody has cancelled: that
    run is to end."""
    return bool(view.run.cancel) and isinstance(step.act, acts.GivesBack)


def _go_back(view: View, step: Step) -> Said | None:
    turn = view.turn_of(step)
    if patience.spent(step, view.run.policy):
        return None
    first = next((index for index, one in enumerate(turn.steps.values()) if one.act.kind == step.go_back_to), None)
    if first is None:
        return None
    again = tuple(
        one.id
        for one in list(turn.steps.values())[first:]
        if one.id <= step.id and one.act.kind in DONE_AGAIN and one.id != step.id
    )
    reopened = facts.StepsReopened(**view.ids, turn=turn.id, steps=(*again, step.id), because=step.because)
    return Said((reopened,), sentence=step.because)


def _go_on_without(view: View, step: Step) -> tuple[facts.RunFact, ...]:
    skipped = facts.StepSkipped(**view.ids, step=step.id, because=step.because)
    if owed := _owes(view, step):
        return (owed, skipped)
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


def _owes(view: View, step: Step) -> facts.SettingOwed | None:
    """What is owed where a step that gives something back is left out; None where it gives nothing back."""
    act = step.act
    if isinstance(act, acts.GivesBack):
        debt = stopping.debt(act)
    elif isinstance(act, acts.MigrateVM) and storage_moves.goes_home(act):
        debt = storage_moves.debt(act)
    elif isinstance(act, acts.InsertMedia):
        debt = discs.debt(act)
    else:
        return None
    return facts.SettingOwed(**view.ids, step=step.id, because=step.because, act=act, **debt.model_dump())


def left_out(view: View) -> Said | None:
    """A VM whose start, storage whose return, or disks whose way home somebody skipped after it was tried is owed:
    nobody forgets it."""
    known = {one.setting for one in view.run.owed}
    for step in view.run.steps():
        if step.state is not StepState.SKIPPED or not step.attempt:
            continue
        owed = _owes(view, step)
        if owed is not None and owed.setting not in known:
            return Said((owed,), sentence=f"{owed.setting[0].upper()}{owed.setting[1:]} is owed: {step.because}")
    return None


def _hold_or_cancel(view: View, step: Step) -> Said:
    turn = view.turn_of(step)
    if _may_go_on_without(view, turn) and turn.host and not view.run.cancel:
        because = f"{turn.host.name} is left out: {step.because}"
        skipped = facts.HostSkipped(**view.ids, host=turn.host, because=because)
        return Said((skipped, *cancelling.turned_back(view.run, step.id, because)), sentence=because)
    early = turn.host is None or not cancelling.past_return(turn)
    served = early and storage_graph.must_be_served_again(turn, step)
    if (view.run.policy.on_failure == "cancel" or served) and not view.run.cancel and early:
        sentences = cancelling.sentences(view.run, now=True)
        cancel = facts.RunCancelling(**view.ids, by="policy", now=True, sentences=sentences)
        return Said((cancel,), sentence=step.because)
    if view.run.cancel and cancelling.can_turn_back(view.run, step):
        return Said(cancelling.turned_back(view.run, step.id), sentence=step.because)
    held = facts.RunHeld(
        **view.ids, because=step.because or f"Step {step.id} failed.", step=step.id, who_can_help=step.who_can_help
    )
    return Said((held,), sentence=held.because)


def _may_go_on_without(view: View, turn: Turn) -> bool:
    """Whether policy lets the run go on with the next host: never without its first, and never past a turn's return."""
    first = not any(closed.outcome == "done" for closed in view.run.closed)
    wanted = view.run.policy.on_failure == "skip_host" or any(
        storage_graph.must_be_served_again(turn, step) for step in turn.steps.values()
    )
    return wanted and not first and cancelling.returnable(turn)


def master_changed(view: View) -> Said | None:
    """Another host is master than the run knows: everything is read again, and a person says whether to go on."""
    known, now = view.run.master, view.book.master
    if view.run.state is not RunState.RUNNING or known is None or now is None or known.uuid == now.uuid:
        return None
    because = f"{now.name} is master now instead of {known.name}; look at the pool, then resume or cancel."
    noted = facts.MasterNoted(**view.ids, host=now, because=because)
    held = facts.RunHeld(**view.ids, because=because, who_can_help="the pool's administrator")
    return Said((noted, held), sentence=because)
