"""PBD, SR, VDI and VBD: plugged and unplugged, inserted and ejected (xen-api ocaml/xapi/xapi_pbd.ml, xapi_vbd.ml)."""

from __future__ import annotations

from simulator import storage
from simulator.calls.context import Context
from simulator.failure import NULL, Failure


async def plug_pbd(ctx: Context, self: str) -> None:
    """Attaches; SR_BACKEND_FAILURE_* when the storage does not answer."""
    ctx.reach(ctx.site.world.record("PBD", self)["host"])
    await storage.plug(ctx.site, self)


async def unplug_pbd(ctx: Context, self: str) -> None:
    """Detaches; VDI_IN_USE while disks of that SR are in use on that host."""
    ctx.reach(ctx.site.world.record("PBD", self)["host"])
    await storage.unplug(ctx.site, self)


async def scan_sr(ctx: Context, sr: str) -> None:
    """Goes through the master's PBD of a shared SR, or through any."""
    site = ctx.site
    record = site.world.record("SR", sr)
    pbds = [site.world.record("PBD", pbd) for pbd in record["PBDs"]]
    usable = [pbd for pbd in pbds if pbd["currently_attached"]]
    if record["shared"]:
        usable = [pbd for pbd in usable if pbd["host"] == site.master.ref]
    if not usable:
        raise Failure("SR_HAS_NO_PBDS", sr)
    ctx.reach(usable[0]["host"])
    await site.scheduler.sleep(2.0)


def eject(ctx: Context, vbd: str) -> None:
    """Takes the image out of a drive."""
    record = ctx.site.world.record("VBD", vbd)
    if record["type"] != "CD":
        raise Failure("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if record["empty"]:
        raise Failure("VBD_IS_EMPTY", vbd)
    ctx.site.world.change("VBD", vbd, VDI=NULL, empty=True)


def insert(ctx: Context, vbd: str, vdi: str) -> None:
    """Puts an image into an empty drive."""
    record = ctx.site.world.record("VBD", vbd)
    ctx.site.world.record("VDI", vdi)
    if record["type"] != "CD":
        raise Failure("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if not record["empty"]:
        raise Failure("VBD_NOT_EMPTY", vbd)
    ctx.site.world.change("VBD", vbd, VDI=vdi, empty=False)


def plug_vbd(ctx: Context, self: str) -> None:
    ctx.site.world.change("VBD", self, currently_attached=True)


def unplug_vbd(ctx: Context, self: str) -> None:
    if not ctx.site.world.record("VBD", self)["unpluggable"]:
        raise Failure("DEVICE_DETACH_REJECTED", "VBD", self, "the device cannot be unplugged")
    ctx.site.world.change("VBD", self, currently_attached=False)


def enable_cbt(ctx: Context, self: str) -> None:
    ctx.site.world.change("VDI", self, cbt_enabled=True)


def disable_cbt(ctx: Context, self: str) -> None:
    ctx.site.world.change("VDI", self, cbt_enabled=False)


def plug_pif(ctx: Context, self: str) -> None:
    ctx.site.world.change("PIF", self, currently_attached=True)


def unplug_pif(ctx: Context, self: str) -> None:
    ctx.site.world.change("PIF", self, currently_attached=False)


CALLS = {
    "PBD.plug": plug_pbd,
    "PBD.unplug": unplug_pbd,
    "SR.scan": scan_sr,
    "VBD.eject": eject,
    "VBD.insert": insert,
    "VBD.plug": plug_vbd,
    "VBD.unplug": unplug_vbd,
    "VDI.enable_cbt": enable_cbt,
    "VDI.disable_cbt": disable_cbt,
    "PIF.plug": plug_pif,
    "PIF.unplug": unplug_pif,
}
