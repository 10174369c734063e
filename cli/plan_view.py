"""A forecast on a terminal: the hosts as a table, the plan as lanes over time, what stands in the way. Pure.

Names are drawn as `Text`, never as markup, and without control characters.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.telling import count, plain, size_words, span_words
from cli.view import clock
from shared.domain import facts

WIDTH = 64
"""Columns of the timeline."""


def shown(made: facts.ForecastMade, now: float) -> tuple[RenderableType, ...]:
    """Everything that `rota plan` prints; `now` is pool time, from which clock times are told."""
    if not made.compared:
        return (forecast(made.forecast, now),)
    first = made.compared[0]
    return comparison(made.compared), Text(f"In full: {_way(first)}", style="bold"), forecast(made.forecast, now)


def forecast(plan: facts.Forecast, now: float) -> RenderableType:
    """A forecast: hosts in their order with moves and minutes; the timeline; then what stands in the way."""
    parts: list[RenderableType] = [Text(plain(plan.sentence), style="bold")]
    if plan.turns:
        parts += [_turns(plan), *timeline(plan, now), *(Text(line) for line in told(plan, now))]
    parts += [Text(line) for line in (*stopped(plan), *along(plan))]
    if plan.left_alone:
        parts.append(Text("Left alone: " + ", ".join(plain(host) for host in plan.left_alone) + "."))
    parts += [Text("In the way: " + plain(one.sentence), style="red") for one in plan.blockers]
    parts += [Text("Mind: " + plain(one), style="yellow") for one in plan.warnings]
    parts += [Text("Note: " + plain(one)) for one in plan.notes]
    parts += [Text("For the run: " + plain(one), style="dim") for one in plan.settings]
    return Group(*parts)


def _turns(plan: facts.Forecast) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("host", no_wrap=True)
    for column in ("updates", "VMs leave", "memory", "from minute", "minutes", "at most", "fullest"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    loads = {load.host.uuid: load for load in plan.loads}
    for number, turn in enumerate(plan.turns, 1):
        name = Text(plain(turn.host))
        if turn.master:
            name.append(" master", style="dim")
        leave = [move for move in turn.moves if move.purpose != "level"]
        memory = size_words(sum(move.memory for move in leave)) if leave else ""
        row = (str(number), name, str(len(turn.updates)), str(len(leave)), memory, _minutes(turn.begins))
        times = (_minutes(turn.seconds), _minutes(turn.upper or turn.seconds), share(loads.get(turn.host.uuid)))
        table.add_row(*row, *times, Text(plain(turn.because), style="dim"))
    return table


def stopped(plan: facts.Forecast) -> list[str]:
    """The VMs that are stopped for their host's turn: how, for how long at most, by whose leave, and why."""
    ways = {"suspend": "suspended", "shutdown": "shut down"}
    return [
        f"Stopped: {plain(stop.vm)}{f' on {plain(stop.host)}' if stop.host else ''} is {ways[stop.strategy]} while"
        f" {plain(turn.host)} is updated, for about {span_words(stop.seconds)}{_elsewhere(stop)},"
        f" {f'agreed to by {plain(stop.consent)}' if stop.consent else 'once somebody has approved the plan'}."
        f" Why ({stop.cause.replace('_', ' ')}): {plain(stop.because)}"
        for turn in plan.turns
        for stop in turn.stops
    ]


def _elsewhere(stop: facts.ForecastStop) -> str:
    if stop.starts_on is None:
        return ""
    return f", then started on {plain(stop.starts_on)} until its own host is updated"


def along(plan: facts.Forecast) -> list[str]:
    """The VMs that take their disks along: where, how much is copied and for how long, and why."""
    return [
        f"With its disks: {plain(move.vm)} {_where(move)}, {_copied(move)} each way, and runs on"
        f" meanwhile. Why ({move.cause.replace('_', ' ')}): {plain(move.because)}"
        for turn in plan.turns
        for move in turn.moves
        if move.disks
    ]


def _where(move: facts.ForecastMove) -> str:
    return f"stays on {plain(move.to)}" if move.source == move.to else f"goes to {plain(move.to)} and back"


def _copied(move: facts.ForecastMove) -> str:
    """How much goes where, and in which time."""
    srs = " and ".join(dict.fromkeys(plain(disk.to) for disk in move.disks))
    took = f" in about {span_words(move.times[1] - move.times[0])}" if len(move.times) > 1 else ""
    return f"{size_words(sum(disk.size for disk in move.disks))} to {srs}{took}"


def told(plan: facts.Forecast, now: float) -> list[str]:
    """What is to be known of time and memory, a sentence each; clock times as if it began now."""
    lines = []
    if plan.upper:
        lines.append(
            f"Begun now it ends at about {clock(now + plan.seconds)}, at {clock(now + plan.upper)} at the latest."
            f" {plan.basis}"
        )
    if plan.ha_off:
        lines.append(f"High availability is off for about {span_words(plan.ha_off)}, {span_words(plan.ha_off_upper)} at"
                     " the most.")  # fmt: skip
    if plan.refused_from is not None and plan.refused_until is not None:
        lines.append(
            f"Begun now, snapshots and backups are refused from {clock(now + plan.refused_from)} to"
            f" {clock(now + plan.refused_until)} at the latest."
        )
    tightest = next((load for load in plan.loads if load.host == plan.tightest), None)
    if tightest is not None:
        left = size_words(max(0, tightest.usable - tightest.most))
        lines.append(
            f"The tightest host is {plain(tightest.host)}: VMs take {share(tightest)} of its memory at minute"
            f" {_minutes(tightest.at)}, {left} are left."
        )
    away = f"At most {count(plan.max_away, 'host')} away at once"
    lines.append(f"{away}, {plan.empty_ahead} more emptied ahead." if plan.empty_ahead else f"{away}.")
    return lines


# --- the timeline -----------------------------------------------------------------------------------------------------


def timeline(plan: facts.Forecast, now: float, width: int = WIDTH) -> list[Text]:
    """Hosts as lanes over time, one sign for each part of a turn."""
    if not any(turn.parts for turn in plan.turns):
        return []
    whole = max(plan.seconds, 1.0)
    longest = min(24, max(len(plain(turn.host)) for turn in plan.turns))
    lines = [Text(" " * (longest + 2)).append(_axis(now, whole, width), style="dim")]
    for turn in plan.turns:
        line = Text(plain(turn.host)[:longest].ljust(longest) + "  ")
        for sign, style in _lane(turn, whole, width):
            line.append(sign, style=style)
        lines.append(line)
    legend = Text(" " * (longest + 2))
    for kind, (sign, style, words) in SIGNS.items():
        if any(part.kind == kind for turn in plan.turns for part in turn.parts):
            legend.append(sign, style=style).append(f" {words}  ", style="dim")
    return [*lines, legend]


def _lane(turn: facts.ForecastTurn, whole: float, width: int) -> list[tuple[str, str]]:
    cells = [("·", "dim")] * width
    for part in turn.parts:
        sign, style, _ = SIGNS[part.kind]
        first = min(width - 1, int(part.begins / whole * width))
        last = max(first + 1, min(width, round(part.ends / whole * width)))
        cells[first:last] = [(sign, style)] * (last - first)
    return cells


def _axis(now: float, whole: float, width: int) -> str:
    begin, middle, end = (clock(now + share * whole) for share in (0.0, 0.5, 1.0))
    return begin + middle.center(width - len(begin) - len(end)) + end


# --- comparing --------------------------------------------------------------------------------------------------------


def comparison(rows: Sequence[facts.Comparison]) -> Table:
    """Ways to do it, side by side."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("mode", "away", "skip"):
        table.add_column(column, no_wrap=True)
    for column in ("hosts", "moves", "minutes", "at most", "HA off"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("tightest", no_wrap=True)
    table.add_column("in the way", overflow="fold")
    for row in rows:
        tightest = f"{plain(row.tightest.host)} {share(row.tightest)}" if row.tightest else ""
        figures = (str(row.turns), str(row.moves), _minutes(row.seconds), _minutes(row.upper), _minutes(row.ha_off))
        table.add_row(
            row.mode, str(row.max_away), Text(plain(", ".join(row.skip))), *figures, Text(tightest),
            Text(_in_the_way(row), style="red"),
        )  # fmt: skip
    return table


def _in_the_way(row: facts.Comparison) -> str:
    if not row.blockers:
        return ""
    more = f" (and {row.blocked_by - 1} more)" if row.blocked_by > 1 else ""
    return plain(row.blockers[0].sentence) + more


def _way(row: facts.Comparison) -> str:
    skip = f", without {plain(', '.join(row.skip))}" if row.skip else ""
    return f"mode {row.mode}, {count(row.max_away, 'host')} away at once{skip}."


def share(load: facts.HostLoad | None) -> str:
    """How full a host becomes: `86 %`."""
    return f"{100 * load.most / load.usable:.0f} %" if load is not None and load.usable else ""


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f}"


SIGNS: dict[str, tuple[str, str, str]] = {
    "look": ("░", "dim", "looked at"),
    "empty": ("▼", "cyan", "VMs leave"),
    "install": ("▓", "blue", "install"),
    "reboot": ("█", "yellow", "away"),
    "check": ("░", "dim", "checks"),
    "home": ("▲", "green", "VMs go home"),
    "level": ("◆", "green", "hosts are levelled"),
}
"""The parts of a turn: sign, colour, and what it is called."""
