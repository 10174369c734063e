"""What happens to a VM: it starts, stops, is suspended, moves; each change in the database and in the journal.

No question is asked here whether it may; that is `operations` and `placement`, and the calls ask them first.
"""

from __future__ import annotations

from simulator import storage
from simulator.build_vms import boot_flags, build_guest_metrics
from simulator.failure import NULL, Failure
from simulator.operations import refresh_vm
from simulator.site import Site, is_guest
from simulator.values import moment

STARTING, STOPPING, RESUMING, TOOLS_AFTER = 5.0, 2.0, 3.0, 20.0
SHUTDOWN_LIMIT = 1200.0


def settle(site: Site, vm: str, state: str, host: str, cause: str) -> None:
    """Puts a VM into a power state on a host (or none), with all that goes with it, and writes the journal's line."""
    world = site.world
    old = world.record("VM", vm)
    running = state in ("Running", "Paused")
    here = host if running else NULL
    world.change(
        "VM",
        vm,
        power_state=state,
        resident_on=here,
        scheduled_to_be_resident_on=NULL,
        domid=site.count("domid") if running and old["resident_on"] != here else old["domid"] if running else -1,
        memory_target=old["memory_dynamic_max"] if running else 0,
        ha_always_run=running and old["ha_restart_priority"] == "restart",
    )
    for vbd in old["VBDs"]:
        world.change("VBD", vbd, currently_attached=running)
    for vif in old["VIFs"]:
        world.change("VIF", vif, currently_attached=running)
    if world.has("VM_metrics", old["metrics"]):
        world.change(
            "VM_metrics",
            old["metrics"],
            memory_actual=old["memory_dynamic_max"] if running else 0,
            last_updated=site.today(),
            current_domain_type=old["domain_type"] if running else "unspecified",
        )
    refresh_vm(site, vm)
    told_change = old["power_state"] != state or old["resident_on"] != here
    if told_change:
        journal_vm(site, vm, cause)
    if old["power_state"] == "Running" and state != "Running":
        storage.server_went(site, vm)
    site.settled.fire()


def journal_vm(site: Site, vm: str, cause: str) -> None:
    record = site.world.record("VM", vm)
    if not is_guest(record) or (vm in site.mourned and record["power_state"] == "Halted"):
        site.mourned.discard(vm)
        return
    site.journal.write(
        "vm",
        vm=record["name_label"],
        state=record["power_state"].lower(),
        host=site.name("host", record["resident_on"]),
        cause=cause,
    )


def halt(site: Site, vm: str, cause: str) -> None:
    """The VM is off: its guest's reports and what it booted with are gone."""
    guest = site.world.record("VM", vm)["guest_metrics"]
    if guest != NULL:
        site.world.change("VM", vm, guest_metrics=NULL)
        site.world.remove("VM_guest_metrics", guest)
    drop_suspend_image(site, vm)
    site.world.change("VM", vm, last_boot_CPU_flags={})
    settle(site, vm, "Halted", NULL, cause)


def drop_suspend_image(site: Site, vm: str) -> None:
    image = site.world.record("VM", vm)["suspend_VDI"]
    if image != NULL:
        site.world.change("VM", vm, suspend_VDI=NULL)
        site.world.remove("VDI", image)


def boot(site: Site, vm: str, host: str, cause: str, *, paused: bool = False) -> None:
    """The VM runs on a host from now; its tools report a little later."""
    record = site.world.record("VM", vm)
    site.world.change("VM", vm, last_boot_CPU_flags=boot_flags(site, host))
    if site.world.has("VM_metrics", record["metrics"]):
        site.world.change("VM_metrics", record["metrics"], start_time=moment(site.clock.unix()))
    settle(site, vm, "Paused" if paused else "Running", host, cause)
    if has_tools(site, vm):
        domid = site.world.record("VM", vm)["domid"]
        site.clock.after(TOOLS_AFTER, lambda: tools_report(site, vm, domid))


def has_tools(site: Site, vm: str) -> bool:
    told = {one.name: one.tools for one in site.spec.vms}
    return told.get(site.world.record("VM", vm)["name_label"], True)


def tools_report(site: Site, vm: str, domid: int) -> None:
    """The guest's tools are up, if it is still the same boot of the same VM."""
    if not site.world.has("VM", vm):
        return
    record = site.world.record("VM", vm)
    if record["domid"] == domid and record["guest_metrics"] == NULL:
        site.world.change("VM", vm, guest_metrics=build_guest_metrics(site, record["name_label"]))
        refresh_vm(site, vm)


def shutdown_seconds(site: Site, vm: str) -> float | None:
    """How long the guest takes to shut down when asked; None when it never does."""
    name = site.world.record("VM", vm)["name_label"]
    if name in site.deaf_guests:
        return None
    for spec in site.spec.vms:
        if spec.name == name:
            return None if spec.ignores_shutdown else spec.shutdown
    return 15.0


async def clean_shutdown(site: Site, vm: str, cause: str, limit: float = SHUTDOWN_LIMIT) -> None:
    """Asks the guest to shut down; raises VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT or VM_SHUTDOWN_TIMEOUT when it does not."""
    takes = shutdown_seconds(site, vm)
    if takes is None or takes > limit:
        await site.scheduler.sleep(min(limit, 60.0) if takes is None else limit)
        if site.world.record("VM", vm)["power_state"] == "Running":
            raise (
                Failure("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
                if takes is None
                else Failure("VM_SHUTDOWN_TIMEOUT", vm, str(int(limit)))
            )
        return
    await site.scheduler.sleep(takes)
    if site.world.has("VM", vm) and site.world.record("VM", vm)["power_state"] == "Running":
        halt(site, vm, cause)


async def hard_shutdown(site: Site, vm: str, cause: str) -> None:
    """Ends the domain."""
    await site.scheduler.sleep(STOPPING)
    if site.world.has("VM", vm) and site.world.record("VM", vm)["power_state"] != "Halted":
        halt(site, vm, cause)
