"""What stands in the way and may pass by itself: the pool is looked at again before a run is refused or held. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.planner.view import Said, View
from shared.domain import facts
from shared.domain.run import Step, Turn

PASSING = frozenset({"HOST_OFFLINE", "HOST_DISABLED", "UPDATES_UNKNOWN"})
"""What a restart of a toolstack makes so for a moment (xen-api xapi_fuse.ml, db_gc.ml: live and enabled blip)."""

WITHIN, LOOK_AGAIN = 180.0, 20.0
"""Seconds of pool time after a turn's beginning in which that is looked at again, and between two looks."""

WITHIN_THE_FIRST = 120.0
"""Seconds of pool time after a run's order in which the same goes for its first survey: somebody may be waiting for its
answer, and a schedule's order meets nobody who would give it again."""


def may_pass(blockers: Sequence[facts.Blocker]) -> bool:
    """Whether any of it may be gone a minute later, and what follows from it: VMs that find no room, for one."""
    return any(stop.code in PASSING for stop in blockers)


def looked_at_again(view: View, turn: Turn, survey: Step, because: str, pause: float = LOOK_AGAIN) -> Said:
    """The pool is surveyed once more before a person is asked: what stands in the way may pass by itself."""
    due = survey.ended_at + pause
    if view.now < due:
        return Said(sentence=f"{because} The pool is looked at again before somebody is asked.", wake_at=due)
    again = facts.StepsReopened(**view.ids, turn=turn.id, steps=(survey.id,), because=because)
    return Said((again,), sentence=because)
