"""XenGarden, other people's wrapper for running XCP-ng servers, at work on the simulated pool.

It lists hosts and VMs, shuts a VM down and starts it by tasks that it watches, takes a snapshot and empties a host.
Needs the package index; elsewhere the ring is skipped, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.outsiders import install
from tests.simulator.test_command import command

PACKAGES = ("xengarden==1.2.13", "deprecated", "wrapt")
STORY = """
import asyncio, json, sys
from XenGarden.session import create_session
from XenGarden.Host import Host
from XenGarden.VM import VM

session = create_session("lab", {"lab": {"host": sys.argv[1], "username": "root", "password": "simulated"}})
hosts = Host.list_host(session)
vms = {vm.get_name(): vm for vm in VM.list_vm(session)}

async def story():
    web = vms["web"]
    await web.shutdown()
    off = web.get_power_state()
    await web.start()
    await web.pause()
    paused = web.get_power_state()
    await web.unpause()
    await web.snapshot("before")
    host = next(one for one in hosts if one.get_name() == "south")
    host.disable()
    host.evacuate()
    return off, paused, web.get_power_state(), host.get_enabled(), host.get_free_memory()

off, paused, on, enabled, free = asyncio.run(story())
print(json.dumps({"hosts": sorted(one.get_name() for one in hosts), "off": off, "paused": paused, "on": on,
                  "enabled": enabled, "snapshots": len(session.xenapi.VM.get_snapshots(vms["web"].vm)),
                  "left": len(session.xenapi.host.get_resident_VMs(hosts[1].host)), "free": int(free)}))
"""


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in it."""
    folder = tmp_path_factory.mktemp("garden")
    words = [sys.executable, "-m", "pip", "install", "-q", "--no-warn-script-location", "--target", str(folder)]
    install("XenGarden", [*words, "--no-deps", *PACKAGES])
    return folder


def test_it_runs_vms_and_empties_a_host(garden: Path) -> None:
    with command("small", "--factor", "60") as (line, _):
        environment = {**os.environ, "PYTHONPATH": str(garden)}
        words = [sys.executable, "-c", STORY, line["master"]]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("free") > 25 * 1024**3
    assert told == {
        "hosts": ["north", "south"],
        "off": "Halted",
        "paused": "Paused",
        "on": "Running",
        "enabled": False,
        "snapshots": 1,
        "left": 1,
    }
