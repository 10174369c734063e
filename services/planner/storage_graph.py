"""The steps of a turn that takes away storage which a VM of its host serves, and gives it back. Pure.

Reversible acts first (conduct 8): nothing is detached before everything else is done, the storage VM is stopped when
nothing is attached any more, and it all comes back in the reverse order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from services.planner import placement, stopping, storage_moves, storage_vms
from services.planner.strategies import Stop
from shared.domain import acts, facts
from shared.domain.model import Host, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.run import Step, StepState, Turn
from shared.domain.storage import DiskMove

Add = Callable[..., str]
"""Adds a step to a turn: the act, why, and what it needs as pairs of step and reason; the id of the step."""

Needs = Sequence[tuple[str, str]]


def down(
    add: Add,
    snapshot: PoolSnapshot,
    host: Host,
    own: Sequence[Stop],
    before: Needs,
    policy: Policy,
    *,
    no_way_back: bool,
) -> list[str]:
    """Steps that detach what the storage VMs `own` serve and stop them; the ids of the last. `before` is what all of
    that waits for: moves, and the stops of whoever uses it."""
    last: list[str] = []
    for stop in own:
        detached = [_detached(add, snapshot, host, stop, sr, before, policy) for sr in stop.serves]
        act = stopping.stop_act(stop, host.named, policy, no_way_back=no_way_back)
        why = f"{stop.vm.name}, which serves {_names(stop.serves)}, is shut down while {host.name} is away."
        last.append(add(act, why, *((step, "no host has its storage attached any more") for step in detached)))
    return last


def _detached(
    add: Add, snapshot: PoolSnapshot, host: Host, stop: Stop, sr: Named, before: Needs, policy: Policy
) -> str:
    """Nothing uses an SR; then each member lets it go, and the master last: without its PBD the pool can do nothing
    with a shared SR (xen-api message_forwarding.ml)."""
    ready = add(
        acts.CheckUnused(sr, stop.vm.named, host.named, policy.backup_minutes),
        f"See that nothing uses {sr.name} any more, and that only {stop.vm.name} is left on {host.name}.",
        *before,
    )
    needs: list[tuple[str, str]] = [(ready, f"nothing uses {sr.name} any more")]
    members: list[tuple[str, str]] = []
    for one in _attached(snapshot, sr):
        act = acts.UnplugPBD(sr, one.named, stop.vm.named)
        if one.uuid == snapshot.master:
            return add(act, f"Detach {sr.name} from {one.name}, the master, last.", *needs, *members)
        members.append((add(act, f"Detach {sr.name} from {one.name}.", *needs), "the master lets it go last"))
    return members[-1][0] if members else ready


def up(
    add: Add, snapshot: PoolSnapshot, host: Host, own: Sequence[Stop], back: str, policy: Policy
) -> Mapping[str, tuple[str, ...]]:
    """Steps that start the storage VMs and attach what they serve again, tried on one host first; by SR (uuid) the
    steps after which it is there."""
    there: dict[str, tuple[str, ...]] = {}
    for stop in own:
        act = stopping.start_act(stopping.stop_act(stop, host.named, policy, no_way_back=False))
        started = add(
            act, f"{stop.vm.name} is started again on {host.name}.", (back, f"{host.name} is done and takes VMs")
        )
        for sr in stop.serves:
            hosts = [one.named for one in reversed(_attached(snapshot, sr))]
            there[sr.uuid] = _plugged(add, sr, stop.vm.named, hosts, started, policy)
    return there


def _plugged(add: Add, sr: Named, vm: Named, hosts: Sequence[Named], started: str, policy: Policy) -> tuple[str, ...]:
    steps: list[str] = []
    for host in hosts:
        need = (steps[0], "its export answers") if steps else (started, f"{vm.name} runs")
        why = f"Attach {sr.name} to {host.name} again{'' if steps else ', to see that its export answers'}."
        steps.append(add(acts.PlugPBD(sr, host, vm, policy.export_minutes), why, need))
    return tuple(steps) or (started,)


# --- disks that are elsewhere meanwhile ------------------------------------------------------------------------------


def aside(add: Add, move: placement.Move, network: str, disabled: str, host: Named) -> str:
    """The step that takes a VM's disks off what goes away, the VM running on where it is."""
    where = move.to.named
    act = acts.MigrateVM(move.vm.named, where, where, "room", network, disks=move.disks)
    why = (
        f"{move.vm.name} stays on {where.name}, and its disks leave what goes away with {host.name}"
        f" ({storage_moves.spoken(move.disks)})."
    )
    return add(act, why, (disabled, f"{host.name} takes no new VMs"))


def aside_home(add: Add, move: placement.Move, network: str, served: Mapping[str, tuple[str, ...]], back: str) -> str:
    """The step that takes these disks home, once their SR is `served` again (SR by uuid, the steps after which it
    is)."""
    where, disks = move.to.named, tuple(disk.back for disk in move.disks)
    act = acts.MigrateVM(move.vm.named, where, where, "home", network, disks=disks)
    needs = there_again(move.disks, served) or ((back, "the host takes VMs again"),)
    why = f"The disks of {move.vm.name} go home ({storage_moves.spoken(disks)})."
    return add(act, why, *needs, if_it_fails="warn")


def there_again(disks: Sequence[DiskMove], served: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, str], ...]:
    """What the way home of disks waits for: every host has their SR again."""
    srs = dict.fromkeys(disk.source for disk in disks)
    return tuple((step, f"{sr.name} is there") for sr in srs for step in served.get(sr.uuid, ()))


def going(turn: Turn) -> frozenset[str]:
    """The SRs (uuids) that go away in a turn."""
    steps = turn.of_kind("check_unused")
    return frozenset(step.act.sr.uuid for step in steps if isinstance(step.act, acts.CheckUnused))


def leaves_storage(turn: Turn, act: acts.MigrateVM) -> bool:
    """Whether a move takes disks off storage that goes away in this turn."""
    away = going(turn)
    return any(disk.source.uuid in away for disk in act.disks)


def after_plugs(steps: Sequence[facts.StepPlanned]) -> tuple[facts.StepPlanned, ...]:
    """Steps of a way back, in which disks go home only once their SR is attached again."""
    there: dict[str, tuple[str, ...]] = {}
    for step in steps:
        if isinstance(step.act, acts.PlugPBD):
            there[step.act.sr.uuid] = (*there.get(step.act.sr.uuid, ()), step.step)
    return tuple(
        step.model_copy(update={"needs": (*step.needs, *_plugs(step.act, there))})
        if isinstance(step.act, acts.MigrateVM)
        else step
        for step in steps
    )


def _plugs(act: acts.MigrateVM, there: Mapping[str, tuple[str, ...]]) -> tuple[facts.Need, ...]:
    needs = there_again([disk.back for disk in act.disks], there)
    return tuple(facts.Need(step=step, because=because) for step, because in needs)


def _attached(snapshot: PoolSnapshot, sr: Named) -> tuple[Host, ...]:
    return next((storage_vms.attached_to(snapshot, one) for one in snapshot.srs if one.uuid == sr.uuid), ())


def _names(srs: Sequence[Named]) -> str:
    return " and ".join(sr.name for sr in srs)


# --- the way back -----------------------------------------------------------------------------------------------------


def steps_back(turn: Turn, first: int, enabled: str, policy: Policy) -> tuple[facts.StepPlanned, ...]:
    """Steps, numbered from `first`, that give back what a turn has stopped and detached, where it goes back: storage
    VMs, what they serve, then everybody else."""
    steps: list[facts.StepPlanned] = []

    def add(act: acts.Act, why: str, *needs: tuple[str, str]) -> str:
        id = step_id(turn.id, first + len(steps))
        found = tuple(facts.Need(step=step, because=because) for step, because in needs)
        steps.append(facts.StepPlanned(step=id, act=act, needs=found, why=why))
        return id

    stopped = [act for _, act in reversed(stopping.stopped(turn))]
    served = [act for act in stopped if isinstance(act, acts.ShutdownVM) and act.serves]
    runs = {
        act.vm.uuid: add(stopping.start_act(act), _again(act), (enabled, f"{act.host.name} takes VMs again"))
        for act in served
    }
    there: dict[str, tuple[str, ...]] = {}
    for one in reversed(detached(turn)):
        before = there.get(one.sr.uuid, ())
        need = (before[0], "its export answers") if before else (runs.get(one.vm.uuid, enabled), f"{one.vm.name} runs")
        plug = acts.PlugPBD(one.sr, one.host, one.vm, policy.export_minutes)
        there[one.sr.uuid] = (*before, add(plug, f"Attach {one.sr.name} to {one.host.name} again.", need))
    for act in stopped:
        if act not in served:
            storage = ((step, f"{sr.name} is there") for sr in act.uses for step in there.get(sr.uuid, ()))
            start = stopping.start_act(act, on=act.back_on)
            add(start, _again(start), (enabled, f"{turn.host.name if turn.host else ''} takes VMs again"), *storage)
    return tuple(steps)


def _again(act: acts.Stop | acts.Start) -> str:
    return f"{act.vm.name} runs again on {act.host.name}."


def detached(turn: Turn) -> tuple[acts.UnplugPBD, ...]:
    """What a turn has detached, or may have, in its order."""
    return tuple(
        step.act
        for step in turn.of_kind("unplug_pbd")
        if isinstance(step.act, acts.UnplugPBD) and step.attempt and not _was_so(step)
    )


def _was_so(step: Step) -> bool:
    """It was detached before, by somebody else."""
    return isinstance(step.result, acts.Done) and step.result.already


def takes_storage(turn: Turn) -> bool:
    """Whether a turn takes storage away from the pool that is not there again, or whose disks are not home: nothing
    else may begin meanwhile."""
    kinds = ("unplug_pbd", "plug_pbd")
    aside = any(not step.settled and storage_moves.stays(step.act) for step in turn.of_kind("migrate_vm"))
    return aside or any(not step.settled for kind in kinds for step in turn.of_kind(kind))


def must_be_served_again(turn: Turn, step: Step) -> bool:
    """Whether a step that failed leaves storage detached in a turn that can still go back: then it does, because its
    users wait (conduct 8). A step that already gives something back is a person's to look at."""
    failed_on_the_way = step.state in (StepState.GAVE_UP, StepState.TIMED_OUT)
    return failed_on_the_way and not isinstance(step.act, acts.GivesBack) and bool(detached(turn))
