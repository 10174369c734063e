"""The verbs of `rota` as processes on a real bus: documents, sentences, and exit status."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from shared.bus import port, wire
from shared.domain import acts, commands, facts, names
from shared.domain.policy import Policy
from shared.domain.summary import Held, OwedLine
from tests.cli import story
from tests.cli.conftest import Answer, Ground, Rota


def refuses(because: str) -> Answer:
    """A planner that refuses every order."""

    def answer(command: commands.Command, order: str) -> Iterable[facts.Fact]:
        pool = str(getattr(command, "pool", ""))
        yield facts.OrderRefused(order=order, by="x", verb=command.verb, pool=pool, because=because)

    return answer


def begins(command: commands.Command, order: str) -> Iterable[facts.Fact]:
    """A planner whose runs begin."""
    run = names.run_id("lab", order)
    survey = story.planned("t00", 0, acts.Survey(), "Look.")
    yield facts.RunRequested(pool="lab", run=run, order=order, by="x", policy=Policy(), survey=survey)
    yield facts.RunBegan(pool="lab", run=run, sentence="The run begins with xcp-1.")


async def test_start_waits_until_the_run_has_begun_and_says_how_to_watch_it(ground: Ground, rota: Rota) -> None:
    """The id is made from the order's, so it is known before the planner answers."""
    async with ground.planner(begins) as came:
        said = await rota("start", "lab", "--json", "--reason", "XSA-1", "--policy", "max_away=1")
    assert said.code == 0
    order = said.document["order"]
    assert said.document["run"] == names.run_id("lab", order)
    assert said.document["exit"] == 0
    assert "rota watch" in said.err
    assert came[0].headers[wire.MSG_ID] == order
    assert "@" in came[0].headers[wire.BY]
    assert json.loads(came[0].data)["policy"] == {"max_away": 1}


async def test_a_refused_order_ends_with_4_and_its_sentence(ground: Ground, rota: Rota) -> None:
    """The planner's sentence is the command line's."""
    async with ground.planner(refuses("There is no pool 'lob' in rota.toml (pools: lab).")):
        said = await rota("start", "lob")
    assert (said.code, said.out) == (4, "")
    assert said.err == "There is no pool 'lob' in rota.toml (pools: lab).\n"


async def test_no_wait_prints_the_id_that_the_run_will_have(ground: Ground, rota: Rota) -> None:
    """Nobody has to be there to take the order."""
    said = await rota("start", "lab", "--no-wait")
    assert said.code == 0
    (stored,) = await ground.bus.orders_outstanding(wire.PLANNER_ORDERS)
    assert stored == commands.StartRun.subject
    assert names.is_token(said.out.strip())


async def test_an_order_that_no_planner_takes_ends_with_5_and_stays(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes effect when a planner is there again, and the sentence says so."""
    from cli import client
    from cli.exits import Exit, Stop

    async with client.connected() as connected:
        with pytest.raises(Stop, match=r"no planner took it within 0\.3 s; it takes effect when one does") as stop:
            await client.ask(connected, commands.PlanPool(pool="lab"), say=print, taken_within=0.3)
    assert stop.value.ending.code is Exit.UNREACHABLE
    assert await ground.bus.orders_outstanding(wire.PLANNER_ORDERS) == {commands.PlanPool.subject}


async def test_a_forecast_is_shown_and_its_blockers_end_with_4(ground: Ground, rota: Rota) -> None:
    """`rota plan` prints hosts in their order, and what stands in the way."""

    def answer(command: commands.Command, order: str) -> Iterable[facts.Fact]:
        forecast = story.forecast().model_copy(update={"blockers": (facts.Blocker(sentence="db1 cannot leave."),)})
        yield facts.ForecastMade(pool="lab", run=names.forecast_id("lab", order), order=order, forecast=forecast)

    async with ground.planner(answer):
        said = await rota("plan", "lab")
        document = (await rota("plan", "lab", "--json")).document
    assert said.code == 4
    assert said.out.index("xcp-1 master") < said.out.index("xcp-2") < said.out.index("xcp-3")
    assert "In the way: db1 cannot leave." in said.out
    assert document["forecast"]["turns"][0]["host"]["name"] == "xcp-1"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("succeeded", 0), ("succeeded_with_warnings", 0), ("failed", 1), ("cancelled", 6), ("refused", 4)],
)
async def test_watching_ends_as_the_run_ended(ground: Ground, rota: Rota, outcome: str, code: int) -> None:
    """A script reads the outcome from the status."""
    told = [fact for fact in story.run_facts() if not isinstance(fact, facts.RunEnded)]
    ended = facts.RunEnded.model_validate(
        {"pool": "lab", "run": story.RUN, "outcome": outcome, "sentence": f"It {outcome}."}
    )
    await ground.write(*told, ended)
    await ground.publish(story.summary(state=outcome, outcome=outcome, ended_at=story.START + 900))
    said = await rota("watch", story.RUN[:4])
    assert said.code == code
    assert said.err == f"It {outcome}.\n"
    assert "xcp-1, the master, takes its turn." in said.out
    assert "xcp-1-vm1" not in said.err


async def test_watch_as_json_prints_one_fact_a_line_and_nothing_else(ground: Ground, rota: Rota) -> None:
    """Lines are CloudEvents with their subject and place, in the journal's order."""
    told = list(story.run_facts())
    await ground.write(*told)
    await ground.publish(story.summary(state="succeeded", outcome="succeeded", ended_at=story.START + 900))
    said = await rota("watch", story.RUN, "--json")
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)
    assert {"type", "time", "data", "subject", "seq"} <= set(lines[0])
    assert lines[0]["type"] == "rota.run.run_requested"
    assert lines[-1]["type"] == "rota.run.run_ended"
    assert len(lines) == len(told)


@pytest.mark.parametrize("state", ["held", "paused"])
async def test_watching_a_run_that_waits_for_a_person_ends_with_3(ground: Ground, rota: Rota, state: str) -> None:
    """It says how the run goes on."""
    await ground.write(*list(story.run_facts())[:8])
    await ground.publish(story.summary(state=state, sentence="db1 did not move."))
    said = await rota("watch")
    assert said.code == 3
    assert said.err.startswith("db1 did not move.")
    assert f"`rota resume {story.RUN}`" in said.err


async def test_ctrl_c_ends_the_watching_and_never_the_run(ground: Ground, repository: Path) -> None:
    """Status 130, and the sentence says that the run goes on."""
    await ground.write(*list(story.run_facts())[:8])
    await ground.publish(story.summary())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "watch", cwd=repository,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 20)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 130
    assert "the run goes on" in err.decode()
    assert await ground.bus.orders_outstanding("rota.command.>") == frozenset()


async def test_cancel_pause_resume_retry_and_both_skips_are_orders_to_the_run_a_prefix_names(
    ground: Ground, rota: Rota
) -> None:
    """Each verb is one order, and its fact is the answer."""

    def answer(command: commands.Command, order: str) -> Iterable[facts.Fact]:
        mine = {"pool": "lab", "run": story.RUN, "by": "x", "order": order}
        if isinstance(command, commands.CancelRun):
            yield facts.RunCancelling(**mine, now=command.now, sentences=("xcp-1 finishes its turn.",))
        elif isinstance(command, commands.PauseRun):
            yield facts.RunPaused(**mine)
        elif isinstance(command, commands.ResumeRun):
            yield facts.RunResumed(**mine)
        elif isinstance(command, commands.AcknowledgeHold):
            yield facts.HoldAcknowledged(**mine)
        elif isinstance(command, commands.RetryStep):
            yield facts.StepRetried(**mine, step=command.step)
        elif isinstance(command, commands.SkipStep):
            yield facts.StepSkipped(**mine, step=command.step, because="Skipped.")
        elif isinstance(command, commands.SkipHost):
            yield facts.HostSkipped(**mine, host=story.HOSTS[1], because="xcp-2 is left out by x.")

    await ground.publish(story.summary(state="held", held=Held(since=1.0, because="No.", step="t01-s002")))
    async with ground.planner(answer) as came:
        said = [
            await rota(*words, story.RUN[:5])
            for words in (("cancel",), ("cancel", "--now"), ("pause",), ("resume",), ("retry",), ("skip-step",))
        ]
        said.append(await rota("skip", story.RUN[:5], "xcp-2"))
        said.append(await rota("ack", story.RUN[:5]))
    assert [one.code for one in said] == [0] * 8
    assert said[0].err == "xcp-1 finishes its turn.\n"
    sent = [wire.read_command(message) for message in came]
    assert [command.verb for command in sent] == [
        "cancel_run", "cancel_run", "pause_run", "resume_run", "retry_step", "skip_step", "skip_host",
        "acknowledge_hold",
    ]  # fmt: skip
    assert sent[1] == commands.CancelRun(pool="lab", run=story.RUN, now=True)
    assert sent[4] == commands.RetryStep(pool="lab", run=story.RUN, step="t01-s002")


async def test_a_prefix_must_name_one_run(ground: Ground, rota: Rota) -> None:
    """None or several is a mistake of usage, and nothing is ordered."""
    await ground.publish(story.summary())
    await ground.publish(story.summary(run=story.RUN[:3] + "0000"))
    none, several = await rota("show", "zzz"), await rota("cancel", story.RUN[:3])
    assert (none.code, several.code) == (2, 2)
    assert none.err == "There is no run 'zzz'; `rota runs` lists them.\n"
    assert "write more of it" in several.err
    assert await ground.bus.orders_outstanding("rota.command.>") == frozenset()


async def test_rota_alone_says_what_is_going_on_what_is_owed_and_what_ended_last(ground: Ground, rota: Rota) -> None:
    """Also for a run that ended: what is owed is not forgotten."""
    owed = story.summary(
        run="rended00", state="succeeded_with_warnings", outcome="succeeded_with_warnings", ended_at=story.START + 5,
        sentence="3 of 3 hosts are updated.",
        owed=(OwedLine(setting="ha", because="xcp-2 is down.", condition="It is live.", command="xe ha", since=1.0),),
    )  # fmt: skip
    await ground.publish(owed)
    await ground.publish(story.summary())
    said, document = await rota(), (await rota("--json")).document
    assert said.code == 0
    assert "1 run going on; 1 setting owed." in said.out
    assert "Waiting for xcp-1 to come back." in said.out
    assert "Owed on Lab: ha." in said.out
    assert "3 of 3 hosts are updated." in said.out
    assert [one["run"] for one in document["going"]] == [story.RUN]
    assert document["owed"][0]["setting"] == "ha"
    assert document["last"]["run"] == "rended00"


async def test_runs_show_journal_and_why_have_documents_with_stable_keys(ground: Ground, rota: Rota) -> None:
    """What scripts read."""
    await ground.write(*list(story.run_facts())[:40])
    await ground.publish(story.summary())
    runs = (await rota("runs", "--json")).document
    assert runs["runs"][0]["run"] == story.RUN
    shown = (await rota("show", story.RUN, "--json")).document
    assert shown["run"]["hosts"][0]["stage"] == "away"
    journal = (await rota("journal", story.RUN, "--json")).document
    assert journal["facts"][0]["type"] == "rota.run.run_requested"
    why = (await rota("why", "lab", "--json")).document
    assert why["outstanding"][0]["step"] == "t01-s008"
    assert why["hosts"] == {"xcp-1": "answering"}
    assert all({"sentence", "exit"} <= set(one) for one in (runs, shown, journal, why))
    for words in (("runs",), ("show", story.RUN), ("journal", story.RUN), ("why", "lab")):
        said = await rota(*words)
        assert (said.code, said.err) == (0, "")
        assert "xcp-1" in said.out


async def test_why_on_a_pool_without_a_run_says_so(ground: Ground, rota: Rota) -> None:
    """And a name that is no key is told as such."""
    said = await rota("why", "lab")
    assert said.code == 0
    assert "Nothing is going on on lab, and Rota knows of no run on it." in said.out
    assert (await rota("why", "Lab Pool")).code == 2


async def test_why_says_since_when_and_until_when_and_counts_down(ground: Ground, rota: Rota) -> None:
    """Of each step that is waited for, and of a hold, with who can help."""
    held = Held(since=story.START + 300, because="db1 did not move.", who_can_help="its owner")
    await ground.publish(story.summary(state="held", held=held))
    said = " ".join((await rota("why", "lab")).out.split())
    assert re.search(r"t01-s008 .* since .*, until \d\d:\d\d:\d\d at the latest \((in \d+|.* ago)", said)
    assert re.search(r"Held for .*, since \d\d:\d\d:\d\d, until somebody says how it goes on", said)
    assert "Who can help: its owner." in said


async def test_what_was_rejected_is_shown_and_an_unreadable_journal_is_read_on(ground: Ground, rota: Rota) -> None:
    """`rota` alone names the service, the subject and the cause; `rota journal` says which fact it left out."""
    await ground.publish(story.summary())
    await ground.write(*list(story.run_facts())[:3])
    subject = f"rota.fact.run.{story.POOL}.{story.RUN}.run.run_ended"
    seq = await ground.bus.append(port.Message(subject, b"{}"), id="bad")
    rejected = facts.MessageRejected(rejected_subject=subject, seq=seq, because="It is no fact.", service="planner")
    message = wire.fact_message(rejected, source="planner", at=time.time() - 60, id="rejected")
    await ground.bus.append(message, id="rejected")

    shown = " ".join((await rota()).out.split())
    assert f"A message on {subject} was rejected by the planner" in shown
    assert "It is no fact." in shown
    assert (await rota("--json")).document["rejected"][0]["seq"] == seq
    journal = await rota("journal", story.RUN, "--json")
    assert journal.code == 0
    assert len(journal.document["facts"]) == 3
    assert journal.document["unreadable"][0].startswith(f"The fact at {seq} cannot be read")
