"""One case of chaos in one process: a whole run on the smallest pool, one blow, and what is expected afterwards.

A first telling without a blow lists every call that is made; each call is then a case, before it and after it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.stdlib import BoundLogger

from shared.domain import commands, facts, names
from tests.chaos import blows, harm, standing
from tests.chaos.blows import Call, Case
from tests.chaos.campaign import Outcome
from tests.chaos.frail import Frail, silent
from tests.chaos.scenes import SCENES, SMALL
from tests.stories.house import SERVICES, STAFF, House, tell

PATIENCE = 4 * 3600.0
"""Simulated seconds within which a run must have ended, and been told."""

AFTERMATH = 90.0
"""Simulated seconds in which everything is left alone after the end, to see that nothing more happens; longer
where somebody is still standing still, who will wake and go on with what he was at."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case. `wrong` is empty when all is well; `calls` were made, `apart` are those of them at which
    a blow makes a difference; `took` is simulated seconds from the order to the end of the run, `struck` how many blows
    fell, `steps` how many facts there were of steps."""

    wrong: tuple[str, ...]
    calls: tuple[Call, ...]
    took: float
    struck: int
    ended: bool
    apart: tuple[Call, ...] = ()
    steps: int = 0


Recorded = dict[int, tuple[tuple[Call, ...], float]]
"""By the number of replicas: the calls of a run that nothing befalls, and how many simulated seconds it took."""


def recorded(*, scheduled: bool = False) -> Recorded:
    """Runs that nothing befalls, with one and with two of each service: their calls, and how long they took."""
    return _calls(_undisturbed(scheduled=scheduled))


def _undisturbed(*, scheduled: bool = False, scene: str = SMALL) -> dict[int, Verdict]:
    return {replicas: tell_case(Case(replicas, scheduled=scheduled, scene=scene)) for replicas in (1, 2)}


def _calls(told: Mapping[int, Verdict]) -> Recorded:
    return {replicas: (verdict.calls, verdict.took) for replicas, verdict in told.items()}


def cases(storms: int, share: float, seed: int) -> list[Case]:
    """A kill before and after each change that a service makes; of all other single blows (kills at a look between two
    changes, pauses, cuts, deaths of the bus) a share, the same for the same seed; and so many storms at any call. The
    scheduler is struck in runs that it starts, and a fifth as many storms more fall on these. On each pool a run is
    cancelled at every fact of a step, in both forms; a tenth as many storms more fall on each pool whose VMs cannot all
    move."""
    ordered, scheduled = _undisturbed(), _undisturbed(scheduled=True)
    singles = [one for replicas, run in ordered.items() for one in blows.singles(run.apart, replicas, run.took)]
    for replicas, run in scheduled.items():
        calls = [call for call in run.apart if call.service == "scheduler"]
        singles += blows.singles(calls, replicas, run.took, scheduled=True)
    every = [case for case in singles if blows.kills_at_a_change(case)]
    others = [case for case in singles if not blows.kills_at_a_change(case)]
    some = blows.sample(others, round(share * len(others)), seed)
    alone = [blows.storm(number, _calls(ordered)) for number in range(storms)]
    more = [blows.storm(number, _calls(scheduled), scheduled=True) for number in range(storms, storms + storms // 5)]
    scenes = [case for scene in SCENES for case in _in(scene, storms // 10)]
    return [*every, *some, *alone, *more, *scenes]


def _in(scene: str, storms: int) -> list[Case]:
    """A run of a pool, cancelled everywhere; and, but for the smallest pool, storms."""
    told = _undisturbed(scene=scene)
    cancels = [
        Case(1, scene=scene, cancel=form, cancel_at=at, usual=told[1].took)
        for form in blows.FORMS
        for at in range(1, told[1].steps + 1)
    ]
    return [*cancels, *(blows.storm(number, _calls(told), scene=scene) for number in range(storms) if scene != SMALL)]


def tell_case(case: Case, *, loud: bool = False) -> Verdict:
    """A whole run on a pool. `loud` prints what the services log."""
    verdicts: list[Verdict] = []

    async def story(house: House) -> None:
        verdicts.append(await _told(house, case, structlog.stdlib.get_logger() if loud else silent()))

    with tempfile.TemporaryDirectory() as folder:
        scene = SCENES[case.scene]
        tell(story, Path(folder), world=scene.world, pool=scene.pool, staff=())
    return verdicts[0]


def outcome(case: Case) -> Outcome:
    """A case as a campaign wants it."""
    verdict = tell_case(case)
    return {
        "kind": case.kind,
        "wrong": list(verdict.wrong),
        "struck": verdict.struck,
        "ended": verdict.ended,
        "recovery": round(verdict.took - case.usual, 3),
    }


async def _told(house: House, case: Case, log: BoundLogger) -> Verdict:
    frail = Frail(house, {blow.call: blow for blow in case.blows}, random.Random(str(case)), log)
    for fault in blows.TROUBLES.get(case.trouble, ()):
        house.sim.fault(**fault)
    for service in SERVICES if case.scheduled else STAFF:
        for _ in range(case.replicas):
            frail.employ(service)
    began, scene, before = house.clock.now(), SCENES[case.scene], standing.seen(house.sim.site)
    canceller = asyncio.create_task(_cancel(house, case))
    try:
        start = commands.StartRun(pool="lab", policy=scene.policy)
        await house.order(_schedule(began) if case.scheduled else start)
        missing = await _until_told(house)
        took = house.clock.now() - began
        await asyncio.sleep(AFTERMATH + max((blow.seconds for blow in case.blows), default=0.0))
        journal = await house.journal()
        cancelled = any(isinstance(fact, facts.RunCancelling) for fact in journal)
        wrong = [*missing, *frail.crashed, *_amiss(journal, cancelled)]
        wrong += [*harm.found(house.sim.journal, scene.promise, journal, cancelled=cancelled), *_twice(house)]
        wrong += standing.not_put_back(before, standing.seen(house.sim.site), cancelled=cancelled)
    finally:
        canceller.cancel()
        await asyncio.gather(canceller, return_exceptions=True)
        await frail.close()
    steps = sum(isinstance(fact, facts.StepFact) for fact in journal)
    return Verdict(tuple(wrong), tuple(frail.calls), took, frail.struck, not missing, tuple(frail.apart), steps)


async def _cancel(house: House, case: Case) -> None:
    """Cancel the run at a fact of a step, if the case says so."""
    if not case.cancel:
        return
    seen = 0
    async with house.bus.follow(["rota.fact.step.>"], after=0) as stored_facts:
        async for _ in stored_facts:
            seen += 1
            if seen == case.cancel_at:
                run = names.run_id("lab", "order-1")
                await house.order(commands.CancelRun(pool="lab", run=run, now=case.cancel == "now"), "order-2", "bob")
                return


def _schedule(now: float) -> commands.SetSchedule:
    """A schedule that falls due in one to two minutes, and again in a year; whoever was away then starts it late."""
    due = time.gmtime(now + 120)
    cron = f"{due.tm_min} {due.tm_hour} {due.tm_mday} {due.tm_mon} *"
    return commands.SetSchedule(schedule="tonight", cron=cron, pools=("lab",), missed="run_late")


async def _until_told(house: House) -> list[str]:
    """Wait for the end of the run and its report; what did not come, in sentences."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    for name in ("run_ended", "report_sent"):
        try:
            while True:
                fact = await house.until(name, within=max(1.0, until - loop.time()))
                if not isinstance(fact, facts.ReportSent) or fact.occasion == "ended":
                    break
                if await _reported(house):
                    break
                await asyncio.sleep(1)
        except TimeoutError:
            return [f"There was no {name} within {PATIENCE / 3600:g} h.", *await _last_words(house)]
    return []


async def _reported(house: House) -> bool:
    return any(isinstance(fact, facts.ReportSent) and fact.occasion == "ended" for fact in await house.journal())


async def _last_words(house: House) -> list[str]:
    held = [fact.because for fact in await house.journal() if isinstance(fact, facts.RunHeld)]
    return [f"The run was held: {because}" for because in held]


def _amiss(journal: Sequence[facts.Fact], cancelled: bool) -> list[str]:
    """What the facts say that should not be."""
    ends = [fact for fact in journal if isinstance(fact, facts.RunEnded)]
    right = ("succeeded", "cancelled") if cancelled else ("succeeded",)
    wrong = [] if len(ends) == 1 else [f"The run ended {len(ends)} times."]
    wrong += [f"The run {end.outcome}: {end.sentence}" for end in ends if end.outcome not in right]
    wrong += [f"Rejected: {fact.because}" for fact in journal if isinstance(fact, facts.MessageRejected)]
    wrong += [f"Held: {fact.because}" for fact in journal if isinstance(fact, facts.RunHeld)]
    wrong += [f"Failed: {fact.because}" for fact in journal if isinstance(fact, facts.StepFailed) and _ours(fact)]
    told = [fact.destination for fact in journal if isinstance(fact, facts.ReportSent) and fact.occasion == "ended"]
    wrong += [f"{name} was told {told.count(name)} times of the end." for name in set(told) if told.count(name) > 1]
    return wrong


def _ours(fact: facts.StepFailed) -> bool:
    """A fault of Rota's own, which a retry may hide."""
    return fact.code == "FAULT"


def _twice(house: House) -> list[str]:
    """Calls that were obeyed twice, of those that do harm."""
    asked = [
        (line["method"].removeprefix("Async."), str(line["params"]))
        for line in house.sim.journal
        if line["kind"] == "call" and line["outcome"] == "success"
    ]
    reboots = [params for method, params in asked if method == "host.reboot"]
    return [
        f"host.reboot was obeyed {reboots.count(one)} times for {one}."
        for one in set(reboots)
        if reboots.count(one) > 1
    ]
