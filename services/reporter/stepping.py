"""What facts say about steps and what they came to, noted in a draft. The run and its turns are `noting`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from services.reporter import doing
from services.reporter.draft import Draft, StepDraft, StepState
from services.reporter.report import Owed, Said, Setting, Tone
from services.reporter.spoken import capital, count, duration
from shared.domain import acts, facts
from shared.domain.names import turn_of


def _ordered(draft: Draft, fact: facts.StepOrdered, at: float) -> None:
    step = draft.steps.setdefault(fact.step, StepDraft(fact.step, fact.act))
    step.act = fact.act
    step.begin(at, fact.attempt)
    if isinstance(fact.act, acts.RebootHost):
        draft.tell(at, f"{fact.act.host} was told to reboot.")


def _wait_began(draft: Draft, fact: facts.WaitBegan, at: float) -> None:
    if (step := draft.steps.get(fact.step)) is not None:
        step.begin(at, step.attempt + 1)


def _succeeded(draft: Draft, fact: facts.StepSucceeded, at: float) -> None:
    step = draft.steps.get(fact.step)
    if step is None or step.state == "done":
        return
    step.end(at, "done", fact.sentence)
    step.result = fact.result
    _RESULTS.get(step.act.kind, _nothing)(draft, step.act, fact.result, at)


def _wait_over(draft: Draft, fact: facts.WaitOver, at: float) -> None:
    step = draft.steps.get(fact.step)
    if step is None or step.state == "done":
        return
    step.end(at, "done", fact.because)
    if isinstance(step.act, acts.AwaitHost):
        rebooted = _reboot_of(draft, step)
        draft.tell(at, f"{step.act.host} is back{' after ' + duration(at - rebooted) if rebooted else ''}.", "good")


def _reboot_of(draft: Draft, waiting: StepDraft) -> float | None:
    """When the host that is waited for was told to reboot."""
    reboots = (step for step in draft.steps.values() if step.act.kind == "reboot_host" and step.tries)
    return max((step.tries[-1][0] for step in reboots if turn_of(step.id) == turn_of(waiting.id)), default=None)


def _failed(draft: Draft, fact: facts.StepFailed, at: float) -> None:
    step = draft.steps.get(fact.step)
    if step is not None and step.state == "under_way" and step.attempt == fact.attempt:
        hopeless = fact.again_after is None and not fact.go_back_to
        step.end(at, "gave_up" if hopeless else "waiting", fact.because)
        step.failures.append(fact.because)
        draft.tell(at, f"{capital(doing.phrase(step.act))} did not come off: {fact.because}", "warn")


def _ended_badly(state: StepState, tone: Tone) -> Callable[[Draft, Any, float], None]:
    def note(draft: Draft, fact: facts.StepGaveUp | facts.StepTimedOut, at: float) -> None:
        if (step := draft.steps.get(fact.step)) is not None:
            step.end(at, state, fact.because)
            step.failures.append(fact.because)
            draft.tell(at, fact.because, tone)

    return note


def _skipped(draft: Draft, fact: facts.StepSkipped, at: float) -> None:
    if (step := draft.steps.get(fact.step)) is None:
        return
    step.end(at, "skipped", fact.because)
    if fact.by:
        draft.said.append(Said(at, fact.by, f"skipped {doing.phrase(step.act)}"))
    draft.tell(at, fact.because, "warn")


def _retried(draft: Draft, fact: facts.StepRetried, at: float) -> None:
    if (step := draft.steps.get(fact.step)) is not None:
        step.end(at, "waiting")
        draft.said.append(Said(at, fact.by, f"asked for another try at {doing.phrase(step.act)}"))
        draft.tell(at, f"{fact.by} asked for another try at {doing.phrase(step.act)}.")


# --- what steps came to -----------------------------------------------------------------------------------------------


def _nothing(draft: Draft, act: Any, result: acts.Result, at: float) -> None:
    """Most results change nothing that people are told."""


def _moved(draft: Draft, act: acts.MigrateVM, result: acts.Result, at: float) -> None:
    gone = isinstance(result, acts.Moved) and result.gone
    if gone:
        draft.lost_sight[act.vm.uuid] = f"{act.vm} was stopped, deleted or moved by its owner meanwhile."
    else:
        draft.lost_sight.pop(act.vm.uuid, None)
        draft.at[act.vm.uuid] = act.to


def _started(draft: Draft, act: acts.Start, result: acts.Result, at: float) -> None:
    if isinstance(result, acts.Started) and not result.gone:
        draft.at[act.vm.uuid] = act.host


def _unplugged(draft: Draft, act: acts.UnplugPBD, result: acts.Result, at: float) -> None:
    if isinstance(result, acts.Done) and not result.already:
        draft.tell(at, f"{act.sr} is detached from {act.host}, while {act.vm}, which serves it, is down.")


def _plugged(draft: Draft, act: acts.PlugPBD, result: acts.Result, at: float) -> None:
    if isinstance(result, acts.Done) and not result.already:
        draft.tell(at, f"{act.sr} is attached to {act.host} again.")


def _swept(draft: Draft, act: acts.EvacuateRest, result: acts.Result, at: float) -> None:
    if isinstance(result, acts.Swept) and result.vms:
        draft.at.update({vm.uuid: None for vm in result.vms})
        names = ", ".join(vm.name for vm in result.vms[:8])
        draft.tell(at, f"{count(len(result.vms), 'VM')} had come to {act.host} late and moved on: {names}.")


def _installed(draft: Draft, act: acts.InstallUpdates | acts.InstallPackage, result: acts.Result, at: float) -> None:
    if isinstance(result, acts.Installed):
        number = len(result.packages)
        draft.tell(at, f"{count(number, 'package')} installed on {act.host}." if number else "")


def _checked(draft: Draft, act: acts.CheckGate, result: acts.Result, at: float) -> None:
    for repaired in result.repaired if isinstance(result, acts.Checked) else ():
        draft.tell(at, repaired)


def _changed(draft: Draft, act: acts.ChangePoolSetting, result: acts.Result, at: float) -> None:
    if not (isinstance(result, acts.Done) and result.already):
        draft.settings[act.setting] = Setting(act.setting, at, None)
        draft.tell(at, f"{capital(doing.setting(act.setting))} was switched off for the run.")


def _restored(draft: Draft, act: acts.RestorePoolSetting, result: acts.Result, at: float) -> None:
    draft.owed.pop(act.setting, None)
    if (changed := draft.settings.get(act.setting)) is not None and changed.back_at is None:
        draft.settings[act.setting] = Setting(act.setting, changed.changed_at, at)
        draft.tell(at, f"{capital(doing.setting(act.setting))} is as it was before the run.", "good")


def _owed(draft: Draft, fact: facts.SettingOwed, at: float) -> None:
    draft.owed[fact.setting] = Owed(fact.setting, fact.because, fact.condition, fact.command, at)
    draft.tell(at, f"{capital(doing.setting(fact.setting))} is owed: {fact.because}", "bad")


def _paid(draft: Draft, fact: facts.SettingPaid, at: float) -> None:
    if draft.owed.pop(fact.setting, None) is None:
        return
    changed = draft.settings.get(fact.setting)
    if changed is not None and changed.back_at is None:
        draft.settings[fact.setting] = Setting(fact.setting, changed.changed_at, at)
    draft.tell(at, f"{capital(doing.setting(fact.setting))} is no longer owed.", "good")


_RESULTS: Mapping[str, Callable[[Draft, Any, acts.Result, float], None]] = MappingProxyType(
    {
        "migrate_vm": _moved,
        "start_vm": _started,
        "resume_vm": _started,
        "unplug_pbd": _unplugged,
        "plug_pbd": _plugged,
        "evacuate_rest": _swept,
        "install_updates": _installed,
        "install_package": _installed,
        "check_gate": _checked,
        "change_pool_setting": _changed,
        "restore_pool_setting": _restored,
    }
)

NOTES: Mapping[type[facts.Fact], Callable[[Draft, Any, float], None]] = MappingProxyType(
    {
        facts.StepOrdered: _ordered,
        facts.WaitBegan: _wait_began,
        facts.StepSucceeded: _succeeded,
        facts.WaitOver: _wait_over,
        facts.StepFailed: _failed,
        facts.StepGaveUp: _ended_badly("gave_up", "bad"),
        facts.StepTimedOut: _ended_badly("timed_out", "bad"),
        facts.StepSkipped: _skipped,
        facts.StepRetried: _retried,
        facts.SettingOwed: _owed,
        facts.SettingPaid: _paid,
    }
)
"""Which fact of a step is noted by what."""
