"""A scheduled run that finds nothing to install: it is over within a minute, and its report is a line."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

from services.reporter import folding, occasions, wording
from shared import settings
from shared.bus import wire
from shared.domain import facts
from tests.stories.house import House, tell


def test_a_scheduled_run_that_finds_nothing_is_over_within_a_minute(tmp_path: Path) -> None:
    """It looks, changes nothing, asks no gate and nobody, does not wait for its window, and says so in one sentence."""

    async def story(house: House) -> None:
        table = settings.ScheduleTable(cron="30 1 * * *", pools=("lab",))
        house.remind(nightly=table)
        await house.until("run_ended")
        recorded = [wire.read_fact(stored) async for stored in house.bus.read(["rota.fact.run.>", "rota.fact.step.>"])]
        at = {type(one.fact): one.at for one in recorded}
        assert at[facts.RunEnded] - at[facts.RunRequested] <= 60
        assert [one.fact.act.kind for one in recorded if isinstance(one.fact, facts.StepOrdered)] == ["survey"]
        (ended,) = [one for one in recorded if isinstance(one.fact, facts.RunEnded)]
        assert isinstance(ended.fact, facts.RunEnded)
        assert (ended.fact.outcome, ended.fact.sentence) == (
            "succeeded",
            f"Nothing to do on pool {house.sim.state()['pool']['name']}: no host has an update waiting.",
        )
        occasion = occasions.occasion(ended)
        assert occasion is not None
        letter = wording.letter(occasion, folding.fold("lab", ended.fact.run, recorded), UTC)
        assert letter.subject == "[Rota] lab: succeeded, nothing to be updated"
        assert (letter.points, letter.hosts, letter.sections, letter.numbers) == ((), (), (), ())

    tables: dict[str, dict[str, object]] = {
        "pool.lab.policy": {"window": "night", "approval": "plan", "gates_before_run": ["ops"]},
        "window.night": {"cron": "0 3 * * *", "zone": "UTC", "hours": 3},
        "gate.ops": {"kind": "nats", "subject": "ops.rota.may"},
    }
    tell(story, tmp_path, world="up-to-date", tables=tables)
