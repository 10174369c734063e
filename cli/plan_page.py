"""A forecast as a page of its own: hosts as lanes over time, VMs as bars where they are away from home. Pure.

Nothing is loaded from elsewhere and no script runs; every name from a pool is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from cli.plan_view import SIGNS, comparison, share, stopped, told
from cli.telling import plain, size_words, span_words
from cli.view import clock
from shared.domain import facts

WIDTH, LEFT, LANE, BAR = 1000, 130, 26, 7
"""Pixels: the picture, the column of names, the strip of a host's own turn, one row of VMs."""


def page(made: facts.ForecastMade, now: float) -> str:
    """The whole page; `now` is pool time, as if the run began then."""
    plan = made.forecast
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{_text(plan.pool_name)}: plan</title>',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{_text(plan.pool_name)}</h1><p class=lead>{_text(plan.sentence)}</p>",
    ]
    if made.compared:
        parts += ["<h2>What if</h2>", *_compared(made.compared)]
    if any(turn.parts for turn in plan.turns):
        parts += ["<h2>Timeline</h2>", svg(plan, now), *_legend()]
        parts += ["<h2>Hosts</h2>", *_hosts(plan)]
        parts += ["<ul>", *(f"<li>{_text(line)}</li>" for line in told(plan, now)), "</ul>"]
    for title, lines, kind in (
        ("In the way", [stop.sentence for stop in plan.blockers], "bad"),
        ("Stopped meanwhile", stopped(plan), "mind"),
        ("Mind", plan.warnings, "mind"),
        ("Good to know", (*plan.notes, *plan.settings), ""),
    ):
        if lines:
            parts += [f"<h2>{title}</h2><ul class='{kind}'>", *(f"<li>{_text(line)}</li>" for line in lines), "</ul>"]
    parts.append(f"<p class=small>Plan {_text(plan.digest)}. Nothing on the pool was changed.</p></body></html>\n")
    return "\n".join(parts)


def svg(plan: facts.Forecast, now: float | None = None) -> str:
    """The timeline alone, with its own style: of each host its turn, and below it the VMs that are on it as guests.
    Without `now` the axis is in minutes from the beginning."""
    whole = max(plan.seconds, 1.0)
    lanes = {turn.host.uuid: turn.host for turn in plan.turns}
    lanes |= {move.to.uuid: move.to for turn in plan.turns for move in turn.moves}
    lanes |= {load.host.uuid: load.host for load in plan.loads}
    guests = {host: _rows(stays) for host, stays in _stays(plan).items()}
    body: list[str] = []
    top = 24.0
    for uuid, host in lanes.items():
        rows = guests.get(uuid, [])
        height = LANE + BAR * max(1, max((row for row, *_ in rows), default=0) + 1)
        body.append(f'<rect class="lane" x="{LEFT}" y="{top:.0f}" width="{WIDTH - LEFT}" height="{height - 4}"/>')
        body.append(f'<text class="host" x="4" y="{top + 14:.0f}">{_text(_short(plain(host)))}</text>')
        for turn in plan.turns:
            if turn.host.uuid == uuid:
                body += _turn(turn, whole, top)
        for row, begins, ends, title in rows:
            y = top + LANE - 6 + BAR * row
            body.append(_bar("vm", begins, ends, whole, y, BAR - 2, title))
        top += height
    axis = list(_axis(whole, top, now))
    moved = sum(len(turn.moves) for turn in plan.turns)
    said = f"Timeline of {len(plan.turns)} hosts and {moved} VMs over {span_words(plan.seconds)}."
    view = f'viewBox="0 0 {WIDTH} {top + 8:.0f}" role="img" aria-label="{_text(said)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {view}>'
    return "\n".join(
        (
            head,
            f"<style>{DRAWN}</style>",
            *axis,
            *body,
            "</svg>",
        )
    )


def _turn(turn: facts.ForecastTurn, whole: float, top: float) -> Iterator[str]:
    for part in turn.parts:
        title = f"{plain(turn.host)}: {SIGNS[part.kind][2]}, {span_words(part.ends - part.begins)}"
        yield _bar(part.kind, part.begins, part.ends, whole, top + 3, 14, title)


def _stays(plan: facts.Forecast) -> dict[str, list[tuple[float, float, str]]]:
    """Of each host the VMs of others that are on it: from when to when, and who."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    moves = [move for turn in plan.turns for move in turn.moves if move.times]
    for turn in plan.turns:
        for move in turn.moves:
            if move.times:
                again = (one.times[0] for one in moves if one.vm == move.vm and one.times[0] > move.times[0])
                until = move.times[3] if len(move.times) > 3 else min(again, default=plan.seconds)
                title = f"{plain(move.vm)} of {plain(turn.host)}, {size_words(move.memory)}"
                found.setdefault(move.to.uuid, []).append((move.times[0], until, title))
    return found


def _rows(stays: list[tuple[float, float, str]]) -> list[tuple[int, float, float, str]]:
    """Bars that overlap stand below each other."""
    free: list[float] = []
    placed = []
    for begins, ends, title in sorted(stays):
        row = next((number for number, until in enumerate(free) if until <= begins), len(free))
        free[row : row + 1] = [ends]
        placed.append((row, begins, ends, title))
    return placed


def _bar(kind: str, begins: float, ends: float, whole: float, y: float, height: float, title: str) -> str:
    x = LEFT + begins / whole * (WIDTH - LEFT)
    width = max(1.5, (ends - begins) / whole * (WIDTH - LEFT))
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}"><title>{_text(title)}'
        "</title></rect>"
    )


def _axis(whole: float, bottom: float, now: float | None) -> Iterator[str]:
    step = next((step for step in STEPS if whole / step <= 8), whole / 8)
    for number in range(int(whole / step) + 1):
        x = LEFT + number * step / whole * (WIDTH - LEFT)
        label = f"{number * step / 60:.0f} min" if now is None else clock(now + number * step)
        anchor = "end" if x > WIDTH - 30 else "middle" if number else "start"
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{bottom:.0f}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="14" text-anchor="{anchor}">{label}</text>'


def _legend() -> Iterator[str]:
    yield "<p class=small>"
    yield from (f'<span class="key {kind}"></span>{words} ' for kind, (_, _, words) in SIGNS.items() if kind != "check")
    yield '<span class="key vm"></span>a VM of another host</p>'


def _hosts(plan: facts.Forecast) -> Iterator[str]:
    loads = {load.host.uuid: load for load in plan.loads}
    yield "<table><tr><th>host<th>updates<th>VMs leave<th>from minute<th>minutes<th>at most<th>fullest<th></tr>"
    for turn in plan.turns:
        cells = (
            f"{plain(turn.host)}{' (master)' if turn.master else ''}",
            len(turn.updates),
            sum(move.purpose != "level" for move in turn.moves),
            f"{turn.begins / 60:.0f}",
            f"{turn.seconds / 60:.0f}",
            f"{(turn.upper or turn.seconds) / 60:.0f}",
            share(loads.get(turn.host.uuid)),
            turn.because,
        )
        yield "<tr>" + "".join(f"<td>{_text(cell)}" for cell in cells) + "</tr>"
    yield "</table>"


def _compared(rows: tuple[facts.Comparison, ...]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{column.header}" for column in comparison(rows).columns) + "</tr>"
    for row in rows:
        tightest = f"{plain(row.tightest.host)} {share(row.tightest)}" if row.tightest else ""
        stops = row.blockers[0].sentence if row.blockers else ""
        minutes = (f"{seconds / 60:.0f}" for seconds in (row.seconds, row.upper, row.ha_off))
        cells = (row.mode, row.max_away, ", ".join(row.skip), row.turns, row.moves, *minutes, tightest, stops)
        yield "<tr>" + "".join(f"<td>{_text(cell)}" for cell in cells) + "</tr>"
    yield "</table>"


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _text(value: object) -> str:
    return escape(plain(value))


STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)

DRAWN = (
    "text{font:12px system-ui,sans-serif;fill:#444}.host{font-weight:600}.tick{fill:#777}.grid{stroke:#ddd}"
    ".lane{fill:#f4f4f6}.look,.check{fill:#c4c8d0}.empty{fill:#4fa3c7}.install{fill:#5468c4}.reboot{fill:#e0a526}"
    ".home,.level{fill:#57a773}.vm{fill:#9a86c4}"
)
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}th,td{padding:.2em .8em .2em 0;text-align:left;vertical-align:top}"
    ".lead{font-weight:600}.bad{color:#b3261e}.mind{color:#8a5a00}.small{color:#666;font-size:13px}"
    ".key{display:inline-block;width:12px;height:12px;margin:0 4px 0 12px}.key.look{background:#c4c8d0}"
    ".key.empty{background:#4fa3c7}.key.install{background:#5468c4}.key.reboot{background:#e0a526}"
    ".key.home,.key.level{background:#57a773}.key.vm{background:#9a86c4}"
)
