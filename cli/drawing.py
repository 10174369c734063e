"""The live view: a scene drawn for a terminal of a given width and height. Pure; rich is only its pencil.

Names are drawn as `Text`, never as markup, and without control characters.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli import boxes
from cli.scene import ENDED, OPEN, Scene, StepLine, TurnLine
from cli.telling import plain, span_words
from shared.domain import acts
from shared.domain.summary import RunSummary

MARGIN = 2
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def draw(scene: Scene, now: float, *, width: int, height: int, beat: int = 0, factor: float = 1.0) -> RenderableType:
    """The whole view. `now` is pool time; `beat` counts redraws and turns the spinner."""
    hosts = _hosts(scene, beat)
    room = max(4, height - len(scene.turns) - 10)
    parts: list[RenderableType] = [_title(scene, now, factor), Text(), hosts, Text()]
    vms = boxes.vms(scene, width - 2 * MARGIN, room)
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
    right = Text(style="dim")
    if summary:
        left.append_text(state_text(summary.state))
        right.append(_times(summary, now) + (f"  {factor:g}x" if factor != 1 else ""))
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


def _times(summary: RunSummary, now: float) -> str:
    if summary.ended_at is not None:
        return f"took {_elapsed(summary.ended_at - summary.requested_at)}"
    told = _elapsed(now - summary.requested_at)
    if summary.estimated_end is not None and summary.estimated_end > now:
        told += f"  about {span_words(summary.estimated_end - now)} to go"
        if summary.estimated_latest is not None:
            told += f", {span_words(summary.estimated_latest - now)} at most"
    return told


def _elapsed(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


# --- host by host, step by step ---------------------------------------------------------------------------------------


def _hosts(scene: Scene, beat: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    names = [_host_name(line) for line in scene.turns.values()]
    for least in (1, min(24, max((len(name) for name in names), default=1)), 8, 5):
        grid.add_column(no_wrap=True, overflow="ellipsis", min_width=least)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    if not scene.turns:
        grid.add_row(_spin(beat), Text("reading the pool", style="cyan"))
    for name, line in zip(names, scene.turns.values(), strict=True):
        grid.add_row(*_host_row(scene, line, name, beat))
    for host in scene.left_alone:
        grid.add_row(Text("·", style="dim"), Text(plain(host), style="dim"), Text("nothing to do", style="dim"))
    return Group(grid, *(Padding(strip, (0, 0, 0, 3)) for strip in _strips(scene)))


def _strips(scene: Scene) -> list[Text]:
    """The phases of each turn that is open, with its host's name where there are several."""
    going = [line for line in scene.turns.values() if line.begun and not line.ended]
    names = [f"{plain(line.host)}  " if len(going) > 1 else "" for line in going]
    return [Text(name).append_text(phases(scene.steps_of(line.turn))) for name, line in zip(names, going, strict=True)]


def _host_name(line: TurnLine) -> Text:
    name = Text(plain(line.host), style="bold" if line.begun and not line.ended else "")
    return name.append(" master", style="dim") if line.master else name


def _host_row(scene: Scene, line: TurnLine, name: Text, beat: int) -> tuple[Text, ...]:
    steps = scene.steps_of(line.turn)
    done = sum(step.state in ENDED for step in steps)
    share = Text(f"{done}/{len(steps)}" if steps else "", style="dim")
    return _mark(line, beat), name, _stage(scene, line), share, _doing(scene, line)


def _doing(scene: Scene, line: TurnLine) -> Text:
    """What a turn is at; before it what it will be, after it how it went."""
    if line.ended:
        return Text(plain(line.sentence), style="dim" if line.ended == "done" else "red")
    told = next((one.sentence for one in scene.summary.hosts if one.turn == line.turn), "") if scene.summary else ""
    return Text(plain(told), style="") if line.begun else Text(line.ahead, style="dim")


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
        lines.append(Text(f"Deadline: {count_down(deadline - now)}.", style="dim"))
    lines += [Text(f"Owed: {plain(one.setting)}: {plain(one.because)}", style="red") for one in summary.owed]
    return lines


def count_down(left: float) -> str:
    """How long something may still take, or for how long it is late."""
    return f"{span_words(-left)} ago" if left <= 0 else f"in {span_words(left)}"


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
    (
        "empty",
        frozenset(
            {
                "migrate_vm.empty",
                "evacuate_rest",
                "shutdown_vm",
                "suspend_vm",
                "eject_media",
                "check_unused",
                "unplug_pbd",
            }
        ),
    ),
    ("install", frozenset({"install_updates", "read_host"})),
    ("reboot", frozenset({"reboot_host"})),
    ("wait", frozenset({"await_host"})),
    ("check", frozenset({"check_gate"})),
    ("enable", frozenset({"enable_host", "restart_toolstack"})),
    ("home", frozenset({"migrate_vm.home", "watch_guests", "start_vm", "resume_vm", "insert_media", "plug_pbd"})),
)
"""A turn's phases in their order, and the kinds of step that each holds; a kind that is new shows in no phase."""
