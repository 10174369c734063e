"""Which hosts have a turn, in which order, and why others have none. Pure.

Master first, always: a member newer than its master does not come back (xen-api xapi.ml, since v23.30.0). A selection
that would lead there is refused, never put right in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.domain import facts
from shared.domain.model import Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy

Work = Literal["reboot", "toolstack", "nothing"]
"""What a host's turn comes to: an emptied host that is rebooted; packages and a restart of its toolstack, while its VMs
run; nothing."""

INSTALLED = "rota:installed:"
"""What keys of a pool's other_config begin with by which an installation is noted until its host has rebooted."""

TOOLSTACK = ("forkexecd", "message-switch", "rrd", "sm", "squeezed", "varstored-guard", "xapi", "xcp-ng-xapi-plugins",
             "xenopsd", "xcp-rrdd")  # fmt: skip
"""Packages, by name or by what stands before a dash, that work again once the toolstack was restarted. XCP-ng's updates
carry no guidance, so whatever is not named here needs a reboot (docs.xcp-ng.org, "Updates")."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The hosts that have a turn, in their order; what forbids it; and in sentences what is left out that has something
    to do."""

    hosts: tuple[Host, ...] = ()
    blockers: tuple[facts.Blocker, ...] = ()
    notes: tuple[str, ...] = ()


def select(snapshot: PoolSnapshot, policy: Policy) -> Selection:
    """The hosts of a run on this pool under this policy."""
    if strangers := tuple(_strangers(snapshot, policy)):
        return Selection(blockers=strangers)
    due = [host for host in snapshot.hosts if has_turn(host, policy)]
    chosen = in_order([host for host in due if wanted(host, policy)], snapshot.master, policy.order)
    left = [host for host in due if host not in chosen]
    stops = (*_master_first(snapshot, chosen, policy), *_cannot_join(snapshot, chosen))
    return Selection(tuple(chosen), stops, tuple(_left_out(host) for host in left))


def has_turn(host: Host, policy: Policy) -> bool:
    """Whether a host has something to do."""
    return work(host, policy) != "nothing"


def work(host: Host, policy: Policy) -> Work:
    """What a host has to do: updates waiting, a reboot pending, or a rolling reboot that was asked for. What cannot be
    told (a host that is ahead of its master is not let in and cannot be asked) is looked at when its turn comes."""
    if not policy.updates or host.updates is None or host.reboot_pending:
        return "reboot"
    if not host.updates:
        return "nothing"
    small = policy.reboot == "when_needed" and all(of_toolstack(package.name) for package in host.updates)
    return "toolstack" if small else "reboot"


def of_toolstack(package: str) -> bool:
    """Whether a package needs no more than a restart of the toolstack."""
    return any(package == name or package.startswith(f"{name}-") for name in TOOLSTACK)


def wanted(host: Host, policy: Policy) -> bool:
    """Whether the policy's selection lets a host have a turn."""
    return (not policy.only or _named(host, policy.only)) and not _named(host, policy.skip)


def in_order(hosts: Sequence[Host], master: str, order: Sequence[str] = ()) -> list[Host]:
    """Master first, then the hosts that the policy puts in order (names or uuids), then the rest by name."""

    def rank(host: Host) -> tuple[bool, int, str, str]:
        places = [place for place, name in enumerate(order) if name in (host.name, host.uuid)]
        return host.uuid != master, places[0] if places else len(order), host.name, host.uuid

    return sorted(hosts, key=rank)


def conflicts(host: Named, others: Iterable[Named], policy: Policy) -> str:
    """Why a host may not be in its turn beside others, in one sentence: they are of one group (a failure domain of the
    policy, members by name or uuid). Empty when it may."""
    for group, members in policy.groups.items():
        if host.name not in members and host.uuid not in members:
            continue
        for other in others:
            if other.name in members or other.uuid in members:
                return f"{host.name} waits for {other.name}, because both are of the group {group!r}."
    return ""


def with_installations(snapshot: PoolSnapshot) -> PoolSnapshot:
    """The snapshot with a reboot pending where an installation of ours is noted in the pool and no boot came after:
    what was installed then may show nowhere else (a microcode, a library)."""
    noted = {
        key.removeprefix(INSTALLED): _noted_at(text)
        for key, text in snapshot.settings.notes.items()
        if key.startswith(INSTALLED)
    }
    hosts = tuple(
        replace(host, reboot_pending=True)
        if host.uuid in noted and (host.boot_time is None or host.boot_time < noted[host.uuid])
        else host
        for host in snapshot.hosts
    )
    return replace(snapshot, hosts=hosts) if noted else snapshot


def _noted_at(text: str) -> float:
    """When something was installed, by the host's own clock; never over where the note cannot be read."""
    try:
        return float(json.loads(text)["at"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _named(host: Host, names: Sequence[str]) -> bool:
    return host.name in names or host.uuid in names


def _strangers(snapshot: PoolSnapshot, policy: Policy) -> Iterator[facts.Blocker]:
    """Names in the policy that no host has."""
    known = {name for host in snapshot.hosts for name in (host.name, host.uuid)}
    there = ", ".join(host.name for host in snapshot.hosts)
    groups = {f"groups.{group}": members for group, members in policy.groups.items()}
    for field, names in {"only": policy.only, "skip": policy.skip, "order": policy.order, **groups}.items():
        for name in names:
            if name not in known:
                sentence = f"Policy {field} names {name!r}, and pool {snapshot.name} has no such host; it has {there}."
                yield facts.Blocker(sentence=sentence, code="NO_SUCH_HOST")


def _master_first(snapshot: PoolSnapshot, chosen: Sequence[Host], policy: Policy) -> Iterator[facts.Blocker]:
    """A member may not become newer than a master that has updates waiting or pending."""
    master = snapshot.host(snapshot.master)
    if master is None or master in chosen or not _behind(master):
        return
    rising = [host for host in chosen if host.reboot_pending or (policy.updates and host.updates != ())]
    if rising:
        names = ", ".join(host.name for host in rising)
        what = "is updated and not rebooted since" if master.reboot_pending else "has updates waiting"
        sentence = (
            f"{master.name} is the master of {snapshot.name} and {what}, so {names} cannot be updated before it: a"
            f" member newer than its master does not come back. Select {master.name} too."
        )
        yield facts.Blocker(sentence=sentence, code="MASTER_FIRST", host=master.named)


def _cannot_join(snapshot: PoolSnapshot, chosen: Sequence[Host]) -> Iterator[facts.Blocker]:
    """A member that is ahead of a master which nothing makes newer."""
    master = snapshot.host(snapshot.master)
    if master is None or _behind(master):
        return
    for host in chosen:
        if host.ahead:
            sentence = (
                f"{host.name} is newer than its master {master.name} and is not let in, and {master.name} is offered no"
                f" updates; look at the repositories of {master.name}."
            )
            yield facts.Blocker(sentence=sentence, code="MEMBER_AHEAD", host=host.named)


def _behind(master: Host) -> bool:
    return master.updates != () or master.reboot_pending


def _left_out(host: Host) -> str:
    waiting = len(host.updates or ())
    what = f"has {waiting} updates waiting" if waiting else "has something to do"
    return f"{host.name} {what} and is left out, as the policy says."
