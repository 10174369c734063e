"""A schedule starts a run of the whole house: nobody gives an order, and in the morning the pool is updated."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from shared import settings
from shared.domain import facts
from tests.stories.house import House, tell


def test_a_pool_is_updated_by_its_schedule_alone(tmp_path: Path) -> None:
    """At the tick, not before; by the schedule's name; once; and it ends as a run does that a person ordered."""

    async def story(house: House) -> None:
        began = datetime.fromtimestamp(house.clock.now(), UTC)
        table = settings.ScheduleTable(cron="30 1 * * *", pools=("lab",))
        house.remind(nightly=table)
        run_ended = await house.until("run_ended")
        journal = await house.journal()
        (requested,) = [fact for fact in journal if isinstance(fact, facts.RunRequested)]
        assert requested.order == f"schedule.nightly.lab.{began:%Y%m%d}T0130Z"
        assert requested.by == "schedule nightly (in rota.toml)"
        assert "Schedule nightly, due" in requested.reason
        assert isinstance(run_ended, facts.RunEnded)
        assert run_ended.outcome == "succeeded"
        assert not [fact for fact in journal if isinstance(fact, facts.TickMissed)]

    tell(story, tmp_path, world="small")
