"""Steps in words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.reporter import doing
from shared.domain import acts
from tests.services.reporter import story


@pytest.mark.parametrize("step", [*story.PREPARATION, *story.ALWAYS, *story.turn_steps(1)])
def test_every_step_of_a_night_is_told_in_words(step: Any) -> None:
    """No kind's name with its underscores, no uuid."""
    said = doing.phrase(step.act)
    assert "_" not in said
    assert "-4000-" not in said


def test_a_way_home_is_called_one() -> None:
    """Away and home are told apart."""
    away, home = story.turn_steps(0)[1].act, story.turn_steps(0)[12].act
    assert doing.phrase(away) == "moving db-1 to xcp-graz-2"
    assert doing.phrase(home) == "moving db-1 home to xcp-graz-1"
    assert (doing.phase(away), doing.phase(home)) == ("emptying", "returning")


def test_a_kind_without_a_row_is_told_by_its_own_name() -> None:
    """A planner that is newer than the reporter must not silence it."""
    later = cast("acts.Act", SimpleNamespace(kind="clone_vm", vm=story.VMS[0]))
    assert doing.phrase(later) == "the step 'clone vm' of db-1"
    assert doing.phase(later) == "preparing"
