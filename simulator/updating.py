"""Installing packages on a host: yum as XCP-ng's updater runs it, with what can go wrong in the middle.

It belongs to the host: a toolstack that restarts, even because of it, does not stop it.
"""

from __future__ import annotations

from typing import Any

from simulator import boot, tasks
from simulator.failure import Failure
from simulator.faulttable import take
from simulator.machine import Machine
from simulator.profiles import Package
from simulator.site import Site

REPOSITORIES = ("xcp-ng-base", "xcp-ng-updates")
NOTHING_TO_DO = 4.0


async def update(site: Site, machine: Machine, args: dict[str, str]) -> dict[str, Any]:
    """Runs yum under the updater's lock, which its caller took; returns what the plugin prints."""
    wanted = args.get("packages", "")
    uuid = site.world.record("host", machine.ref)["uuid"]
    what = f"Update {wanted} on host" if wanted else "Update host"
    task = tasks.create(site, f"{what} {machine.name} ({uuid})") if site.master.reachable else ""
    try:
        output = await run_yum(site, machine, wanted, args)
    finally:
        machine.updater_lock = ""
        if task:
            tasks.succeed(site, task)
            site.world.remove("task", task)
    return output


async def run_yum(site: Site, machine: Machine, wanted: str, args: dict[str, str]) -> dict[str, Any]:
    repositories = [*REPOSITORIES, *(one for one in args.get("repos", "").split(",") if one)]
    command = ["yum", "update", "--disablerepo=*", f"--enablerepo={','.join(repositories)}", "-y"]
    command += [wanted] if wanted else []
    packages = [one for one in machine.waiting() if not wanted or one.name == wanted]
    if not packages:
        await site.scheduler.sleep(NOTHING_TO_DO)
        return told(command, "No packages marked for update\n")
    await install(site, machine, packages, command)
    return told(command, "\n".join(["Updated:", *(f"  {one.nvra}" for one in packages), "", "Complete!", ""]))


async def install(site: Site, machine: Machine, packages: list[Package], command: list[str]) -> None:
    """The time it takes, what strikes meanwhile, and then the packages are there."""
    names = [one.name for one in packages]
    share = len(packages) / max(1, len(machine.waiting()))
    if restart := take(site, "install_restarts_toolstack", host=machine.name):
        site.nature.spawn(boot.restart_toolstack(site, machine, float(restart.get("at_second", 30))), "scriptlet")
    fails = take(site, "install_fails", host=machine.name)
    empty = take(site, "install_lies", host=machine.name)
    broken = True
    try:
        await site.scheduler.sleep(machine.install_seconds * (share if not fails else 0.3))
        broken = bool(fails)
    finally:
        outcome = "failed" if broken else "nothing installed" if empty else "success"
        site.journal.write("install", host=machine.name, packages=names, outcome=outcome)
    if fails:
        code = str(fails.get("code", 1))
        said = "stdout: '', stderr: 'Error downloading packages: no more mirrors to try.'"
        raise Failure(code, f"Command '{command}' failed with code: {code}", said, "Traceback (simulated)")
    if not empty:
        machine.install(packages)
    if take(site, "xen_incompatible", host=machine.name):
        machine.faults["xen_incompatible"] = True


def told(command: list[str], stdout: str) -> dict[str, Any]:
    return {"stdout": stdout, "stderr": "", "command": command, "returncode": 0}
