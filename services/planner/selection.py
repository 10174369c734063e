"""Which hosts have a turn, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.model import Host
from shared.domain.policy import Policy


def has_turn(host: Host, policy: Policy) -> bool:
    """Whether a host has something to do: updates waiting, a reboot pending, or a rolling reboot was asked for."""
    return not policy.updates or bool(host.updates) or host.updates is None or host.reboot_pending


def in_order(hosts: Sequence[Host], master: str) -> list[Host]:
    """Master first, always: a member newer than its master does not come back (xen-api xapi.ml, since v23.30.0)."""
    return sorted(hosts, key=lambda host: (host.uuid != master, host.name, host.uuid))
