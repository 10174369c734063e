"""The scene folds a run's facts into hosts, steps and VMs."""

from __future__ import annotations

from cli import folding, scene
from shared.domain import acts, facts
from tests.cli import story

H1, H2, H3 = story.HOSTS


def after_all(told: list[facts.Fact]) -> scene.Scene:
    """The scene after facts."""
    value = scene.Scene(story.POOL, story.RUN)
    for number, fact in enumerate(told):
        value = folding.after(value, fact, story.START + number)
    return value


def until(kind: type[facts.Fact], step: str = "") -> list[facts.Fact]:
    """The run's facts up to the first of a kind (about a step)."""
    told: list[facts.Fact] = []
    for fact in story.run_facts():
        told.append(fact)
        if isinstance(fact, kind) and getattr(fact, "step", "") == step:
            return told
    raise AssertionError("there is no such fact in the story")


def test_at_the_end_every_step_is_done_and_every_vm_is_home() -> None:
    """A run that went well leaves nothing open."""
    value = after_all(list(story.run_facts()))
    assert {line.state for line in value.steps.values()} == {"done"}
    assert all(vm.at == vm.home and vm.to is None for vm in value.vms.values())
    assert [line.ended for line in value.turns.values()] == ["done"] * 3


def test_a_vm_is_on_its_way_from_its_order_to_its_arrival() -> None:
    """The VM stays on its host while it moves, and is on the other one when it has arrived."""
    moving = after_all(until(facts.StepOrdered, "t01-s002"))
    vm = story.VMS[H1][0].uuid
    assert (moving.vms[vm].at, moving.vms[vm].to) == (H1.uuid, H2.uuid)
    arrived = after_all(until(facts.StepSucceeded, "t01-s002"))
    assert (arrived.vms[vm].at, arrived.vms[vm].to) == (H2.uuid, None)
    assert [line.vm.name for line in arrived.on(H2.uuid)] == ["xcp-1-vm1", "xcp-2-vm1", "xcp-2-vm2"]


def test_a_move_that_failed_leaves_the_vm_where_it_was() -> None:
    """A failure is no arrival."""
    told = until(facts.StepOrdered, "t01-s002")
    failed = facts.StepFailed(pool=story.POOL, run=story.RUN, step="t01-s002", attempt=1, because="No memory.")
    value = after_all([*told, failed])
    vm = value.vms[story.VMS[H1][0].uuid]
    assert (vm.at, vm.to) == (H1.uuid, None)
    assert value.steps["t01-s002"].state == "failed"


def test_progress_moves_only_a_step_that_is_under_way() -> None:
    """A late word of progress does not open a step again."""
    going = folding.with_progress(after_all(until(facts.StepOrdered, "t01-s002")), "t01-s002", 0.4, "40 %")
    assert going.share_of("t01-s002") == 0.4
    over = after_all(until(facts.StepSucceeded, "t01-s002"))
    assert folding.with_progress(over, "t01-s002", 0.4, "") is over
    assert folding.with_progress(over, "no-such-step", 0.4, "") is over


def test_an_older_summary_never_replaces_a_newer_one() -> None:
    """Summaries may be read in any order."""
    value = folding.with_summary(after_all([]), story.summary(seq=10))
    assert folding.with_summary(value, story.summary(seq=9, sentence="old")) is value
    assert folding.with_summary(value, story.summary(seq=11, sentence="new")).summary == story.summary(
        seq=11, sentence="new"
    )


def test_what_was_seen_of_a_host_is_kept() -> None:
    """A host that does not answer is known to the view."""
    told = until(facts.HostUnreachable)
    assert after_all(told).seen[H1.uuid] == "unreachable"
    assert after_all(list(story.run_facts())).seen[H1.uuid] == "answering"


def test_a_vm_that_the_sweep_moved_is_somewhere() -> None:
    """The sweep does not say where to, so the view does not claim to know."""
    told = until(facts.StepOrdered, "t01-s004")
    vm = story.VMS[H1][0]
    swept = facts.StepSucceeded(pool=story.POOL, run=story.RUN, step="t01-s004", attempt=1, result=acts.Swept((vm,)))
    assert after_all([*told, swept]).vms[vm.uuid].at is None


def test_a_turn_that_turns_back_drops_what_waits_and_takes_new_steps() -> None:
    """Cancel now: the steps not begun are left out."""
    told = until(facts.StepSucceeded, "t01-s002")
    back = facts.TurnTurnedBack(
        pool=story.POOL,
        run=story.RUN,
        turn="t01",
        steps=(story.planned("t01", 30, acts.EnableHost(H1), "Enable xcp-1 again."),),
        because="Cancelled.",
    )
    value = after_all([*told, back])
    assert value.steps["t01-s005"].state == "skipped"
    assert value.steps["t01-s002"].state == "done"
    assert value.steps["t01-s030"].state == "waiting"
    assert value.steps["t99-s001"].state == "waiting"


def test_facts_about_things_never_heard_of_change_nothing() -> None:
    """A view that begins in the middle does not fall over."""
    empty = scene.Scene(story.POOL, story.RUN)
    for fact in story.run_facts():
        if isinstance(fact, facts.StepFact | facts.WaitBegan | facts.StepGaveUp):
            empty = folding.after(empty, fact, 0.0)
    assert not empty.steps
