"""Steps: which are ready, which are late, which failed too often, and the sentences that say so. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from services.planner import approvals, pacing, patience, posting, replication, stopping, storage_moves, turn_graph
from shared.domain import acts, facts
from shared.domain.book import Book, Return, is_back
from shared.domain.model import HA
from shared.domain.names import Named, turn_of
from shared.domain.run import PREPARATION, RESTORATION, Run, RunState, Step, StepState, Turn

INSTALLING_LOST_AFTER = 900.0
"""Seconds of pool time a host may be unreachable while an install runs there: yum restarts the toolstack."""


NOT_YET = frozenset({RunState.PLANNED, RunState.AWAITING_APPROVAL, RunState.WAITING_FOR_WINDOW})
"""A run that has not begun touches nothing in these."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Facts that order what is ready, or the sentence that says what is waited for and when to look again."""

    facts: tuple[facts.RunFact, ...] = ()
    sentence: str = ""
    wake_at: float | None = None


def ready(run: Run, book: Book, now: float) -> Ready:
    """Order every step whose needs are settled, within the limits of the policy."""
    if not run.began_at and run.state in NOT_YET:
        return Ready()
    still = _standing_still(run) if run.state in (RunState.PAUSED, RunState.HELD) else ""
    goes_on = _finished_all_the_same(run) if still else frozenset(run.turns)
    ids = {"pool": run.pool, "run": run.id}
    room = _Room(run)
    found: list[facts.RunFact] = []
    wakes: list[float] = []
    held_back = {turn.id for turn in run.turns.values() if approvals.withheld(run, turn)}
    for step in sorted(waiting(run), key=_goes_home):
        if (turn_of(step.id) not in goes_on and not _goes_on_anyway(run, step)) or turn_of(step.id) in held_back:
            continue
        due = earliest(run, step)
        if due > now:
            wakes.append(due)
        elif room.takes(step.act):
            found.append(_ordered(run, book, step, now, ids))
    if found:
        return Ready(tuple(found), sentence=still or _sentence(run, book, now) or "Steps are ordered.")
    return Ready(sentence=still or _sentence(run, book, now), wake_at=min(wakes, default=None))


def _finished_all_the_same(run: Run) -> frozenset[str]:
    """Turns that go on although the run is held at a step of another: those whose host is updated already, so that no
    host is left empty and no VM away because of a neighbour. A pause, or a hold for the pool's own sake, stops all."""
    if run.state is not RunState.HELD or run.hold is None or run.hold.step is None:
        return frozenset()
    held = turn_of(run.hold.step)
    past = (turn.id for turn in run.turns.values() if turn.host and any(s.attempt for s in turn.of_kind("reboot_host")))
    return frozenset(past) - {held}


def _goes_on_anyway(run: Run, step: Step) -> bool:
    """Whether a step is done although its turn stands still: a message, or the start of a VM that the run has stopped
    and the storage it needs, which a hold keeps down no longer than it must."""
    starts = isinstance(step.act, acts.GivesBack) and run.state is RunState.HELD
    return starts or step.act.kind == "post_message"


def waiting(run: Run) -> Iterator[Step]:
    """Steps that wait and whose needs are settled."""
    for turn in run.turns.values():
        given_up = turn.id == PREPARATION and run.cancel is not None
        for step in turn.steps.values():
            if given_up and not (step.act.kind in replication.PARITY and replication.unfinished(run)):
                continue
            if step.state is StepState.WAITING and all(_met(run, need.step) for need in step.needs):
                yield step


def _goes_home(step: Step) -> bool:
    """Ways home are ordered last, with what room the others leave: a host that is being emptied is waited for by its
    installation and its reboot, a VM that goes home by nobody."""
    return isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home"


def _met(run: Run, id: str) -> bool:
    """Whether what a step needs has ended; a step of a turn that is closed has."""
    needed = run.step(id)
    return needed is None or needed.settled


def earliest(run: Run, step: Step) -> float:
    """When a step may be ordered, pool time: after its back-off; auto_poweron not before the last boot has settled
    (xapi-autostart-vms runs at the end of each boot and asks that flag)."""
    if isinstance(step.act, acts.RestorePoolSetting) and step.act.setting == "auto_poweron":
        boots = [turn.last_boot for turn in run.closed if turn.last_boot]
        return max([step.not_before, *(boot + run.policy.autostart_settle_minutes * 60 for boot in boots)])
    return step.not_before


def _ordered(run: Run, book: Book, step: Step, now: float, ids: dict[str, str]) -> facts.RunFact:
    if isinstance(step.act, acts.AwaitHost):
        wait = patience.for_return(step.act.host, book, run.policy)
        return facts.WaitBegan(**ids, step=step.id, until=now + wait.seconds, because=wait.because)
    if isinstance(step.act, acts.RestorePoolSetting) and _never_changed(run, step.act):
        return facts.StepSkipped(**ids, step=step.id, because=f"{step.act.setting} was never changed.")
    if isinstance(step.act, acts.PostMessage) and step.act.about == "ended" and not run.began_at:
        return facts.StepSkipped(**ids, step=step.id, because="Nothing was begun.")
    act = _complete(run, step, now)
    return facts.StepOrdered(**ids, step=step.id, attempt=step.attempt + 1, act=act, sentence=step.why)


def _complete(run: Run, step: Step, now: float) -> acts.Act:
    """A reboot's order carries what was noted of the host immediately before; a way home begins where the VM went,
    which may be elsewhere than was planned, and takes along what it took; guests are watched from now; a last message
    says how it ended; nothing is installed above the versions of whoever is master now."""
    if isinstance(step.act, acts.PostMessage) and step.act.about == "ended":
        return replace(step.act, text=posting.ending(run))
    if isinstance(step.act, (acts.InstallUpdates, acts.InstallPackage, acts.ReadHost)) and run.master is not None:
        return replace(step.act, ceiling=None if step.act.host.uuid == run.master.uuid else run.master)
    if isinstance(step.act, (acts.WatchGuests, acts.CheckReplication)):
        return replace(step.act, since=now)
    if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home":
        return _from_where_it_is(run, step.act)
    if not isinstance(step.act, acts.RebootHost):
        return step.act
    noted = noted_before(run, step.act.host)
    return replace(step.act, noted=noted)


def _from_where_it_is(run: Run, home: acts.MigrateVM) -> acts.MigrateVM:
    """A way home from where the last move of the VM that is not its way home has taken it, with what disks it took."""
    moves = [
        (step.ended_at, step.act)
        for step in run.steps()
        if isinstance(step.act, acts.MigrateVM)
        and (step.act.vm.uuid, step.state) == (home.vm.uuid, StepState.SUCCEEDED)
        and step.act.purpose != "home"
    ]
    if not moves:
        return home
    _, last = max(moves, key=lambda move: move[0])
    return replace(home, away_from=last.to, disks=home.disks or tuple(disk.back for disk in last.disks))


def noted_before(run: Run, host: Named) -> acts.HostNoted | None:
    """What was noted of a host in its open turn, or None."""
    for turn in run.turns.values():
        if turn.host == host:
            for step in turn.of_kind("read_host"):
                if isinstance(step.result, acts.HostNoted):
                    return step.result
    return None


def _never_changed(run: Run, act: acts.RestorePoolSetting) -> bool:
    """Whether the run never even ordered the change that this would undo, and nothing is owed from before."""
    turn = run.turns.get("t00")
    if run.purpose != "update":
        return False
    change = [
        step
        for step in (turn.steps.values() if turn else ())
        if isinstance(step.act, acts.ChangePoolSetting) and step.act.setting == act.setting
    ]
    return bool(change) and all(step.attempt == 0 for step in change)


class _Room:
    """What may still begin beside what is under way: migrations per source, destination and pool, one installation, so
    many hosts away. Lives for one decision."""

    def __init__(self, run: Run) -> None:
        self.policy = run.policy
        self.master_away = pacing.master_away(run)
        self.installing = pacing.installing(run)
        self.away = {turn.host.uuid for turn in pacing.away(run) if turn.host}
        self.max_away = run.forecast.max_away if run.forecast else 1
        moving = [
            step.act for step in run.steps() if isinstance(step.act, acts.MigrateVM) and step.state is StepState.ORDERED
        ]
        self.switching = sum(step.state is StepState.ORDERED and step.act.kind in SWITCHES for step in run.steps())
        self.copying = Counter(act.away_from.uuid for act in moving if act.disks)
        self.moving = len(moving)
        self.leaving = Counter(act.away_from.uuid for act in moving)
        self.arriving = Counter(act.to.uuid for act in moving)

    def takes(self, act: acts.Act) -> bool:
        """Whether an act may begin now; counts it if so."""
        if isinstance(act, acts.MigrateVM):
            return not self.master_away and self._moves(act)
        if act.kind in SWITCHES:
            return not self.master_away and self._switches()
        if act.kind in pacing.INSTALLS:
            free, self.installing = not self.installing, True
            return free
        if isinstance(act, acts.RebootHost):
            self.away.add(act.host.uuid)
            return len(self.away) <= self.max_away
        return True

    def _switches(self) -> bool:
        if self.switching >= stopping.AT_ONCE:
            return False
        self.switching += 1
        return True

    def _moves(self, act: acts.MigrateVM) -> bool:
        if self.policy.migrations_per_pool is not None and self.moving >= self.policy.migrations_per_pool:
            return False
        if self.leaving[act.away_from.uuid] >= self.policy.migrations_per_source:
            return False
        if self.arriving[act.to.uuid] >= self.policy.migrations_per_destination:
            return False
        if act.disks and self.copying[act.away_from.uuid] >= storage_moves.AT_ONCE:
            return False
        self.copying[act.away_from.uuid] += bool(act.disks)
        self.moving += 1
        self.leaving[act.away_from.uuid] += 1
        self.arriving[act.to.uuid] += 1
        return True


# --- returns and losses -----------------------------------------------------------------------------------------------


def back(book: Book, run: Run, step: Step) -> Return:
    """Whether the host that a wait is for is back."""
    if not isinstance(step.act, acts.AwaitHost):
        return Return("not_yet", "")
    host = step.act.host
    for turn in run.turns.values():
        if step.id not in turn.steps:
            continue
        for reboot in turn.of_kind("reboot_host"):
            if isinstance(reboot.act, acts.RebootHost) and reboot.act.noted is not None:
                return is_back(host.name, reboot.act.noted, book.hosts.get(host.uuid), ordered_at=reboot.ordered_at)
    return Return("not_yet", f"Waiting for {host.name}.")


def hosts_away(run: Run) -> frozenset[str]:
    """Hosts that are away by our own order, or about to settle after it: from the reboot's order until enabled."""
    away = set()
    for turn in run.turns.values():
        reboots = turn.of_kind("reboot_host")
        if (
            turn.host
            and any(step.attempt > 0 for step in reboots)
            and not all(step.settled for step in turn.of_kind("enable_host"))
        ):
            away.add(turn.host.uuid)
    return frozenset(away)


def lost_after(run: Run, host: str, default: float) -> float:
    """Seconds a host may be unreachable before it is lost: longer while an install runs on it."""
    for turn in run.turns.values():
        installing = any(step.state is StepState.ORDERED for step in turn.of_kind("install_updates"))
        if installing and turn.host and turn.host.uuid == host:
            return INSTALLING_LOST_AFTER
    return default


def under_way(turn: Turn) -> bool:
    """Whether any of a turn's orders is not answered yet."""
    return any(step.state is StepState.ORDERED for step in turn.steps.values())


# --- what was found on the way ----------------------------------------------------------------------------------------


def homeward(run: Run, turn: Turn, swept: Sequence[Named]) -> facts.StepsAdded | None:
    """Steps home for VMs that the sweep moved and that no step brings home yet."""
    enables = turn.of_kind("enable_host")
    if turn.host is None or not enables or run.policy.mode != "home":
        return None
    covered = {
        step.act.vm.uuid
        for step in turn.of_kind("migrate_vm")
        if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home"
    }
    fresh = [vm for vm in swept if vm.uuid not in covered]
    fresh = [vm for vm in fresh if vm.uuid not in run.homes or run.homes[vm.uuid].host == turn.host]
    if not fresh:
        return None
    first = len(turn.steps) + 1
    where = Named(turn.host.uuid, turn.host.name)
    steps = turn_graph.homeward_steps(
        turn.id, first, turn.host, [(vm, where, ()) for vm in fresh], enables[-1].id, run.policy.migration_network
    )
    names = ", ".join(vm.name for vm in fresh)
    return facts.StepsAdded(
        pool=run.pool,
        run=run.id,
        turn=turn.id,
        steps=steps,
        homes=tuple(facts.Home(vm=vm, host=turn.host) for vm in fresh),
        because=f"{names} appeared on {turn.host.name} in its turn and go home with the others.",
    )


def differences(run: Run, turn: str, steps: Sequence[facts.StepPlanned]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a turn's plan does otherwise than the forecast said; and of that what nobody has agreed to: VMs that are
    moved and were not to be. Where a VM goes, and that one stays, is no new risk to anybody."""
    forecast = next((one for one in run.forecast.turns if one.turn == turn), None) if run.forecast else None
    if forecast is None:
        return (), ()
    before = {move.vm.name: move.to.name for move in forecast.moves if move.purpose == "empty"}
    copied = {move.vm.name for move in forecast.moves if move.disks}
    now = {
        step.act.vm.name: step.act.to.name
        for step in steps
        if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "empty"
    }
    gone = [f"{name} is no longer to be moved" for name in sorted(before.keys() - now.keys())]
    new = [f"{name} is moved to {now[name]} too" for name in sorted(now.keys() - before.keys())]
    other = [
        f"{name} goes to {now[name]} instead of {before[name]}"
        for name in sorted(now.keys() & before.keys())
        if now[name] != before[name]
    ]
    agreed = {stop.vm.name for stop in forecast.stops}
    stopped = {step.act.vm.name for step in steps if isinstance(step.act, (acts.ShutdownVM, acts.SuspendVM))}
    new += [f"{name} is stopped meanwhile too" for name in sorted(stopped - agreed)]
    along = {step.act.vm.name for step in steps if isinstance(step.act, acts.MigrateVM) and step.act.disks}
    aside = {
        step.act.vm.name for step in steps if isinstance(step.act, acts.MigrateVM) and storage_moves.stays(step.act)
    }
    new += [f"the disks of {name} are moved too" for name in sorted((along - copied) & (before.keys() | aside))]
    return (*gone, *new, *other), tuple(new)


SWITCHES = frozenset({"shutdown_vm", "suspend_vm", "start_vm", "resume_vm"})
"""Kinds that stop and start VMs, of which only a few are done at once."""


def turn_warnings(turn: Turn) -> tuple[str, ...]:
    """The sentences of steps that were given up and left out. Of a turn that went back only those that were tried: what
    it had planned was dropped on purpose, but a VM that could not go home is named."""
    return tuple(
        step.because
        for step in turn.steps.values()
        if step.state is StepState.SKIPPED and step.if_it_fails == "warn" and (step.attempt or not turn.turned_back)
    )


def undo(act: acts.RestorePoolSetting) -> str:
    """The command that a person could give in place of a restore."""
    if act.setting == "ha":
        srs = ",".join(act.before.heartbeat_srs) if isinstance(act.before, HA) else ""
        return f"xe pool-ha-enable heartbeat-sr-uuids={srs}"
    if act.setting == "wlb":
        return "xe pool-param-set wlb-enabled=true uuid=<pool>"
    return f"xe pool-param-set other-config:auto_poweron={act.before} uuid=<pool>"


# --- sentences --------------------------------------------------------------------------------------------------------


def _standing_still(run: Run) -> str:
    if run.hold:
        return f"Held: {run.hold.because}"
    return "Paused; it goes on when somebody resumes it."


def _sentence(run: Run, book: Book, now: float) -> str:
    """What is being waited for, in one sentence."""
    going = [step for step in run.steps() if step.state is StepState.ORDERED]
    for step in going:
        if isinstance(step.act, acts.AwaitHost):
            judged = back(book, run, step)
            return f"{judged.because.rstrip('.')} (until at the latest in {patience.duration(step.until - now)})."
    if going:
        more = f", and {len(going) - 1} more" if len(going) > 1 else ""
        return f"Waiting for: {patience.subject(going[0])}{more}."
    backing_off = [step for step in run.steps() if step.state is StepState.WAITING and step.not_before > now]
    if backing_off:
        step = backing_off[0]
        return f"{step.because.rstrip('.')}; trying again in {patience.duration(step.not_before - now)}."
    settling = [step for step in waiting(run) if earliest(run, step) > now]
    if settling and run.turns.get(RESTORATION):
        left = patience.duration(earliest(run, settling[0]) - now)
        return f"Waiting {left} after the last boot before auto_poweron is put back."
    return ""
