"""Where each VM is, drawn: a box for each host with its VMs and those that move, or lines where hosts are many. Pure.

Names are drawn as `Text`, never as markup, and without control characters.
"""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from cli.scene import Scene, VMLine
from cli.telling import count, plain

NARROWEST = 24
"""Columns that a box needs at least."""


def vms(scene: Scene, width: int, room: int) -> RenderableType | None:
    """Where each VM is, on at most `room` lines; None while no VM is known."""
    hosts = _hosts_with_vms(scene)
    if not scene.vms:
        return None
    if hosts and len(hosts) * NARROWEST <= width:
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
