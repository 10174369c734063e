"""A schedule has people told what waits to be installed: nothing on the pool is changed."""

from __future__ import annotations

from pathlib import Path

from shared import settings
from shared.domain import facts
from tests.stories.house import House, tell


def test_a_schedule_has_people_told_what_waits(tmp_path: Path) -> None:
    """A forecast at the tick, told on the occasion `updates`; no run, and no word to the pool that changes it."""

    async def story(house: House) -> None:
        table = settings.ScheduleTable(cron="30 1 * * *", pools=("lab",), does="tell")
        house.remind(weekly=table)
        while not await _told(house):
            await house.until("report_failed")
        journal = await house.journal()
        assert [type(fact) for fact in journal if isinstance(fact, facts.PlanFact)][-1] is facts.ForecastMade
        assert not [fact for fact in journal if isinstance(fact, facts.RunFact)]
        assert {fact.occasion for fact in await _told(house)} == {"updates"}
        changing = [line for line in house.sim.journal if line["kind"] == "call" and "disable" in str(line["method"])]
        assert changing == []

    tables: dict[str, dict[str, object]] = {"webhook.ops": {"url": "http://127.0.0.1:9/nobody"}}
    tell(story, tmp_path, world="small", tables=tables)


async def _told(house: House) -> list[facts.ReportFact]:
    return [fact for fact in await house.journal() if isinstance(fact, facts.ReportFact)]
