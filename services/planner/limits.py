"""How many hosts may be away at once and how many may be emptied ahead, as the policy asks and the pool allows. Pure.

A number is taken as it stands, a share ("25%") of the pool's hosts is rounded down. Both are lowered, and it is said
why, where storage or memory does not allow them: while so many hosts are empty the others must have room for all VMs,
and with hosts emptied ahead for one more host's loss besides (nobody is protected by HA meanwhile).
"""

from __future__ import annotations

from dataclasses import dataclass

from services.planner import placement
from shared.domain.model import SR, PoolSnapshot
from shared.domain.policy import Amount, Policy

FEW = 4
"""In a pool of fewer hosts nothing is emptied ahead unless policy says so: all VMs would stand on too few."""

ONE_AT_A_TIME = frozenset({"linstor", "gfs2"})
"""Types of SR whose data is at stake when a second host goes away; XAPI does not call linstor clustered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many hosts may be away at once, how many more emptied meanwhile, and what was lowered, in sentences."""

    max_away: int
    empty_ahead: int
    because: tuple[str, ...] = ()


def resolved(policy: Policy, snapshot: PoolSnapshot) -> Limits:
    """The limits of a run on this pool."""
    hosts = len(snapshot.hosts)
    away = max(1, amount(policy.max_away, hosts))
    ahead = (1 if hosts >= FEW else 0) if policy.empty_ahead is None else amount(policy.empty_ahead, hosts)
    wanted = Limits(min(away, max(1, hosts - 1)), min(ahead, max(0, hosts - 2)))
    fragile = next((sr for sr in snapshot.srs if is_fragile(snapshot, sr)), None)
    if fragile is not None:
        return _lowered(wanted, Limits(1, 0), f"The storage {fragile.name!r} is replicated between the hosts", policy)
    return _within_memory(wanted, snapshot, policy)


def is_fragile(snapshot: PoolSnapshot, sr: SR) -> bool:
    """Whether an SR's data is at stake when a second host goes away."""
    return sr.type in ONE_AT_A_TIME or sr.uuid in snapshot.replicated


def amount(value: Amount, hosts: int) -> int:
    """A number, or a share of the hosts rounded down."""
    return int(hosts * float(value.rstrip("%")) / 100) if isinstance(value, str) else value


def _within_memory(wanted: Limits, snapshot: PoolSnapshot, policy: Policy) -> Limits:
    away, ahead = wanted.max_away, wanted.empty_ahead
    while ahead and not _fits(snapshot, away + ahead + 1):
        ahead -= 1
    while away > 1 and not _fits(snapshot, away):
        away -= 1
    because = "The other hosts have not the memory for more" + (
        " and for one host's loss" if wanted.empty_ahead else ""
    )
    return _lowered(wanted, Limits(away, ahead), because, policy)


def _fits(snapshot: PoolSnapshot, empty: int) -> bool:
    """Whether all VMs fit on the hosts that are left when the largest so many are empty."""
    rooms = sorted(host.memory_total - host.memory_overhead for host in snapshot.hosts if host.live)
    needed = sum(placement.comfortable(vm) for vm in snapshot.vms if vm.host is not None)
    return len(rooms) > empty and needed <= sum(rooms[: len(rooms) - empty])


def _lowered(wanted: Limits, got: Limits, why: str, policy: Policy) -> Limits:
    said = []
    if got.max_away < wanted.max_away:
        said.append(f"{why}, so at most {got.max_away} of the {wanted.max_away} hosts asked for are away at once.")
    if got.empty_ahead < wanted.empty_ahead and policy.empty_ahead is not None:
        said.append(f"{why}, so {got.empty_ahead} instead of {wanted.empty_ahead} hosts are emptied ahead.")
    return Limits(got.max_away, got.empty_ahead, tuple(said))
