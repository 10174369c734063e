"""Disabling, enabling, and the gate after a reboot, on a simulated pool of each generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.model import Versions
from shared.domain.names import Named
from tests.services.executor.simulated import HOST, Simulated, story


def enabled(pool: Simulated, name: str) -> bool:
    """Whether a host is enabled, as the world knows it."""
    return bool(pool.simulation.state()["hosts"][name]["enabled"])


@pytest.mark.parametrize("profile", ["xcp-ng-8.2", "xcp-ng-8.3", "xcp-ng-current"])
def test_a_host_is_disabled_as_its_xapi_knows_how(profile: str) -> None:
    """With auto_enable=false from 25.31, so that it stays disabled over a toolstack restart; else as of old."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(acts.DisableHost(pool["porthos"]))
        assert ended.result == acts.Done(already=False)
        assert not enabled(pool, "porthos")
        pool.simulation.fault("toolstack_restart", host="porthos")
        await pool.clock.sleep(60)
        assert enabled(pool, "porthos") is (profile != "xcp-ng-current")
        assert len(pool.calls("host.disable")) == 1

    story(run, profile=profile)


def test_a_disabled_host_is_disabled_again_so_that_it_stays_so() -> None:
    """It says that it was so before; from a second holder it does not."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["porthos"]))
        assert (await pool.do(acts.DisableHost(pool["porthos"]))).result == acts.Done(already=True)
        assert (await pool.do(acts.DisableHost(pool["porthos"]), again=True)).result == acts.Done(already=False)

    story(run)


def test_a_host_is_enabled_once() -> None:
    """And an enabled one is left alone."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["porthos"]))
        assert (await pool.do(acts.EnableHost(pool["porthos"]))).result == acts.Done()
        assert enabled(pool, "porthos")
        assert (await pool.do(acts.EnableHost(pool["porthos"]))).result == acts.Done(already=True)
        assert len(pool.calls("host.enable")) == 1

    story(run)


def test_a_host_that_still_boots_is_asked_again_until_it_has() -> None:
    """HOST_STILL_BOOTING is a wait within the step, told all the while."""

    async def run(pool: Simulated) -> None:
        await pool.do(await pool.ready_for_reboot("porthos"))
        while not pool.simulation.state()["hosts"]["porthos"]["live"]:
            await pool.clock.sleep(1)
        ended = await pool.do(acts.EnableHost(pool["porthos"]))
        assert ended.result == acts.Done()
        assert enabled(pool, "porthos")
        codes = [call["code"] for call in pool.calls("host.enable")]
        assert codes[-1] is None
        assert set(codes[:-1]) <= {"HOST_STILL_BOOTING"}

    story(run, srs=[{"name": "nfs", "default": True, "plug_seconds": 40}])


def test_a_host_that_is_off_cannot_be_enabled() -> None:
    """Told with its name, and tried again later."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("power_loss", host="porthos")
        await pool.do(acts.DisableHost(pool["aramis"]))
        with pytest.raises(TryAgain) as raised:
            await pool.do(acts.DisableHost(pool["porthos"]))
        assert raised.value.because == "porthos could not be disabled: the master cannot reach porthos."

    story(run)


def test_a_host_that_the_pool_does_not_know_is_given_up() -> None:
    """It was ejected; the sentence has its name and uuid."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match="no host ghost"):
            await pool.do(acts.EnableHost(Named("7e57f1de-0000-4000-8000-000000000000", "ghost")))

    story(run)


def gate(pool: Simulated, *, srs: tuple[str, ...] = ("nfs",), updates: bool = True) -> acts.CheckGate:
    """The gate of porthos."""
    return acts.CheckGate(pool["porthos"], tuple(pool[sr] for sr in srs), Versions(), updates)


UPDATED = [{"name": name, **HOST, "updated": True} for name in ("athos", "porthos", "aramis")]
NFS = [{"name": "nfs", "type": "nfs", "default": True}]


def test_a_gate_that_has_nothing_to_repair_says_what_runs() -> None:
    """Storage attached, nothing offered, installed is running."""

    async def run(pool: Simulated) -> None:
        ended = await pool.do(gate(pool))
        assert isinstance(ended.result, acts.Checked)
        assert ended.result.repaired == ()
        assert ended.result.versions.xen == "4.17.6-2.1"

    story(run, hosts=UPDATED, srs=NFS)


def test_a_gate_attaches_what_was_attached_and_tries_again() -> None:
    """One that plugs at the third try is repaired, and the waits are told."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("pbd_plug_fails", host="porthos", sr="nfs", times=2)
        ended = await pool.do(gate(pool))
        assert isinstance(ended.result, acts.Checked)
        assert ended.result.repaired == ("Attached nfs to porthos again.",)
        assert len(pool.calls("PBD.plug")) == 3
        assert any("nfs could not be attached to porthos" in said for said in pool.said)

    story(run, hosts=UPDATED, srs=[{**NFS[0], "unplugged_on": ["porthos"]}])


def test_a_gate_that_cannot_be_repaired_names_sr_and_host() -> None:
    """After its patience."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("pbd_plug_fails", host="porthos", sr="nfs", times=1000)
        began = pool.clock.now()
        with pytest.raises(TryAgain) as raised:
            await pool.do(gate(pool))
        assert raised.value.code.startswith("SR_BACKEND_FAILURE")
        assert raised.value.because.startswith("nfs could not be attached to porthos: the storage answered")
        assert 600 < pool.clock.now() - began < 700

    story(run, hosts=UPDATED, srs=[{**NFS[0], "unplugged_on": ["porthos"]}])


def test_what_its_owner_took_away_is_no_gate() -> None:
    """An SR that the host has no PBD for any more is not waited for."""

    async def run(pool: Simulated) -> None:
        gone = Named("7e57f1de-0000-4000-8000-000000000000", "gone")
        ended = await pool.do(acts.CheckGate(pool["porthos"], (gone,)))
        assert isinstance(ended.result, acts.Checked)

    story(run, hosts=UPDATED)


def test_a_gate_holds_while_an_update_is_left_that_was_to_be_installed() -> None:
    """Unless the run is a rolling reboot."""

    async def run(pool: Simulated) -> None:
        session = await pool.login("look")
        waiting = await session.offered(pool["porthos"])
        await session.close()
        with pytest.raises(GiveUp, match="is still offered kernel, "):
            await pool.do(replace(gate(pool), expected=waiting))
        await pool.do(gate(pool, updates=False))

    story(run, srs=NFS)


def test_what_was_published_since_the_installation_is_told_and_holds_nothing() -> None:
    """The mirror went on; those packages wait for the next run."""

    async def run(pool: Simulated) -> None:
        pool.simulation.fault("publish", packages=[{"name": "vim-minimal", "version": "9.1", "release": "1.xcpng8.3"}])
        ended = await pool.do(gate(pool))
        assert isinstance(ended.result, acts.Checked)
        assert "published since" in ended.result.repaired[0]

    story(run, srs=NFS, hosts=UPDATED)


def test_a_gate_holds_when_the_old_xen_still_runs() -> None:
    """Installed and not booted: said with both versions."""

    async def run(pool: Simulated) -> None:
        with pytest.raises(GiveUp, match=r"Xen 4\.17\.5-20\.1 runs although 4\.17\.6-2\.1"):
            await pool.do(gate(pool))

    story(run, srs=NFS, hosts=[*UPDATED[:1], {"name": "porthos", **HOST, "patched": True}, UPDATED[2]])
