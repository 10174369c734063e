"""What is done with VMs that cannot simply move when their host has its turn. Pure.

The first that applies: the run's policy by VM name, tag or uuid; the VM's own wish; the policy's chain for the cause;
else it blocks. A VM is stopped only by consent, which is recorded with who gave it; Rota's own VM, its bus's and those
that they need are never stopped (conduct 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from services.planner import blockers, placement, storage_moves
from shared.domain import facts, storage
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import STRATEGIES, Cause, Policy, Strategy
from shared.domain.run import Run

Way = Literal["suspend", "shutdown"]

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Stop:
    """A VM that is stopped for its host's turn: how, for which cause and in which words, who agreed (empty: that is
    asked for with the plan), and whether blocks of its shutdown may be lifted for it. A storage VM `serves` SRs; who
    `uses` one that goes away in this turn starts when it is there again, on `starts_on` if not where it was stopped,
    which is `where`; and if the turn goes back, on `back_on`."""

    vm: VM
    way: Way
    cause: Cause
    because: str
    consent: str = ""
    lift: bool = False
    serves: tuple[Named, ...] = ()
    uses: tuple[Named, ...] = ()
    starts_on: Named | None = None
    where: Named | None = None
    back_on: Named | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The VMs that are stopped, what still stands in the way, VMs for whose sake the host is left out, those that go
    with their disks, and those of other hosts that stay there while their disks are `aside`; `causes` says of each of
    the last two why, by its uuid."""

    stops: tuple[Stop, ...] = ()
    blockers: tuple[facts.Blocker, ...] = ()
    left_out_for: tuple[str, ...] = ()
    sends: tuple[placement.Move, ...] = ()
    aside: tuple[placement.Move, ...] = ()
    causes: Mapping[str, Cause] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Consents:
    """Who agreed to what: VMs by name, tag or uuid and the giver; those whose stop was approved with the plan, by uuid,
    by whom, and whether somebody can still be asked with it."""

    given: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    approved: frozenset[str] = frozenset()
    approvers: str = ""
    may_ask: bool = True


def consents_of(run: Run) -> Consents:
    """What was agreed to in a run. Once it is planned nobody is asked any more but for what stands in its plan."""
    given = dict.fromkeys(run.consents, run.by)
    turns = run.forecast.turns if run.forecast and "plan" in run.approved else ()
    approved = frozenset(stop.vm.uuid for turn in turns for stop in turn.stops if not stop.consent)
    approvers = " and ".join(run.approved_by.get("plan", ()))
    return Consents(given, approved, approvers, may_ask=run.forecast is None)


def choose(
    snapshot: PoolSnapshot,
    host: Host,
    stops: Sequence[facts.Blocker],
    policy: Policy,
    consents: Consents,
    away: frozenset[str] = frozenset(),
    room: storage_moves.Room | None = None,
) -> Chosen:
    """What becomes of each VM that something keeps on a host in its turn, or that uses an SR (uuid) which goes `away`
    in it; what is not about a VM stays in the way. `room` is where VMs can go that take their disks along (None:
    nowhere)."""
    asked = snapshot.vms if stops else ()
    vms = {vm.uuid: vm for vm in asked if vm.host == host.uuid or (vm.host and not away.isdisjoint(vm.srs))}
    found: list[Stop] = []
    left: list[facts.Blocker] = []
    out: list[str] = []
    sends: list[placement.Move] = []
    causes: dict[str, Cause] = {}
    for stop in stops:
        vm = vms.get(stop.vm.uuid) if stop.vm else None
        cause = CAUSES.get(stop.code)
        if vm is None or cause is None:
            left.append(stop)
            continue
        here = snapshot.host(vm.host or "") or host
        said = _of_vm(snapshot, here, vm, cause, stop, policy, consents, found, away, room)
        if isinstance(said, Stop):
            found.append(said)
        elif isinstance(said, placement.Move):
            sends.append(said)
            causes[vm.uuid] = cause
        elif said is None:
            out.append(vm.name)
        else:
            left.append(said)
    leave = tuple(move for move in sends if move.source is None)
    aside = tuple(move for move in sends if move.source is not None)
    return Chosen(tuple(found), tuple(left), tuple(out), leave, aside, causes)


def _of_vm(
    snapshot: PoolSnapshot,
    host: Host,
    vm: VM,
    cause: Cause,
    stop: facts.Blocker,
    policy: Policy,
    consents: Consents,
    before: Sequence[Stop],
    away: frozenset[str],
    room: storage_moves.Room | None,
) -> Stop | placement.Move | facts.Blocker | None:
    """A stop, a move with its disks, what stands in the way, or None where the host is left out for the VM's sake. A VM
    that Rota stands on or needs may be moved with its disks, as it runs on; nothing else (conduct 9)."""
    chain, who = _chain(snapshot, vm, cause, policy)
    ground = vm.uuid in (*snapshot.rota_vms, *snapshot.needed_vms)
    chain = [one for one in chain if one == "migrate_with_storage"] if ground else chain
    reasons: list[str] = []
    chain = [one for one in chain if one not in ("migrate", "block")]
    for strategy in chain:
        if strategy == "migrate_with_storage":
            sent = _sent(snapshot, host, vm, cause, policy, room, last=strategy == chain[-1])
            if isinstance(sent, placement.Move):
                return sent
            reasons.append(f"it cannot take its disks along, because {sent}")
            continue
        if strategy == "skip_host":
            return None
        if strategy not in STRATEGIES:
            reasons.append(f"Rota cannot carry out the strategy {strategy!r}")
            continue
        by = _consent(vm, strategy, who, consents)
        if by is None:
            return _with(stop, f"Nobody agreed to have {vm.name} stopped, and the plan did not ask.")
        lift = bool(_giver(vm, consents) or named(vm, policy.strategies))
        for way in WAYS[strategy]:
            because = _unable(snapshot, host, vm, way, stop.code, policy, before, away)
            if because := because or _blocked(vm, way, lift=lift):
                reasons.append(because)
            else:
                return Stop(vm, way, cause, stop.sentence, by, lift, where=host.named)
    return _with(stop, f"Its strategy cannot be carried out: {'; '.join(reasons)}.") if reasons else stop


def _sent(
    snapshot: PoolSnapshot,
    host: Host,
    vm: VM,
    cause: Cause,
    policy: Policy,
    room: storage_moves.Room | None,
    *,
    last: bool,
) -> placement.Move | str:
    """The move of a VM with its disks, or why there is none. Where it failed to go to it is sent again only as the last
    resort. Off storage that goes away disks are taken only where they come home (mode home)."""
    if room is None:
        return "there is nowhere to take them"
    if cause == "storage_vm" and policy.mode != "home":
        return f"disks leave storage that goes away in a turn only where they come home again (mode is {policy.mode!r})"
    if cause == "storage_vm" and (bound := blockers.of_running(vm, host)):
        return f"XAPI would not move it while it runs ({bound.code})"
    if cause == "storage_vm" and (sr := storage_moves.stays_for(snapshot, vm, policy)):
        return f"it has a disk on {sr!r}, for whose sake it is not moved (excluded_vms)"
    if cause not in SENDABLE:
        return "what keeps it on its host is not its disks"
    return room.send(vm, again=last)


def _consent(vm: VM, strategy: str, who: str, consents: Consents) -> str | None:
    """Who agreed to have a VM stopped: whoever said so of it, else who stands for the strategy. Empty where that is
    asked for with the plan, None where it was not."""
    given = _giver(vm, consents)
    if given or strategy != "ask":
        return given or who
    if vm.uuid in consents.approved:
        return consents.approvers
    return "" if consents.may_ask else None


def _chain(snapshot: PoolSnapshot, vm: VM, cause: Cause, policy: Policy) -> tuple[Sequence[str], str]:
    """The strategies that apply, in order, and who stands for them."""
    owner = policy.owner or "the pool's policy"
    if wanted := named(vm, policy.strategies):
        return (wanted,), owner
    if vm.strategy:
        return (vm.strategy,), f"the owner of {vm.name}"
    chain = policy.chains.get(cause) or (policy.chains.get("one_host") if len(snapshot.hosts) == 1 else None)
    return chain or ("block",), owner


def named(vm: VM, strategies: Mapping[str, Strategy]) -> Strategy | None:
    return next((strategies[key] for key in (vm.uuid, vm.name, *vm.tags) if key in strategies), None)


def _giver(vm: VM, consents: Consents) -> str:
    return next((consents.given[key] for key in (vm.uuid, vm.name, *vm.tags) if key in consents.given), "")


def _unable(
    snapshot: PoolSnapshot,
    host: Host,
    vm: VM,
    way: Way,
    code: str,
    policy: Policy,
    before: Sequence[Stop],
    away: frozenset[str],
) -> str:
    """Why a VM cannot be stopped in this way; empty when it can."""
    if way == "shutdown":
        if vm.tools or policy.hard_shutdown:
            return ""
        return "it has no guest tools to be shut down through, and policy does not let it be switched off hard"
    if vm.devices or code in ("VM_NON_SUSPENDABLE", "VM_IS_IMMOBILE"):
        return "it cannot be suspended, because of what binds it to its host"
    if not vm.tools:
        return "it cannot be suspended without guest tools"
    return _no_room(snapshot, host, vm, policy, before, away)


def _no_room(
    snapshot: PoolSnapshot, host: Host, vm: VM, policy: Policy, before: Sequence[Stop], away: frozenset[str]
) -> str:
    """Why the SR that XAPI would write a VM's memory to cannot take it (xen-api helpers.ml choose_suspend_sr)."""
    uuid = suspend_sr(snapshot, host, vm)
    sr = next((one for one in snapshot.srs if one.uuid == uuid), None)
    if sr is None:
        return "there is no SR for suspended memory (xe pool-param-set suspend-image-SR=…)"
    if uuid in away:
        return f"{sr.name!r}, where its memory would go, is itself away meanwhile"
    if storage.is_excluded(sr, policy.exclude_sr):
        return f"{sr.name!r}, where its memory would go, is not to be touched (exclude_sr)"
    if uuid not in host.attached:
        return f"{sr.name!r}, where its memory would go, is not attached to {host.name}"
    taken = sum(
        one.vm.memory_now for one in before if one.way == "suspend" and suspend_sr(snapshot, host, one.vm) == uuid
    )
    if sr.free is not None and sr.free < taken + vm.memory_now:
        return f"{sr.name!r} has no room for {(taken + vm.memory_now) / GIB:.1f} GiB of suspended memory"
    return ""


def suspend_sr(snapshot: PoolSnapshot, host: Host, vm: VM) -> str:
    """Where a VM's memory goes: its own SR, the pool's, the host's; the uuid, or empty."""
    return vm.suspend_sr or snapshot.settings.suspend_sr or host.suspend_sr


def _blocked(vm: VM, way: Way, *, lift: bool) -> str:
    """Why its owner's block keeps a VM from being stopped; empty where none does, or it may be lifted."""
    key = next((key for key in POWER_OFF[way] if key in vm.blocked_operations), "")
    if not key or lift:
        return ""
    reason = vm.blocked_operations[key] or "no reason given"
    return (
        f"its owner has blocked {key} ({reason}), which is lifted only where the VM is named in policy or consented to"
    )


def _with(stop: facts.Blocker, more: str) -> facts.Blocker:
    return stop.model_copy(update={"sentence": f"{stop.sentence} {more}"})


WAYS: Mapping[str, tuple[Way, ...]] = MappingProxyType(
    {"suspend": ("suspend",), "shutdown": ("shutdown",), "ask": ("suspend", "shutdown")}
)
"""The ways of stopping that a strategy tries, in order."""

POWER_OFF: Mapping[Way, tuple[str, ...]] = MappingProxyType(
    {"suspend": ("suspend",), "shutdown": ("clean_shutdown", "shutdown", "hard_shutdown")}
)
"""The keys of blocked_operations that stand in the way of a stop, and that may be lifted with consent. Never those of
migration (conduct 11)."""

CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "VM_REQUIRES_SR": "local_disk",
        "DISC_IN_DRIVE": "disc",
        "ONE_HOST": "one_host",
        "HOST_NOT_ENOUGH_FREE_MEMORY": "memory",
        "NO_HOSTS_AVAILABLE": "no_place",
        "OPERATION_BLOCKED": "blocked",
        "VM_HAS_PCI_ATTACHED": "device",
        "VM_HAS_VGPU": "device",
        "VM_HAS_VUSBS": "device",
        "VM_HAS_SRIOV_VIF": "device",
        "VM_LACKS_FEATURE": "no_tools",
        "VM_NON_SUSPENDABLE": "immobile",
        "VM_IS_IMMOBILE": "immobile",
        "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": "immobile",
        "STORAGE_VM": "storage_vm",
        "EXCLUDED_SR": "excluded_sr",
    }
)
"""A blocker's code and the cause it stands for. What is not here (a paused VM) is nobody's strategy."""

SENDABLE: frozenset[Cause] = frozenset({"local_disk", "no_place", "storage_vm"})
"""The causes that a move with disks helps against: what keeps the VM is where its disks are, or will not be."""
