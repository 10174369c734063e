"""What a turn took, read from its steps when it is over, for the next estimate. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.domain import acts, facts
from shared.domain.run import Run, Step, StepState, Turn


def of_turn(run: Run, turn: Turn) -> facts.Measured | None:
    """What a turn that went on to its end took; None where it turned back. A VM whose memory the forecast did not know
    is left out of the moves, and so is one that stood there already."""
    if turn.turned_back:
        return None
    sizes = {move.vm.uuid: move.memory for one in run.forecast.turns for move in one.moves} if run.forecast else {}
    moves = _done(turn.of_kind("migrate_vm"))
    moved = [step for step in moves if _size(step, sizes)]
    copied = [(step, size) for step in moves if (size := _copied(step))]
    return facts.Measured(
        install_seconds=round(sum(_took(step) for step in _done(turn.of_kind("install_updates"))), 1),
        boot_seconds=round(_boot(turn), 1),
        moved_bytes=sum(_size(step, sizes) for step in moved),
        moving_seconds=round(sum(_took(step) for step in moved), 1),
        copied_bytes=sum(size for _, size in copied),
        copying_seconds=round(sum(_took(step) for step, _ in copied), 1),
    )


def _boot(turn: Turn) -> float:
    """From the reboot's order until the host was back."""
    ordered = [step.ordered_at for step in _done(turn.of_kind("reboot_host"))]
    back = [step.ended_at for step in _done(turn.of_kind("await_host"))]
    return max(0.0, max(back) - max(ordered)) if ordered and back else 0.0


def _done(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.state is StepState.SUCCEEDED and step.ordered_at]


def _took(step: Step) -> float:
    return max(0.0, step.ended_at - step.ordered_at)


def _size(step: Step, sizes: Mapping[str, int]) -> int:
    """The bytes of a VM that was really moved, by itself."""
    if not isinstance(step.act, acts.MigrateVM) or not isinstance(step.result, acts.Moved):
        return 0
    other = step.result.already or step.result.gone or step.act.disks
    return 0 if other else sizes.get(step.act.vm.uuid, 0)


def _copied(step: Step) -> int:
    """The bytes of disks that a move took along; a little of its time goes to memory, which is left in."""
    return step.result.copied if isinstance(step.result, acts.Moved) and not step.result.gone else 0
