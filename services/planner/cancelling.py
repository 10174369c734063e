"""Cancel in its two forms, decided host by host. Pure.

After this turn: no new turn begins, the one begun is finished. Now: a turn whose install has not begun goes back,
its VMs home; from the start of the install it goes on to its end, because yum is never interrupted and a host with
new userland on the old Xen must not get VMs.
"""

from __future__ import annotations

from services.planner import discs, pacing, replication, stopping, storage_graph, storage_moves, turn_graph
from services.planner.few import few
from shared.domain import acts, facts
from shared.domain.names import Named
from shared.domain.run import Run, Step, StepState, Turn


def past_return(turn: Turn) -> bool:
    """Whether a turn must go on to its end: its install, or its reboot where there is none, was ordered; or a VM is
    down that can only be started on its home once that is updated (conduct 3)."""
    kinds = ("install_updates", "reboot_host")
    return any(step.attempt > 0 for kind in kinds for step in turn.of_kind(kind)) or bool(stopping.bound_to_go_on(turn))


def returnable(turn: Turn) -> bool:
    """Whether a turn can still go back."""
    return turn.host is not None and not turn.turned_back and not past_return(turn)


def can_turn_back(run: Run, step: Step) -> bool:
    """Whether the turn of a failed step can still go back."""
    turn = next((turn for turn in run.turns.values() if step.id in turn.steps), None)
    return turn is not None and returnable(turn)


def turned_back(run: Run, failed: str | None, because: str = "") -> tuple[facts.TurnTurnedBack, ...]:
    """For each open turn that can go back: the fact that turns it. `failed` is a step that gave up, if any, and then
    only its turn goes back."""
    return tuple(
        _back(run, turn, turn.host, because or f"The run was cancelled; {turn.host.name} goes back to work as it is.")
        for turn in run.turns.values()
        if turn.host and returnable(turn) and (failed is None or failed in turn.steps)
    )


def turned_back_host(run: Run, host: Named, because: str) -> tuple[facts.TurnTurnedBack, ...]:
    """The fact that turns back the open turn of one host, where there is one."""
    return tuple(_back(run, turn, host, because) for turn in run.turns.values() if turn.host == host)


def sentences(run: Run, *, now: bool) -> tuple[str, ...]:
    """What a cancel means, a sentence for each host concerned and one for the rest."""
    said = [_sentence(run, turn, turn.host, now=now) for turn in run.turns.values() if turn.host]
    if replication.unfinished(run):
        said.append("LINSTOR's packages are brought to all hosts first: its versions must be the same everywhere.")
    left = _not_begun(run)
    if left:
        said.append(f"No turn begins any more: {', '.join(left)} stay as they are.")
    return tuple(said) or ("Nothing has been changed; the run ends at once.",)


def _not_begun(run: Run) -> list[str]:
    begun = {*run.turns, *(turn.id for turn in run.closed)}
    return [turn.host.name for turn in run.forecast.turns if turn.turn not in begun] if run.forecast else []


def _on_newer(run: Run, turn: Turn) -> list[str]:
    """VMs that have left for hosts that are updated in this run, by name."""
    closed = {one.host.uuid for one in run.closed if one.host and one.outcome == "done"}
    done = closed | pacing.hosts_back(run)
    moves = (step.act for step in turn.of_kind("migrate_vm") if step.attempt)
    return sorted(act.vm.name for act in moves if isinstance(act, acts.MigrateVM) and act.to.uuid in done)


def _sentence(run: Run, turn: Turn, host: Named, *, now: bool) -> str:
    minutes = max(1, round(turn.estimate / 60))
    if not now:
        return f"{host.name} is in its turn, which is finished first (about {minutes} minutes from its begin)."
    if down := stopping.bound_to_go_on(turn):
        return (
            f"{', '.join(down)} of {host.name} is down and can be started again only once {host.name} is updated: its"
            f" turn goes on through reboot and return (about {minutes} minutes from its begin)."
        )
    if past_return(turn):
        return (
            f"{host.name} is being updated, which is never interrupted: its turn goes on through reboot and return"
            f" (about {minutes} minutes from its begin)."
        )
    down = tuple(act.vm.name for _, act in stopping.stopped(turn))
    if down or any(step.attempt for step in turn.of_kind("migrate_vm")):
        back = f"{host.name} is being emptied: moves under way end, then it is enabled and its VMs go home."
        if run.policy.mode != "home":
            back = (
                f"{host.name} is being emptied: moves under way end, then it is enabled; VMs that have left it stay"
                f" where they are (mode = {run.policy.mode})."
            )
        elif newer := _on_newer(run, turn):
            back += (
                f" {few(newer, 10)} went to hosts that are updated already and, where versions differ, stay there until"
            )
            back += f" {host.name} is updated."
        srs = dict.fromkeys(act.sr.name for act in storage_graph.detached(turn))
        back += f" {' and '.join(srs)} is attached to its hosts again." if srs else ""
        return back + _disks_back(turn) + (f" {', '.join(down)} is started again." if down else "")
    return f"{host.name} has not lost a VM yet: it is enabled again."


def _disks_back(turn: Turn) -> str:
    """What is copied back, in a sentence."""
    moves = [step.act for step in turn.of_kind("migrate_vm") if step.attempt and isinstance(step.act, acts.MigrateVM)]
    along = {act.vm.uuid: act for act in moves if act.disks and act.purpose != "home"}
    if not along:
        return ""
    size = sum(storage_moves.size(act.disks) for act in along.values()) / storage_moves.GIB
    names = ", ".join(sorted(act.vm.name for act in along.values())[:10])
    return f" The disks of {names} are copied back ({size:.1f} GiB)."


def _back(run: Run, turn: Turn, host: Named, because: str) -> facts.TurnTurnedBack:
    moves = [step for step in turn.of_kind("migrate_vm") if isinstance(step.act, acts.MigrateVM)]
    touched = [step for step in moves if step.attempt > 0]
    out_of_drives = {
        step.act.vm.uuid
        for step in turn.of_kind("eject_media")
        if isinstance(step.act, acts.EjectMedia) and step.attempt
    }
    waits_for = [step.id for step in turn.steps.values() if step.state is StepState.ORDERED]
    homeward = [
        (step.act.vm, step.act.to, tuple(disk.back for disk in step.act.disks))
        for step in touched
        if isinstance(step.act, acts.MigrateVM)
        and not storage_moves.stays(step.act)
        and _lives_on(run, step.act.vm, host)
        and (run.policy.mode == "home" or step.act.disks or step.act.vm.uuid in out_of_drives)
    ]
    aside = [step.act for step in touched if isinstance(step.act, acts.MigrateVM) and storage_moves.stays(step.act)]
    disabled = any(step.attempt > 0 for step in turn.of_kind("disable_host"))
    steps = turn_graph.steps_back(turn.id, len(turn.steps) + 1, host, homeward, waits_for, run.policy.migration_network)
    steps = steps if disabled else ()
    if steps:
        enabled, network = steps[0].step, run.policy.migration_network
        for act in aside:
            only = [(act.vm, act.to, tuple(disk.back for disk in act.disks))]
            first = len(turn.steps) + 1 + len(steps)
            steps = (*steps, *turn_graph.homeward_steps(turn.id, first, act.to, only, enabled, network))
        first = len(turn.steps) + 1 + len(steps)
        steps = (*steps, *storage_graph.steps_back(turn, first, enabled, run.policy))
        steps = storage_graph.after_plugs(steps)
        steps = discs.put_back(steps, turn, len(turn.steps) + 1, enabled)
    return facts.TurnTurnedBack(
        pool=run.pool,
        run=run.id,
        turn=turn.id,
        steps=steps,
        because=because,
    )


def _lives_on(run: Run, vm: Named, host: Named) -> bool:
    home = run.homes.get(vm.uuid)
    return home is not None and home.host.uuid == host.uuid
