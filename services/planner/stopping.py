"""VMs that are stopped for a turn and started again after it: their order, their acts, how long they are down. Pure.

Those that start last stop first (start_order); a group waits for the one before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from services.planner import placement, strategies
from shared.domain import acts, facts
from shared.domain.model import Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.run import Step, StepState, Turn

DISK_BYTES_PER_SECOND = 200 * 1024**2
GUEST_SECONDS = 60.0
AT_ONCE = 3
PLUG_SECONDS = 20.0
"""For the estimate: what a suspended VM's memory is written and read with, and what a guest takes to stop or start; so
many are stopped or started at once, lest a host's disks be all that they wait for; and what an SR takes to be detached
from all hosts and attached again."""


def in_start_order(stops: Sequence[strategies.Stop]) -> tuple[tuple[strategies.Stop, ...], ...]:
    """Groups of VMs that start together, in the order they start. An appliance's order is XAPI's start_order too, and
    one order for all of them keeps to each (xen-api xapi_vm_appliance.ml)."""
    ordered = sorted(stops, key=lambda stop: (stop.vm.start_order, stop.vm.name, stop.vm.uuid))
    return tuple(tuple(group) for _, group in itertools.groupby(ordered, key=lambda stop: stop.vm.start_order))


def stop_act(stop: strategies.Stop, host: Named, policy: Policy, *, no_way_back: bool) -> acts.Stop:
    """The act that takes a VM down."""
    if stop.way == "suspend":
        return acts.SuspendVM(stop.vm.named, host, stop.consent, stop.lift, no_way_back, stop.uses, stop.back_on)
    return acts.ShutdownVM(
        stop.vm.named,
        host,
        stop.consent,
        policy.guest_shutdown_minutes,
        policy.hard_shutdown,
        stop.lift,
        no_way_back,
        stop.serves,
        stop.uses,
        stop.back_on,
    )


def start_act(stop: acts.Stop, settle: float = 0.0, on: Named | None = None) -> acts.Start:
    """The act that brings back what an act took down, there or on another host."""
    if isinstance(stop, acts.SuspendVM):
        return acts.ResumeVM(stop.vm, on or stop.host, settle)
    return acts.StartVM(stop.vm, on or stop.host, settle, stop.serves)


def no_way_back(snapshot: PoolSnapshot, here: Host, done: frozenset[str], policy: Policy) -> bool:
    """Whether a VM that is stopped on a host could not be started there as it is, because another host is newer
    (conduct 3): found so, or made so by this run."""
    others = (host for host in snapshot.hosts if host.uuid != here.uuid)
    overtaken = policy.updates and here.uuid not in done
    return any((overtaken and other.uuid in done) or placement.older(here.versions, other.versions) for other in others)


def told(stop: strategies.Stop, host: Named) -> facts.ForecastStop:
    """A stop in a host's turn as the forecast shows it; how long it lasts is known once the turn's times are."""
    memory = placement.comfortable(stop.vm)
    return facts.ForecastStop(
        vm=stop.vm.named,
        strategy=stop.way,
        cause=stop.cause,
        because=stop.because,
        memory=memory,
        consent=stop.consent,
        host=None if stop.where == host else stop.where,
        starts_on=stop.starts_on,
        serves=stop.serves,
        uses=stop.uses,
    )


def one_way(stops: Sequence[facts.ForecastStop]) -> float:
    """Seconds that it takes to stop VMs, or to start them again; storage VMs wait for the others, and these for them
    and what they serve, which is attached or detached meanwhile."""
    plain = [(stop.strategy, seconds(stop.strategy, stop.memory)) for stop in stops if not stop.serves]
    served = (stop for stop in stops if stop.serves)
    return together(plain) + sum(
        seconds(stop.strategy, stop.memory) + PLUG_SECONDS * len(stop.serves) / 2 for stop in served
    )


def seconds(strategy: str, memory: int) -> float:
    """Seconds that one VM with so many bytes takes to stop, or to start."""
    return memory / DISK_BYTES_PER_SECOND if strategy == "suspend" else GUEST_SECONDS


def together(each: Sequence[tuple[str, float]]) -> float:
    """Seconds that VMs take together, of which each is known by its strategy: memory goes through one disk, while of
    guests that shut down or start a few are at it at once."""
    guests = [one for strategy, one in each if strategy != "suspend"]
    disk = sum(one for strategy, one in each if strategy == "suspend")
    return disk + (max(max(guests), sum(guests) / AT_ONCE) if guests else 0.0)


def timed(stops: Sequence[facts.ForecastStop], parts: Sequence[facts.ForecastPart]) -> tuple[facts.ForecastStop, ...]:
    """The stops of a turn with how long each VM is down: at most from the first stop to the last start."""
    away = [part for part in parts if part.kind in ("install", "reboot", "check")]
    down = max((part.ends for part in away), default=0.0) - min((part.begins for part in away), default=0.0)
    down += 2 * one_way(stops)
    return tuple(stop.model_copy(update={"seconds": round(down, 1)}) for stop in stops)


def stopped(turn: Turn) -> tuple[tuple[Step, acts.Stop], ...]:
    """The VMs that a turn has stopped, or may have: told to, and not known to have stayed up."""
    return tuple(
        (step, act)
        for step, act in planned(turn)
        if step.attempt
        and step.state is not StepState.GAVE_UP
        and not (isinstance(step.result, acts.Stopped) and step.result.gone)
    )


def planned(turn: Turn) -> tuple[tuple[Step, acts.Stop], ...]:
    """The VMs that a turn stops or is to stop, and that nobody left out."""
    return tuple(
        (step, step.act)
        for step in turn.steps.values()
        if isinstance(step.act, (acts.ShutdownVM, acts.SuspendVM)) and step.state is not StepState.SKIPPED
    )


def bound_to_go_on(turn: Turn) -> tuple[str, ...]:
    """Names of VMs that a turn has stopped and that can only be started once its host is updated."""
    return tuple(act.vm.name for _, act in stopped(turn) if act.no_way_back)


def debt(act: acts.GivesBack) -> facts.Debt:
    """What is owed when a VM could not be started, or an SR not attached, again: the name of the debt, its condition,
    and the command."""
    if isinstance(act, acts.PlugPBD):
        return facts.Debt(
            setting=f"the storage {act.sr.name} on {act.host.name}",
            condition=f"{act.vm.name} runs and its export answers",
            command=f"xe pbd-plug uuid=$(xe pbd-list sr-uuid={act.sr.uuid} host-uuid={act.host.uuid} --minimal)",
        )
    verb = "vm-resume" if isinstance(act, acts.ResumeVM) else "vm-start"
    return facts.Debt(
        setting=f"the start of {act.vm.name}",
        condition=f"{act.host.name} can take it",
        command=f"xe {verb} uuid={act.vm.uuid} on={act.host.name}",
    )
