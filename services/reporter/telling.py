"""Telling an occasion to everybody who wants to hear of it, and writing down what became of it.

One destination is told one thing at a time, in the order things happened. One that fails rests for a while, so that
others' news does not queue at a closed door; the others are told meanwhile. What was told stands in the journal and
nowhere else: whoever takes an occasion up again after a crash reads there who has heard of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import tzinfo

import structlog
from pydantic import TypeAdapter, ValidationError

from services.reporter import dues, folding, occasions, shelf, wording
from services.reporter.channels.port import Channel, Parcel
from services.reporter.letter import Letter
from services.reporter.occasions import NONE, Occasion
from services.reporter.outcomes import NOT_TRIED, OLD_NEWS, Outcome, outcomes, wait
from services.reporter.report import Report
from services.reporter.spoken import clean, each_text
from shared.bus import port, wire
from shared.clock import Clock
from shared.domain import facts
from shared.domain.errors import GiveUp, RotaError, TryAgain, Unreadable
from shared.domain.model import PoolSnapshot
from shared.settings import Destination

REST = 30.0
"""At most so many seconds of machine time is a destination left alone after it failed; then others' news is tried."""

AFTER_REST = 1.0
"""Seconds of machine time that others' news waits longer than the one that failed, so that it comes first."""

LOOK = 1.0
"""Seconds of machine time, at least, until an occasion is looked at again for a reminder."""

REJECTIONS_AN_HOUR = 20
"""Rejected orders and messages that one destination is told in an hour; what rejects more is in the journal."""


SNAPSHOT = TypeAdapter(PoolSnapshot)


@dataclass(slots=True)
class Recipient:
    """A destination: its wishes, its channel, and how it stands just now (machine time, in this process alone)."""

    channel: Channel
    wishes: Destination
    line: asyncio.Lock = field(default_factory=asyncio.Lock)
    resting_until: float = 0.0
    rejections: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Read:
    """A run as it was read: its facts in order, how many could not be read, and where a debt is told what is known of
    the pool's debts, where updates are the pool that was looked at."""

    recorded: tuple[wire.Recorded, ...]
    unreadable: int
    debts: tuple[wire.Recorded, ...] = ()
    snapshot: PoolSnapshot | None = None


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells occasions. `hide` takes secrets out of everything that is told; `backoff` is the seconds of machine time to
    the next try, given how it stood, what failed, and the machine time. One occasion is prepared at a time: so each
    destination's line is in the order of the journal. `keep` is where the report is put for whoever asks for it."""

    bus: port.Bus
    clock: Clock
    recipients: Sequence[Recipient]
    zone: tzinfo
    hide: Callable[[str], str]
    log: structlog.stdlib.BoundLogger
    backoff: Callable[[Outcome, RotaError, float], float | None] = wait
    keep: shelf.Shelf = shelf.nowhere
    preparing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def tell(self, occasion: Occasion) -> float | None:
        """Tell everybody who has not heard of it. Returns after how many seconds of machine time it is to be looked at
        again: somebody could not be reached, or is to be reminded; None when all is said."""
        async with self.preparing:
            telling, look_in = await self._prepared(occasion)
        ends = await asyncio.gather(*telling, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return min((end for end in (*ends, look_in) if isinstance(end, float)), default=None)

    async def _prepared(self, occasion: Occasion) -> tuple[list[asyncio.Task[float | None]], float | None]:
        """One telling for each who is due a word, begun in the order of their news; and when there may be more."""
        wanting = [one for one in self.recipients if occasions.concerns(one.wishes, occasion)]
        kept = occasion.name in shelf.OCCASIONS
        if not (wanting or kept) or self._is_old_news(occasion):
            return [], None
        read = await self._read(occasion)
        if kept:
            await self._keep(occasion, read)
        if not dues.is_news(occasion, read.recorded, read.debts):
            return [], None
        due = [(one, self._due(one, occasion, read)) for one in wanting]
        parcels = await asyncio.to_thread(self._parcels, occasion, {one.now for _, one in due}, read)
        telling = [
            self._tell_one(recipient, parcels[one.now], self._stand(recipient, occasion, read, one.now))
            for recipient, one in due
            if one.now is not None
        ]
        look_in = [self.clock.machine_seconds(one.look_in) for _, one in due if one.look_in is not None]
        return [asyncio.ensure_future(one) for one in telling], max(min(look_in), LOOK) if look_in else None

    def _due(self, recipient: Recipient, occasion: Occasion, read: Read) -> dues.Due:
        return dues.due(
            recipient.wishes,
            occasion,
            lambda again: self._stand(recipient, occasion, read, again),
            self.clock.now(),
            is_open=dues.is_open(occasion, read.recorded, read.debts),
        )

    def _stand(self, recipient: Recipient, occasion: Occasion, read: Read, again: int) -> Outcome:
        return outcomes(read.recorded, occasion.seq, again).get(recipient.channel.name, NOT_TRIED)

    async def _keep(self, occasion: Occasion, read: Read) -> None:
        """Put the report where people can ask for it; that this fails stops no word."""
        report = await asyncio.to_thread(self._fold, occasion, read.recorded, read.unreadable)
        try:
            await self.keep(report)
        except port.BusRefused as error:
            self.log.warning("not_kept", sentence=f"The report of {occasion.run} could not be kept: {error}.")

    async def _read(self, occasion: Occasion) -> Read:
        """The run's facts in full; without a run, what was told of the occasion since."""
        pool, run = occasion.pool, occasion.run
        of, after = wire.run_filter(pool, run), 0
        if run == NONE:
            of, after = f"rota.fact.report.{pool}.{NONE}.>", occasion.seq
        debts: tuple[wire.Recorded, ...] = ()
        if occasion.name in ("owed", "paid"):
            debts, _ = await self._recorded(dues.debt_filters(pool), 0)
        recorded, unreadable = await self._recorded((of,), after)
        return Read(recorded, unreadable, debts, await self._snapshot(occasion))

    async def _snapshot(self, occasion: Occasion) -> PoolSnapshot | None:
        """The pool that a forecast was made from; None where there is none, or it cannot be had any more."""
        name = occasion.fact.snapshot if isinstance(occasion.fact, facts.ForecastMade) else ""
        data = await self.bus.get_object(wire.SNAPSHOTS_BUCKET, name) if name else None
        if data is None:
            return None
        try:
            return await asyncio.to_thread(SNAPSHOT.validate_json, data)
        except ValidationError as error:
            self.log.warning(
                "unreadable", sentence=f"The snapshot {name} cannot be read: {error.error_count()} faults."
            )
            return None

    async def _recorded(self, of: Sequence[str], after: int) -> tuple[tuple[wire.Recorded, ...], int]:
        recorded: list[wire.Recorded] = []
        unreadable = 0
        async for stored in self.bus.read(of, after=after):
            try:
                recorded.append(wire.read_fact(stored))
            except Unreadable as error:
                unreadable += 1
                self.log.warning("unreadable", sentence=error.because, seq=stored.seq)
        return tuple(recorded), unreadable

    def _is_old_news(self, occasion: Occasion) -> bool:
        old = self.clock.machine() - occasion.stored_at > OLD_NEWS
        if old:
            self.log.info("old_news", sentence=f"{occasion.id} is more than a week old and is not told any more.")
        return old

    def _parcels(self, occasion: Occasion, wanted: Set[int | None], read: Read) -> Mapping[int | None, Parcel]:
        """A parcel for each word that somebody is due."""
        return {again: self._parcel(replace(occasion, again=again), read) for again in wanted if again is not None}

    def _parcel(self, occasion: Occasion, read: Read) -> Parcel:
        """What is told. The letter is of the moment of its occasion, so that every copy of it says the same."""
        if occasion.run == NONE:
            return Parcel(self._letter(occasion, None, read.snapshot))
        until_then = [one for one in read.recorded if one.seq <= occasion.seq]
        report = self._fold(occasion, until_then, read.unreadable)
        latest = self._fold(occasion, read.recorded, read.unreadable)
        return Parcel(self._letter(occasion, report), occasions.announcement(until_then), latest)

    def _letter(self, occasion: Occasion, report: Report | None, snapshot: PoolSnapshot | None = None) -> Letter:
        hidden = each_text(wording.letter(occasion, report, self.zone, snapshot), self.hide)
        return replace(hidden, occasion=occasion)

    def _fold(self, occasion: Occasion, recorded: Sequence[wire.Recorded], unreadable: int) -> Report:
        report = folding.fold(occasion.pool, occasion.run, recorded, unreadable=unreadable)
        return each_text(report, self.hide)

    async def _tell_one(self, recipient: Recipient, parcel: Parcel, stand: Outcome) -> float | None:
        occasion = parcel.letter.occasion
        async with recipient.line:
            now = self.clock.machine()
            if recipient.resting_until > now:
                return recipient.resting_until - now + AFTER_REST
            if occasion.name == "rejected" and not stand.failures and self._too_many(recipient, now):
                return None
            try:
                reference = await recipient.channel.deliver(parcel)
            except (TryAgain, GiveUp) as failure:
                return await self._failed(recipient, occasion, stand, failure)
            await self._sent(recipient, occasion, stand, reference)
            return None

    def _too_many(self, recipient: Recipient, now: float) -> bool:
        """Whether a flood of rejections is under way; whoever causes it must not fill mailboxes too."""
        recipient.rejections[:] = [at for at in recipient.rejections if now - at < 3600.0]
        if len(recipient.rejections) >= REJECTIONS_AN_HOUR:
            sentence = (
                f"{recipient.channel.name} was told {REJECTIONS_AN_HOUR} rejections in this hour; more are not sent."
            )
            self.log.warning("too_many_rejections", sentence=sentence)
            return True
        recipient.rejections.append(now)
        return False

    async def _sent(self, recipient: Recipient, occasion: Occasion, stand: Outcome, reference: str) -> None:
        recipient.resting_until = 0.0
        name = recipient.channel.name
        fact = facts.ReportSent(
            pool=occasion.pool,
            run=occasion.run,
            occasion=occasion.name,
            destination=name,
            about=occasion.seq,
            again=occasion.again,
            reference=clean(reference, 400),
            attempt=stand.attempt,
        )
        self.log.info("sent", sentence=f"{name} was told of {occasion.id}.", attempt=stand.attempt)
        await self._append(fact, f"report-{_told(occasion)}-{name}-sent")

    async def _failed(
        self, recipient: Recipient, occasion: Occasion, stand: Outcome, failure: TryAgain | GiveUp
    ) -> float | None:
        now = self.clock.machine()
        after = self.backoff(stand, failure, now)
        name = recipient.channel.name
        if after is not None:
            recipient.resting_until = now + min(after, REST)
        fact = facts.ReportFailed(
            pool=occasion.pool,
            run=occasion.run,
            occasion=occasion.name,
            destination=name,
            about=occasion.seq,
            again=occasion.again,
            because=self.hide(clean(failure.because)),
            attempt=stand.attempt,
            again_after=after,
        )
        self.log.warning("not_sent", sentence=fact.because, destination=name, occasion=occasion.id, again_after=after)
        await self._append(fact, f"report-{_told(occasion)}-{name}-failed-{stand.attempt}")
        return after

    async def _append(self, fact: facts.ReportFact, id: str) -> None:
        message = wire.fact_message(fact, source="reporter", at=self.clock.now(), id=id)
        await self.bus.append(message, id=id)


def _told(occasion: Occasion) -> str:
    """What was told, as part of a message id."""
    return f"{occasion.seq}-{occasion.again}" if occasion.again else str(occasion.seq)
