"""What happened, in rows and lines: the hosts, what went otherwise than planned, settings, packages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from types import MappingProxyType

from services.reporter import doing
from services.reporter.letter import HostRow, Section
from services.reporter.report import Report, Setting, Tone, Trouble, Turn, TurnState
from services.reporter.spoken import capital, clock, count, duration, gib, listed, on_day, roughly
from shared.domain.model import Versions

MOST = 30
"""Lines of one section; the page and the JSON form have the rest."""


def hosts(report: Report, zone: tzinfo) -> tuple[HostRow, ...]:
    """One row for each turn, in the order of the plan."""
    return tuple(_row(turn, zone) for turn in report.turns)


def sections(report: Report, zone: tzinfo) -> tuple[Section, ...]:
    """The sections that have something to say."""
    written = ((title, tuple(lines(report, zone))) for title, lines in _SECTIONS.items())
    return tuple(Section(title, _shortened(lines)) for title, lines in written if lines)


def _shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    return lines if len(lines) <= MOST else (*lines[: MOST - 1], f"… and {len(lines) - MOST + 1} more.")


def versions(before: Versions, after: Versions) -> str:
    """What a host ran and runs: `Xen 4.17.4-3 → 4.17.5-15, kernel …`; nothing where either is unknown or the same."""
    changes = ((word, getattr(before, key), getattr(after, key)) for key, word in _VERSIONS.items())
    return ", ".join(f"{word} {was} → {now}" for word, was, now in changes if was and now and was != now)


def _row(turn: Turn, zone: tzinfo) -> HostRow:
    state, tone = _STATES[turn.state]
    if turn.state == "under_way" and turn.spans:
        state = turn.spans[-1].phase
    number = len(turn.installed) if turn.installed or turn.state == "done" else len(turn.offered)
    word = "package" if turn.installed or turn.state == "done" else "package waiting"
    away = f"{duration(turn.away_seconds)} away" if turn.away_seconds is not None else ""
    return HostRow(
        host=turn.host.name,
        master=turn.master,
        tone=tone,
        state=state,
        because="" if turn.state == "done" else turn.because,
        packages=count(number, word, word.replace("package", "packages")) if number else "",
        away=away or (f"away since {clock(turn.away_at, zone)}" if _is_away(turn) and turn.away_at else ""),
        took=_took(turn),
        versions=versions(turn.before, turn.after),
        turn=turn.id,
    )


def _is_away(turn: Turn) -> bool:
    return turn.state == "under_way" and turn.away_at is not None and turn.back_at is None


def _took(turn: Turn) -> str:
    estimate = roughly(turn.estimate).removeprefix("about ") if turn.estimate else ""
    if turn.seconds is not None:
        return duration(turn.seconds) + (f" (estimated {estimate})" if estimate else "")
    return f"about {estimate}" if estimate and turn.state in ("waiting", "under_way") else ""


# --- the sections -----------------------------------------------------------------------------------------------------


def _otherwise(report: Report, zone: tzinfo) -> Iterator[str]:
    for hold in report.holds:
        until = f"until {on_day(hold.until, hold.since, zone)}" if hold.until is not None else "until now"
        ended = f", ended by {hold.ended_by}" if hold.ended_by else ""
        yield f"Held from {clock(hold.since, zone)} {until}{ended}: {hold.because}"
    yield from (_trouble(trouble) for trouble in report.troubles)
    for turn in report.turns:
        if turn.differences:
            yield f"In the turn of {turn.host}: {'; '.join(turn.differences)}."
        if turn.repaired:
            yield " ".join(turn.repaired)


def _waited(report: Report, zone: tzinfo) -> Iterator[str]:
    for wait in report.waits:
        until = f"until {on_day(wait.until, wait.since, zone)}" if wait.until is not None else "until now"
        yield f"From {clock(wait.since, zone)} {until}: {wait.because}"


def _trouble(trouble: Trouble) -> str:
    told = {
        "done": f"took {count(trouble.attempts, 'attempt')}",
        "under_way": f"failed {count(trouble.attempts, 'time')} so far",
        "gave_up": f"was given up after {count(trouble.attempts, 'attempt')}",
        "timed_out": "did not end in time",
        "skipped": "was skipped",
    }[trouble.ended]
    return f"{capital(trouble.what)} {told}: {trouble.because}"


def _people(report: Report, zone: tzinfo) -> Iterator[str]:
    first = report.requested_at or report.through
    for said in report.said:
        yield f"{on_day(said.at, first, zone)} {said.by} {said.what}{'' if said.what.endswith('.') else '.'}"


def _stopped(report: Report, zone: tzinfo) -> Iterator[str]:
    """VMs that were stopped, the longest downtime first; those that are down still stand before all."""
    ways = {"suspend": "suspended", "shutdown": "shut down"}
    first = report.requested_at or report.through
    for one in sorted(report.downtimes, key=lambda one: -(one.seconds or 1e12)):
        how = "switched off" if one.hard else ways[one.way]
        since = f" at {on_day(one.since, first, zone)}" if one.since is not None else ""
        lasted = f"was down for {duration(one.seconds)}" if one.seconds is not None else "has not been started since"
        by = f" (agreed to by {one.consent})" if one.consent else ""
        yield f"{one.vm} on {one.host} was {how}{since} and {lasted}{by}."


def _along(report: Report, zone: tzinfo) -> Iterator[str]:
    """VMs that took their disks along: one line for all that was copied, then one for each move, the largest first."""
    moves = [move for move in report.moves if move.copied]
    if not moves:
        return
    names = listed(list(dict.fromkeys(move.vm.name for move in moves)))
    yield f"{gib(sum(move.copied for move in moves))} of disks were copied for {names}; none was stopped for it."
    for move in sorted(moves, key=lambda move: (-move.copied, move.vm.name)):
        over = move.started_at is not None and move.ended_at is not None
        took = f" in {duration((move.ended_at or 0.0) - (move.started_at or 0.0))}" if over else ""
        where = "home to" if move.purpose == "home" else "to"
        yield f"{move.vm} went {where} {move.destination} with {gib(move.copied)} of disks{took}."


def _settings(report: Report, zone: tzinfo) -> Iterator[str]:
    if not report.settings:
        yield from report.plans
    yield from (_setting(setting, report, zone) for setting in report.settings)


def _setting(setting: Setting, report: Report, zone: tzinfo) -> str:
    since, name = clock(setting.changed_at, zone), capital(doing.setting(setting.setting))
    if setting.back_at is None:
        owed = " and is owed" if any(one.setting == setting.setting for one in report.owed) else ""
        return f"{name} is off since {since}{owed}."
    until = on_day(setting.back_at, setting.changed_at, zone)
    return f"{name} was off for {duration(setting.back_at - setting.changed_at)}, from {since} to {until}."


def _packages(report: Report, zone: tzinfo) -> Iterator[str]:
    """Packages with the hosts that got them; hosts alike are told once."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for turn in report.turns:
        done = turn.installed or (() if turn.state == "done" else turn.offered)
        names = tuple(f"{one.name} {one.version}{'-' + one.release if one.release else ''}" for one in done)
        groups.setdefault(("installed" if turn.installed else "waiting", names), []).append(turn.host.name)
    for (state, names), got in groups.items():
        if names:
            yield f"{listed(got)}, {state}: {listed(names, 12)}."


def _advisories(report: Report, zone: tzinfo) -> Iterator[str]:
    if report.open_advisories:
        yield f"Still open on some host: {listed(report.open_advisories, 40)}."
    if report.closed_advisories:
        yield f"Closed: {listed(report.closed_advisories, 40)}."


def _alone(report: Report, zone: tzinfo) -> Iterator[str]:
    yield from (turn.because for turn in report.turns if turn.state == "left_alone")
    if report.left_alone:
        are = "has" if len(report.left_alone) == 1 else "have"
        yield f"{listed([host.name for host in report.left_alone], 20)} {are} nothing to do."


_SECTIONS: Mapping[str, Callable[[Report, tzinfo], Iterator[str]]] = MappingProxyType(
    {
        "Otherwise than planned": _otherwise,
        "What was waited for": _waited,
        "What people said": _people,
        "VMs that were stopped": _stopped,
        "VMs that took their disks along": _along,
        "Settings of the pool": _settings,
        "Security advisories": _advisories,
        "Packages": _packages,
        "Left alone": _alone,
    }
)

_STATES: Mapping[TurnState, tuple[str, Tone]] = MappingProxyType(
    {
        "waiting": ("waiting", "plain"),
        "not_begun": ("not begun", "bad"),
        "under_way": ("under way", "plain"),
        "done": ("done", "good"),
        "turned_back": ("turned back", "bad"),
        "left_alone": ("left alone", "plain"),
        "failed": ("failed", "bad"),
    }
)

_VERSIONS: Mapping[str, str] = MappingProxyType(
    {"product": "release", "xen": "Xen", "linux": "kernel", "xapi_build": "XAPI", "platform": "platform"}
)
