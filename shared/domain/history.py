"""How long things took on a pool before: folded from the facts of turns that are over, so the journal is where it is
kept. Bounded: the last few values of each host, and of the pool. Pure.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain import facts

KEPT_OF_HOST = 5
"""So many installations and boots of a host are remembered: a year of updates every other month."""

KEPT_OF_POOL = 40
"""So many turns' migration rates are remembered: the links of a pool change seldom."""


@dataclass(frozen=True, slots=True)
class History:
    """Seconds of pool time, the newest last: `installs` and `boots` (from a reboot's order until the host was back) by
    a host's uuid; `rates` are the bytes per second that one migration carried, the mean of a turn each, and
    `disk_rates` the same of disks that went along."""

    installs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    boots: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    turns: int = 0
    disk_rates: tuple[float, ...] = ()


def after(history: History, ended: facts.TurnEnded) -> History:
    """The history after a turn is over. What was not measured in it says nothing."""
    told = ended.measured
    if told is None:
        return history
    host = ended.host.uuid
    rate = _rate(told.moved_bytes, told.moving_seconds)
    disk_rate = _rate(told.copied_bytes, told.copying_seconds)
    return replace(
        history,
        installs=_with(history.installs, host, told.install_seconds),
        boots=_with(history.boots, host, told.boot_seconds),
        rates=(*history.rates, rate)[-KEPT_OF_POOL:] if rate else history.rates,
        turns=history.turns + 1,
        disk_rates=(*history.disk_rates, disk_rate)[-KEPT_OF_POOL:] if disk_rate else history.disk_rates,
    )


def _rate(size: int, seconds: float) -> float:
    return size / seconds if seconds > 0 and size > 0 else 0.0


def _with(known: Mapping[str, tuple[float, ...]], host: str, seconds: float) -> Mapping[str, tuple[float, ...]]:
    return {**known, host: (*known.get(host, ()), seconds)[-KEPT_OF_HOST:]} if seconds > 0 else known


def typical(known: Mapping[str, tuple[float, ...]], host: str) -> float | None:
    """What is to be expected of a host: the median of its own, else of the pool's; None where nothing is known."""
    own = known.get(host)
    if own:
        return statistics.median(own)
    return statistics.median(statistics.median(seconds) for seconds in known.values()) if known else None


def longest(known: Mapping[str, tuple[float, ...]], host: str) -> float | None:
    """The longest that a host took, or where nothing is known of it any host of the pool."""
    own = known.get(host)
    return max(own) if own else max((max(seconds) for seconds in known.values()), default=None)
