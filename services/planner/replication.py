"""Storage whose data lies on the hosts themselves: one host away at a time, and none before everything is whole. Pure.

XOSTOR (LINSTOR) needs more: its satellites must be of the controller's version, so its packages are brought to all
hosts before the first is rebooted, the master first, and then its services are restarted (conduct 14 and 21). Once
begun that is finished, whoever cancels: hosts of two versions would lose one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.planner import limits
from shared.domain import acts, facts
from shared.domain.model import SR, Host, Package, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.run import PREPARATION, Run, Step

Steps = tuple[facts.StepPlanned, ...]

LINSTOR = "linstor"

PACKAGES = ("xcp-ng-xapi-plugins", "xcp-ng-linstor", "linstor-satellite", "linstor-controller")
"""What is installed on all hosts first, in this order: what Xen Orchestra does (patching.mjs)."""

ALIKE = PACKAGES[1:]
"""Those that must be of one version everywhere."""

PARITY = frozenset({"install_package", "switch_service"})
"""Kinds of step that bring hosts to one version."""

PACKAGE_SECONDS, SERVICE_SECONDS, RESYNC_SECONDS = 20.0, 5.0, 120.0
"""For the estimate: one small package, one service, and the wait until what was written meanwhile is everywhere."""


def storage(snapshot: PoolSnapshot) -> tuple[SR, ...]:
    """The SRs whose data is at stake when a second host goes away."""
    return tuple(sr for sr in snapshot.srs if limits.is_fragile(snapshot, sr))


def blockers(snapshot: PoolSnapshot, policy: Policy) -> Iterator[facts.Blocker]:
    """Storage of which nobody could say before the next host whether it is whole, and packages that would differ."""
    for sr in storage(snapshot):
        if sr.unseen:
            yield facts.Blocker(
                sentence=f"The storage {sr.name!r} is replicated between the hosts, and it cannot be told whether it is"
                f" whole: {sr.unseen.rstrip('.')}. See that the plugin linstor-manager answers, then start again.",
                code="SR_REPLICATED",
            )
        elif sr.type not in limits.ONE_AT_A_TIME and not (policy.gates_before_turn or policy.gates_after_turn):
            yield facts.Blocker(
                sentence=f"The storage {sr.name!r} is replicated between the hosts, as rota.toml says (replicated), and"
                " Rota cannot see by itself whether it is whole; name a gate that can (gates_before_turn).",
                code="SR_REPLICATED",
            )
    yield from _unlike(snapshot, policy)


def _unlike(snapshot: PoolSnapshot, policy: Policy) -> Iterator[facts.Blocker]:
    for name in ALIKE if policy.updates and _has_linstor(snapshot) else ():
        offered = {host.name: _evr(one) for host, one in _offered(snapshot, name)}
        if len(set(offered.values())) > 1:
            told = ", ".join(f"{evr} to {host}" for host, evr in offered.items())
            yield facts.Blocker(
                sentence=f"LINSTOR must be of one version on all hosts, and {name} is offered as {told}; let the hosts"
                " use the same repositories and mirrors (yum clean all on each).",
                code="LINSTOR_VERSIONS",
            )


def warnings(snapshot: PoolSnapshot) -> Iterator[str]:
    """Storage that is not whole now."""
    for sr in storage(snapshot):
        if sr.degraded:
            yield f"The storage {sr.name!r} is not whole now ({sr.degraded}); no host goes away before it is."


def notes(snapshot: PoolSnapshot, policy: Policy) -> Iterator[str]:
    """What is done for such storage, said beforehand."""
    seen = [sr for sr in storage(snapshot) if sr.type in limits.ONE_AT_A_TIME]
    if seen:
        names = " and ".join(repr(sr.name) for sr in seen)
        yield (
            f"The storage {names} lies on the hosts themselves: one of them is away at a time, and none is disabled or"
            f" rebooted before it is whole, which is waited for, for {policy.resync_minutes:g} minutes each time."
        )
    installs = _installs(snapshot, policy)
    if installs:
        names = ", ".join(dict.fromkeys(package.name for _, package in installs))
        hosts = len({host.uuid for host, _ in installs})
        yield (
            f"Before the first host's turn {names} is installed on {hosts} hosts, the master first, whatever is chosen"
            " or skipped, and LINSTOR's services are restarted: its versions must be the same everywhere."
        )


def seconds(snapshot: PoolSnapshot, policy: Policy) -> float:
    """Seconds that the packages and services take before the first turn, for the estimate."""
    installs = _installs(snapshot, policy)
    return len(installs) * PACKAGE_SECONDS + (2 * len(snapshot.hosts) * SERVICE_SECONDS if installs else 0.0)


def first(preparation: Steps, snapshot: PoolSnapshot, policy: Policy) -> Steps:
    """A run's preparation with LINSTOR's packages on all hosts, one after the other, and its services."""
    installs = _installs(snapshot, policy)
    if not installs:
        return preparation
    number = max(int(step.step.rpartition("s")[2]) for step in preparation)
    needs = tuple(facts.Need(step=step.step, because="the pool is prepared") for step in preparation)
    master = snapshot.named(snapshot.master)
    added: list[facts.StepPlanned] = []

    def add(act: acts.Act, why: str) -> None:
        nonlocal number, needs
        added.append(facts.StepPlanned(step=step_id(PREPARATION, number := number + 1), act=act, needs=needs, why=why))
        needs = (facts.Need(step=added[-1].step, because="LINSTOR's packages go one after the other"),)

    add(_check(snapshot, policy, None), "See that replicated storage is whole before LINSTOR's packages.")
    for host, package in installs:
        ceiling = None if host.uuid == snapshot.master else master
        what = Package(package.name, package.version, package.release)
        add(acts.InstallPackage(host.named, what, ceiling), f"Install {package.name} on {host.name}.")
    for host in _in_order(snapshot):
        why = f"Stop linstor-controller on {host.name}; it starts again where it is to run."
        add(acts.SwitchService(host.named, "linstor-controller", "stop"), why)
    for host in _in_order(snapshot):
        why = f"Restart linstor-satellite on {host.name}."
        add(acts.SwitchService(host.named, "linstor-satellite", "restart"), why)
    return (*preparation, *added)


def around_turn(steps: Steps, turn: str, snapshot: PoolSnapshot, host: Host, policy: Policy) -> Steps:
    """A turn's steps with the looks at such storage: before its host is disabled, and before it is rebooted."""
    if not any(sr.type in limits.ONE_AT_A_TIME for sr in storage(snapshot)):
        return steps
    disable = next((step for step in steps if isinstance(step.act, acts.DisableHost)), None)
    read = next((step for step in steps if isinstance(step.act, acts.ReadHost)), None)
    if disable is None or read is None:
        return steps
    number = max(int(step.step.rpartition("s")[2]) for step in steps)
    looks = {
        before.step: facts.StepPlanned(
            step=step_id(turn, number + nth),
            act=_check(snapshot, policy, host.named),
            needs=before.needs,
            why=f"See that replicated storage is whole before {host.name} is {done}.",
        )
        for nth, (before, done) in enumerate(((disable, "disabled"), (read, "rebooted")), 1)
    }
    bound = (_behind(step, looks.get(step.step)) for step in steps)
    return (*looks.values(), *(_without_linstor(step, snapshot) for step in bound))


def published_since(snapshot: PoolSnapshot, host: Host, policy: Policy) -> Iterator[facts.Blocker]:
    """What stands in the way of a turn whose host is offered LINSTOR's packages, which all hosts had before the first
    turn: newer ones have been published."""
    late = [one.name for one in host.updates or () if one.name in ALIKE] if _has_linstor(snapshot) else []
    if late and policy.updates:
        yield facts.Blocker(
            sentence=f"{host.name} is offered {', '.join(late)} by now, which must be on all hosts before any is"
            " rebooted; cancel, and start again.",
            code="LINSTOR_VERSIONS",
            host=host.named,
        )


def unfinished(run: Run) -> bool:
    """Whether hosts may have LINSTOR in two versions, because its packages are on some of them and not on all."""
    steps = _parity(run)
    return any(step.attempt for step in steps) and not all(step.settled for step in steps)


def _parity(run: Run) -> list[Step]:
    turn = run.turns.get(PREPARATION)
    return [step for step in turn.steps.values() if step.act.kind in PARITY] if turn else []


def _installs(snapshot: PoolSnapshot, policy: Policy) -> list[tuple[Host, Package]]:
    """Which package goes on which host, in their order: each package on all hosts, the master first."""
    if not policy.updates or not _has_linstor(snapshot):
        return []
    return [found for name in PACKAGES for found in _offered(snapshot, name)]


def _offered(snapshot: PoolSnapshot, name: str) -> list[tuple[Host, Package]]:
    return [(host, one) for host in _in_order(snapshot) for one in host.updates or () if one.name == name]


def _in_order(snapshot: PoolSnapshot) -> Sequence[Host]:
    live = [host for host in snapshot.hosts if host.live]
    return sorted(live, key=lambda host: host.uuid != snapshot.master)


def _has_linstor(snapshot: PoolSnapshot) -> bool:
    return any(sr.type == LINSTOR for sr in snapshot.srs)


def _check(snapshot: PoolSnapshot, policy: Policy, host: Named | None) -> acts.CheckReplication:
    srs = tuple(Named(sr.uuid, sr.name) for sr in storage(snapshot) if sr.type in limits.ONE_AT_A_TIME)
    return acts.CheckReplication(srs, policy.resync_minutes, host=host)


def _behind(step: facts.StepPlanned, look: facts.StepPlanned | None) -> facts.StepPlanned:
    if look is None:
        return step
    need = facts.Need(step=look.step, because="replicated storage is whole")
    return step.model_copy(update={"needs": (*step.needs, need)})


def _without_linstor(step: facts.StepPlanned, snapshot: PoolSnapshot) -> facts.StepPlanned:
    """An installation that leaves LINSTOR's packages alone."""
    if not isinstance(step.act, acts.InstallUpdates) or not _has_linstor(snapshot):
        return step
    return step.model_copy(update={"act": replace(step.act, apart=ALIKE)})


def _evr(package: Package) -> str:
    return f"{package.version}-{package.release}" if package.release else package.version
