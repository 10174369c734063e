"""Installing on a simulated pool: the ceiling, the lock, and an updater that is not believed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp, Superseded, TryAgain
from shared.xapi.port import NotAnswered
from tests.services.executor.simulated import HOST, Simulated, story

PATCHED_MASTER = [{"name": "athos", **HOST, "patched": True}, {"name": "porthos", **HOST}, {"name": "aramis", **HOST}]


def waiting(pool: Simulated, name: str) -> int:
    """How many packages wait on a host, as the world knows it."""
    return int(pool.simulation.state()["hosts"][name]["updates"])


def installs(pool: Simulated) -> list[str]:
    """What became of each installation, in order."""
    return [str(line["outcome"]) for line in pool.simulation.journal if line["kind"] == "install"]


def test_what_waits_is_installed_and_seen_to_be() -> None:
    """Every package in one call, with short texts in the fact."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.InstallUpdates(pool["athos"]))
        assert isinstance(ended.result, acts.Installed)
        assert len(ended.result.packages) == 13
        assert {"kernel", "xen-hypervisor", "xapi-core"} <= {package.name for package in ended.result.packages}
        assert ended.sentence.startswith("Installed 13 packages on athos in 1 min")
        now = {one.name: f"{one.version}-{one.release}" for one in ended.result.packages}
        assert {"kernel", "xen-hypervisor", "xapi-core"} <= ended.result.before.keys()
        assert all(was and was != now[name] for name, was in ended.result.before.items())
        assert (waiting(pool, "athos"), installs(pool)) == (0, ["success"])

    story(run)


def test_nothing_that_waits_is_a_success() -> None:
    """Nothing is called but the question."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.InstallUpdates(pool["athos"]))
        assert ended.result == acts.Installed()
        assert installs(pool) == []

    story(run, hosts=PATCHED_MASTER)


def test_a_member_is_installed_up_to_its_masters_versions() -> None:
    """Equal is allowed."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.InstallUpdates(pool["porthos"], pool["athos"]))
        assert (waiting(pool, "porthos"), installs(pool)) == (0, ["success"])

    story(run, hosts=PATCHED_MASTER)


def test_a_member_is_never_installed_above_its_master() -> None:
    """Conduct 5: nothing is installed, and the sentence says what, why, and what first."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp) as raised:
            await pool.do(acts.InstallUpdates(pool["porthos"], pool["athos"]))
        assert raised.value.code == "ABOVE_THE_MASTER"
        assert raised.value.because.endswith("Update athos first.")
        assert (waiting(pool, "porthos"), installs(pool)) == (13, [])

    story(run)


def test_an_installation_that_installed_nothing_is_no_success() -> None:
    """The updater says so and is not believed; the next try installs."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("install_lies", host="athos")
        with pytest.raises(TryAgain, match=r"says that it is done, and .* is not installed"):
            await pool.do(acts.InstallUpdates(pool["athos"]))
        await pool.do(acts.InstallUpdates(pool["athos"]))
        assert installs(pool) == ["nothing installed", "success"]

    story(run)


def test_an_installation_that_fails_is_told_in_yums_words() -> None:
    """And may be tried again: mirrors come back."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("install_fails", host="athos")
        with pytest.raises(TryAgain, match="no more mirrors to try") as raised:
            await pool.do(acts.InstallUpdates(pool["athos"]))
        assert raised.value.because.startswith("athos could not be updated: the host's updater failed")
        assert waiting(pool, "athos") == 13

    story(run)


def test_a_busy_updater_is_waited_for() -> None:
    """Somebody's browser asks it all the time."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("plugin_busy", host="athos", times=4)
        await pool.do(acts.InstallUpdates(pool["athos"]))
        assert waiting(pool, "athos") == 0

    story(run)


def test_a_second_holder_waits_for_the_installation_under_way() -> None:
    """It finds the updater's own task in the pool, waits for its end, and installs nothing again."""

    async def run(pool: Simulated) -> None:
        first = asyncio.create_task(pool.do(acts.InstallUpdates(pool["athos"])))
        await pool.clock.sleep(30)
        ended = await pool.do(acts.InstallUpdates(pool["athos"]), again=True)
        assert ended.result == acts.Installed()
        await first
        assert installs(pool) == ["success"]

    story(run)


def test_a_master_whose_toolstack_restarts_in_the_middle_is_not_installed_twice() -> None:
    """Sessions and tasks are gone, yum goes on: what comes next waits for it by its lock, and looks."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("install_restarts_toolstack", host="athos", at_second=20)
        with pytest.raises((NotAnswered, Superseded)):
            await pool.do(acts.InstallUpdates(pool["athos"]))
        await pool.clock.sleep(30)
        await pool.do(acts.InstallUpdates(pool["athos"]), again=True)
        assert waiting(pool, "athos") == 0
        assert installs(pool)[-1] == "success"

    story(run)


def test_a_host_without_the_plugin_is_told_what_to_do() -> None:
    """XenServer has none."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp) as raised:
            await pool.do(acts.InstallUpdates(pool["athos"]))
        assert raised.value.code == "XENAPI_MISSING_PLUGIN"

    story(run, profile="xenserver-8")


def test_a_survey_tells_updates_or_why_not() -> None:
    """Per host; stored under run, step and attempt with its digest."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("power_loss", host="aramis")
        await pool.clock.sleep(700)
        ended = await pool.do(acts.Survey("lab"))
        assert isinstance(ended.result, acts.SurveyTaken)
        assert ended.sentence == "Surveyed lab: 3 hosts, updates waiting on 2, 3 VMs."
        assert (ended.result.snapshot, ended.result.hosts, ended.result.vms) == ("lab/r1/t01-s001-1", 3, 3)
        stored: dict[str, Any] = _stored(pool, ended.result)
        hosts = {host["name"]: host for host in stored["hosts"]}
        assert len(hosts["athos"]["updates"]) == 13
        assert hosts["aramis"]["updates"] is None
        assert hosts["aramis"]["updates_unknown_because"] == "aramis is not live, so it could not be asked."

    story(run)


def test_a_turns_survey_asks_only_its_own_host_for_updates() -> None:
    """Another that installs right now, whose updater is busy, keeps nobody waiting."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.Survey("lab", hosts=(pool["porthos"],)))
        assert isinstance(ended.result, acts.SurveyTaken)
        assert ended.sentence == "Surveyed lab: 3 hosts, updates waiting on porthos, 3 VMs."
        asked = [
            line["params"][0]
            for line in pool.simulation.journal
            if line["kind"] == "call" and "check_update" in line["params"]
        ]
        assert asked == ["porthos"]

    story(run)


def test_a_survey_sees_what_was_installed_and_not_booted() -> None:
    """Such a host still has a turn."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.Survey("lab"))
        assert isinstance(ended.result, acts.SurveyTaken)
        hosts = _stored(pool, ended.result)["hosts"]
        pending = {host["name"]: (len(host["updates"]), host["reboot_pending"]) for host in hosts}
        assert pending == {"athos": (0, True), "porthos": (13, False), "aramis": (13, False)}

    story(run, hosts=PATCHED_MASTER)


def test_a_survey_says_what_xapi_says_of_vms_that_cannot_leave() -> None:
    """Code and parameters, with names for refs."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.Survey("lab", updates=False))
        assert isinstance(ended.result, acts.SurveyTaken)
        (gitlab,) = _stored(pool, ended.result)["vms"]
        assert gitlab["prevents"] == {"code": "VM_LACKS_FEATURE", "params": ["gitlab"]}

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "2 GiB", "tools": False}])


def _stored(pool: Simulated, taken: acts.SurveyTaken) -> dict[str, Any]:
    data = pool.kept[taken.snapshot]
    assert hashlib.sha256(data).hexdigest().startswith(taken.digest)
    read: dict[str, Any] = json.loads(data)
    return read


def test_an_installation_is_noted_in_the_pool_until_the_host_was_rebooted_and_checked() -> None:
    """With the host's own time, so that whoever comes next knows that a reboot is pending."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.InstallUpdates(pool["porthos"]))
        key = f"rota:installed:{pool['porthos'].uuid}"
        notes = (await pool.learn()).settings.notes
        assert json.loads(notes[key])["host"] == "porthos"
        await pool.do(await pool.ready_for_reboot("porthos"))
        while pool.simulation.state()["hosts"]["porthos"]["answers"] != "open":
            await pool.clock.sleep(5)
        await pool.clock.sleep(30)
        await pool.do(acts.CheckGate(pool["porthos"]))
        assert key not in (await pool.learn()).settings.notes

    story(run, hosts=[{"name": "athos", **HOST, "updated": True}, {"name": "porthos", **HOST}], vms=[])


def test_nothing_that_was_not_planned_is_installed_on_a_host_whose_vms_run() -> None:
    """What was published since may need a reboot."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="which may need a reboot; nothing was installed"):
            await pool.do(acts.InstallUpdates(pool["athos"], only=("xapi-core",)))
        assert installs(pool) == []

    story(run)
