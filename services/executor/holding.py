"""A step in hand, from its order to its fact: guarded, fenced, settled, done, confirmed, told (protocol 3.4).

A pool that stops answering in the middle leaves the outcome unknown: then everything begins again at the journal, with
a new session, as a take-over from oneself. What a step does is in `steps`, who takes orders in `handlers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

from services.executor import ground, guards
from services.executor.steps import table
from services.executor.work import Ended, GoBack, Owed, Place, Work, spoken
from shared.bus import wire
from shared.bus.port import Delivery
from shared.clock import Clock
from shared.domain import facts, messages
from shared.domain.acts import Act
from shared.domain.commands import DoStep
from shared.domain.errors import GiveUp, Superseded, TryAgain, Unreadable
from shared.domain.model import StorageVM
from shared.service import Context
from shared.xapi.port import NotAnswered, Pool

RETRY = 1.0
"""Machine seconds before a pool that did not answer is asked again."""

READ_AGAIN = 0.2
"""Machine seconds before the journal is read again after a lost guard."""

LOOK_AT_JOURNAL = 5.0
"""Machine seconds after which the journal is asked whether a step in hand is still wanted."""

PROGRESS_SAID = 0.5
PROGRESS_STORED = 60.0
"""Machine seconds between two words on progress, and between two facts of it."""

FAULT_AGAIN = 60.0
"""Pool seconds after which a step that met a fault of ours, or whose sessions keep ending, may be tried again."""

LONGEST_SENTENCE = 4000

OpenPool = Callable[[DoStep], Awaitable[Pool]]
"""Opens a session for a step; raises as `client.login` does, and GiveUp for a pool that is not in the settings."""


@dataclass(slots=True)
class Hand:
    """A step in hand and its last delivery: only that one is acknowledged, and it only grows."""

    command: DoStep
    delivery: Delivery

    def renew(self, delivery: Delivery) -> None:
        """The same order again: the new delivery takes the old one's place, and nothing is started."""
        if delivery.token > self.delivery.token:
            self.delivery = delivery


class Holder:
    """Carries out one step in hand."""

    def __init__(self, context: Context, hand: Hand, open_pool: OpenPool) -> None:
        self._bus = context.bus
        self._clock: Clock = context.clock
        self._settings = context.settings
        self._by = context.instance
        self._log = context.log
        self._hand = hand
        self._open_pool = open_pool
        self._command = hand.command
        self._seq = 0
        self._said = self._stored = asyncio.get_running_loop().time()

    async def carry_out(self) -> bool:
        """Do the step if it is wanted and mine. True: acknowledge the last delivery. False: somebody else has the step,
        so it is dropped in silence."""
        lost_at: float | None = None
        while True:
            self._seq = 0
            standing = await guards.read(self._bus, self._command)
            if standing is None:
                return True
            if standing.token > self._hand.delivery.token:
                return False
            self._command = self._command.model_copy(update={"act": standing.act})
            try:
                return await self._tell(await self._while_wanted(standing))
            except guards.ReadAgain:
                await asyncio.sleep(READ_AGAIN)
            except (TryAgain, Superseded) as error:
                now = self._clock.now()
                lost_at = now if lost_at is None else lost_at
                if now - lost_at >= self._patience(standing.act):
                    return await self._tell(self._failed(error))
                self._log.info("lost", pool=self._command.pool, step=self._command.step, sentence=error.because)
                with contextlib.suppress(Superseded):  # which the next look at the journal finds out
                    await self._say(0.0, f"{error.because} It is tried again, for {spoken(now - lost_at)} now.")
                await asyncio.sleep(RETRY)

    async def _while_wanted(self, standing: guards.Standing) -> facts.StepSucceeded | facts.StepFailed:
        """One attempt, stopped when the journal says that the step is somebody else's, or not wanted any more: it timed
        out, or a person left it out. Its session is over then, and what comes next is not disturbed."""
        attempt = asyncio.create_task(self._attempt(standing))
        watch = asyncio.create_task(self._until_unwanted())
        try:
            await asyncio.wait((attempt, watch), return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                raise Superseded("The step is not wanted any more.")
            return attempt.result()
        finally:
            attempt.cancel()
            watch.cancel()
            await asyncio.gather(attempt, watch, return_exceptions=True)

    async def _until_unwanted(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AT_JOURNAL)
            standing = await guards.read(self._bus, self._command)
            if standing is None or standing.token > self._hand.delivery.token:
                return

    async def tell_fault(self, fault: Exception) -> bool:
        """End the step with a fault of Rota's own, so that a person sees it; see `carry_out` for what is returned."""
        because = f"Rota has a fault and could not do the step ({fault!r}); its log has more."
        return await self._tell(self._failed(TryAgain(because, after=FAULT_AGAIN, code="FAULT")))

    async def _attempt(self, standing: guards.Standing) -> facts.StepSucceeded | facts.StepFailed:
        """Open a session, say so in the journal, and do it. Raises ReadAgain, Superseded, and TryAgain when the pool
        does not answer: nothing is told then."""
        try:
            pool = await self._open_pool(self._command)
        except GiveUp as error:
            return self._failed(error)
        try:
            self._seq = await guards.write(self._bus, self._started(pool), standing.seq, by=self._by, at=self._now())
            began = self._now()
            return self._succeeded(await self._do(standing, pool), began)
        except _Refused as refused:
            return self._failed(refused.error)
        finally:
            await pool.close()

    async def _do(self, standing: guards.Standing, pool: Pool) -> Ended:
        """Fence and settle where somebody held the step before, then look, act and confirm."""
        command = self._command
        if standing.former is not None:
            await pool.end_session(standing.former.session)
            await pool.settle(command.run, command.step, self._settling)
        work = Work(
            pool=pool,
            clock=self._clock,
            place=Place(command.pool, command.run, command.step, command.attempt),
            say=self._say,
            keep=self._keep,
            again=standing.former is not None,
            ground=self._ground(),
            gates=self._settings.gate,
            request=self._bus.request,
        )
        try:
            return await table.STEPS[standing.act.kind](standing.act, work)
        except TryAgain as error:
            if isinstance(error, NotAnswered):
                raise
            raise _Refused(error) from error
        except (GiveUp, Unreadable) as error:
            raise _Refused(error) from error

    def _ground(self) -> ground.Ground:
        access = self._settings.pool.get(self._command.pool)
        own = ground.own_uuids()
        if access is None:
            return ground.Ground(own=own)
        serving = tuple(StorageVM(one.vm, one.sr, one.host) for one in access.storage_vm)
        return ground.Ground(access.rota_vms, access.needed_vms, own, serving, access.replicated)

    async def _tell(self, fact: facts.StepSucceeded | facts.StepFailed) -> bool:
        """Store how it ended, once under its fixed id, unless somebody else has taken the step over meanwhile."""
        if not await guards.still_mine(self._bus, self._command, self._hand.delivery.token):
            return False
        name = messages.fact_name(fact)
        id = f"{fact.run}.{fact.step}.{fact.attempt}.{name}"
        await self._bus.append(wire.fact_message(fact, source=self._by, at=self._now(), id=id), id=id)
        sentence = fact.sentence if isinstance(fact, facts.StepSucceeded) else fact.because
        self._log.info(name, pool=fact.pool, run=fact.run, step=fact.step, sentence=sentence)
        return True

    async def _say(self, share: float, sentence: str) -> None:
        """Tell how far it is: now and then on the bus, once a minute as a fact where a deadline counts from it.

        Raises Superseded when the journal says that the step is somebody else's, or not wanted any more."""
        now = asyncio.get_running_loop().time()
        if now - self._said >= PROGRESS_SAID:
            self._said = now
            subject = wire.progress_subject(self._command.pool, self._command.run, self._command.step)
            await self._bus.say(subject, json.dumps({"share": round(share, 3), "sentence": sentence}).encode())
        if self._seq and self._command.act.kind in table.LONG and now - self._stored >= PROGRESS_STORED:
            self._stored = now
            await self._store_progress(share, sentence)

    async def _store_progress(self, share: float, sentence: str) -> None:
        fact = facts.StepProgressed(**self._place(), share=min(1.0, share), sentence=sentence[:LONGEST_SENTENCE])
        try:
            self._seq = await guards.write(self._bus, fact, self._seq, by=self._by, at=self._now())
        except guards.ReadAgain as lost:
            standing = await guards.read(self._bus, self._command)
            if standing is None or standing.token > self._hand.delivery.token:
                raise Superseded("The step is not wanted any more.") from lost
            self._seq = standing.seq

    async def _settling(self, share: float) -> None:
        await self._say(share, f"Waiting for what was begun before to end: {share:.0%}.")

    async def _keep(self, name: str, data: bytes) -> None:
        await self._bus.put_object(wire.SNAPSHOTS_BUCKET, name, data)

    def _now(self) -> float:
        return self._clock.now()

    def _patience(self, act: Act) -> float:
        return table.PATIENT.get(act.kind, table.PATIENCE)

    def _place(self) -> _Place:
        command = self._command
        return {"pool": command.pool, "run": command.run, "step": command.step, "attempt": command.attempt}

    def _started(self, pool: Pool) -> facts.StepStarted:
        token = self._hand.delivery.token
        at = (token.seq, token.delivered)
        return facts.StepStarted(**self._place(), token=at, session=pool.session, by=self._by)

    def _succeeded(self, ended: Ended, began: float) -> facts.StepSucceeded:
        return facts.StepSucceeded(
            **self._place(),
            result=ended.result,
            seconds=max(0.0, self._now() - began),
            sentence=ended.sentence[:LONGEST_SENTENCE],
        )

    def _failed(self, error: TryAgain | GiveUp | Unreadable | Superseded) -> facts.StepFailed:
        if isinstance(error, Superseded):
            error = TryAgain(error.because, after=FAULT_AGAIN, code="SESSION_INVALID")
        return facts.StepFailed(
            **self._place(),
            because=error.because[:LONGEST_SENTENCE],
            code="" if isinstance(error, Unreadable) else error.code,
            again_after=error.after if isinstance(error, TryAgain) else None,
            who_can_help=error.who_can_help if isinstance(error, GiveUp) else "",
            debt=error.debt if isinstance(error, Owed) else None,
            go_back_to=error.to if isinstance(error, GoBack) else "",
        )


class _Place(TypedDict):
    pool: str
    run: str
    step: str
    attempt: int


class _Refused(Exception):
    """A step ended without being done; `error` says how."""

    def __init__(self, error: TryAgain | GiveUp | Unreadable) -> None:
        super().__init__(error.because)
        self.error = error
