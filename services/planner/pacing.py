"""How many turns may be under way at once, and what may be done beside what. Pure.

A host is *away* from its reboot's order until it is enabled again; a turn is *under way* until its host is enabled
again, while its VMs go home the next may begin. The limits stand in the forecast, as they were resolved for the pool.
"""

from __future__ import annotations

from services.planner import selection, storage_graph
from services.planner.view import Said, View
from shared.domain import facts
from shared.domain.run import Run, StepState, Turn


def next_of(run: Run) -> facts.ForecastTurn | None:
    """The first turn of the forecast that has not begun and is not left out, or None. Whoever is master now is first,
    whoever was when the run was planned: a member newer than its master does not join again."""
    begun = {*run.turns, *(turn.id for turn in run.closed)}
    master = run.master.uuid if run.master else ""
    left = [
        planned.model_copy(update={"master": planned.host.uuid == master}) if master else planned
        for planned in (run.forecast.turns if run.forecast else ())
        if planned.turn not in begun and planned.host.uuid not in run.skipped
    ]
    return next((planned for planned in left if planned.master), left[0] if left else None)


def coming(run: Run) -> tuple[str, ...]:
    """The hosts whose turns have not begun, by uuid, in their order."""
    begun = {*run.turns, *(turn.id for turn in run.closed)}
    planned = run.forecast.turns if run.forecast else ()
    return tuple(turn.host.uuid for turn in planned if turn.turn not in begun and turn.host.uuid not in run.skipped)


def enabled_again(turn: Turn) -> bool:
    """Whether the host of a turn is done and takes VMs again, so that its VMs go home while another is emptied. A turn
    that goes back is under way until it is closed: whether more may begin depends on how it ends."""
    enables = turn.of_kind("enable_host")
    return turn.planned and not turn.turned_back and bool(enables) and all(step.settled for step in enables)


def hosts_back(run: Run) -> frozenset[str]:
    """Hosts of open turns that were updated and take VMs again, by uuid."""
    return frozenset(turn.host.uuid for turn in run.turns.values() if turn.host and enabled_again(turn))


def under_way(run: Run) -> tuple[Turn, ...]:
    """The open turns whose host is not enabled again yet."""
    return tuple(turn for turn in run.turns.values() if turn.host and not enabled_again(turn))


def away(run: Run) -> tuple[Turn, ...]:
    """The open turns whose host is away: from its reboot's order until it is back."""
    return tuple(turn for turn in run.turns.values() if turn.host and _away(turn))


def _away(turn: Turn) -> bool:
    gone = (StepState.ORDERED, StepState.SUCCEEDED, StepState.TIMED_OUT)
    rebooted = any(step.state in gone for step in turn.of_kind("reboot_host"))
    return rebooted and not all(step.settled for step in turn.of_kind("await_host"))


def at_once(run: Run) -> int:
    """How many turns may be under way: one until the run's first host is back; then as many as may be away; and as many
    more as may be emptied ahead, once the first member after the master is back too."""
    if run.forecast is None:
        return 1
    back = [turn for turn in run.turns.values() if turn.host and enabled_again(turn)]
    done = [closed for closed in run.closed if closed.host and closed.outcome == "done"]
    masters = sum(turn.master for turn in back) + sum(closed.master for closed in done)
    members = len(back) + len(done) - masters
    if not masters and not members:
        return 1
    return run.forecast.max_away + (run.forecast.empty_ahead if members else 0)


def too_many_failed(view: View, planned: facts.ForecastTurn) -> Said | None:
    """After as many failed hosts as policy allows nothing new begins."""
    if view.run.failures < view.run.policy.failure_budget:
        return None
    if under_way(view.run):
        return Said(sentence=f"{planned.host.name} waits: too many hosts have failed.")
    because = f"{view.run.failures} hosts have failed, which is all that policy allows; resume to go on, or cancel."
    held = facts.RunHeld(**view.ids, because=because, who_can_help="the pool's administrator")
    return Said((held,), sentence=because)


def too_many_under_way(view: View, planned: facts.ForecastTurn) -> Said | None:
    """The master goes alone; the others as many at once as the plan's limits allow, and one is planned at a time."""
    others = under_way(view.run)
    if not others:
        return None
    first = others[0].host
    assert first is not None
    if planned.master or any(turn.master for turn in others) or len(others) >= at_once(view.run):
        return Said(sentence=f"{planned.host.name} waits until {first.name} takes VMs again.")
    unplanned = [turn.host for turn in others if turn.host and not turn.planned]
    if unplanned:
        return Said(sentence=f"{planned.host.name} waits until the turn of {unplanned[0].name} is planned.")
    return None


def storage_away(view: View, planned: facts.ForecastTurn) -> Said | None:
    """A turn that takes storage away from the pool is alone: it begins when no other is open, and none begins before
    that storage is there again. So two storage VMs are never down together."""
    others = [turn for turn in view.run.turns.values() if turn.host]
    if takes := next((turn.host for turn in others if turn.host and storage_graph.takes_storage(turn)), None):
        return Said(sentence=f"{planned.host.name} waits until the storage that {takes.name} serves is there again.")
    if others and others[0].host and any(stop.serves for stop in planned.stops):
        return Said(sentence=f"{planned.host.name} serves storage, so it waits for the turn of {others[0].host.name}.")
    return None


def pool_not_whole(view: View, planned: facts.ForecastTurn) -> Said | None:
    """No turn begins while the address of a host does not answer that is not away by our own order."""
    ours = {turn.host.uuid for turn in away(view.run) if turn.host}
    for seen in view.book.hosts.values():
        if seen.state != "answering" and seen.uuid not in ours:
            return Said(sentence=f"Waiting to begin the next turn, because host {seen.name} does not answer.")
    return None


def same_group(view: View, planned: facts.ForecastTurn) -> Said | None:
    """Of one failure domain no two hosts are in their turns at once."""
    others = [turn.host for turn in under_way(view.run) if turn.host]
    sentence = selection.conflicts(planned.host, others, view.run.policy)
    return Said(sentence=sentence) if sentence else None


def guests_watched(view: View, planned: facts.ForecastTurn) -> Said | None:
    """No other host is emptied, on to the updated one perhaps, while it is seen whether the first guests live there."""
    for turn in view.run.turns.values():
        if turn.host and not all(step.settled for step in turn.of_kind("watch_guests")):
            return Said(sentence=f"{planned.host.name} waits until the first guests on {turn.host.name} are well.")
    return None


def master_away(run: Run) -> bool:
    """Whether the master is away: nothing moves then, because the pool cannot be asked."""
    return any(turn.master for turn in away(run))


def installing(run: Run) -> bool:
    """Whether a package installation is under way: one per pool at a time (parallel ones have corrupted databases)."""
    return any(step.act.kind in INSTALLS and step.state is StepState.ORDERED for step in run.steps())


INSTALLS = frozenset({"install_updates", "install_package"})
"""Kinds of step that install packages."""
