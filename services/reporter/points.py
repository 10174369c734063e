"""The first block of a letter: what needs a person, each point with the command that deals with it. Pure.

The order is conduct's: hosts not updated and why, what is owed, VMs that are not as they were, then warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.reporter import doing
from services.reporter.letter import Point
from services.reporter.report import Guest, Report, Turn
from services.reporter.spoken import capital, count, listed

OWED = "Owed: "
"""How the planner's warning of a debt begins; the debt itself is told with its command already."""

MOST = 12
"""Points of one sort that are told one by one; the rest is counted."""


def after_the_end(report: Report) -> tuple[Point, ...]:
    """What is left when a run is over."""
    return tuple(
        _without_echo(
            (
                *_obstacles(report),
                *_not_updated(report),
                *_owed(report),
                *_strays(report),
                *_gone(report),
                *_not_as_before(report),
                *_warnings(report),
                *_untold(report),
            )
        )
    )


def while_held(report: Report) -> tuple[Point, ...]:
    """What a run that waits for a person needs, and how it stands meanwhile."""
    return tuple(
        _without_echo(
            (*_hold(report), *_meanwhile(report), *_owed(report), *_gone(report), *_warnings(report), *_untold(report))
        )
    )


def before_the_start(report: Report) -> tuple[Point, ...]:
    """What the plan warns of."""
    return tuple(_without_echo((*_warnings(report), *_untold(report))))


def _hold(report: Report) -> Iterator[Point]:
    hold = report.hold
    if hold is None:
        return
    who = f"Who can help: {hold.who_can_help}." if hold.who_can_help else ""
    yield Point("bad", hold.because, who)
    yield Point("plain", "When the cause is gone, let the run try again:", "", f"rota resume {report.run}")
    yield Point("plain", "Or end it; what was changed is put back:", "", f"rota cancel {report.run}")


def _meanwhile(report: Report) -> Iterator[Point]:
    """How the pool stands while nobody answers."""
    missing = [turn.host.name for turn in report.not_updated()]
    if missing:
        yield Point("warn", f"Not {_done(report)} yet: {listed(missing)}.")
    if report.strays:
        names = listed([guest.vm.name for guest in report.strays])
        yield Point("plain", f"{count(len(report.strays), 'VM')} not at home meanwhile: {names}.")
    off = [doing.setting(one.setting) for one in report.settings if one.back_at is None]
    if off:
        yield Point("warn", f"Off until the run ends: {listed(off)}.")


def _obstacles(report: Report) -> Iterator[Point]:
    yield from (Point("bad", one.sentence) for one in report.obstacles[:MOST])
    if len(report.obstacles) > MOST:
        more = f"rota show {report.run}"
        yield Point("bad", f"{len(report.obstacles) - MOST} more things stand in the way.", "", more)


def _not_updated(report: Report) -> Iterator[Point]:
    missed = report.not_updated()
    begun = [turn for turn in missed if turn.state != "not_begun"]
    yield from (_missed(turn, report) for turn in begun[:MOST])
    rest = [turn.host.name for turn in (*begun[MOST:], *(turn for turn in missed if turn.state == "not_begun"))]
    if rest:
        are, their = ("is", "its") if len(rest) == 1 else ("are", "their")
        yield Point("bad", f"{listed(rest)} {are} not {_done(report)}: {_why_not_begun(report, their)}")
    if missed and report.outcome != "refused":
        yield Point("plain", "Only what is left gets a turn when you start again:", "", f"rota start {report.pool}")


def _missed(turn: Turn, report: Report) -> Point:
    name = turn.host.name
    if turn.because.startswith(name):
        return Point("bad", turn.because)
    return Point("bad", f"{name} is not {_done(report)}: {turn.because or 'the run ended before its turn did.'}")


def _why_not_begun(report: Report, their: str) -> str:
    if report.outcome == "refused":
        return "the run was refused."
    return f"the run {'was cancelled' if report.outcome == 'cancelled' else 'ended'} before {their} turn."


def _done(report: Report) -> str:
    return "rebooted" if report.purpose == "reboot" else "updated"


def _owed(report: Report) -> Iterator[Point]:
    for owed in report.owed:
        condition = f"It can be put back when {owed.condition.rstrip('.')}." if owed.condition else ""
        text = f"{capital(doing.setting(owed.setting))} is still off: {owed.because}"
        yield Point("bad", text, condition, owed.command)


def _not_as_before(report: Report) -> Iterator[Point]:
    """Settings that were changed and neither put back nor recorded as owed."""
    owed = {one.setting for one in report.owed}
    for setting in report.settings:
        if setting.back_at is None and setting.setting not in owed:
            text = f"{capital(doing.setting(setting.setting))} was switched off for the run and is not back yet."
            yield Point("bad", text, "", f"rota show {report.run}")


def _strays(report: Report) -> Iterator[Point]:
    strays = report.strays
    for guest in strays[:MOST]:
        command = f"xe vm-migrate uuid={guest.vm.uuid} host-uuid={guest.home.uuid} live=true"
        yield Point("warn", _stray(guest), guest.because, command)
    yield from _uncounted([guest.vm.name for guest in strays[MOST:]], "not at home", report)


def _stray(guest: Guest) -> str:
    where = f"is on {guest.at}" if guest.at else "is somewhere else in the pool"
    return f"{guest.vm} is not at home: it {where}, its home is {guest.home}."


def _gone(report: Report) -> Iterator[Point]:
    for guest in report.gone[:MOST]:
        yield Point("warn", guest.because, "Rota did nothing to it.", f"xe vm-list uuid={guest.vm.uuid}")
    yield from _uncounted([guest.vm.name for guest in report.gone[MOST:]], "not as they were", report)


def _uncounted(names: Sequence[str], what: str, report: Report) -> Iterator[Point]:
    if names:
        yield Point("warn", f"{count(len(names), 'more VM')} {what}: {listed(names)}.", "", f"rota show {report.run}")


def _warnings(report: Report) -> Iterator[Point]:
    told = [*report.warnings, *(warning for turn in report.turns for warning in turn.warnings)]
    if report.owed:
        told = [text for text in told if not text.startswith(OWED)]
    yield from (Point("warn", text) for text in dict.fromkeys(told[:MOST]))
    if len(told) > MOST:
        yield Point("warn", f"There are {len(told) - MOST} more warnings.", "", f"rota show {report.run}")
    if report.unreadable:
        yield Point("warn", f"{count(report.unreadable, 'fact')} of this run could not be read; this may not be all.")


def _untold(report: Report) -> Iterator[Point]:
    for one in report.untold[:MOST]:
        yield Point("warn", f"{one.destination} could not be told ({one.occasion}): {one.because}")


def _without_echo(points: Sequence[Point]) -> Iterator[Point]:
    """Points that are not already said by an earlier one."""
    said: list[str] = []
    for point in points:
        if not any(point.text in text for text in said):
            yield point
        said += [point.text, point.more]
