"""Rules of the window: asked before the first touch and before each turn; a turn begun is finished whatever the hour.

A turn begins only if the upper end of its estimate fits. The run waits otherwise, in a state that says so, and goes on
in the next opening; a hold that nobody answers before its window ends becomes a cancel after the turns under way.
Pure.
"""

from __future__ import annotations

from services.planner import fitting, gates, pacing
from services.planner.view import Said, View, ended
from shared.domain import acts, facts, window
from shared.domain.run import PREPARATION, RunState, StepState, Turn


def first_touch(view: View) -> Said | None:
    """A planned run waits for its window before it touches anything."""
    run = view.run
    if run.state is not RunState.PLANNED or run.cancel or run.purpose != "update" or run.forecast is None:
        return None
    return _wait(view, run.forecast.turns[0]) if run.forecast.turns else None


def shut(view: View, planned: facts.ForecastTurn) -> Said | None:
    """A hurdle: the window is shut, or would be before this turn has ended."""
    said = _wait(view, planned)
    if said is not None and said.facts and any(turn.host for turn in view.run.turns.values()):
        return Said(sentence=said.sentence)
    return said


def _wait(view: View, planned: facts.ForecastTurn) -> Said | None:
    run = view.run
    if run.window is None or window.fits(run.window, view.now, fitting.upper(planned)):
        return None
    opens = window.next_fit(run.window, view.now, fitting.upper(planned))
    if opens is None:
        minutes = round(fitting.upper(planned) / 60)
        because = (
            f"The turn of {planned.host.name} may take {minutes} min and fits into no opening of the window"
            f" {run.policy.window!r}; make the window longer, or cancel and start with --now."
        )
        if not run.began_at:
            return Said((ended(view, "refused", because),), sentence=because)
        held = facts.RunHeld(**view.ids, because=because, who_can_help="the pool's administrator")
        return Said((held,), sentence=because)
    because = (
        f"Waiting for the window {run.policy.window!r}, which lets the turn of {planned.host.name} begin at"
        f" {fitting.moment(opens, run.window.zone)}."
    )
    waiting = facts.RunWaiting(**view.ids, until=opens, because=because, steps=_put_back(view))
    return Said((waiting,), sentence=because)


def opened(view: View) -> Said | None:
    """A run that waits goes on when its window is open."""
    run = view.run
    if run.state is not RunState.WAITING_FOR_WINDOW or run.window is None or run.cancel:
        return None
    planned = pacing.next_of(run)
    seconds = fitting.upper(planned) if planned else 0.0
    if not window.fits(run.window, view.now, seconds):
        opens = window.next_fit(run.window, view.now, seconds)
        return Said(sentence=run.waiting, wake_at=opens) if opens else Said(sentence=run.waiting)
    if view.no_room:
        return Said(sentence=view.no_room)
    because = f"The window {run.policy.window!r} is open."
    return Said((facts.RunWentOn(**view.ids, because=because, steps=_off_again(view)),), sentence=because)


def unanswered(view: View) -> Said | None:
    """A hold that nobody answered when its window ends: cancelled after the turns under way. While a host is down the
    run stays held, because only a person can say what becomes of it; and so it does when a person looks after it."""
    run = view.run
    if run.state is not RunState.HELD or run.window is None or run.hold is None or run.cancel or run.hold.seen_by:
        return None
    ends = window.closes(run.window, run.hold.since, within=7 * 86400.0)
    if ends is None or run.lost or any(seen.state != "answering" for seen in view.book.hosts.values()):
        return None
    if view.now < ends:
        return Said(sentence=f"Held: {run.hold.because}", wake_at=ends)
    if said := gates.unanswered(view):
        return said
    because = "Nobody answered the hold before the window ended."
    stays = facts.RunCancelling(**view.ids, by="policy", now=False, sentences=(because,))
    return Said((stays,), sentence=because)


# --- what must not stay changed for days ------------------------------------------------------------------------------


def _put_back(view: View) -> tuple[facts.StepPlanned, ...]:
    """HA is on again between the nights, where the pool's versions allow it; where not, it is owed until they do."""
    preparation = view.run.turns.get(PREPARATION)
    change = _changed(preparation) if preparation else None
    if preparation is None or change is None or view.run.policy.between_windows == "leave":
        return ()
    act = acts.RestorePoolSetting(change.setting, change.before)
    why = "High availability is on again until the next window."
    return (facts.StepPlanned(step=preparation.next_step, act=act, why=why, if_it_fails="warn"),)


def _off_again(view: View) -> tuple[facts.StepPlanned, ...]:
    preparation = view.run.turns.get(PREPARATION)
    change = _changed(preparation) if preparation else None
    if preparation is None or change is None or not preparation.of_kind("restore_pool_setting"):
        return ()
    why = "High availability would restart VMs and refuse to let hosts go."
    needs = tuple(
        facts.Need(step=step.id, because="it is put back first") for step in preparation.of_kind("restore_pool_setting")
    )
    return (facts.StepPlanned(step=preparation.next_step, act=change, needs=needs, why=why),)


def _changed(preparation: Turn) -> acts.ChangePoolSetting | None:
    """The step that switched HA off in this run, if it was done."""
    return next(
        (
            step.act
            for step in preparation.of_kind("change_pool_setting")
            if isinstance(step.act, acts.ChangePoolSetting)
            and step.act.setting == "ha"
            and step.state is StepState.SUCCEEDED
        ),
        None,
    )
