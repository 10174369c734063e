"""What the verbs show on a terminal: summaries as tables. Pure; times are pool time.

Names are drawn as `Text`, never as markup, and without control characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli import drawing
from cli.drawing import stage_words, state_text
from cli.scene import Seen
from cli.telling import count, plain, sentence, span_words, tone
from shared.bus.wire import Recorded
from shared.domain import facts
from shared.domain.summary import Held, HostLine, Outstanding, OwedLine, RunSummary

_TONES = {"good": "green", "bad": "red", "wait": "yellow", "plain": ""}


def moment(at: float) -> str:
    """A pool time as a local date and time, to the second."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def hour(at: float) -> str:
    """A pool time as a local time of day."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def clock(at: float) -> str:
    """A pool time as local hours and minutes."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M")


def is_open(summary: RunSummary) -> bool:
    """Whether a run has not ended."""
    return summary.ended_at is None and summary.outcome is None


def overview(summaries: Sequence[RunSummary], now: float) -> str:
    """What is going on in one sentence."""
    going = [one for one in summaries if is_open(one)]
    held = sum(one.state == "held" for one in going)
    owed = sum(len(one.owed) for one in summaries)
    told = f"{count(len(going), 'run')} going on" if going else "Nothing is going on"
    if held:
        told += f", {held} of them held"
    if owed:
        told += f"; {count(owed, 'setting')} owed"
    return told + "."


def warned(warning: str) -> tuple[Text, ...]:
    """A warning that stands above everything, where there is one."""
    return (Text(plain(warning), style="bold red"),) if warning else ()


def status(summaries: Sequence[RunSummary], now: float) -> RenderableType:
    """`rota` alone: what is going on, what is owed, what ended last."""
    going = [one for one in summaries if is_open(one)]
    ended = sorted((one for one in summaries if not is_open(one)), key=lambda one: one.ended_at or 0.0)
    parts: list[RenderableType] = [Text(overview(summaries, now), style="bold")]
    for one in going:
        parts += [Text(), _headline(one), Text("  " + plain(one.sentence))]
        parts += [_outstanding(line, now) for line in one.outstanding[:5]]
    for one in summaries:
        parts += [_owed(one, line) for line in one.owed]
    if ended:
        last = ended[-1]
        when = moment(last.ended_at) if last.ended_at else ""
        parts += [Text(), Text("Last ended " + when, style="dim"), _headline(last), Text("  " + plain(last.sentence))]
    if not summaries:
        parts.append(Text("`rota plan POOL` shows what an update would do, `rota start POOL` does it.", style="dim"))
    return Group(*parts)


def rejected(found: Sequence[Recorded], now: float) -> tuple[Text, ...]:
    """Messages that nobody could read or use: by whom, when, and why."""
    return tuple(
        Text(
            f"  A message on {plain(one.fact.rejected_subject)} was rejected by the {plain(one.fact.service)}"
            f" {span_words(now - one.at)} ago: {plain(one.fact.because)}",
            style="red",
        )
        for one in found
        if isinstance(one.fact, facts.MessageRejected)
    )


def _headline(summary: RunSummary) -> Text:
    text = Text("  ")
    text.append(summary.run, style="bold")
    text.append(f"  {plain(summary.pool_name or summary.pool)}  ")
    text.append_text(state_text(summary.state))
    if summary.steps_total:
        text.append(f"  {summary.steps_done} of {summary.steps_total} steps", style="dim")
    return text


def _outstanding(line: Outstanding, now: float) -> Text:
    text = Text(f"  {line.step}  ", style="dim")
    text.append(plain(line.sentence), style="")
    text.append(f"  since {span_words(now - line.since)}")
    if line.until > 0:
        text.append(f", until {hour(line.until)} at the latest ({drawing.count_down(line.until - now)})")
    if line.attempt > 1:
        text.append(f", attempt {line.attempt}")
    return text


def _owed(summary: RunSummary, line: OwedLine) -> Text:
    text = Text(f"  Owed on {plain(summary.pool_name or summary.pool)}: {plain(line.setting)}. ", style="bold red")
    text.append(f"{plain(line.because)} {plain(line.condition)}", style="red")
    if line.command:
        text.append(f"\n    {plain(line.command)}", style="dim")
    return text


def runs(summaries: Sequence[RunSummary]) -> RenderableType:
    """All runs, the newest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("run", "pool", "state", "asked", "hosts", "steps"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")
    for one in summaries:
        hosts = f"{sum(host.stage == 'done' for host in one.hosts)}/{len(one.hosts)}" if one.hosts else ""
        steps = f"{one.steps_done}/{one.steps_total}" if one.steps_total else ""
        asked = moment(one.requested_at)
        table.add_row(one.run, Text(one.pool), state_text(one.state), asked, hosts, steps, Text(plain(one.sentence)))
    return table


def run(summary: RunSummary, now: float) -> RenderableType:
    """One run: head, hosts, what is waited for, what is owed."""
    asked = f"Asked for by {plain(summary.by)} on {moment(summary.requested_at)}"
    asked += f": {plain(summary.reason)}" if summary.reason else "."
    parts: list[RenderableType] = [_headline(summary), Text("  " + plain(summary.sentence)), Text("  " + asked)]
    if summary.ended_at:
        parts.append(Text(f"  Ended {moment(summary.ended_at)}, {_took(summary)} after it was asked for."))
    elif summary.estimated_end:
        latest = f", at {moment(summary.estimated_latest)} at the latest" if summary.estimated_latest else ""
        parts.append(Text(f"  Ends at about {moment(summary.estimated_end)}{latest}."))
    if summary.hosts:
        parts += [Text(), _host_table(summary.hosts)]
    parts += [_outstanding(line, now) for line in summary.outstanding]
    if summary.held:
        parts.append(Text(f"  Held: {plain(summary.held.because)}", style="red"))
    parts += [Text(f"  Not home: {plain(vm)}", style="red") for vm in summary.not_home]
    parts += [_owed(summary, line) for line in summary.owed]
    parts += [Text(f"  {plain(one.sentence)}", style="red") for one in summary.blockers]
    parts += [Text(f"  {plain(one)}", style="yellow") for one in summary.warnings]
    return Group(*parts)


def _took(summary: RunSummary) -> str:
    return span_words((summary.ended_at or summary.requested_at) - summary.requested_at)


def _host_table(hosts: Sequence[HostLine]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("turn", "host", "stage", "steps"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")
    for line in hosts:
        name = Text(plain(line.host))
        if line.master:
            name.append(" master", style="dim")
        steps = f"{line.steps_done}/{line.steps_total}" if line.steps_total else ""
        table.add_row(line.turn, name, stage_words(line.stage), steps, Text(plain(line.sentence)))
    return Padding(table, (0, 0, 0, 2))


def journal(recorded: Sequence[Recorded]) -> RenderableType:
    """A run's facts, one line each."""
    return Group(*(line(one) for one in recorded))


def line(one: Recorded) -> Text:
    """One fact on one line: when, and what it says."""
    text = Text(hour(one.at) + "  ", style="dim")
    text.append(sentence(one.fact), style=_TONES[tone(one.fact)] or "default")
    return text


def why(summary: RunSummary | None, pool: str, seen: Sequence[tuple[str, Seen]], now: float) -> RenderableType:
    """Why a pool's run waits: its sentence, each step that is waited for, and hosts that do not answer."""
    parts: list[RenderableType] = [Text(why_sentence(summary, pool), style="bold")]
    if summary and is_open(summary):
        parts += [_outstanding(line, now) for line in summary.outstanding]
        if summary.held:
            parts.append(Text(_held_since(summary.held, now), style="yellow"))
    if summary:
        parts += [_owed(summary, one) for one in summary.owed]
    parts += [Text(f"  {plain(name)} is {state}.", style="yellow") for name, state in seen if state != "answering"]
    return Group(*parts)


def _held_since(held: Held, now: float) -> str:
    told = f"  Held for {span_words(now - held.since)}, since {hour(held.since)}, until somebody says how it goes on."
    return f"{told} Who can help: {plain(held.who_can_help)}." if held.who_can_help else told


def why_sentence(summary: RunSummary | None, pool: str) -> str:
    """Why nothing seems to happen on a pool, in one sentence."""
    if summary is None:
        return f"Nothing is going on on {pool}, and Rota knows of no run on it."
    if is_open(summary):
        return plain(summary.sentence)
    return f"Nothing is going on on {pool}; its last run {summary.run} ended: {plain(summary.sentence)}"
