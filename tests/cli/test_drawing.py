"""The live view shows hosts, steps, VMs, a bar and the sentence, at any size."""

from __future__ import annotations

import pytest

from cli import drawing, folding, scene
from shared.domain import facts
from shared.domain.names import Named
from tests.cli import story
from tests.cli.drawn import text_of
from tests.cli.test_folding import after_all, until


def drawn(value: scene.Scene, *, width: int = 110, height: int = 40) -> str:
    """The view as text, ten minutes after the order."""
    return text_of(drawing.draw(value, story.START + 600, width=width, height=height), width=width)


def test_the_view_names_hosts_steps_vms_and_what_is_waited_for() -> None:
    """Everything that a person asks for is on one screen."""
    value = folding.with_summary(after_all(until(facts.StepOrdered, "t01-s002")), story.summary())
    shown = drawn(folding.with_progress(value, "t01-s002", 0.5, ""))
    for word in ("Lab", story.RUN, "xcp-1 master", "xcp-1-vm1 → xcp-2", "check · enable · home", "10 of 42 steps"):
        assert word in shown
    assert "Waiting for xcp-1 to come back." in shown
    assert "Deadline: in 45 min." in shown


def test_a_host_that_does_not_answer_says_so() -> None:
    """An empty box would look like an empty host."""
    assert "does not answer" in drawn(after_all(until(facts.HostUnreachable)))


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("height", [10, 24, 60])
def test_every_moment_of_a_run_can_be_drawn_at_any_size(width: int, height: int) -> None:
    """No size and no moment breaks the view, and no line is wider than the terminal."""
    value = scene.Scene(story.POOL, story.RUN)
    for number, fact in enumerate(story.run_facts()):
        value = folding.after(value, fact, story.START)
        if number % 4:
            continue
        shown = drawn(value, width=width, height=height)
        assert max(len(line) for line in shown.splitlines()) <= width


def test_a_pool_of_many_hosts_shows_what_moves_instead_of_boxes() -> None:
    """64 boxes fit on no screen."""
    hosts = [Named(f"h{n}", f"xcp-{n}") for n in range(64)]
    value = scene.Scene("big", "r1")
    value = folding.after(
        value,
        facts.HomesNoted(
            pool="big",
            run="r1",
            homes=tuple(facts.Home(vm=Named(f"v{n}", f"vm-{n}"), host=hosts[n % 64]) for n in range(640)),
        ),
        0.0,
    )
    turns = {f"t{n}": scene.TurnLine(f"t{n}", host, master=n == 0) for n, host in enumerate(hosts)}
    shown = drawn(scene.Scene("big", "r1", turns=turns, vms=value.vms))
    assert "640 VMs, 0 on the move, 0 away from home" in shown


def test_names_cannot_move_the_cursor_or_colour_the_screen() -> None:
    """A VM's name is text of somebody else."""
    evil = Named("v1", "[bold red]x[/]\x1b[2Jy\r\nz\u202e")
    value = folding.after(
        scene.Scene("p", "r", turns={"t01": scene.TurnLine("t01", Named("h", "h\x1b]0;t\x07"), master=True)}),
        facts.HomesNoted(pool="p", run="r", homes=(facts.Home(vm=evil, host=Named("h", "h")),)),
        0.0,
    )
    shown = drawn(value)
    assert "[bold red]x[/][2Jy  z" in shown
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(shown)


def test_the_strip_of_phases_counts_moves_and_marks_failures() -> None:
    """A person sees at a glance how far a turn is."""
    value = after_all(until(facts.StepSucceeded, "t01-s002"))
    strip = drawing.phases(value.steps_of("t01"))
    assert strip.plain.startswith("look · disable · empty 1/3 · install")
    failed = facts.StepGaveUp(pool=story.POOL, run=story.RUN, step="t01-s003", because="No.")
    strip = drawing.phases(folding.after(value, failed, 0.0).steps_of("t01"))
    assert any("red" in str(span.style) for span in strip.spans)
