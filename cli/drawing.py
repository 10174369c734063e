"""The live view: a scene drawn for a terminal of a given width and height. Pure; rich is only its pencil.

Names are drawn as `Text`, never as markup, and without control characters.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.scene import ENDED, OPEN, Scene, StepLine, TurnLine, VMLine
from cli.telling import count, plain, span_words
from shared.domain import acts

MARGIN = 2
NARROWEST_COLUMN = 24
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def draw(scene: Scene, now: float, *, width: int, height: int, beat: int = 0, factor: float = 1.0) -> RenderableType:
    """The whole view. `now` is pool time; `beat` counts redraws and turns the spinner."""
    hosts = _hosts(scene, beat)
    room = max(4, height - len(scene.turns) - 10)
    parts: list[RenderableType] = [_title(scene, now, factor), Text(), hosts, Text()]
    vms = _vms(scene, width - 2 * MARGIN, room)
    if vms is not None:
        parts += [vms, Text()]
    parts += [_bar(scene, width - 2 * MARGIN), *_waiting(scene, now, beat)]
    return Padding(Group(*parts), (1, MARGIN))


def stage_words(stage: str) -> str:
    """A host's stage as people say it."""
    return stage.replace("_", " ")


def state_text(state: str) -> Text:
    """A run's state, coloured."""
    return Text(state.replace("_", " "), style=_STATE_STYLES.get(state, "bold cyan"))


# --- the title --------------------------------------------------------------------------------------------------------


def _title(scene: Scene, now: float, factor: float) -> RenderableType:
    summary = scene.summary
    left = Text("rota", style="bold cyan")
    left.append("  ")
    left.append(plain(summary.pool_name if summary and summary.pool_name else scene.pool), style="bold")
    left.append(f"  run {scene.run}  ", style="dim")
    if summary:
        left.append_text(state_text(summary.state))
    right = Text(style="dim")
    if summary:
        right.append(_elapsed((summary.ended_at or now) - summary.requested_at))
        if factor != 1:
            right.append(f"  (time runs {factor:g} times faster)")
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    grid.add_row(left, right)
    return grid


def _elapsed(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


# --- host by host, step by step ---------------------------------------------------------------------------------------


def _hosts(scene: Scene, beat: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for _ in range(4):
        grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    if not scene.turns:
        grid.add_row(_spin(beat), Text("reading the pool", style="cyan"), Text(), Text(), Text())
    for line in scene.turns.values():
        grid.add_row(*_host_row(scene, line, beat))
    for host in scene.left_alone:
        grid.add_row(Text("·", style="dim"), Text(plain(host), style="dim"), Text("nothing to do", style="dim"))
    return grid


def _host_row(scene: Scene, line: TurnLine, beat: int) -> tuple[Text, ...]:
    name = Text(plain(line.host), style="bold" if line.begun and not line.ended else "")
    if line.master:
        name.append(" master", style="dim")
    steps = scene.steps_of(line.turn)
    done = sum(step.state in ENDED for step in steps)
    share = Text(f"{done}/{len(steps)}" if steps else "", style="dim")
    return _mark(line, beat), name, _stage(scene, line), share, phases(steps)


def _mark(line: TurnLine, beat: int) -> Text:
    if line.ended:
        good = line.ended == "done"
        return Text("✓" if good else "✗", style="green" if good else "red")
    return _spin(beat) if line.begun else Text("·", style="dim")


def _spin(beat: int) -> Text:
    return Text(SPINNER[beat % len(SPINNER)], style="cyan")


def _stage(scene: Scene, line: TurnLine) -> Text:
    told = next((one.stage for one in scene.summary.hosts if one.turn == line.turn), "") if scene.summary else ""
    stage = line.ended or told or ("begun" if line.begun else "waiting")
    return Text(stage_words(stage), style=_STAGE_STYLES.get(stage, "cyan"))


def phases(steps: Sequence[StepLine]) -> Text:
    """A turn's steps as a strip of its phases: done green, going bold, to come dim, failed red."""
    strip = Text()
    for word, kinds in PHASES:
        part = [step for step in steps if _phase_of(step) in kinds]
        if not part:
            continue
        if strip:
            strip.append(" · ", style="dim")
        done = sum(step.state in ENDED for step in part)
        strip.append(word, style=_phase_style(part, done))
        if len(part) > 1 and 0 < done < len(part):
            strip.append(f" {done}/{len(part)}", style="cyan")
    return strip


def _phase_of(step: StepLine) -> str:
    if isinstance(step.act, acts.MigrateVM):
        return f"migrate_vm.{step.act.purpose}"
    return step.kind


def _phase_style(part: Sequence[StepLine], done: int) -> str:
    if done == len(part):
        return "green"
    if any(step.state in ("failed", "gave_up") for step in part):
        return "bold red"
    if done or any(step.state in OPEN for step in part):
        return "bold cyan"
    return "dim"


# --- VM by VM ---------------------------------------------------------------------------------------------------------


def _vms(scene: Scene, width: int, room: int) -> RenderableType | None:
    hosts = _hosts_with_vms(scene)
    if not scene.vms:
        return None
    if hosts and len(hosts) * NARROWEST_COLUMN <= width:
        each = width // len(hosts)
        return Columns([_host_box(scene, host, name, each, room) for host, name in hosts], padding=0, equal=False)
    return _moves(scene, room)


def _hosts_with_vms(scene: Scene) -> list[tuple[str, str]]:
    names = {line.host.uuid: plain(line.host) for line in scene.turns.values()}
    names |= {host.uuid: plain(host) for host in scene.left_alone}
    return list(names.items())


def _host_box(scene: Scene, host: str, name: str, width: int, room: int) -> RenderableType:
    away = scene.seen.get(host) in ("unreachable", "down")
    vms = sorted(scene.on(host), key=lambda vm: (vm.to is None, vm.vm.name))
    rows = room - 2
    shown = vms if len(vms) <= rows else vms[: rows - 1]
    lines = [_vm_line(scene, vm, host, width - 4) for vm in shown]
    if len(vms) > len(shown):
        lines.append(Text(f"… and {len(vms) - len(shown)} more", style="dim"))
    if not vms:
        lines.append(Text("does not answer" if away else "empty", style="yellow" if away else "dim"))
    tallest = min(rows, _most_vms(scene))
    lines += [Text() for _ in range(tallest - len(lines))]
    title = Text(name, style="bold" if not away else "bold yellow")
    style = "yellow" if away else "dim"
    return Panel(Group(*lines), title=title, title_align="left", width=width, border_style=style, padding=(0, 1))


def _most_vms(scene: Scene) -> int:
    """The tallest a box has been or will be, so that boxes do not jump: one and a half times its own VMs."""
    homes = [vm.home for vm in scene.vms.values()]
    own = max((homes.count(host) for host in set(homes)), default=0)
    now = max((len(scene.on(host)) for host, _ in _hosts_with_vms(scene)), default=0)
    return max(now, own + (own + 1) // 2)


def _vm_line(scene: Scene, vm: VMLine, host: str, width: int) -> Text:
    name = plain(vm.vm)
    if vm.to is not None:
        return _moving_line(scene, vm, name, width)
    text = Text(name, style="" if vm.home == host else "magenta", no_wrap=True, overflow="ellipsis")
    if vm.home != host:
        text.append(f"  of {_name_of(scene, vm.home)}", style="dim")
    return text


def _moving_line(scene: Scene, vm: VMLine, name: str, width: int) -> Text:
    to = _name_of(scene, vm.to or "")
    share = scene.share_of(vm.step)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(name, style="bold cyan")
    text.append(f" → {to} ", style="cyan")
    length = max(0, min(8, width - len(name) - len(to) - 4))
    filled = round(share * length)
    text.append("━" * filled, style="cyan")
    text.append("─" * (length - filled), style="dim")
    return text


def _moves(scene: Scene, room: int) -> RenderableType:
    """Where there are too many hosts for a box each: what moves now, and how many are away from home."""
    moving = sorted((vm for vm in scene.vms.values() if vm.to is not None), key=lambda vm: vm.vm.name)
    away = sum(vm.at != vm.home for vm in scene.vms.values())
    told = f"{count(len(scene.vms), 'VM')}, {len(moving)} on the move, {away} away from home"
    lines: list[Text] = [Text(told, style="dim")]
    for vm in moving[: room - 1]:
        line = Text(f"{_name_of(scene, vm.at or '')}: ", style="dim")
        line.append_text(_moving_line(scene, vm, plain(vm.vm), 60))
        lines.append(line)
    return Group(*lines)


def _name_of(scene: Scene, host: str) -> str:
    return dict(_hosts_with_vms(scene)).get(host, host[:8])


# --- the bar and the sentence -----------------------------------------------------------------------------------------


def _bar(scene: Scene, width: int) -> RenderableType:
    done, total = steps_done(scene)
    grid = Table.grid(padding=(0, 2))
    label = Text(f"{done} of {total} steps" if total else "", style="dim")
    bar = ProgressBar(
        total=max(1, total), completed=done, width=max(10, width - len(label) - 2), complete_style="cyan",
        finished_style="green",
    )  # fmt: skip
    grid.add_row(bar, label)
    return grid


def steps_done(scene: Scene) -> tuple[int, int]:
    """Steps done and steps in all, as the summary counts them, else as far as the facts tell."""
    if scene.summary and scene.summary.steps_total:
        return scene.summary.steps_done, scene.summary.steps_total
    return sum(step.state in ENDED for step in scene.steps.values()), len(scene.steps)


def _waiting(scene: Scene, now: float, beat: int) -> list[RenderableType]:
    summary = scene.summary
    if summary is None:
        return [Text(plain(scene.sentence), style="bold")]
    lines: list[RenderableType] = [Text(plain(summary.sentence), style="bold")]
    if summary.held:
        lines.append(Text(f"Needs {plain(summary.held.who_can_help or 'a person')}.", style="red"))
    deadline = min((one.until for one in summary.outstanding if one.until > 0), default=0.0)
    if deadline and summary.ended_at is None:
        lines.append(Text(_count_down(deadline - now), style="dim"))
    lines += [Text(f"Owed: {plain(one.setting)}: {plain(one.because)}", style="red") for one in summary.owed]
    return lines


def _count_down(left: float) -> str:
    if left <= 0:
        return f"The deadline was {span_words(-left)} ago."
    return f"Waits {span_words(left)} longer at most."


_STATE_STYLES = {
    "succeeded": "bold green",
    "succeeded_with_warnings": "bold yellow",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "refused": "bold red",
    "held": "bold red",
    "paused": "bold yellow",
}
_STAGE_STYLES = {
    "waiting": "dim",
    "done": "green",
    "failed": "red",
    "left_alone": "dim",
    "turned_back": "yellow",
    "rebooting": "yellow",
    "away": "yellow",
}
PHASES: tuple[tuple[str, frozenset[str]], ...] = (
    ("look", frozenset({"survey"})),
    ("disable", frozenset({"disable_host"})),
    ("empty", frozenset({"migrate_vm.empty", "evacuate_rest"})),
    ("install", frozenset({"install_updates", "read_host"})),
    ("reboot", frozenset({"reboot_host"})),
    ("await", frozenset({"await_host"})),
    ("check", frozenset({"check_gate"})),
    ("enable", frozenset({"enable_host"})),
    ("bring home", frozenset({"migrate_vm.home"})),
)
"""A turn's phases in their order, and the kinds of step that each holds; a kind that is new shows in no phase."""
