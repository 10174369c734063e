"""A schedule starts a run of the whole house: nobody gives an order, and in the morning the pool is updated."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import structlog

from services.scheduler import loop
from shared import settings
from shared.bus import memory
from shared.domain import facts
from shared.service import Context, until_stopped
from tests.stories.house import House, tell


def test_a_pool_is_updated_by_its_schedule_alone(tmp_path: Path) -> None:
    """At the tick, not before; by the schedule's name; once; and it ends as a run does that a person ordered."""

    async def story(house: House) -> None:
        began = datetime.fromtimestamp(house.clock.now(), UTC)
        table = settings.ScheduleTable(cron="30 1 * * *", pools=("lab",))
        told = house.settings.model_copy(update={"schedule": {"nightly": table}})
        bus = memory.MemoryBus(house.server, "scheduler")
        context = Context("scheduler", "scheduler", told, house.clock, bus, structlog.stdlib.get_logger())
        ended: list[facts.Fact] = []

        async def wait() -> None:
            ended.append(await house.until("run_ended"))

        await until_stopped(context, loop.serve(context), wait())
        journal = await house.journal()
        (requested,) = [fact for fact in journal if isinstance(fact, facts.RunRequested)]
        assert requested.order == f"schedule.nightly.lab.{began:%Y%m%d}T0130Z"
        assert requested.by == "schedule nightly (in rota.toml)"
        assert "Schedule nightly, due" in requested.reason
        (run_ended,) = ended
        assert isinstance(run_ended, facts.RunEnded)
        assert run_ended.outcome == "succeeded"
        assert not [fact for fact in journal if isinstance(fact, facts.TickMissed)]

    tell(story, tmp_path, world="small")
