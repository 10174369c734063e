"""One decides: what a guarded write promises."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from shared.bus import wire
from shared.bus.port import Bus, BusRefused, GuardLost, Message, OutcomeUnknown
from tests.contracts.bus.grounds import Ground
from tests.contracts.bus.words import fact, guard, seen, soon


async def names(bus: Bus) -> list[str]:
    """The last words of the journal's subjects, in order."""
    return [stored.subject.rpartition(".")[2] async for stored in bus.read(["rota.fact.>"])]


async def test_a_guard_counts_all_subjects_of_its_filter_and_no_others(bus: Bus) -> None:
    """The last fact of the pool decides, whichever its step; another pool's facts and other writers' do not count."""
    first = await bus.append_guarded([fact("run_requested")], guard(0))
    await bus.append_guarded([fact("run_requested", pool="other")], guard(0, "other"))
    await bus.append(seen("host_answering"), id="h1-1")
    step = Message("rota.fact.run.lab.r1.t01-s001.step_ordered", b"")
    second = await bus.append_guarded([step], guard(first))
    assert second > first
    with pytest.raises(GuardLost):
        await bus.append_guarded([fact("run_ended")], guard(first))
    assert await bus.append_guarded([fact("run_ended")], guard(second)) > second


async def test_who_lost_is_told_how_far_to_read(bus: Bus, other: Bus) -> None:
    """The refusal carries the true last sequence."""
    first = await bus.append_guarded([fact("run_requested")], guard(0))
    with pytest.raises(GuardLost) as lost:
        await other.append_guarded([fact("run_requested")], guard(0))
    assert lost.value.actual == first
    assert await names(bus) == ["run_requested"]


async def test_the_guard_is_asked_before_message_ids_are(bus: Bus) -> None:
    """The same guarded write sent again is refused by its guard, not swallowed as a duplicate."""
    written = dataclasses.replace(fact("run_requested"), headers={wire.MSG_ID: "once"})
    await bus.append_guarded([written], guard(0))
    with pytest.raises(GuardLost):
        await bus.append_guarded([written], guard(0))


async def test_a_guarded_write_with_an_id_seen_before_is_no_success(bus: Bus) -> None:
    """The guard holds, the id was seen: nothing is stored, so nobody may take it for stored."""
    written = dataclasses.replace(fact("run_requested"), headers={wire.MSG_ID: "once"})
    first = await bus.append_guarded([written], guard(0))
    with pytest.raises(OutcomeUnknown):
        await bus.append_guarded([written], guard(first))
    assert await names(bus) == ["run_requested"]


async def test_several_facts_are_stored_all_in_a_row(bus: Bus) -> None:
    """A batch stands in the journal in its order and without a gap; its last sequence is returned."""
    batch = [fact("turn_planned"), fact("step_ordered"), fact("step_ordered")]
    last = await bus.append_guarded(batch, guard(0))
    held = [stored async for stored in bus.read(["rota.fact.>"])]
    assert [stored.subject for stored in held] == [message.subject for message in batch]
    assert [stored.seq for stored in held] == [last - 2, last - 1, last]


async def test_of_a_batch_with_a_stale_guard_nothing_is_stored(bus: Bus) -> None:
    """All or none."""
    await bus.append_guarded([fact("run_requested")], guard(0))
    with pytest.raises(GuardLost):
        await bus.append_guarded([fact("turn_planned"), fact("step_ordered")], guard(0))
    assert await names(bus) == ["run_requested"]


async def test_a_batch_with_an_id_seen_before_is_refused_whole(bus: Bus) -> None:
    """Nobody can tell whose it was: decide again."""
    await bus.append(seen("host_answering"), id="once")
    marked = dataclasses.replace(fact("step_ordered"), headers={wire.MSG_ID: "once"})
    with pytest.raises(OutcomeUnknown):
        await bus.append_guarded([fact("turn_planned"), marked], guard(0))
    assert await names(bus) == ["host_answering"]


async def test_of_two_planners_that_decide_at_once_one_is_heard(bus: Bus, other: Bus) -> None:
    """In each of twenty rounds exactly one of the two writes, and each fact follows the one it expected."""
    after = 0
    for round_ in range(20):
        batch = [fact("step_ordered"), fact("step_ordered")] if round_ % 2 else [fact("step_ordered")]
        outcomes = await asyncio.gather(
            bus.append_guarded(batch, guard(after)), other.append_guarded(batch, guard(after)), return_exceptions=True
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, int)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, GuardLost)]
        assert (len(won), len(lost)) == (1, 1), outcomes
        assert won[0] == after + len(batch)
        after = won[0]


async def test_a_decision_is_refused_when_the_fold_has_moved_on(bus: Bus, other: Bus) -> None:
    """A decision carries the sequence it was made from. What is folded between deciding and writing makes it stale,
    and a guard read late, at the moment of writing, would not notice."""
    after = await bus.append_guarded([fact("run_requested")], guard(0))
    decided = (fact("run_ended"), guard(after))
    async with bus.follow(["rota.fact.run.lab.>"], after=after) as facts:
        await other.append_guarded([fact("run_ended")], guard(after))
        folded = (await soon(facts)).seq
    with pytest.raises(GuardLost):
        await bus.append_guarded([decided[0]], decided[1])
    assert await bus.append_guarded([decided[0]], guard(folded)), "a guard read late passes: the trap that was found"


async def test_a_guard_may_stand_over_all_pools(bus: Bus, other: Bus) -> None:
    """For what was decided from the runs of several: a fact of any of them is in its way."""
    after = await bus.append_guarded([fact("run_planned", "lab"), fact("homes_noted", "lab")], wire.runs_guard(0))
    await other.append_guarded([fact("run_planned", "dev")], guard(0, "dev"))
    with pytest.raises(GuardLost) as lost:
        await bus.append_guarded([fact("run_began", "lab")], wire.runs_guard(after))
    assert lost.value.actual in (None, after + 1)
    assert await bus.append_guarded([fact("run_began", "lab")], wire.runs_guard(after + 1)) == after + 2


async def test_a_guard_with_a_wrong_filter_guards_nothing(bus: Bus, other: Bus) -> None:
    """The server cannot notice a slip of the pen in a filter. So one function writes them, and this breaks it."""
    right = wire.pool_guard("lab", 0)
    await bus.append_guarded([fact("run_requested")], right)
    with pytest.raises(GuardLost):
        await other.append_guarded([fact("run_requested")], right)
    broken = dataclasses.replace(right, filter=right.filter.replace("fact", "facts"))
    await other.append_guarded([fact("run_requested")], broken)
    assert await names(bus) == ["run_requested"] * 2


async def test_many_batches_at_once_are_all_stored(bus: Bus) -> None:
    """A client keeps to so many at once that the server's limit is not met."""
    pools = [f"pool-{number}" for number in range(60)]
    batches = (
        bus.append_guarded([fact("turn_planned", pool), fact("step_ordered", pool)], guard(0, pool)) for pool in pools
    )
    assert len(set(await asyncio.gather(*batches))) == 60


async def test_with_fifty_batches_left_open_the_next_is_for_later(ground: Ground, bus: Bus) -> None:
    """The server takes no more: nobody knows, decide again. A single fact still gets through."""
    await ground.abandon_batches(50)
    with pytest.raises(OutcomeUnknown):
        await bus.append_guarded([fact("turn_planned"), fact("step_ordered")], guard(0))
    assert await bus.append_guarded([fact("turn_planned")], guard(0)) == 1


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_a_size(bus: Bus, count: int) -> None:
    """Nothing, and more than a server takes, is refused before it is sent."""
    with pytest.raises(ValueError, match="1 to 1000"):
        await bus.append_guarded([fact("step_ordered")] * count, guard(0))


async def test_a_guarded_write_is_for_facts(bus: Bus) -> None:
    """An order has no business in the journal."""
    with pytest.raises(ValueError, match="not kept by ROTA_FACTS"):
        await bus.append_guarded([Message("rota.command.planner.start_run", b"{}")], guard(0))


async def test_a_batch_of_a_thousand_is_taken(bus: Bus) -> None:
    """The largest one."""
    batch = [fact("homes_noted", data=str(number).encode()) for number in range(1000)]
    try:
        assert await bus.append_guarded(batch, guard(0)) == 1000
    except BusRefused as refused:
        pytest.fail(str(refused))
