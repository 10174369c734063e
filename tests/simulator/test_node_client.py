"""The `xen-api` package of npm (what Xen Orchestra speaks), installed and run against the simulated pool.

Needs node, npm and their registry; elsewhere the ring is skipped, and says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.outsiders import install
from tests.simulator.test_command import command

PACKAGE = "xen-api@4.7.6"

FOLLOWS = """
import { createClient } from 'xen-api'
const say = told => console.log(JSON.stringify(told))
const xapi = createClient({ url: process.argv[2], allowUnauthorized: true, eventPollDelay: 500,
                            auth: { user: 'root', password: 'simulated' } })
const until = async look => { while (!look()) await new Promise(done => setTimeout(done, 50)) }
const of = (type, name) => Object.values(xapi.objects.all).find(one => one.$type === type && one.name_label === name)
await xapi.connect()
await until(() => of('VM', 'web') && of('host', 'south') && xapi.pool)
say({ step: 'listed', hosts: Object.values(xapi.objects.all).filter(one => one.$type === 'host').length,
      master: xapi.pool.$master.name_label })
await xapi.call('VM.set_name_description', of('VM', 'web').$ref, 'seen by node')
await until(() => of('VM', 'web').name_description === 'seen by node')
say({ step: 'watched' })
const north = of('host', 'north')
try { await xapi.call('host.reboot', north.$ref) } catch (error) { say({ step: 'refused', code: error.code }) }
await xapi.call('host.disable', north.$ref)
await xapi.callAsync('host.evacuate', north.$ref)
await until(() => of('VM', 'web').$resident_on.name_label === 'south')
say({ step: 'evacuated', where: of('VM', 'web').$resident_on.name_label })
const before = of('host', 'north').other_config.boot_time
await xapi.call('host.reboot', north.$ref)
await until(() => !of('host', 'north').enabled)
await until(() => of('host', 'north').enabled && of('host', 'north').other_config.boot_time !== before)
say({ step: 'followed', later: +of('host', 'north').other_config.boot_time > +before })
await xapi.disconnect()
process.exit(0)
"""

MEMBER = """
import { createClient } from 'xen-api'
const xapi = createClient({ url: process.argv[2], allowUnauthorized: true, watchEvents: false,
                            auth: { user: 'root', password: 'simulated' } })
await xapi.connect()
console.log(JSON.stringify((await xapi.call('host.get_all')).length))
await xapi.disconnect()
process.exit(0)
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no node here, so the client of npm is not tried")
    folder = tmp_path_factory.mktemp("node")
    quick = ["--silent", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
    install(PACKAGE, ["npm", "install", *quick, "--prefix", str(folder), PACKAGE])
    return folder


def said(folder: Path, script: str, url: str) -> list[Any]:
    """What a script prints, a JSON value a line."""
    file = folder / "story.mjs"
    file.write_text(script)
    done = subprocess.run(["node", str(file), url], capture_output=True, text=True, check=False, timeout=90, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def fast_pool() -> Iterator[dict[str, Any]]:
    with command("small", "--factor", "60") as (line, _):
        yield line


def test_it_connects_watches_calls_and_follows_the_master_through_its_reboot(
    node: Path,
    fast_pool: dict[str, Any],
) -> None:
    """Over JSON-RPC, as it finds out by itself from the content type."""
    told = said(node, FOLLOWS, fast_pool["master"])
    assert told == [
        {"step": "listed", "hosts": 2, "master": "north"},
        {"step": "watched"},
        {"step": "refused", "code": "HOST_NOT_DISABLED"},
        {"step": "evacuated", "where": "south"},
        {"step": "followed", "later": True},
    ]


def test_sent_to_a_member_it_finds_the_master(node: Path, fast_pool: dict[str, Any]) -> None:
    """HOST_IS_SLAVE, and the port is kept."""
    assert said(node, MEMBER, fast_pool["hosts"]["south"]) == [2]


def test_its_command_line_works(node: Path, fast_pool: dict[str, Any]) -> None:
    """`xen-api URL USER PASSWORD`, a call typed in, over each transport."""
    for transport in ("json-rpc", "xml-rpc"):
        words = [
            str(node / "node_modules" / ".bin" / "xen-api"),
            "--transport",
            transport,
            fast_pool["master"],
            "root",
            "simulated",
        ]
        done = subprocess.run(
            words,
            input="call('pool.get_all').then(all => 'pools: ' + all.length)\n",
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert "pools: 1" in done.stdout, done.stdout + done.stderr
