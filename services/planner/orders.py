"""What people's orders mean for a pool: the facts that answer them. Pure.

Every order is answered by a fact that carries its id, with one sentence when it is refused or changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from pydantic import ValidationError

from services.planner import approvals, cancelling, gates, preparing
from shared.domain import commands, facts, names
from shared.domain.book import Book
from shared.domain.policy import Policy, merged, strange_gate, unsupported
from shared.domain.run import PREPARATION, Run, RunState
from shared.domain.window import Window

NO_WINDOWS: Mapping[str, Window] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Given:
    """An order as it came: its id and who gave it."""

    order: str
    by: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Facts to write under the pool's guard, or why the order is refused without a run to say it of."""

    facts: tuple[facts.RunFact, ...] = ()
    refused: str = ""


def start(
    book: Book,
    command: commands.StartRun,
    given: Given,
    owner: Policy,
    windows: Mapping[str, Window] = NO_WINDOWS,
    known_gates: Collection[str] = (),
) -> Answer:
    """Start a run: its request, or its refusal with the name of the run that has the pool. `windows` are those of the
    settings, by name; the run carries its own with it, whatever becomes of the settings. `known_gates` are names."""
    run = names.run_id(book.pool, given.order)
    if book.run is not None and book.run.id == run:
        return Answer()
    because = _taken(book) or policy_fault(owner, command, windows, known_gates)
    if because:
        refused = facts.RunRefused(pool=book.pool, run=run, order=given.order, by=given.by, because=because)
        return Answer((refused,))
    policy = merged(owner, command.policy)
    survey = preparing.survey_step(PREPARATION, book.pool, updates=True, why=f"Look at pool {book.pool}.")
    requested = facts.RunRequested(
        pool=book.pool,
        run=run,
        order=given.order,
        by=given.by,
        policy=policy,
        reason=command.reason,
        digest=command.digest,
        consents=_consents(command),
        survey=survey,
        window=windows.get(policy.window),
        overrides_window=command.now and bool(policy.window),
    )
    return Answer((requested,))


def too_late(book: Book, command: commands.StartRun, given: Given) -> Answer:
    """Refuse to start a run whose order says that it is too late for it now, at nine in the morning for example."""
    by_then = f"{datetime.fromtimestamp(command.not_after, UTC):%a %d %b %Y %H:%M} UTC"
    because = f"The order was to be taken up by {by_then}, and no planner was there in time; nothing was started."
    run = names.run_id(book.pool, given.order)
    return Answer((facts.RunRefused(pool=book.pool, run=run, order=given.order, by=given.by, because=because),))


def _consents(command: commands.StartRun) -> tuple[str, ...]:
    """The VMs that whoever gives an order agrees to have stopped: those he names, in so many words or in its policy."""
    wanted = command.policy.get("strategies")
    stopped = (
        [name for name, one in wanted.items() if one in ("shutdown", "suspend")] if isinstance(wanted, dict) else []
    )
    return tuple(dict.fromkeys((*command.consents, *stopped)))


def undo(book: Book, given: Given) -> Answer:
    """Put back what is noted in the pool itself: a run without turns, or its refusal."""
    run = names.run_id(book.pool, given.order)
    if book.run is not None and book.run.id == run:
        return Answer()
    if because := _taken(book):
        return Answer((facts.RunRefused(pool=book.pool, run=run, order=given.order, by=given.by, because=because),))
    survey = preparing.survey_step(PREPARATION, book.pool, updates=False, why=f"Look at pool {book.pool}.")
    requested = facts.RunRequested(
        pool=book.pool,
        run=run,
        order=given.order,
        by=given.by,
        policy=Policy(),
        reason="undo",
        purpose="undo",
        survey=survey,
    )
    return Answer((requested,))


def policy_fault(
    owner: Policy,
    command: commands.StartRun | commands.PlanPool,
    windows: Mapping[str, Window] = NO_WINDOWS,
    known_gates: Collection[str] = (),
) -> str:
    """What is wrong with an order's policy, in one sentence, or nothing."""
    try:
        policy = merged(owner, command.policy)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            return f"A policy has no field {place!r}; its fields are {', '.join(Policy.model_fields)}."
        return f"The policy cannot be read: {place}: {first['msg']}."
    if policy.window and policy.window not in windows:
        known = ", ".join(windows) or "none"
        return f"There is no window {policy.window!r} in rota.toml (windows: {known}); add it, or mend the name."
    return strange_gate(policy, known_gates) or unsupported(policy) or ""


def answer(book: Book, command: commands.RunCommand, given: Given) -> Answer:
    """An order to a run. A run that is over, or another than the open one, is refused with a sentence."""
    run = book.open
    if run is None or run.id != command.run:
        return Answer(refused=_no_such_run(book, command.run))
    return ANSWERS[type(command)](run, command, given)


def _taken(book: Book) -> str:
    if book.open is None:
        return ""
    return (
        f"Pool {book.pool} has a run already: {book.open.id}, ordered by {book.open.by};"
        " wait for its end, or cancel it."
    )


def _no_such_run(book: Book, run: str) -> str:
    if book.run is not None and book.run.id == run:
        return f"Run {run} is over ({book.run.outcome}); there is nothing to order."
    going = f"; its run is {book.open.id}" if book.open else ""
    return f"Pool {book.pool} has no open run {run}{going}."


def _cancel(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.CancelRun)
    if run.cancel and (run.cancel.now or not command.now):
        return _said(run, command, given, taken=True, because="The run is being cancelled already.")
    if let_go := gates.gone_on_without(run, f"Not waited for by {given.by}.", by=given.by, order=given.order):
        return Answer(let_go)
    if run.state is RunState.FINISHING:
        return _said(run, command, given, taken=False, because="The run is finishing already; no host is left to do.")
    sentences = cancelling.sentences(run, now=command.now)
    fact = facts.RunCancelling(
        pool=run.pool, run=run.id, by=given.by, now=command.now, order=given.order, sentences=sentences
    )
    return Answer((fact,))


def _pause(run: Run, command: commands.Command, given: Given) -> Answer:
    if run.state is not RunState.RUNNING:
        because = f"The run is {run.state.value.replace('_', ' ')} and cannot be paused now."
        return _said(run, command, given, taken=False, because=because)
    return Answer((facts.RunPaused(pool=run.pool, run=run.id, by=given.by, order=given.order),))


def _hold(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.HoldRun)
    if run.state not in (RunState.RUNNING, RunState.PAUSED):
        because = f"The run is {run.state.value.replace('_', ' ')} and begins nothing that could be held back."
        return _said(run, command, given, taken=False, because=because)
    held = facts.RunHeld(pool=run.pool, run=run.id, because=command.because, by=given.by, order=given.order)
    return Answer((held,))


def _acknowledge(run: Run, command: commands.Command, given: Given) -> Answer:
    if run.hold is None:
        because = "The run is not held, so there is nothing to look after."
        return _said(run, command, given, taken=False, because=because)
    if run.hold.seen_by:
        because = f"{run.hold.seen_by} looks after it already."
        return _said(run, command, given, taken=True, because=because)
    return Answer((facts.HoldAcknowledged(pool=run.pool, run=run.id, by=given.by, order=given.order),))


def _approve(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.ApproveRun)
    asked = run.asked
    if run.state is not RunState.AWAITING_APPROVAL or asked is None:
        return _said(run, command, given, taken=False, because="The run asks for no approval.")
    if command.digest not in ("", asked.digest):
        because = f"What is asked for is {asked.digest} now, not {command.digest}; look at it, then approve that."
        return _said(run, command, given, taken=False, because=because)
    if command.host and command.host not in _named(run, asked.about):
        because = f"The run does not ask for the turn of {command.host} but: {asked.sentence}"
        return _said(run, command, given, taken=False, because=because)
    if given.by in asked.by:
        because = f"{given.by} has approved it already; another person must too."
        return _said(run, command, given, taken=True, because=because)
    ids = {"pool": run.pool, "run": run.id}
    yes = facts.ApprovalGiven(**ids, about=asked.about, digest=asked.digest, by=given.by, order=given.order)
    everybody = (*asked.by, given.by)
    if len(everybody) < asked.needed:
        return Answer((yes,))
    return Answer((yes, facts.RunApproved(**ids, about=asked.about, digest=asked.digest, by=everybody)))


def _named(run: Run, about: str) -> tuple[str, ...]:
    """The host of a turn, by name and uuid; nothing for the plan."""
    turns = run.forecast.turns if run.forecast else ()
    return next(((turn.host.name, turn.host.uuid) for turn in turns if turn.turn == about), ())


def _reject(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.RejectRun)
    asked = run.asked
    if run.state is not RunState.AWAITING_APPROVAL or asked is None:
        return _said(run, command, given, taken=False, because="The run asks for no approval.")
    because = f"{given.by} did not approve it{f': {command.because}' if command.because else '.'}"
    no = facts.ApprovalRefused(
        pool=run.pool, run=run.id, about=asked.about, because=because, by=given.by, order=given.order
    )
    return Answer((no, *approvals.consequences(run, because, by=given.by)))


def _resume(run: Run, command: commands.Command, given: Given) -> Answer:
    if run.state not in (RunState.PAUSED, RunState.HELD):
        return _said(run, command, given, taken=False, because="The run is neither paused nor held; it goes on.")
    return Answer((_resumed(run, given),))


def _retry(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.RetryStep)
    if because := _not_failed(run, command.step):
        return _said(run, command, given, taken=False, because=because)
    retried = facts.StepRetried(pool=run.pool, run=run.id, step=command.step, by=given.by, order=given.order)
    return Answer((retried, *_if_held(run, given)))


def _skip(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.SkipStep)
    if because := _not_failed(run, command.step):
        return _said(run, command, given, taken=False, because=because)
    because = f"Skipped by {given.by}."
    skipped = facts.StepSkipped(
        pool=run.pool, run=run.id, step=command.step, because=because, by=given.by, order=given.order
    )
    return Answer((skipped, *_if_held(run, given)))


def _skip_host(run: Run, command: commands.Command, given: Given) -> Answer:
    assert isinstance(command, commands.SkipHost)
    turns = run.forecast.turns if run.forecast else ()
    found = next((turn for turn in turns if command.host in (turn.host.name, turn.host.uuid)), None)
    if found is None:
        return _said(run, command, given, taken=False, because=f"No host {command.host} has a turn in run {run.id}.")
    if because := _must_stay(run, found):
        return _said(run, command, given, taken=False, because=because)
    because = f"{found.host.name} is left out by {given.by}."
    skipped = facts.HostSkipped(
        pool=run.pool, run=run.id, host=found.host, because=because, by=given.by, order=given.order
    )
    return Answer((skipped, *cancelling.turned_back_host(run, found.host, because), *_if_held(run, given)))


def _must_stay(run: Run, turn: facts.ForecastTurn) -> str:
    """Why a host cannot be left out, or nothing."""
    if any(closed.id == turn.turn for closed in run.closed):
        return f"The turn of {turn.host.name} is over."
    going = run.turns.get(turn.turn)
    if going is not None and not cancelling.returnable(going):
        return f"{turn.host.name} is being updated, which is never interrupted; its turn goes on to its end."
    others = [other for other in (run.forecast.turns if run.forecast else ()) if other.turn != turn.turn]
    if turn.master and others:
        return (
            f"{turn.host.name} is the master, and a member newer than its master does not come back; cancel the run"
            " instead."
        )
    return ""


def _not_failed(run: Run, id: str) -> str:
    step = run.step(id)
    if step is None:
        return f"Run {run.id} has no open step {id}."
    return "" if step.failed else f"Step {id} has not failed; it is {step.state.value}."


def _if_held(run: Run, given: Given) -> tuple[facts.RunFact, ...]:
    return (_resumed(run, given),) if run.state is RunState.HELD else ()


def _resumed(run: Run, given: Given) -> facts.RunResumed:
    return facts.RunResumed(pool=run.pool, run=run.id, by=given.by, order=given.order)


def _said(run: Run, command: commands.Command, given: Given, *, taken: bool, because: str) -> Answer:
    fact = facts.OrderAnswered(
        pool=run.pool,
        run=run.id,
        order=given.order,
        by=given.by,
        verb=command.verb,
        taken=taken,
        because=because,
    )
    return Answer((fact,))


Answers = Callable[[Run, commands.Command, Given], Answer]

ANSWERS: Mapping[type[commands.Command], Answers] = MappingProxyType(
    {
        commands.CancelRun: _cancel,
        commands.PauseRun: _pause,
        commands.HoldRun: _hold,
        commands.ResumeRun: _resume,
        commands.AcknowledgeHold: _acknowledge,
        commands.ApproveRun: _approve,
        commands.RejectRun: _reject,
        commands.RetryStep: _retry,
        commands.SkipStep: _skip,
        commands.SkipHost: _skip_host,
    }
)
