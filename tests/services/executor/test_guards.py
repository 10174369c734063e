"""The four guards round look, act and confirm: in hand, still wanted, whose token, fenced and settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, get_args, get_type_hints

import pytest

from services.executor import handlers
from services.executor.steps import table
from shared import service
from shared.bus import wire
from shared.bus.port import Message, Token
from shared.domain import acts, facts
from shared.domain.errors import GiveUp, Superseded
from shared.service import Context
from shared.xapi.port import NotAnswered
from simulator.virtual import run_virtual
from tests.services.executor.doubles import ACK_WAIT, ATHOS, GITLAB, PORTHOS, Bench, Given


def story(test: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a test on a bench of its own, under a clock that jumps."""

    async def run() -> None:
        await test(Bench())

    run_virtual(run())


@asynccontextmanager
async def serving(context: Context, executor: handlers.Executor) -> AsyncIterator[None]:
    """An executor at work; stopped calmly at the end."""
    task = asyncio.create_task(service.until_stopped(context, executor.run()))
    try:
        yield
    finally:
        context.stop.set()
        await task


def test_an_order_is_done_told_and_acknowledged() -> None:
    """Start with token and session, success with its sentence, the queue is empty, the session is closed."""

    async def run(bench: Bench) -> None:
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: not bench.server.orders())
        started, succeeded = bench.told()
        assert (started.token, started.session, started.by) == ((1, 1), "s1", "a")
        assert isinstance(succeeded, facts.StepSucceeded)
        assert succeeded.result == acts.Done(already=False)
        assert succeeded.sentence == "athos is disabled: no VM starts there."
        assert (bench.ledger.asked, bench.ledger.closed) == ([("disable athos", "s1")], ["s1"])

    story(run)


def ended(**place: Any) -> list[facts.Fact]:
    """Facts after which a step's first attempt is not wanted."""
    return [
        facts.StepTimedOut(**place, because="late"),
        facts.StepSkipped(pool=place["pool"], run=place["run"], step=place["step"], because="no"),
        facts.StepSucceeded(**place, result=acts.Done()),
        facts.StepFailed(**place, because="no"),
        facts.StepOrdered(**{**place, "attempt": 2}, act=acts.DisableHost(ATHOS)),
    ]


@pytest.mark.parametrize("number", range(5), ids=["timed out", "skipped", "succeeded", "failed", "ordered anew"])
def test_an_order_that_is_not_wanted_any_more_is_forgotten(number: int) -> None:
    """A planner that was paused sends it hours later: it is acknowledged, and nothing is done."""

    async def run(bench: Bench) -> None:
        command = await bench.ordered()
        await bench.fact(ended(pool="lab", run="r1", step="t01-s001", attempt=1)[number])
        before = len(bench.told())
        assert await bench.planner.send_order(wire.step_message(command))
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.until(lambda: not bench.server.orders())
        assert (bench.ledger.opened, len(bench.told())) == (0, before)

    story(run)


def test_an_order_that_nobody_recorded_is_forgotten() -> None:
    """The journal is the truth, an order only carries the message."""

    async def run(bench: Bench) -> None:
        command = await Bench().ordered()
        assert await bench.planner.send_order(wire.step_message(command))
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.until(lambda: not bench.server.orders())
        assert bench.ledger.opened == 0

    story(run)


def test_what_was_recorded_is_done_and_not_what_was_sent() -> None:
    """A forged order to enable does what the journal says: disable."""

    async def run(bench: Bench) -> None:
        command = await bench.ordered()
        forged = command.model_copy(update={"act": acts.EnableHost(ATHOS)})
        assert await bench.planner.send_order(wire.step_message(forged))
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.until(lambda: not bench.server.orders())
        assert bench.ledger.acts() == ["disable athos"]

    story(run)


def test_its_own_message_again_starts_nothing() -> None:
    """A second delivery of a step in hand takes the first one's place: one act, and the ack goes to the last."""

    async def run(bench: Bench) -> None:
        command = await bench.ordered()
        message = wire.step_message(command)
        first, second = Given(message, Token(7, 1)), Given(message, Token(7, 2))
        gate = asyncio.Event()

        async def wait(_: str) -> None:
            await gate.wait()

        bench.ledger.trouble = wait
        executor = bench.executor(bench.context("a"))
        await executor.take(first)
        await bench.until(lambda: bench.told(facts.StepStarted))
        await executor.take(second)
        await asyncio.sleep(ACK_WAIT)
        gate.set()
        await bench.until(lambda: "ack" in second.answers)
        assert bench.ledger.acts() == ["disable athos"]
        assert "ack" not in first.answers
        assert "working" in second.answers
        assert len(bench.told(facts.StepStarted)) == 1

    story(run)


def test_who_takes_over_ends_the_former_session_and_settles_first() -> None:
    """A is cut off while it acts; B ends A's session, waits for what is inside the pool, and looks. A's late call is
    refused, and A drops its message in silence: it does not log in again and repeat."""

    async def run(bench: Bench) -> None:
        gate = asyncio.Event()

        async def wait(session: str) -> None:
            if session == "s1":
                await gate.wait()

        bench.ledger.trouble = wait
        a, b = bench.context("a"), bench.context("b")
        async with serving(a, bench.executor(a)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepStarted))
            getattr(a.bus, "cut")()  # noqa: B009 - the twin's own handle
            async with serving(b, bench.executor(b)):
                await bench.until(lambda: bench.told(facts.StepSucceeded))
                gate.set()
                getattr(a.bus, "mend")()  # noqa: B009
                await asyncio.sleep(4 * ACK_WAIT)
        assert bench.ledger.asked == [("end s1", "s2"), ("settle r1 t01-s001", "s2"), ("disable athos", "s2")]
        assert [started.by for started in bench.told(facts.StepStarted)] == ["a", "b"]
        assert len(bench.told(facts.StepSucceeded)) == 1
        assert bench.ledger.opened == 2

    story(run)


def test_a_stale_delivery_is_dropped_in_silence() -> None:
    """The journal knows a higher token: neither ack nor nak, and no session is opened."""

    async def run(bench: Bench) -> None:
        command = await bench.ordered()
        place = {"pool": "lab", "run": "r1", "step": "t01-s001", "attempt": 1}
        await bench.fact(facts.StepStarted.model_validate({**place, "token": (7, 2), "session": "x", "by": "b"}))
        stale = Given(wire.step_message(command), Token(7, 1))
        executor = bench.executor(bench.context("a"))
        await executor.take(stale)
        await asyncio.sleep(ACK_WAIT * 2)
        assert bench.ledger.opened == 0
        assert {"ack", "nak", "term"}.isdisjoint(stale.answers)

    story(run)


def test_a_session_that_ended_while_the_step_is_still_mine_begins_anew() -> None:
    """The master's toolstack restarted: back to the journal, a new session that is recorded, and a fresh look."""

    async def run(bench: Bench) -> None:
        async def once(session: str) -> None:
            if session == "s1":
                raise Superseded("The session was ended.")

        bench.ledger.trouble = once
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: not bench.server.orders())
        assert [started.session for started in bench.told(facts.StepStarted)] == ["s1", "s2"]
        assert bench.ledger.acts() == ["end s1", "settle r1 t01-s001", "disable athos"]

    story(run)


def test_a_lost_reply_is_looked_at_and_not_repeated() -> None:
    """The act was done and its answer lost: what is found then is not called `already`, and nothing is done twice."""

    async def run(bench: Bench) -> None:
        async def lost(session: str) -> None:
            if session == "s1":
                bench.ledger.enabled = True
                raise NotAnswered("The pool did not answer.", after=10)

        bench.ledger.enabled = False
        bench.ledger.trouble = lost
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent(acts.EnableHost(ATHOS))
            await bench.until(lambda: not bench.server.orders())
        (succeeded,) = bench.told(facts.StepSucceeded)
        assert succeeded.result == acts.Done(already=False)
        assert "enable athos" not in bench.ledger.acts()

    story(run)


def test_a_guard_that_is_lost_is_read_again() -> None:
    """Between reading and writing the planner gives the step up: the session is closed and nothing was done."""

    async def run(bench: Bench) -> None:
        context = bench.context("a")

        async def before(operation: str, subject: str) -> None:
            if operation == "append_guarded" and not bench.told(facts.StepTimedOut):
                place = {"pool": "lab", "run": "r1", "step": "t01-s001", "attempt": 1}
                await bench.fact(facts.StepTimedOut.model_validate({**place, "because": "late"}))

        setattr(context.bus, "before", before)  # noqa: B010 - the twin's hook
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: not bench.server.orders())
        assert (bench.ledger.asked, bench.ledger.closed) == ([], ["s1"])
        assert bench.told() == []

    story(run)


def test_a_result_is_not_told_by_who_has_lost_the_step() -> None:
    """A is paused between confirming and telling; B has begun meanwhile: A says nothing and acknowledges nothing."""

    async def run(bench: Bench) -> None:
        command = await bench.ordered()
        first = Given(wire.step_message(command), Token(7, 1))

        async def taken_over(_: str) -> None:
            place = {"pool": "lab", "run": "r1", "step": "t01-s001", "attempt": 1}
            await bench.fact(facts.StepStarted.model_validate({**place, "token": (7, 2), "session": "x", "by": "b"}))

        bench.ledger.trouble = taken_over
        await bench.executor(bench.context("a")).take(first)
        await bench.until(lambda: bench.ledger.closed)
        await asyncio.sleep(ACK_WAIT)
        assert bench.told(facts.StepSucceeded) == []
        assert {"ack", "nak"}.isdisjoint(first.answers)

    story(run)


def test_an_executor_that_stops_gives_back_what_it_holds() -> None:
    """Another takes it at once and does not wait for the heartbeat to be missed."""

    async def run(bench: Bench) -> None:
        async def for_ever(session: str) -> None:
            if session == "s1":
                await asyncio.sleep(10_000)

        bench.ledger.trouble = for_ever
        a, b = bench.context("a"), bench.context("b")
        async with serving(a, bench.executor(a)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepStarted))
        stopped = asyncio.get_running_loop().time()
        async with serving(b, bench.executor(b)):
            await bench.until(lambda: bench.told(facts.StepSucceeded))
        assert asyncio.get_running_loop().time() - stopped < ACK_WAIT / 2
        assert bench.ledger.closed == ["s1", "s2"]

    story(run)


def test_an_order_that_cannot_be_read_becomes_a_fact() -> None:
    """And is taken off the queue; the next order is done as if nothing had been."""

    async def run(bench: Bench) -> None:
        context = bench.context("a")
        subject = "rota.command.executor.disable_host.lab.r1.t01-s009-1"
        assert await bench.planner.send_order(Message(subject, b"{ this is no JSON"))
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: not bench.server.orders())
        (rejected,) = bench.told(facts.MessageRejected)
        assert (rejected.rejected_subject, rejected.service, rejected.seq) == (subject, "executor", 1)
        assert "not JSON" in rejected.because
        assert bench.ledger.acts() == ["disable athos"]

    story(run)


def test_a_pool_that_is_only_to_be_read_is_not_changed() -> None:
    """Every act is refused with a sentence before anybody logs in; a survey is done."""

    async def run(bench: Bench) -> None:
        context = bench.context("a", read_only=True)
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepFailed))
            assert bench.ledger.opened == 0
            await bench.sent(acts.Survey(), step="t00-s001")
            await bench.until(lambda: bench.told(facts.StepSucceeded))
        (failed,) = bench.told(facts.StepFailed)
        assert (failed.again_after, failed.code) == (None, "READ_ONLY")
        assert "read_only" in failed.because
        assert bench.ledger.acts() == []

    story(run)


def test_a_pool_that_is_not_in_the_settings_is_told() -> None:
    """With the name and what to do."""

    async def run(bench: Bench) -> None:
        act = acts.DisableHost(ATHOS)
        await bench.fact(facts.StepOrdered(pool="other", run="r1", step="t01-s001", attempt=1, act=act))
        command = (await Bench().ordered()).model_copy(update={"pool": "other"})
        await bench.planner.send_order(wire.step_message(command))
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.until(lambda: bench.told(facts.StepFailed))
        (failed,) = bench.told(facts.StepFailed)
        assert failed.because == "The executor's rota.toml has no pool other; add [pool.other] there."

    story(run)


def test_a_fault_of_ours_ends_the_step_and_not_the_service() -> None:
    """It becomes a fact that a person sees, and the next order is done."""

    async def run(bench: Bench) -> None:
        async def broken(session: str) -> None:
            if session == "s1":
                raise ZeroDivisionError

        bench.ledger.trouble = broken
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepFailed))
            await bench.sent(step="t01-s002")
            await bench.until(lambda: bench.told(facts.StepSucceeded))
        (failed,) = bench.told(facts.StepFailed)
        assert (failed.code, failed.again_after) == ("FAULT", 60.0)

    story(run)


def test_a_survey_of_a_pool_that_is_away_says_so_at_once() -> None:
    """Somebody waits for the answer; the planner decides how often to ask again."""

    async def run(bench: Bench) -> None:
        async def away() -> None:
            raise NotAnswered("The pool at lab cannot be used.", after=10, code="NO_ANSWER")

        bench.ledger.opening = away
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent(acts.Survey())
            await bench.until(lambda: bench.told(facts.StepFailed), within=1)
        (failed,) = bench.told(facts.StepFailed)
        assert (failed.again_after, failed.code, bench.told(facts.StepStarted)) == (10, "NO_ANSWER", [])

    story(run)


def test_any_other_step_waits_for_a_pool_that_is_away() -> None:
    """The master's reboot takes minutes: the step waits for it within its attempt, and says so all the while."""

    async def run(bench: Bench) -> None:
        loop = asyncio.get_running_loop()

        async def away() -> None:
            if loop.time() < 300:
                raise NotAnswered("The pool at lab cannot be used.", after=10)

        bench.ledger.opening = away
        context = bench.context("a")

        async def fourth_minute() -> None:
            async with bench.planner.listen("rota.progress.lab.r1.t01-s001") as words:
                async for word in words:
                    if b"It is tried again, for 4 min" in word.data:
                        return

        listener = asyncio.create_task(fourth_minute())
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepSucceeded))
        assert 300 <= loop.time() < 310
        await asyncio.wait_for(listener, 1)

    story(run)


def test_a_refused_password_is_given_up_at_once() -> None:
    """Trying again would not help."""

    async def run(bench: Bench) -> None:
        async def refused() -> None:
            raise GiveUp("The pool refused the password.", who_can_help="whoever keeps rota.toml", code="X")

        bench.ledger.opening = refused
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepFailed), within=1)
        (failed,) = bench.told(facts.StepFailed)
        assert (failed.again_after, failed.who_can_help, failed.code) == (None, "whoever keeps rota.toml", "X")

    story(run)


def test_progress_of_a_long_step_is_a_fact_once_a_minute() -> None:
    """310 s of a move with a word each 31 s: five facts."""

    async def run(bench: Bench) -> None:
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent(acts.MigrateVM(GITLAB, PORTHOS, ATHOS))
            await bench.until(lambda: bench.told(facts.StepSucceeded))
        progressed = bench.told(facts.StepProgressed)
        assert len(progressed) == 5
        assert [fact.share for fact in progressed] == [0.1, 0.3, 0.5, 0.7, 0.9]
        (succeeded,) = bench.told(facts.StepSucceeded)
        assert succeeded.sentence == "Moved gitlab from athos to porthos in 5 min 10 s."

    story(run)


def test_a_long_step_that_is_given_up_meanwhile_is_dropped() -> None:
    """Its next fact of progress is refused by the guard: the journal says that nobody wants it any more."""

    async def run(bench: Bench) -> None:
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent(acts.MigrateVM(GITLAB, PORTHOS, ATHOS))
            await bench.until(lambda: bench.told(facts.StepProgressed))
            place = {"pool": "lab", "run": "r1", "step": "t01-s001", "attempt": 1}
            await bench.fact(facts.StepTimedOut.model_validate({**place, "because": "late"}))
            await bench.until(lambda: not bench.server.orders())
        assert bench.told(facts.StepSucceeded) == []
        assert bench.ledger.closed == ["s1"]

    story(run)


def test_a_step_that_is_left_out_meanwhile_is_stopped() -> None:
    """Its session is over within seconds, it is not told how it would have ended, and its order is gone."""

    async def run(bench: Bench) -> None:
        async def for_ever(_: str) -> None:
            await asyncio.sleep(10_000)

        bench.ledger.trouble = for_ever
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            await bench.sent()
            await bench.until(lambda: bench.told(facts.StepStarted))
            await bench.fact(facts.StepSkipped(pool="lab", run="r1", step="t01-s001", because="a person said so"))
            await bench.until(lambda: not bench.server.orders(), within=10)
        assert bench.ledger.closed == ["s1"]
        assert (bench.told(facts.StepSucceeded), bench.told(facts.StepFailed)) == ([], [])

    story(run)


def test_every_act_that_is_sent_has_a_function() -> None:
    """A kind without one would be a fault of ours in the middle of a run."""
    union = get_args(get_args(acts.Act)[0])
    kinds = {kind for act in union for kind in get_args(get_type_hints(act)["kind"])}
    assert set(table.STEPS) == kinds - acts.WAITS
    assert set(table.STEPS) >= table.READING | table.LONG | set(table.PATIENT)


def test_many_steps_are_worked_on_at_once() -> None:
    """32 of 40 act, the others wait in hand with a beating heart; all are done, each once."""

    async def run(bench: Bench) -> None:
        acting: set[str] = set()
        most = 0

        async def slow(session: str) -> None:
            nonlocal most
            acting.add(session)
            most = max(most, len(acting))
            await asyncio.sleep(4 * ACK_WAIT)
            acting.discard(session)

        bench.ledger.trouble = slow
        context = bench.context("a")
        async with serving(context, bench.executor(context)):
            for number in range(40):
                await bench.sent(step=f"t01-s{number:03d}")
            await bench.until(lambda: not bench.server.orders())
        assert most == handlers.AT_ONCE
        assert len(bench.ledger.asked) == len(bench.told(facts.StepSucceeded)) == 40

    story(run)
