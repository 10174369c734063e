"""Guests that are watched, and toolstacks that are restarted, on a simulated pool of each generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp, Superseded, TryAgain
from shared.xapi.port import NotAnswered
from tests.services.executor.simulated import HOST, Simulated, story


async def moved(pool: Simulated, vm: str, away: str, to: str) -> None:
    """Move a VM, as a step home does."""
    await pool.do(acts.MigrateVM(pool[vm], pool[to], pool[away], "home"))


def watching(pool: Simulated, *vms: str, minutes: float = 3) -> acts.WatchGuests:
    """The order to watch these on porthos."""
    return acts.WatchGuests(pool["porthos"], tuple(pool[vm] for vm in vms), minutes)


def test_guests_that_go_on_reporting_are_well() -> None:
    """For as long as they are to be watched, and no longer."""

    async def run(pool: Simulated) -> None:
        await moved(pool, "wiki", "athos", "porthos")
        began = pool.clock.now()
        ended = await pool.do(watching(pool, "wiki", "mail"))
        assert ended.sentence == "wiki and mail reported after 3 min on porthos."
        assert 180 <= pool.clock.now() - began < 185

    story(run)


def test_who_takes_a_watch_over_does_not_begin_anew() -> None:
    """The order says since when."""

    async def run(pool: Simulated) -> None:
        await moved(pool, "wiki", "athos", "porthos")
        act = replace(watching(pool, "wiki"), since=pool.clock.now())
        await pool.clock.sleep(170)
        began = pool.clock.now()
        await pool.do(act, again=True)
        assert pool.clock.now() - began < 15

    story(run)


def test_a_guest_that_froze_is_named() -> None:
    """XAPI says that it runs; its tools have said nothing since."""

    async def run(pool: Simulated) -> None:
        await moved(pool, "wiki", "athos", "porthos")
        with pytest.raises(GiveUp, match="wiki came to porthos and has not reported for 3 min") as silent:
            await pool.do(watching(pool, "wiki", "mail"))
        assert silent.value.code == "GUEST_SILENT"
        assert pool.simulation.state()["vms"]["wiki"] == {"state": "running", "host": "porthos"}

    story(run, faults=[{"kind": "guest_freezes", "vm": "wiki", "host": "porthos"}])


def test_a_guest_that_its_owner_took_away_meanwhile_is_not_missed() -> None:
    """Stopped, or moved on: a fact of life."""

    async def run(pool: Simulated) -> None:
        await moved(pool, "wiki", "athos", "porthos")
        pool.simulation.fault("vm_stops", vm="wiki", **{"in": 40})
        ended = await pool.do(watching(pool, "wiki"))
        assert ended.sentence.startswith("None of them is there any more")
        assert (await pool.do(watching(pool, "gitlab"))).sentence.startswith("None of them is there")

    story(run, faults=[{"kind": "guest_freezes", "vm": "wiki", "host": "porthos"}])


@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-8.3", "xcp-ng-current"])
def test_a_members_toolstack_is_restarted_once_and_its_vms_run_on(profile: str) -> None:
    """The step ends when the new one runs what is installed."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.RestartToolstack(pool["porthos"]))
        assert ended.sentence.startswith("The toolstack of porthos runs anew after ")
        host = pool.simulation.state()["hosts"]["porthos"]
        assert (host["live"], pool.where("mail"), len(pool.calls("host.restart_agent"))) == (True, "porthos", 1)
        assert host["installed"]["xapi-core"] == host["running"]["xapi-core"]
        assert not [key for key in (await pool.learn()).settings.notes if key.startswith("rota:toolstack")]

    hosts = [{"name": "athos", **HOST, "updated": True}, {"name": "porthos", **HOST, "patched": True}]
    story(run, profile=profile, hosts=hosts, vms=[{"name": "mail", "host": "porthos", "memory": "4 GiB"}])


def test_the_masters_toolstack_takes_the_session_with_it_and_is_not_restarted_twice() -> None:
    """Whoever comes back sees by the note that another one runs."""

    async def run(pool: Simulated) -> None:
        with pytest.raises((NotAnswered, Superseded)):
            await pool.do(acts.RestartToolstack(pool["athos"]))
        for _ in range(60):
            try:
                await pool.do(acts.RestartToolstack(pool["athos"]), again=True)
                break
            except (TryAgain, Superseded):
                await pool.clock.sleep(5)
        assert len(pool.calls("host.restart_agent")) == 1
        assert pool.simulation.state()["hosts"]["athos"]["live"]

    story(run)
