"""What is surveyed, noted and changed before the first turn, and put back after the last. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.domain import acts, facts
from shared.domain.model import HA, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.run import PREPARATION, RESTORATION

RESTORING = (
    acts.RestorePoolSetting, acts.EnableHost, acts.StartVM, acts.ResumeVM, acts.PlugPBD, acts.InsertMedia,
    acts.MigrateVM,
)  # fmt: skip
"""The acts that may stand at the end of a run, or be owed after it."""


def survey_step(
    turn: str, pool_name: str, *, updates: bool, why: str, hosts: tuple[Named, ...] = ()
) -> facts.StepPlanned:
    """The survey that a run, a turn or a forecast begins with; of these hosts' updates, or of all hosts'."""
    return facts.StepPlanned(step=step_id(turn, 1), act=acts.Survey(pool_name, updates, hosts=hosts), why=why)


def preparation(
    snapshot: PoolSnapshot, owed: Mapping[str, acts.Act], survey: str, claim: acts.ClaimPool
) -> tuple[tuple[facts.StepPlanned, ...], tuple[facts.StepPlanned, ...]]:
    """The steps that prepare the pool, and the always-steps that put back what they change or what is still owed.

    Each always-step is in the plan before the change is made; it carries the value that was noted. The pool is claimed
    before anything is changed, and let go after everything is put back.
    """
    settings = snapshot.settings
    noted: list[tuple[acts.Setting, str | HA | None, str]] = []
    if settings.ha.enabled:
        noted.append(("ha", settings.ha, "High availability would restart VMs and refuse to let hosts go."))
    if settings.auto_poweron == "true":
        noted.append(("auto_poweron", "true", "Each booting host would start every halted VM that is flagged."))
    if settings.wlb_enabled:
        noted.append(("wlb", "true", "Workload balancing would move VMs under the run's feet."))
    need = facts.Need(step=survey, because="the settings are noted before they are changed")
    claimed = facts.StepPlanned(
        step=step_id(PREPARATION, 2), act=claim, needs=(need,), why=f"Claim pool {snapshot.name} for this run."
    )
    first = facts.Need(step=claimed.step, because="the pool is this run's")
    change = tuple(
        facts.StepPlanned(
            step=step_id(PREPARATION, number),
            act=acts.ChangePoolSetting(name, before),
            needs=(need, first),
            why=why,
        )
        for number, (name, before, why) in enumerate(noted, 3)
    )
    dump = facts.StepPlanned(
        step=step_id(PREPARATION, len(change) + 3),
        act=acts.DumpDatabase(snapshot.name),
        needs=(first, *(facts.Need(step=step.step, because="the settings are as they stay") for step in change)),
        why=f"Keep a copy of the database of {snapshot.name}.",
        if_it_fails="warn",
    )
    restore: list[acts.Restoring] = [acts.RestorePoolSetting(name, before) for name, before, _ in noted]
    restore += [act for name, act in owed.items() if isinstance(act, RESTORING) and not _in(name, noted)]
    return (claimed, *change, dump), always_steps(restore, claim.claim)


def always_steps(restore: Sequence[acts.Restoring], claim: str) -> tuple[facts.StepPlanned, ...]:
    """The steps that put things back, side by side but for storage that VMs of the pool serve: the VM first, what it
    serves then, and whoever may use that last; and the pool let go after the last of them."""
    numbered = [(step_id(RESTORATION, number), act) for number, act in enumerate(restore, 1)]
    back = tuple(
        facts.StepPlanned(
            step=step,
            act=act,
            needs=tuple(
                facts.Need(step=one, because="storage comes first")
                for one, before in numbered
                if _rank(before) < _rank(act)
            ),
            why=_put_back_why(act),
            if_it_fails="warn",
        )
        for step, act in numbered
    )
    release = facts.StepPlanned(
        step=step_id(RESTORATION, len(back) + 1),
        act=acts.ReleasePool(claim),
        needs=tuple(facts.Need(step=step.step, because="everything is put back first") for step in back),
        why="The pool is let go.",
        if_it_fails="warn",
    )
    return (*back, release)


def _rank(act: acts.Restoring) -> int:
    """What must be tried before what: hosts, storage VMs, what these serve, other VMs and their disks. Settings wait
    for nothing."""
    if isinstance(act, acts.EnableHost):
        return 0
    if isinstance(act, acts.StartVM) and act.serves:
        return 1
    if isinstance(act, acts.PlugPBD):
        return 2
    return 3 if isinstance(act, (acts.StartVM, acts.ResumeVM, acts.MigrateVM)) else 0


def _put_back_why(act: acts.Restoring) -> str:
    if isinstance(act, acts.EnableHost):
        return f"{act.host.name} takes VMs again."
    if isinstance(act, (acts.StartVM, acts.ResumeVM)):
        return f"{act.vm.name} runs again on {act.host.name}."
    if isinstance(act, acts.InsertMedia):
        return f"The disc {act.disc} is put back into the drive of {act.vm}."
    if isinstance(act, acts.PlugPBD):
        return f"The storage {act.sr.name} is attached to {act.host.name} again."
    if isinstance(act, acts.MigrateVM):
        return f"{act.vm.name} goes home to {act.to.name} with its disks."
    return f"{act.setting} is put back to what it was before the run."


def _in(name: str, noted: Sequence[tuple[str, object, str]]) -> bool:
    return any(name == one for one, _, _ in noted)


def homes(snapshot: PoolSnapshot) -> tuple[facts.Home, ...]:
    """Where each VM that is on a host lives."""
    names = {host.uuid: host.named for host in snapshot.hosts}
    return tuple(
        facts.Home(vm=vm.named, host=names[vm.host]) for vm in snapshot.vms if vm.host is not None and vm.host in names
    )
