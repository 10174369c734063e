"""The whole simulated site: the pool's database, its machines, time, bandwidth and the journal, held together.

Everything that acts takes a Site. It holds no rule of XAPI's; those stand in `calls/` and the modules they use.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simulator.clock import Clock
from simulator.description import WorldSpec
from simulator.failure import NULL, Failure
from simulator.flows import Flows
from simulator.journal import Journal
from simulator.machine import Machine
from simulator.processes import Group, Scheduler, Signal
from simulator.profiles import Profile
from simulator.values import DateTime, Record, moment
from simulator.wire.shown import Shown
from simulator.world import Row, World

if TYPE_CHECKING:
    from simulator.migration import Migration
    from simulator.tasks import Errand


REPORTS = 60.0


class Site:
    """One pool with everything under it.

    `doors` is called when a machine's port opens or closes; `settled` fires when a call in a queue may look again.
    """

    def __init__(self, spec: WorldSpec, profile: Profile, world: World, clock: Clock, journal: Journal) -> None:
        self.spec = spec
        self.profile = profile
        self.world = world
        self.clock = clock
        self.journal = journal
        self.scheduler = Scheduler(clock)
        self.flows = Flows(clock)
        self.machines: dict[str, Machine] = {}
        self.settled = Signal()
        self.master_returned = Signal()
        self.doors: list[Callable[[Machine], None]] = []
        self.sessions_ended: list[Callable[[], None]] = []
        self.errands: dict[str, Errand] = {}
        self.migrations: list[Migration] = []
        self.armed: list[dict[str, Any]] = []
        self.deaf_guests: set[str] = set()
        self.frozen: dict[str, float] = {}
        self.mourned: set[str] = set()
        self.unreachable_srs: set[str] = set()
        self.degraded_srs: dict[str, float] = {}
        self.lagging: set[str] = set()
        self.nature = Group(self.scheduler, "nature")
        self.session_used: dict[str, float] = {}
        self.flushed_generation = 0
        self.synced_hash = ""
        self.backup: dict[str, dict[str, str]] = {}
        self.waiters: dict[asyncio.Event, None] = {}
        self._counts: dict[str, int] = {}
        world.watchers.append(self.wake)
        self.sessions_ended.append(self.wake)

    @property
    def pool(self) -> str:
        return self.world.one("pool")[0]

    @property
    def pool_record(self) -> Record:
        return self.world.one("pool")[1]

    @property
    def master(self) -> Machine:
        return self.machines[self.pool_record["master"]]

    def machine(self, host: str) -> Machine:
        """The machine behind a host reference; raises HANDLE_INVALID for one the pool does not have."""
        if host not in self.machines or not self.world.has("host", host):
            raise Failure("HANDLE_INVALID", "host", host)
        return self.machines[host]

    def named(self, name: str) -> Machine:
        """The machine of that name; raises KeyError."""
        for machine in self.machines.values():
            if machine.name == name:
                return machine
        raise KeyError(name)

    def vm_named(self, name: str) -> str:
        """The VM of that name (no control domain, template or snapshot); raises KeyError."""
        for ref, record in self.world.all("VM"):
            if record["name_label"] == name and is_guest(record):
                return ref
        raise KeyError(name)

    def today(self) -> DateTime:
        """The simulated moment as XAPI writes dates."""
        return moment(self.clock.unix())

    def chance(self, *key: object) -> random.Random:
        """Randomness that belongs to a key: the same on every run, whatever else happens."""
        return random.Random("/".join(str(part) for part in (self.world.seed, *key)))  # noqa: S311 - must repeat

    def count(self, what: str) -> int:
        """1 the first time it is asked about `what`, then 2, and so on."""
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]

    def name(self, cls: str, ref: str) -> str | None:
        """The name a world file gives to an object, or None where there is none."""
        row = self.world.rows[cls].get(ref) if ref != NULL else None
        return row.record.get("name_label") if row else None

    def guests(self, host: str) -> list[str]:
        """The VMs on a host as the database has them, without its control domain."""
        return [
            vm
            for vm in self.world.record("host", host)["resident_VMs"]
            if not self.world.record("VM", vm)["is_control_domain"]
        ]

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """An asyncio event that is set at each change of the database, and when sessions end."""
        event = asyncio.Event()
        self.waiters[event] = None
        try:
            yield event
        finally:
            del self.waiters[event]

    def wake(self, *_: object) -> None:
        """Tells those who wait for changes to look."""
        for event in self.waiters:
            event.set()

    def view(self, cls: str, ref: str) -> Shown:
        """A row as clients see it now; what a guest reports goes on by itself, each minute, unless the guest is frozen.

        Raises HANDLE_INVALID [class, ref].
        """
        row = self.world.rows[cls].get(ref)
        if row is None:
            raise Failure("HANDLE_INVALID", cls, ref)
        if cls == "VM_guest_metrics":
            heard = self.frozen.get(ref, self.clock.unix())
            told = {**row.record, "last_updated": moment(heard - heard % REPORTS)}
            row = Row(told, row.created, row.modified)
        return Shown(row)

    def set_door(self, machine: Machine, door: str) -> None:
        machine.door = door
        for watcher in self.doors:
            watcher(machine)

    def journal_host(self, machine: Machine, state: str, cause: str) -> None:
        self.journal.write("host", host=machine.name, state=state, cause=cause)

    def set_enabled(self, machine: Machine, enabled: bool, cause: str) -> None:
        """Writes host.enabled, and a journal line if that changes it."""
        if self.world.change("host", machine.ref, enabled=enabled):
            self.journal_host(machine, "enabled" if enabled else "disabled", cause)
            refresh_host(self, machine.ref)
            self.settled.fire()

    def set_live(self, host: str, live: bool) -> None:
        metrics = self.world.record("host", host)["metrics"]
        if self.world.change("host_metrics", metrics, live=live, last_updated=self.today()):
            refresh_host(self, host)

    def is_live(self, host: str) -> bool:
        return bool(self.world.record("host_metrics", self.world.record("host", host)["metrics"])["live"])

    def upgrading(self) -> bool:
        """The pool says that a rolling upgrade is in progress."""
        return "rolling_upgrade_in_progress" in self.pool_record["other_config"]


def is_guest(record: Record) -> bool:
    """A VM that people mean: no control domain, template or snapshot."""
    return not (record["is_control_domain"] or record["is_a_template"] or record["is_a_snapshot"])


def refresh_host(site: Site, host: str) -> None:
    """Works out host.allowed_operations again (advice only: xen-api ocaml/xapi/xapi_host_helpers.ml)."""
    record = site.world.record("host", host)
    busy = set(record["current_operations"].values())
    allowed = ["provision", "vm_resume", "evacuate", "vm_start", "vm_migrate"]
    if busy & {"evacuate", "shutdown", "reboot"}:
        allowed = []
    elif not record["enabled"]:
        allowed = ["reboot", "shutdown", "apply_updates", "evacuate", "provision", "vm_resume", "vm_migrate", "enable"]
    if site.upgrading():
        allowed = [one for one in allowed if one in ("provision", "evacuate")]
    site.world.change("host", host, allowed_operations=allowed)
