"""`rota updates`: what waits to be installed, read afresh, with changelogs."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import TypeAdapter

from shared.bus import wire
from shared.domain import commands, facts, names
from shared.domain.model import Package, PoolSnapshot
from tests.cli import story
from tests.cli.conftest import Ground, Rota
from tests.services.planner.play import host, pool

XEN = Package("xen-hypervisor", "4.17.6", "2", "The hypervisor", "* Fix XSA-481\n* Be quicker")
WAITING = pool((host("athos", updates=(XEN,)), host("porthos", updates=()), host("aramis", updates=None)))


def forecast(command: commands.Command, order: str) -> Iterable[facts.Fact]:
    """A planner that has made a forecast from a snapshot."""
    assert isinstance(command, commands.PlanPool)
    run = names.forecast_id(command.pool, order)
    yield facts.ForecastMade(
        pool=command.pool, run=run, order=order, forecast=story.forecast(), snapshot=f"{command.pool}/seen"
    )


async def test_what_waits_is_shown_with_changelogs_and_what_could_not_be_asked(ground: Ground, rota: Rota) -> None:
    """By package, with hosts and advisories; a host that gave no answer is named, and makes the status 1."""
    await ground.bus.put_object(wire.SNAPSHOTS_BUCKET, "lab/seen", TypeAdapter(PoolSnapshot).dump_json(WAITING))
    async with ground.planner(forecast):
        shown, document = await rota("updates", "lab"), (await rota("updates", "lab", "--json")).document
    assert shown.code == 1
    for text in ("xen-hypervisor 4.17.6-2", "athos", "XSA-481", "* Be quicker", "aramis could not be asked"):
        assert text in shown.out
    (offer,) = document["pools"]["lab"]["updates"]
    assert (offer["hosts"], offer["advisories"]) == (["athos"], ["XSA-481"])
    assert offer["package"]["changelog"] == XEN.changelog
    assert len(document["pools"]["lab"]["unknown"]) == 1


async def test_without_a_pool_all_of_the_settings_are_asked(ground: Ground, rota: Rota) -> None:
    """And where none is known, it says how to name one."""
    nobody = await rota("updates")
    assert nobody.code == 2
    assert "rota updates POOL" in nobody.err
    tables = ("lab", "prod")
    text = "".join(f'[pool.{key}]\nurl = "https://192.0.2.10"\n' for key in tables)
    (ground.folder / "rota.toml").write_text(text)
    for key in tables:
        data = TypeAdapter(PoolSnapshot).dump_json(pool((host("athos", updates=(XEN,)),)))
        await ground.bus.put_object(wire.SNAPSHOTS_BUCKET, f"{key}/seen", data)
    async with ground.planner(forecast):
        said = await rota("updates", "--json")
    assert said.code == 0
    assert list(said.document["pools"]) == ["lab", "prod"]


async def test_a_snapshot_that_is_gone_is_told(ground: Ground, rota: Rota) -> None:
    """Not an empty list, which would read as: nothing waits."""
    async with ground.planner(forecast):
        said = await rota("updates", "lab")
    assert said.code == 1
    assert "cannot be had from the bus" in said.err
