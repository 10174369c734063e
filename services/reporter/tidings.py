"""What is told without a run: updates that wait, ticks that were missed, orders and messages rejected. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Any

from services.reporter.letter import Fact, Letter, Point, Section
from services.reporter.occasions import NONE, Occasion
from services.reporter.spoken import clean, count, listed, moment, on_one_line
from shared.domain import facts
from shared.domain.model import PoolSnapshot
from shared.domain.offers import Offer, advisories, offers, unknown

MOST = 60
"""Packages that a mail tells; `rota updates` and the JSON form have the rest."""

CHANGELOG = 400
"""Characters of a changelog in a mail, and in the JSON form four times as many."""


def letter(occasion: Occasion, zone: tzinfo, snapshot: PoolSnapshot | None) -> Letter:
    """What is told on an occasion without a run. `snapshot` is what a forecast was made from, None where it is gone."""
    fact = occasion.fact
    if isinstance(fact, facts.ForecastMade):
        return _updates(occasion, fact, offers(snapshot) if snapshot else (), unknown(snapshot) if snapshot else ())
    return _WRITERS[type(fact)](occasion, fact, zone)


# --- updates ----------------------------------------------------------------------------------------------------------


def _updates(
    occasion: Occasion, fact: facts.ForecastMade, found: tuple[Offer, ...], unasked: tuple[str, ...]
) -> Letter:
    pool, name = fact.pool, fact.forecast.pool_name or fact.pool
    waiting = found or _without_changelogs(fact.forecast)
    hosts = {host for offer in waiting for host in offer.hosts}
    closes = advisories(offer.package for offer in waiting)
    told = f"{count(len(waiting), 'update')} {'is' if len(waiting) == 1 else 'are'} available"
    on = f"on {count(len(hosts), 'host')}" if waiting else ""
    security = f", {_advisories(len(closes))}" if closes else ""
    return Letter(
        occasion,
        f"{pool}: {' '.join(filter(None, (told, on)))}{security}",
        f"{name}: {told}",
        fact.forecast.sentence,
        "warn" if closes or unasked or fact.forecast.blockers else "plain",
        tuple(_points(fact, closes, unasked)),
        numbers=(
            Fact("packages", str(len(waiting))),
            Fact("hosts", str(len(hosts))),
            Fact("advisories", str(len(closes))),
        ),
        facts=_facts(pool, name, fact.by),
        sections=_sections(waiting),
        offers=tuple(map(_short, waiting)),
    )


def _points(fact: facts.ForecastMade, closes: tuple[str, ...], unasked: tuple[str, ...]) -> list[Point]:
    blocked = [Point("warn", f"In the way of an update: {one.sentence}") for one in fact.forecast.blockers[:12]]
    security = [Point("warn", f"They close {listed(closes, 40)}.")] if closes else []
    start = f"rota start {fact.pool}"
    return [
        *security,
        *(Point("warn", sentence) for sentence in unasked[:12]),
        *blocked,
        Point("plain", "What an update would do, host by host:", "", f"rota plan {fact.pool}"),
        *([] if blocked else [Point("plain", "To install them, without stopping a VM:", "", start)]),
    ]


def _sections(waiting: tuple[Offer, ...]) -> tuple[Section, ...]:
    lines = [_line(offer) for offer in waiting[:MOST]]
    if len(waiting) > MOST:
        lines.append(f"… and {len(waiting) - MOST} more.")
    return (Section("Packages", tuple(lines)),) if lines else ()


def _line(offer: Offer) -> str:
    text = on_one_line(offer.package.changelog or offer.package.description, CHANGELOG)
    return f"{offer.package.name} {offer.version} ({listed(offer.hosts)}){': ' + text if text else ''}"


def _short(offer: Offer) -> Offer:
    one = offer.package
    changelog = on_one_line(one.changelog, 4 * CHANGELOG)
    package = type(one)(one.name, one.version, one.release, on_one_line(one.description, CHANGELOG), changelog)
    return Offer(package, offer.hosts, offer.advisories)


def _without_changelogs(forecast: facts.Forecast) -> tuple[Offer, ...]:
    """What the forecast itself says, where its snapshot is gone."""
    hosts: dict[Any, list[str]] = {}
    for turn in forecast.turns:
        for one in turn.updates:
            hosts.setdefault(one, []).append(turn.host.name)
    return tuple(Offer(one, tuple(names)) for one, names in hosts.items())


def _advisories(number: int) -> str:
    return count(number, "security advisory", "security advisories")


def _facts(pool: str, name: str, by: str) -> tuple[Fact, ...]:
    rows = (("pool", f"{name} ({pool})" if name != pool else pool), ("asked by", by))
    return tuple(Fact(word, value) for word, value in rows if value)


def _not_looked_at(occasion: Occasion, fact: facts.ForecastFailed, zone: tzinfo) -> Letter:
    return Letter(
        occasion,
        f"{fact.pool}: nobody knows whether updates are available",
        f"{fact.pool} could not be asked for its updates",
        fact.because,
        "warn",
        (Point("warn", fact.because), Point("plain", "To ask again:", "", f"rota updates {fact.pool}")),
        facts=_facts(fact.pool, fact.pool, fact.by),
    )


# --- ticks, orders, messages ------------------------------------------------------------------------------------------


def _missed(occasion: Occasion, fact: facts.TickMissed, zone: tzinfo) -> Letter:
    pools = listed(fact.pools) if fact.pools else "no pool"
    point = Point("warn", fact.because, "When it comes due next:", f"rota schedule next {fact.schedule}")
    return Letter(
        occasion,
        f"{pools}: schedule {fact.schedule} started nothing",
        f"Schedule {fact.schedule} started nothing",
        fact.because,
        "warn",
        (point,),
        facts=(
            Fact("schedule", fact.schedule),
            Fact("pools", pools),
            Fact("was due", moment(fact.tick, zone)),
            Fact("ticks missed", str(fact.ticks)),
        ),
    )


def _refused(occasion: Occasion, fact: facts.OrderRefused, zone: tzinfo) -> Letter:
    told = f"{_about(occasion)}order {fact.verb} refused, nothing was changed"
    title, who = f"The order {fact.verb} was refused", (Fact("ordered by", fact.by), Fact("order", fact.order))
    return Letter(occasion, told, title, fact.because, "warn", (Point("warn", fact.because),), facts=who)


def _rejected(occasion: Occasion, fact: facts.MessageRejected, zone: tzinfo) -> Letter:
    where = (
        Fact("rejected by", fact.service),
        Fact("subject", fact.rejected_subject),
        Fact("place in its stream", str(fact.seq)),
        Fact("begins with", clean(fact.excerpt, 300)),
    )
    first = (Point("bad", fact.because, "It was taken off the bus; whoever sent it must send it again, put right."),)
    told = f"{_about(occasion)}a message was rejected by the {fact.service}"
    return Letter(occasion, told, "A message was rejected", fact.because, "bad", first, facts=where)


def _about(occasion: Occasion) -> str:
    return f"{occasion.pool}: " if occasion.pool != NONE else ""


_WRITERS: Mapping[type[facts.Fact], Callable[[Occasion, Any, tzinfo], Letter]] = MappingProxyType(
    {
        facts.ForecastFailed: _not_looked_at,
        facts.TickMissed: _missed,
        facts.OrderRefused: _refused,
        facts.MessageRejected: _rejected,
    }
)
