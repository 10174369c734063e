"""What is said on each occasion: subject, title, sentence, first block, then what happened. Pure.

The subject is for seven in the morning: pool, outcome, n of m hosts updated, what is owed (conduct 24).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import tzinfo
from types import MappingProxyType

from services.reporter import approving, doing, owing, points, sections, tidings
from services.reporter.letter import Fact, Letter, Point
from services.reporter.occasions import Occasion
from services.reporter.report import Report, Tone
from services.reporter.spoken import clean, count, duration, each_text, moment, on_day, roughly
from shared.domain import facts
from shared.domain.model import PoolSnapshot

SUBJECT = 180
"""Characters of a subject; what mail programs show is less."""

MARGIN = 0.5
"""The report is due when the estimate has passed and half of it again, and no earlier than `LEAST` after it."""

LEAST = 900.0
"""Seconds."""

DEBTS = frozenset({"owed", "paid"})
"""Occasions whose letter is of one setting, not of a run's hosts."""


def letter(occasion: Occasion, report: Report | None, zone: tzinfo, snapshot: PoolSnapshot | None = None) -> Letter:
    """What is told on an occasion. `report` is the run as it stood then, None for an occasion without one; `snapshot`
    the pool that a forecast was made from."""
    if report is None:
        written = tidings.letter(occasion, zone, snapshot)
    else:
        written = _WRITERS[occasion.name](occasion, report, zone)
        written = replace(written, report=report, facts=_facts(report, zone))
        if report.turns and occasion.name not in DEBTS:
            rows, what_happened = sections.hosts(report, zone), sections.sections(report, zone)
            written = replace(written, hosts=rows, sections=what_happened)
    written = replace(written, subject=f"[Rota] {written.subject}")
    return replace(_cleaned(written), report=report)


def page(report: Report, zone: tzinfo) -> Letter:
    """What the page of a run says, whatever the occasion: how it stands, or how it ended."""
    name: facts.Occasion = {"held": "held", "ended": "ended"}.get(report.state, "started")  # type: ignore[assignment]
    return letter(Occasion(name, report.pool, report.run, 0, report.through, 0.0, _NOTHING), report, zone)


def due(report: Report, since: float) -> float:
    """By when the final report should be there, pool time: later than that, something is wrong with Rota itself."""
    return since + report.estimate + max(LEAST, MARGIN * report.estimate)


def outcome(report: Report) -> str:
    """`succeeded`, `succeeded with warnings`; for a run that is not over, its state."""
    return (report.outcome or report.state).replace("_", " ")


def tally(report: Report) -> str:
    """`2 of 3 hosts updated`, or that there was nothing to update."""
    done = _done(report)
    if report.purpose == "undo":
        return "not everything is put back" if report.owed else "everything is put back"
    if not report.total:
        return "nothing was changed" if report.outcome == "refused" else f"nothing to be {done}"
    return f"{report.updated} of {count(report.total, 'host')} {done}"


def _done(report: Report) -> str:
    return "rebooted" if report.purpose == "reboot" else "updated"


def _work(report: Report) -> str:
    """What the run is, to stand before `is planned`."""
    if report.purpose == "undo":
        return "putting everything back"
    what = "a rolling reboot" if report.purpose == "reboot" else "an update"
    return f"{what} of {count(report.total, 'host')}"


def _owing(report: Report) -> str:
    """What a subject says of debts."""
    names = [doing.setting(one.setting) for one in report.owed]
    return f", owed: {', '.join(names)}" if names else ""


def _strays(report: Report) -> str:
    away = len(report.strays)
    return f", {count(away, 'VM')} not home" if away else ""


def _whereabouts(report: Report) -> str:
    """Where VMs are, where nothing is wrong with that."""
    if report.mode == "home":
        return "every VM is home"
    return f"{count(len(report.moved_house), 'VM')} stay where they were put (mode = {report.mode})"


# --- one writer for each occasion -------------------------------------------------------------------------------------


def _announced(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    first = points.before_the_start(report)
    late = f"If no report has come by {moment(due(report, occasion.at), zone)}, look after Rota itself:"
    return Letter(
        occasion,
        f"{report.pool}: {_work(report)} is planned, {roughly(report.estimate)}",
        f"{_named(report)}: {_work(report)} is planned",
        report.sentence,
        "warn" if first else "plain",
        (*first, Point("plain", late, "", f"rota show {report.run}")),
        _until(report, occasion, zone),
        (
            Fact("hosts", str(report.total)),
            Fact("VMs that move", str(report.moving)),
            Fact("estimate", roughly(report.estimate).removeprefix("about ")),
        ),
    )


def _started(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    return Letter(
        occasion,
        f"{report.pool}: {_work(report)} has begun",
        f"{_named(report)}: {_work(report)} has begun",
        report.sentence,
        "plain",
        points.before_the_start(report),
        _until(report, occasion, zone),
        _numbers(report),
    )


def _held(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    waited = duration(occasion.again * 60.0)
    since, still = (f" for {waited}", f"still waits for a person, {waited} by now") if occasion.again else ("", "")
    return Letter(
        occasion,
        f"{report.pool}: HELD{since}, {tally(report)}, needs a person{_owing(report)}",
        f"{_named(report)} {still or 'waits for a person'}",
        report.sentence,
        "bad",
        points.while_held(report),
        numbers=_numbers(report),
    )


def _host_done(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    fact = occasion.fact
    assert isinstance(fact, facts.TurnEnded)
    told = {"done": "done", "turned_back": "turned back", "left_alone": "left alone", "failed": "failed"}[fact.outcome]
    return Letter(
        occasion,
        f"{report.pool}: {fact.host} is {told}, {tally(report)}",
        f"{fact.host} is {told}",
        fact.sentence,
        "good" if fact.outcome == "done" else "warn",
        tuple(Point("warn", warning) for warning in fact.warnings[: points.MOST]),
        "Nothing is asked of you.",
        _numbers(report),
    )


def _ended(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    first = points.after_the_end(report)
    all_home = f"{_whereabouts(report)}, " if report.guests else ""
    return Letter(
        occasion,
        f"{report.pool}: {outcome(report)}, {tally(report)}{_owing(report)}{_strays(report)}",
        _title(report),
        report.sentence,
        _tone(report, first),
        first,
        f"Nothing is asked of you: {tally(report)}, {all_home}nothing is owed.",
        _numbers(report),
    )


def _run_refused(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    return Letter(
        occasion,
        f"{report.pool}: order refused, nothing was changed",
        f"An order for {report.pool} was refused",
        report.sentence,
        "warn",
        (Point("warn", report.sentence),),
    )


# --- parts ------------------------------------------------------------------------------------------------------------


def _until(report: Report, occasion: Occasion, zone: tzinfo) -> str:
    end = on_day(occasion.at + report.estimate, occasion.at, zone)
    return f"Nothing is asked of you. The run should end at about {end}."


def _named(report: Report) -> str:
    return report.pool_name or report.pool


def _title(report: Report) -> str:
    done = _done(report)
    hosts = f"{report.updated} of {count(report.total, 'host')}"
    if report.outcome == "refused":
        return f"{_named(report)}: refused, nothing was changed"
    if not report.total:
        return f"{_named(report)}: {tally(report)}"
    if report.outcome == "cancelled":
        return f"Cancelled with {hosts} {done}"
    if report.outcome == "failed":
        return f"Failed with {hosts} {done}"
    return f"{_whole(report, hosts)}{' and something is owed' if report.owed else ''}"


def _whole(report: Report, hosts: str) -> str:
    if report.updated == report.total:
        return f"{'The host is' if report.total == 1 else f'All {report.total} hosts are'} {_done(report)}"
    return f"{hosts} {_done(report)}{'' if report.not_updated() else ', the rest needed nothing'}"


def _tone(report: Report, first: tuple[Point, ...]) -> Tone:
    if report.outcome in ("failed", "refused") or any(point.tone == "bad" for point in first):
        return "bad"
    return "warn" if first or report.outcome != "succeeded" else "good"


def _numbers(report: Report) -> tuple[Fact, ...]:
    if not report.total:
        return ()
    longest = max((turn.away_seconds or 0.0 for turn in report.turns), default=0.0)
    numbers = [Fact(f"hosts {_done(report)}", f"{report.updated} of {report.total}")]
    if report.seconds is not None:
        numbers.append(Fact(_estimated(report), duration(report.seconds)))
    if longest:
        numbers.append(Fact("longest away", duration(longest)))
    if report.moved:
        numbers.append(Fact("live migrations", str(len(report.moved))))
    return tuple(numbers)


def _estimated(report: Report) -> str:
    return f"estimated {roughly(report.estimate).removeprefix('about ')}" if report.estimate else "took"


def _facts(report: Report, zone: tzinfo) -> tuple[Fact, ...]:
    began = moment(report.began_at, zone) if report.began_at else ""
    ended = moment(report.ended_at, zone) if report.ended_at and report.outcome != "refused" else ""
    rows = (
        ("pool", f"{report.pool_name} ({report.pool})" if report.pool_name else report.pool),
        ("ordered by", report.by),
        ("reason", report.reason),
        ("began", began),
        ("ended", ended),
        ("run", report.run),
        ("plan", report.digest),
    )
    return tuple(Fact(name, value) for name, value in rows if value)


def _cleaned(written: Letter) -> Letter:
    """Everything that is shown made safe; the occasion's own fact is not shown and stays."""
    bare = each_text(replace(written, occasion=_NOBODY, report=None), clean)
    return replace(bare, occasion=written.occasion, subject=clean(written.subject, SUBJECT))


_NOTHING = facts.Fact()
_NOBODY = Occasion("ended", "", "", 0, 0.0, 0.0, _NOTHING)

_WRITERS: Mapping[facts.Occasion, Callable[[Occasion, Report, tzinfo], Letter]] = MappingProxyType(
    {
        "announced": _announced,
        "started": _started,
        "held": _held,
        "approval": approving.letter,
        "host_done": _host_done,
        "rejected": _run_refused,
        "ended": _ended,
        "owed": owing.still_owed,
        "paid": owing.paid,
    }
)
