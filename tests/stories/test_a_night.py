"""A night of the whole house: a schedule starts a run, which waits for its window, asks for approval, runs, reports."""

from __future__ import annotations

import asyncio
import email
import json
from datetime import UTC, datetime
from pathlib import Path

from cli import judge, receivers
from shared import settings
from shared.domain import commands, facts
from tests.stories.house import House, tell

GATES = {"gates_before_run": ["ops"], "gates_before_turn": ["ops"], "gates_after_run": ["ops"]}


def test_a_run_by_its_schedule_waits_for_its_window_and_for_approval(tmp_path: Path) -> None:
    """Planned at half past one, when somebody is asked; begun at three, once a gate lets it; the report names them."""

    mails, posts = receivers.Inbox(tmp_path, "mail", "eml"), receivers.Inbox(tmp_path, "webhook", "json")

    async def story(house: House) -> None:
        async with receivers.mail_server(mails) as port, receivers.webhook_server(posts) as url:
            mail = settings.MailDestination(
                host=receivers.LOOPBACK, port=port, tls="none", sender="rota@example.org", to=("ann@example.org",)
            )
            post = settings.WebhookDestination(url=url)
            house.settings = house.settings.model_copy(update={"mail": {"ann": mail}, "webhook": {"ops": post}})
            house.employ("reporter")
            await night_of(house)
            await mails.until("ended")
            await posts.until("ended")
            await house.dismiss("reporter")
        _told_by_mail_and_post(mails, posts)

    async def night_of(house: House) -> None:
        day = datetime.fromtimestamp(house.clock.now(), UTC).date()
        table = settings.ScheduleTable(cron="30 1 * * *", pools=("lab",))
        house.remind(nightly=table)

        said: list[str] = []
        serving = asyncio.create_task(_gate(house, said))
        asked = await house.until("approval_asked")
        assert isinstance(asked, facts.ApprovalAsked)
        yes = commands.ApproveRun(pool="lab", run=asked.run, digest=asked.digest)
        await house.order(yes, id="yes", by="ann@desk")
        await house.until("run_ended")
        serving.cancel()
        while "ended" not in await _told(house):
            await house.until("report_sent")
        journal = await house.journal()
        (waiting,) = [fact for fact in journal if isinstance(fact, facts.RunWaiting)]
        opened = datetime.fromtimestamp(waiting.until, UTC)
        assert (opened.hour, opened.minute) == (3, 0)
        assert (opened.date() - day).days in (0, 1)
        assert said == ["before_run", "before_run", "before_turn", "before_turn", "before_turn", "after_run"]
        (first, *_) = [fact for fact in journal if isinstance(fact, facts.StepFailed)]
        assert first.because == "The gate ops says no: The backup is not done yet."
        (ended,) = [fact for fact in journal if isinstance(fact, facts.RunEnded)]
        assert ended.outcome == "succeeded"
        assert judge.violations(house.sim.journal) == []
        page = max((tmp_path / "reports").rglob("*.html")).read_text(encoding="utf-8")
        assert "approved the plan" in page
        assert "ann@desk" in page

    tables: dict[str, dict[str, object]] = {
        "pool.lab.policy": {"window": "night", "approval": "plan", **GATES},
        "gate.ops": {"kind": "nats", "subject": "ops.rota.may"},
        "window.night": {"cron": "0 3 * * *", "zone": "UTC", "hours": 3},
    }
    tell(story, tmp_path, staff=("planner", "executor", "watcher"), tables=tables)


def _told_by_mail_and_post(mails: receivers.Inbox, posts: receivers.Inbox) -> None:
    """Each told of the plan, of what is asked, and of the end; the mail of the end answers the announcement's."""
    for inbox in (mails, posts):
        occasions = [occasion for occasion, _ in inbox.files]
        assert {"announced", "approval", "ended"} <= set(occasions)
        assert len(set(occasions)) == len(occasions)
    first, last = (email.message_from_bytes(_file(mails, name).read_bytes()) for name in ("announced", "ended"))
    assert last["In-Reply-To"] == first["Message-ID"]
    assert "3 of 3 hosts" in str(last["Subject"])
    assert json.loads(_file(posts, "ended").read_bytes())["occasion"] == "ended"


def _file(inbox: receivers.Inbox, occasion: str) -> Path:
    file = inbox.file(occasion)
    assert file is not None, occasion
    return file


async def _gate(house: House, said: list[str]) -> None:
    """Somebody on the bus who is asked, and at first says no."""
    async with house.bus.listen("ops.rota.may") as questions:
        async for question in questions:
            said.append(json.loads(question.data)["when"])
            no = {"yes": False, "because": "The backup is not done yet"}
            await house.bus.say(question.reply, json.dumps(no if len(said) == 1 else {"yes": True}).encode())


async def _told(house: House) -> list[str]:
    return [fact.occasion for fact in await house.journal() if isinstance(fact, facts.ReportSent)]
