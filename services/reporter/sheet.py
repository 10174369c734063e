"""A report as CSV for machines and spreadsheets: one flat table, a line for each host, package, move and debt. Pure.

RFC 4180. Names come from a pool and may hold anything, so a cell that a spreadsheet would take for a formula begins
with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from services.reporter.report import Report, Turn

COLUMNS = (
    "pool", "run", "what", "name", "uuid", "of", "from", "to", "state", "began", "ended", "seconds", "away_seconds",
    "attempts", "because", "copied",
)  # fmt: skip
"""Only ever added to, at the end. `what` is run, host, package, move, vm, hold or owed; `of` is the host that a package
is on, or the home of a VM; times are ISO 8601 in UTC, pool time."""

FORMULA = ("=", "+", "-", "@")
"""What begins a formula in a spreadsheet (tabs and line breaks, which also do, are cleaned away before)."""

Row = Mapping[str, object]


def sheet(report: Report) -> str:
    """The whole report as one CSV text with a line of column names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(report):
        named = {"pool": report.pool, "run": report.run, **row}
        writer.writerow({key: _cell(value) for key, value in named.items()})
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _rows(report: Report) -> Iterator[Row]:
    yield {
        "what": "run", "name": report.pool_name, "state": report.outcome or report.state,
        "began": _time(report.began_at), "ended": _time(report.ended_at), "seconds": report.seconds,
        "because": report.sentence,
    }  # fmt: skip
    for turn in report.turns:
        yield from _turn(turn)
    yield from _moves(report)
    yield from _guests(report)
    yield from _waits(report)


def _turn(turn: Turn) -> Iterator[Row]:
    host = {"name": turn.host.name, "uuid": turn.host.uuid}
    yield {
        "what": "host", **host, "state": turn.state, "began": _time(turn.begun_at), "ended": _time(turn.ended_at),
        "seconds": turn.seconds, "away_seconds": turn.away_seconds, "because": turn.because,
    }  # fmt: skip
    for package in turn.installed or turn.offered:
        version = f"{package.version}{'-' + package.release if package.release else ''}"
        state = "installed" if turn.installed else "waiting"
        yield {
            "what": "package",
            "name": package.name,
            "of": turn.host.name,
            "from": turn.version_before(package.name),
            "to": version,
            "state": state,
        }


def _moves(report: Report) -> Iterator[Row]:
    for move in report.moves:
        over = move.started_at is not None and move.ended_at is not None
        yield {
            "what": "move", "name": move.vm.name, "uuid": move.vm.uuid, "from": move.source.name,
            "to": move.destination.name if move.destination else "", "state": move.state,
            "began": _time(move.started_at), "ended": _time(move.ended_at),
            "seconds": (move.ended_at or 0.0) - (move.started_at or 0.0) if over else None,
            "attempts": move.attempts, "because": move.because, "copied": move.copied or None,
        }  # fmt: skip


def _guests(report: Report) -> Iterator[Row]:
    for guest in report.guests:
        yield {
            "what": "vm", "name": guest.vm.name, "uuid": guest.vm.uuid, "of": guest.home.name,
            "to": guest.at.name if guest.at else "", "state": guest.whereabouts, "because": guest.because,
        }  # fmt: skip


def _waits(report: Report) -> Iterator[Row]:
    for hold in report.holds:
        yield {"what": "hold", "began": _time(hold.since), "ended": _time(hold.until), "because": hold.because}
    for owed in report.owed:
        yield {"what": "owed", "name": owed.setting, "began": _time(owed.since), "because": owed.because}


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
