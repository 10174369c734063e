"""The guests that go home first after the run's first host, and are watched there (conduct 22). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.domain.model import VM

TAG = "rota:canary"

SHORTEST = 2.0
"""Minutes: tools report about once in one, so a shorter look tells nothing."""


def choose(vms: Iterable[VM], count: int) -> tuple[VM, ...]:
    """At most `count` of these VMs: those that their owners tagged `rota:canary`, else the smallest by what memory they
    have. Only guests that run and whose tools report can be watched; their owners' tags come first."""
    able = [vm for vm in vms if vm.power_state == "running" and vm.tools]
    tagged = [vm for vm in able if TAG in vm.tags]
    return tuple(sorted(tagged or able, key=lambda vm: (vm.memory_now, vm.name, vm.uuid))[: max(0, count)])
