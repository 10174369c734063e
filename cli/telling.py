"""A fact or an act as one plain sentence for a person, for lines and journals. Pure.

Names come from pools and people, so nothing here trusts them: what would move a terminal's cursor is taken out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from shared.domain import acts, facts, messages


def plain(text: object) -> str:
    """A text on one line without control characters (which could move a terminal's cursor or hide a word)."""
    return "".join(
        " " if char in "\r\n\t" else char for char in str(text) if char in "\r\n\t" or not _is_control(char)
    ).strip()


def sentence(fact: facts.Fact) -> str:
    """What a fact says, in one sentence: its own where it has one and the table has no better."""
    rule = _SENTENCES.get(type(fact))
    own = str(getattr(fact, "sentence", "") or getattr(fact, "because", ""))
    return plain(rule(fact) if rule else own) or messages.fact_name(fact).replace("_", " ") + "."


def matters(fact: facts.Fact) -> bool:
    """Whether a person who follows a run wants a line for this fact."""
    return type(fact) not in _TOO_SMALL


def tone(fact: facts.Fact) -> str:
    """`good`, `bad`, `wait` or `plain`: how a line for this fact is coloured."""
    if isinstance(fact, facts.RunEnded):
        return "good" if fact.outcome.startswith("succeeded") else "bad"
    if isinstance(fact, facts.TurnEnded):
        return "good" if fact.outcome == "done" else "bad"
    return _TONES.get(type(fact), "plain")


def act_words(act: acts.Act) -> str:
    """What an act does, in a few words without a full stop."""
    rule: Callable[[Any], str] = _ACTS[type(act)]
    return plain(rule(act))


def result_words(result: acts.Result) -> str:
    """What came of an act, in a few words without a full stop."""
    rule: Callable[[Any], str] = _RESULTS[type(result)]
    return plain(rule(result))


def size_words(size: int) -> str:
    """Bytes as people read them: `3.0 GiB`, `512 MiB`."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def span_words(seconds: float) -> str:
    """A span of time as people read it: `42 s`, `12 min`, `3 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, thing: str) -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _moved(result: acts.Moved) -> str:
    if result.gone:
        return "the VM was gone, there was nothing to move"
    return "it stood there already" if result.already else "moved"


def _installed(result: acts.Installed) -> str:
    if not result.packages:
        return "nothing was waiting"
    return "installed " + ", ".join(f"{one.name} {one.version}" for one in result.packages)


def _succeeded(fact: facts.StepSucceeded) -> str:
    told = fact.sentence or f"{result_words(fact.result)}."
    return told[:1].upper() + told[1:]


def _failed(fact: facts.StepFailed) -> str:
    if fact.again_after is None:
        return fact.because
    return f"{fact.because} It is tried again in {span_words(fact.again_after)}."


def _requested(fact: facts.RunRequested) -> str:
    why = f" ({fact.reason})" if fact.reason else ""
    return f"{fact.by} asked for {fact.pool} to be updated{why}."


def _cancelling(fact: facts.RunCancelling) -> str:
    how = "now" if fact.now else "after this turn"
    return " ".join((f"{fact.by} cancels the run {how}.", *fact.sentences))


def _answered(fact: facts.OrderAnswered) -> str:
    return fact.because or f"The order {fact.verb} was {'taken' if fact.taken else 'not taken'}."


def _turn_planned(fact: facts.TurnPlanned) -> str:
    told = f"The turn is planned: {count(len(fact.steps), 'step')}, about {span_words(fact.seconds)}."
    if fact.left:
        told += f" The run goes on for about {span_words(fact.left)}, {span_words(fact.left_upper)} at the most."
    return " ".join((told, *fact.differences))


def _began_turn(fact: facts.TurnBegun) -> str:
    return f"{fact.host}{', the master,' if fact.master else ''} takes its turn."


def _report_failed(fact: facts.ReportFailed) -> str:
    again = "" if fact.again_after is None else f" It is tried again in {span_words(fact.again_after)}."
    return f"The report ({fact.occasion}) did not reach {fact.destination}: {fact.because}{again}"


_SENTENCES: Mapping[type[facts.Fact], Callable[[Any], str]] = MappingProxyType(
    {
        facts.RunRequested: _requested,
        facts.RunPlanned: lambda f: f.forecast.sentence,
        facts.HomesNoted: lambda f: f"The homes of {count(len(f.homes), 'VM')} are noted.",
        facts.TurnBegun: _began_turn,
        facts.TurnPlanned: _turn_planned,
        facts.StepOrdered: lambda f: f.sentence or f"Ordered: {act_words(f.act)}.",
        facts.StepSkipped: lambda f: f"{f.step} is left out: {f.because}",
        facts.StepRetried: lambda f: f"{f.by} asks for {f.step} to be tried again.",
        facts.RunHeld: lambda f: f"{f.by} holds the run: {f.because}" if f.by else f"A person is needed: {f.because}",
        facts.HoldAcknowledged: lambda f: f"{f.by} has seen it and looks after it.",
        facts.RunWaiting: lambda f: f.because,
        facts.RunWentOn: lambda f: f.because,
        facts.ApprovalAsked: lambda f: f"{f.sentence} (digest {f.digest}) {' '.join(f.changes)}".rstrip(),
        facts.ApprovalGiven: lambda f: f"{f.by} approved it.",
        facts.RunApproved: lambda f: f"Approved by {' and '.join(f.by)}.",
        facts.ApprovalRefused: lambda f: f.because,
        facts.RunPaused: lambda f: f"{f.by} paused the run.",
        facts.RunResumed: lambda f: f"{f.by} lets the run go on.",
        facts.RunCancelling: _cancelling,
        facts.SettingOwed: lambda f: f"Owed: {f.setting}. {f.because} {f.condition} By hand: {f.command}",
        facts.SettingPaid: lambda f: f"{f.setting} was owed and is put back.",
        facts.OrderAnswered: _answered,
        facts.ForecastRequested: lambda f: f"{f.by} asked for a forecast of {f.pool}.",
        facts.ForecastStepOrdered: lambda f: f"Ordered: {act_words(f.act)}.",
        facts.ForecastMade: lambda f: f.forecast.sentence,
        facts.StepStarted: lambda f: f"{f.by} has {f.step} in hand.",
        facts.StepProgressed: lambda f: f.sentence or f"{f.step} is {f.share:.0%} done.",
        facts.StepSucceeded: _succeeded,
        facts.StepFailed: _failed,
        facts.HostAnswering: lambda f: f"{f.name} answers.",
        facts.HostUnreachable: lambda f: f.because or f"{f.name} does not answer.",
        facts.HostDown: lambda f: f.because or f"{f.name} is down.",
        facts.HostCameBack: lambda f: f"{f.name} is up and takes logins.",
        facts.MasterUnreachable: lambda f: f.because or f"The pool's API at {f.address} does not answer.",
        facts.MasterChanged: lambda f: f"{f.host} is the master, at {f.address}.",
        facts.ReportSent: lambda f: f"The report ({f.occasion}) reached {f.destination}.",
        facts.ReportFailed: _report_failed,
    }
)

_TOO_SMALL: frozenset[type[facts.Fact]] = frozenset(
    {
        facts.HomesNoted,
        facts.StepOrdered,
        facts.StepStarted,
        facts.StepProgressed,
        facts.HostAnswering,
        facts.ForecastRequested,
        facts.ForecastStepOrdered,
    }
)

_TONES: Mapping[type[facts.Fact], str] = MappingProxyType(
    {
        facts.RunRefused: "bad",
        facts.RunHeld: "bad",
        facts.HostSkipped: "wait",
        facts.MasterNoted: "wait",
        facts.HostLost: "bad",
        facts.StepTimedOut: "bad",
        facts.StepGaveUp: "bad",
        facts.StepFailed: "bad",
        facts.SettingOwed: "bad",
        facts.ReportFailed: "bad",
        facts.MessageRejected: "bad",
        facts.OrderRefused: "bad",
        facts.ForecastFailed: "bad",
        facts.WaitBegan: "wait",
        facts.RunWaiting: "wait",
        facts.ApprovalAsked: "wait",
        facts.ApprovalRefused: "bad",
        facts.RunPaused: "wait",
        facts.RunCancelling: "wait",
        facts.HostUnreachable: "wait",
        facts.HostDown: "wait",
        facts.TurnTurnedBack: "wait",
        facts.StepsAdded: "wait",
        facts.StepsReopened: "wait",
        facts.HostCameBack: "good",
        facts.SettingPaid: "good",
    }
)

_ACTS: Mapping[type[object], Callable[[Any], str]] = MappingProxyType(
    {
        acts.Survey: lambda a: "read the whole pool",
        acts.ChangePoolSetting: lambda a: f"switch off {a.setting} for the run",
        acts.RestorePoolSetting: lambda a: f"put back {a.setting}",
        acts.ClaimPool: lambda a: "claim the pool for this run",
        acts.ReleasePool: lambda a: "give up this run's claim on the pool",
        acts.DumpDatabase: lambda a: "keep a copy of the pool's database",
        acts.PostMessage: lambda a: (
            f"leave a message on the pool: {a.text}" if a.text else "leave a message on the pool"
        ),
        acts.DisableHost: lambda a: f"disable {a.host}",
        acts.MigrateVM: lambda a: f"move {a.vm} from {a.away_from} to {a.to}{' with its disks' if a.disks else ''}",
        acts.ShutdownVM: lambda a: f"shut down {a.vm} on {a.host}",
        acts.SuspendVM: lambda a: f"suspend {a.vm} on {a.host}",
        acts.StartVM: lambda a: f"start {a.vm} on {a.host} again",
        acts.ResumeVM: lambda a: f"resume {a.vm} on {a.host}",
        acts.EjectMedia: lambda a: f"eject the disc {a.disc} from {a.vm}",
        acts.InsertMedia: lambda a: f"insert the disc {a.disc} into {a.vm} again",
        acts.CheckUnused: lambda a: f"see that nothing uses {a.sr} any more",
        acts.UnplugPBD: lambda a: f"detach {a.sr} from {a.host}",
        acts.PlugPBD: lambda a: f"attach {a.sr} to {a.host} again",
        acts.EvacuateRest: lambda a: f"see that {a.host} is empty",
        acts.InstallUpdates: lambda a: f"install the updates on {a.host}",
        acts.ReadHost: lambda a: f"read {a.host} before its reboot",
        acts.RebootHost: lambda a: f"reboot {a.host}",
        acts.AwaitHost: lambda a: f"wait for {a.host} to come back",
        acts.CheckGate: lambda a: f"check {a.host}'s storage, packages and versions",
        acts.EnableHost: lambda a: f"enable {a.host}",
        acts.RestartToolstack: lambda a: f"restart the toolstack of {a.host}",
        acts.CheckReplication: lambda a: f"see that {' and '.join(sr.name for sr in a.srs)} is whole",
        acts.InstallPackage: lambda a: f"install {a.package.name} on {a.host}",
        acts.SwitchService: lambda a: f"{a.action} {a.service} on {a.host}",
        acts.AskGate: lambda a: f"ask the gate {a.gate}",
        acts.WatchGuests: lambda a: f"watch {', '.join(vm.name for vm in a.vms)} on {a.host}",
    }
)

_RESULTS: Mapping[type[object], Callable[[Any], str]] = MappingProxyType(
    {
        acts.SurveyTaken: lambda r: f"read {count(r.hosts, 'host')} and {count(r.vms, 'VM')}",
        acts.HostNoted: lambda r: "read boot time, own time and versions",
        acts.Installed: _installed,
        acts.Moved: _moved,
        acts.Stopped: lambda r: (
            "it was left as its owner has it" if r.gone else "switched off" if r.hard else "it is down"
        ),
        acts.Started: lambda r: (
            "it was left as its owner has it" if r.gone else f"it runs, {r.down / 60:.0f} min later"
        ),
        acts.Swept: lambda r: f"moved {', '.join(str(vm) for vm in r.vms)}" if r.vms else "nothing was left on it",
        acts.Checked: lambda r: " ".join(r.repaired) if r.repaired else "everything is as it should be",
        acts.Dumped: lambda r: f"kept a copy of {size_words(r.size)}" if r.name else "no copy was kept",
        acts.Done: lambda r: "it was so already" if r.already else "done",
    }
)
