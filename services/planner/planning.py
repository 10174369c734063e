"""Plans: what a run will do, and what one turn does, made from a snapshot. Pure.

`forecast` is what is shown before the start; `steps_of_turn` is made afresh from a new survey when a turn begins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.planner import blockers, placement
from shared.domain import acts, facts
from shared.domain.model import HA, Host, Package, PoolSettings, PoolSnapshot
from shared.domain.names import Named, step_id, turn_id
from shared.domain.policy import Policy
from shared.domain.run import PREPARATION, RESTORATION

GIB = 1024**3

SURVEY_SECONDS = 20.0
MIGRATION_BYTES_PER_SECOND = 400 * 1024**2
INSTALL_SECONDS = 300.0
REBOOT_SECONDS = 420.0
"""Defaults of the estimate until a pool has a history: three migrations share a 10 Gbit link at some hundred MB/s each
(experience values of field reports), a package step of five minutes, seven from reboot to back."""


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """A turn as planned from a fresh survey: its steps, homes first seen or changed, and what stands in the way."""

    steps: tuple[facts.StepPlanned, ...]
    homes: tuple[facts.Home, ...]
    blockers: tuple[facts.Blocker, ...]
    seconds: float
    idle: bool = False


def survey_step(turn: str, pool_name: str, *, updates: bool, why: str) -> facts.StepPlanned:
    """The survey that a run, a turn or a forecast begins with."""
    return facts.StepPlanned(step=step_id(turn, 1), act=acts.Survey(pool_name, updates), why=why)


# --- the forecast -----------------------------------------------------------------------------------------------------


def forecast(snapshot: PoolSnapshot, policy: Policy) -> facts.Forecast:
    """The plan that is shown: turns in their order, the moves of each, blockers, warnings and an estimate."""
    hosts = in_order([host for host in snapshot.hosts if has_turn(host, policy)], snapshot.master)
    stops = list(blockers.of_pool(snapshot)) if hosts else []
    turns: list[facts.ForecastTurn] = []
    done: set[str] = set()
    for number, host in enumerate(hosts, 1):
        found = _placed(snapshot, host, policy, newest=frozenset(done))
        stops += [*blockers.of_vms(snapshot, host), *(blockers.of_short(snapshot, host, one) for one in found.short)]
        turns.append(_forecast_turn(turn_id(number), host, host.uuid == snapshot.master, found, policy))
        done.add(host.uuid)
    left = tuple(host.named for host in snapshot.hosts if host not in hosts)
    seconds = sum(turn.seconds for turn in turns)
    unique = tuple({(stop.sentence): stop for stop in stops}.values())
    return facts.Forecast(
        pool_name=snapshot.name,
        turns=tuple(turns),
        left_alone=left,
        blockers=unique,
        warnings=tuple(blockers.warnings(snapshot)) if hosts else (),
        settings=tuple(_setting_sentences(snapshot.settings)) if hosts else (),
        seconds=seconds,
        digest=_digest(turns, unique),
        sentence=_forecast_sentence(snapshot, turns, left, unique, seconds),
    )


def has_turn(host: Host, policy: Policy) -> bool:
    """Whether a host has something to do: updates waiting, a reboot pending, or a rolling reboot was asked for."""
    return not policy.updates or bool(host.updates) or host.updates is None or host.reboot_pending


def in_order(hosts: Sequence[Host], master: str) -> list[Host]:
    """Master first, always: a member newer than its master does not come back (xen-api xapi.ml, since v23.30.0)."""
    return sorted(hosts, key=lambda host: (host.uuid != master, host.name, host.uuid))


def _placed(snapshot: PoolSnapshot, host: Host, policy: Policy, newest: frozenset[str]) -> placement.Placement:
    bound = {stop.vm.uuid for stop in blockers.of_vms(snapshot, host) if stop.vm}
    vms = [vm for vm in snapshot.resident(host.uuid) if vm.uuid not in bound]
    return placement.place(snapshot, host, vms, placement.Conditions(newest=newest, squeeze=policy.squeeze))


def _forecast_turn(
    turn: str, host: Host, master: bool, found: placement.Placement, policy: Policy
) -> facts.ForecastTurn:
    return facts.ForecastTurn(
        turn=turn,
        host=host.named,
        master=master,
        updates=tuple(Package(one.name, one.version, one.release) for one in host.updates or ()),
        moves=tuple(facts.ForecastMove(vm=move.vm.named, to=move.to.named, memory=move.memory) for move in found.moves),
        seconds=_seconds(found.moves, installs=policy.updates and bool(host.updates)),
        because=_turn_because(host, master, policy),
    )


def _turn_because(host: Host, master: bool, policy: Policy) -> str:
    what = (
        f"{len(host.updates)} updates wait" if host.updates and policy.updates
        else "it was updated and not rebooted since" if host.reboot_pending
        else "a rolling reboot was asked for"
    )  # fmt: skip
    return f"{what}; the master goes first" if master else what


def _seconds(moves: Sequence[placement.Move], *, installs: bool) -> float:
    there_and_back = 2 * sum(move.memory for move in moves) / MIGRATION_BYTES_PER_SECOND
    return round(SURVEY_SECONDS + there_and_back + (INSTALL_SECONDS if installs else 0.0) + REBOOT_SECONDS, 1)


def _setting_sentences(settings: PoolSettings) -> list[str]:
    sentences = []
    if settings.ha.enabled:
        sentences.append("High availability is switched off for the run and on again at its end.")
    if settings.auto_poweron == "true":
        sentences.append("auto_poweron of the pool is set to false for the run and put back at its end.")
    if settings.wlb_enabled:
        sentences.append("Workload balancing is switched off for the run and on again at its end.")
    return sentences


def _digest(turns: Sequence[facts.ForecastTurn], stops: Sequence[facts.Blocker]) -> str:
    text = "\n".join([*(turn.model_dump_json() for turn in turns), *(stop.model_dump_json() for stop in stops)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forecast_sentence(
    snapshot: PoolSnapshot,
    turns: Sequence[facts.ForecastTurn],
    left: Sequence[Named],
    stops: Sequence[facts.Blocker],
    seconds: float,
) -> str:
    if not turns:
        return f"Nothing to do on pool {snapshot.name}: no host has an update waiting."
    if stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        return f"Pool {snapshot.name} cannot be updated as it is: {stops[0].sentence}{more}"
    moves = sum(len(turn.moves) for turn in turns)
    names = ", ".join(turn.host.name for turn in turns)
    rest = f"; {len(left)} left alone" if left else ""
    return (
        f"{len(turns)} of {len(snapshot.hosts)} hosts of {snapshot.name} have a turn ({names}{rest}), with {moves} VMs"
        f" moved away and home again, in about {max(1, round(seconds / 60))} minutes."
    )


# --- what is changed for the run, and put back ------------------------------------------------------------------------


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
    restore = [acts.RestorePoolSetting(name, before) for name, before, _ in noted]
    restore += [act for name, act in owed.items() if isinstance(act, acts.RestorePoolSetting) and not _in(name, noted)]
    return (claimed, *change, dump), always_steps(restore, claim.claim)


def always_steps(
    restore: Sequence[acts.RestorePoolSetting | acts.EnableHost], claim: str
) -> tuple[facts.StepPlanned, ...]:
    """The steps that put things back, side by side, and the pool let go after the last of them."""
    back = tuple(
        facts.StepPlanned(step=step_id(RESTORATION, number), act=act, why=_put_back_why(act), if_it_fails="warn")
        for number, act in enumerate(restore, 1)
    )
    release = facts.StepPlanned(
        step=step_id(RESTORATION, len(back) + 1),
        act=acts.ReleasePool(claim),
        needs=tuple(facts.Need(step=step.step, because="everything is put back first") for step in back),
        why="The pool is let go.",
        if_it_fails="warn",
    )
    return (*back, release)


def _put_back_why(act: acts.RestorePoolSetting | acts.EnableHost) -> str:
    if isinstance(act, acts.EnableHost):
        return f"{act.host.name} takes VMs again."
    return f"{act.setting} is put back to what it was before the run."


def _in(name: str, noted: Sequence[tuple[str, object, str]]) -> bool:
    return any(name == one for one, _, _ in noted)


def homes(snapshot: PoolSnapshot) -> tuple[facts.Home, ...]:
    """Where each VM that is on a host lives."""
    names = {host.uuid: host.named for host in snapshot.hosts}
    return tuple(
        facts.Home(vm=vm.named, host=names[vm.host]) for vm in snapshot.vms if vm.host is not None and vm.host in names
    )


# --- one turn ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a turn must know beside its snapshot: homes as noted, VMs that could not go home, hosts done already."""

    homes: Mapping[str, facts.Home]
    stranded: frozenset[str]
    done: frozenset[str]


def steps_of_turn(snapshot: PoolSnapshot, turn: str, host: Named, standing: Standing, policy: Policy) -> TurnPlan:
    """A turn planned afresh: its steps as a graph with reasons. `idle` when there is nothing to do any more."""
    here = snapshot.host(host.uuid)
    if here is None:
        gone = facts.Blocker(sentence=f"Host {host.name} is no longer in the pool; cancel the run.", host=host)
        return TurnPlan((), (), (gone,), 0.0)
    if not has_turn(here, policy):
        return TurnPlan((), (), (), 0.0, idle=True)
    fresh = new_homes(snapshot, here, standing)
    known = {**standing.homes, **{home.vm.uuid: home for home in fresh}}
    found = _placed_home_aware(snapshot, here, known, standing, policy)
    stops = (
        *_in_the_way(snapshot, here),
        *blockers.of_vms(snapshot, here),
        *(blockers.of_short(snapshot, here, one) for one in found.short),
    )
    if stops:
        return TurnPlan((), fresh, stops, 0.0)
    steps = _Graph(turn, snapshot, here, known, policy).steps(found.moves)
    return TurnPlan(steps, fresh, (), _seconds(found.moves, installs=policy.updates and bool(here.updates)))


def _in_the_way(snapshot: PoolSnapshot, here: Host) -> list[facts.Blocker]:
    """Faults of this very host, and of the others only where they matter to it: a host that is not live is not asked
    to take anything, so it does not stop a turn by itself."""
    return [stop for stop in blockers.of_pool(snapshot) if stop.host == here.named]


def new_homes(snapshot: PoolSnapshot, here: Host, standing: Standing) -> tuple[facts.Home, ...]:
    """Homes of VMs on this host that are seen for the first time, or that their owners moved here.

    A VM that could not go home keeps the home it has.
    """
    return tuple(
        facts.Home(vm=vm.named, host=here.named)
        for vm in snapshot.resident(here.uuid)
        if vm.uuid not in standing.stranded
        and (vm.uuid not in standing.homes or standing.homes[vm.uuid].host.uuid != here.uuid)
    )


def _placed_home_aware(
    snapshot: PoolSnapshot, here: Host, known: Mapping[str, facts.Home], standing: Standing, policy: Policy
) -> placement.Placement:
    """VMs whose home is another host that is done go straight there; the others are placed."""
    newest = standing.done
    bound = {stop.vm.uuid for stop in blockers.of_vms(snapshot, here) if stop.vm}
    vms = [vm for vm in snapshot.resident(here.uuid) if vm.uuid not in bound]
    straight: list[placement.Move] = []
    promised: dict[str, int] = {}
    for vm in vms:
        home = snapshot.host(known[vm.uuid].host.uuid)
        if home is None or home.uuid == here.uuid or home.uuid not in standing.done:
            continue
        if placement.obstacle(snapshot, vm, here, home, newest) or _left(snapshot, home, promised) < vm.footprint:
            continue
        promised[home.uuid] = promised.get(home.uuid, 0) + placement.comfortable(vm)
        straight.append(placement.Move(vm, home, placement.comfortable(vm)))
    gone = {move.vm.uuid for move in straight}
    conditions = placement.Conditions(newest=newest, promised=promised, squeeze=policy.squeeze)
    rest = placement.place(snapshot, here, [vm for vm in vms if vm.uuid not in gone], conditions)
    return placement.Placement((*straight, *rest.moves), rest.short)


def _left(snapshot: PoolSnapshot, host: Host, promised: Mapping[str, int]) -> int:
    return snapshot.free(host) - promised.get(host.uuid, 0)


class _Graph:
    """The steps of one turn, numbered as they are added. Lives for one call."""

    def __init__(
        self, turn: str, snapshot: PoolSnapshot, host: Host, homes: Mapping[str, facts.Home], policy: Policy
    ) -> None:
        self.turn = turn
        self.snapshot = snapshot
        self.host = host
        self.homes = homes
        self.policy = policy
        self.number = 1
        self.planned: list[facts.StepPlanned] = []

    def add(self, act: acts.Act, why: str, *needs: tuple[str, str], if_it_fails: str = "hold") -> str:
        self.number += 1
        step = facts.StepPlanned(
            step=step_id(self.turn, self.number),
            act=act,
            needs=tuple(facts.Need(step=before, because=because) for before, because in needs),
            why=why,
            if_it_fails="warn" if if_it_fails == "warn" else "hold",
        )
        self.planned.append(step)
        return step.step

    def steps(self, moves: Sequence[placement.Move]) -> tuple[facts.StepPlanned, ...]:
        host, name = self.host.named, self.host.name
        disabled = self.add(
            acts.DisableHost(host), f"No VM may come to {name} any more.", (step_id(self.turn, 1), "the plan is fresh")
        )
        left = [self._away(move, disabled) for move in moves]
        empty = self.add(
            acts.EvacuateRest(host, self.policy.migration_network),
            f"See that {name} is empty, and move what appeared meanwhile.",
            *((step, f"frees {_gib(move.memory)} on {name}") for step, move in zip(left, moves, strict=True)),
            (disabled, "nothing new arrives"),
        )
        back = self._patched_and_back(host, empty)
        for move in moves:
            self._home(move, back)
        return tuple(self.planned)

    def _away(self, move: placement.Move, disabled: str) -> str:
        return self.add(
            acts.MigrateVM(move.vm.named, move.to.named, self.host.named, "empty", self._network()),
            f"{move.vm.name} leaves {self.host.name} for {move.to.name}.",
            (disabled, f"{self.host.name} takes no new VMs"),
        )

    def _network(self) -> str:
        return self.policy.migration_network or self.snapshot.settings.migration_network

    def _patched_and_back(self, host: Named, empty: str) -> str:
        ready, because = empty, f"{host.name} is empty"
        ceiling = None if host.uuid == self.snapshot.master else named(self.snapshot, self.snapshot.master)
        if self.policy.updates and self.host.updates:
            ready = self.add(
                acts.InstallUpdates(host, ceiling),
                f"Install {len(self.host.updates)} updates on {host.name}.",
                (empty, because),
            )
            because = "the updates are installed"
        noted = self.add(
            acts.ReadHost(host, ceiling),
            f"Note what {host.name} is before it is rebooted.",
            *dict.fromkeys(((ready, because), (empty, f"{host.name} is empty"))),
        )
        kept = self._database_kept(host, noted)
        reboot = self.add(
            acts.RebootHost(host), f"Reboot {host.name}.", (noted, "its boot time and clock are on record"), *kept
        )
        back = self.add(acts.AwaitHost(host), f"Wait until {host.name} is back.", (reboot, "it was told to reboot"))
        expected = tuple(Package(one.name, one.version, one.release) for one in self.host.updates or ())
        attached = tuple(Named(sr, self.snapshot.sr_name(sr)) for sr in self.host.attached)
        gate = self.add(
            acts.CheckGate(host, attached, self.host.versions, self.policy.updates, expected),
            f"See that {host.name} has its storage and runs what was installed.",
            (back, "it is back"),
        )
        return self.add(acts.EnableHost(host), f"Let VMs come to {host.name} again.", (gate, "it passed its gate"))

    def _database_kept(self, host: Named, noted: str) -> tuple[tuple[str, str], ...]:
        """While the master is away the members have only their copy of the database, so it is made fresh before."""
        if host.uuid != self.snapshot.master:
            return ()
        dump = acts.DumpDatabase(self.snapshot.name)
        kept = self.add(
            dump, "Keep a copy of the pool's database.", (noted, "it is the last act before"), if_it_fails="warn"
        )
        return ((kept, "the members have the database"),)

    def _home(self, move: placement.Move, back: str) -> None:
        home = self.homes[move.vm.uuid].host
        if home.uuid == self.host.uuid:
            self.add(
                acts.MigrateVM(move.vm.named, home, move.to.named, "home", self._network()),
                f"{move.vm.name} goes home from {move.to.name} to {home.name}.",
                (back, f"{home.name} is done and takes VMs"),
                if_it_fails="warn",
            )


def steps_back(
    turn: str, first: int, host: Named, homeward: Sequence[tuple[Named, Named]], waits_for: Sequence[str], network: str
) -> tuple[facts.StepPlanned, ...]:
    """The steps that take a turn back: enable the host, then bring home each VM that left (VM, where it went), once
    the moves under way have ended."""
    ended = tuple(facts.Need(step=step, because="a move under way is let to its end") for step in waits_for)
    enable = facts.StepPlanned(
        step=step_id(turn, first),
        act=acts.EnableHost(host),
        needs=ended,
        why=f"{host.name} goes back to work as it is.",
    )
    return (enable, *homeward_steps(turn, first + 1, host, homeward, enable.step, network))


def homeward_steps(
    turn: str, first: int, host: Named, homeward: Sequence[tuple[Named, Named]], enabled: str, network: str
) -> tuple[facts.StepPlanned, ...]:
    """Steps that bring VMs home to a host: pairs of VM and where it is now."""
    return tuple(
        facts.StepPlanned(
            step=step_id(turn, number),
            act=acts.MigrateVM(vm, host, where, "home", network),
            needs=(facts.Need(step=enabled, because=f"{host.name} takes VMs again"),),
            why=f"{vm.name} goes home to {host.name}.",
            if_it_fails="warn",
        )
        for number, (vm, where) in enumerate(homeward, first)
    )


def named(snapshot: PoolSnapshot, uuid: str) -> Named:
    """A host's uuid and name together."""
    host = snapshot.host(uuid)
    return host.named if host else Named(uuid, uuid)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
