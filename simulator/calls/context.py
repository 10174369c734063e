"""What a call knows beside its parameters, and how it reaches another host.

A handler is a plain function (done at once) or a coroutine on the simulated clock; `Waiting` ones run on asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.failure import NULL, Failure
from simulator.machine import Machine
from simulator.processes import Process
from simulator.site import Site

Handler = Callable[..., Any]


@dataclass(slots=True)
class Context:
    """One call under way: on which machine it arrived, under which session, behind which task."""

    site: Site
    machine: Machine
    method: str
    session: str = NULL
    headers: Mapping[str, str] = field(default_factory=dict)
    task: str = NULL
    originator: str = ""
    told: list[Any] = field(default_factory=list)
    process: Process | None = None

    def reach(self, host: str) -> Machine:
        """The machine of a host this call must be forwarded to, noted in its task.

        Raises HOST_OFFLINE when the pool counts it dead, CANNOT_CONTACT_HOST when its xapi does not answer
        (xen-api ocaml/xapi/message_forwarding.ml check_live).
        """
        machine = self.site.machine(host)
        if not self.site.is_live(host):
            raise Failure("HOST_OFFLINE", host)
        if not machine.reachable:
            raise Failure("CANNOT_CONTACT_HOST", host)
        errand = self.site.errands.get(self.task)
        if errand is not None and machine is not self.site.master:
            errand.forwarded_to = host
        return machine
