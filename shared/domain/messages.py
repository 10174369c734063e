"""The registry of everything that is said on the bus: class, subject, who writes it, who reads it.

`docs/messages.md` is printed from these tables; nothing else in the project lists messages.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from types import MappingProxyType

from shared.domain import commands, facts


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact of the registry."""

    message: type[facts.Fact]
    writer: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command of the registry."""

    message: type[commands.Command]
    writers: tuple[str, ...]
    reader: str


def fact_type(fact: type[facts.Fact]) -> str:
    """The CloudEvents type of a fact: `rota.<family>.<fact>`, for example `rota.run.turn_begun`."""
    return f"rota.{fact.family}.{fact.subject.rpartition('.')[2]}"


def fact_name(fact: facts.Fact) -> str:
    """A fact's own name, for example `turn_begun`."""
    return fact.subject.rpartition(".")[2]


def fact_class(type_: str) -> type[facts.Fact] | None:
    """The class that a CloudEvents type names, or None."""
    return BY_TYPE.get(type_)


def fact_subject(fact: facts.Fact) -> str:
    """The subject a fact is stored under, its places filled from its own fields."""
    return fact.subject.format(**{place: getattr(fact, place) for place in _places(fact.subject)})


def command_class(reader: str, verb: str) -> type[commands.Command] | None:
    """The command of a service with this verb, or None."""
    return next((row.message for row in COMMANDS if (row.reader, row.message.verb) == (reader, verb)), None)


def step_subject(command: commands.DoStep) -> str:
    """The subject an executor's order is sent on."""
    return command.subject.format(
        kind=command.act.kind, pool=command.pool, run=command.run, step=command.step, attempt=command.attempt
    )


def _places(template: str) -> tuple[str, ...]:
    return tuple(place for _, place, _, _ in string.Formatter().parse(template) if place)


_ALL = ("reporter", "clients")
_FOLD = ("planner", "reporter", "clients")

COMMANDS: tuple[CommandRow, ...] = (
    CommandRow(commands.StartRun, ("clients", "scheduler"), "planner"),
    CommandRow(commands.PlanPool, ("clients", "scheduler"), "planner"),
    CommandRow(commands.CancelRun, ("clients",), "planner"),
    CommandRow(commands.PauseRun, ("clients",), "planner"),
    CommandRow(commands.HoldRun, ("clients",), "planner"),
    CommandRow(commands.ResumeRun, ("clients",), "planner"),
    CommandRow(commands.AcknowledgeHold, ("clients",), "planner"),
    CommandRow(commands.ApproveRun, ("clients",), "planner"),
    CommandRow(commands.RejectRun, ("clients",), "planner"),
    CommandRow(commands.RetryStep, ("clients",), "planner"),
    CommandRow(commands.SkipStep, ("clients",), "planner"),
    CommandRow(commands.SkipHost, ("clients",), "planner"),
    CommandRow(commands.UndoPool, ("clients",), "planner"),
    CommandRow(commands.SetSchedule, ("clients",), "scheduler"),
    CommandRow(commands.DeleteSchedule, ("clients",), "scheduler"),
    CommandRow(commands.DoStep, ("planner",), "executor"),
)

FACTS: tuple[FactRow, ...] = (
    FactRow(facts.RunRequested, "planner", _FOLD),
    FactRow(facts.RunRefused, "planner", _ALL),
    FactRow(facts.RunPlanned, "planner", _FOLD),
    FactRow(facts.HomesNoted, "planner", _FOLD),
    FactRow(facts.RunBegan, "planner", _FOLD),
    FactRow(facts.TurnBegun, "planner", _FOLD),
    FactRow(facts.TurnPlanned, "planner", _FOLD),
    FactRow(facts.TurnTurnedBack, "planner", _FOLD),
    FactRow(facts.TurnEnded, "planner", _FOLD),
    FactRow(facts.StepsAdded, "planner", _FOLD),
    FactRow(facts.StepsReopened, "planner", _FOLD),
    FactRow(facts.StepOrdered, "planner", ("planner", "executor", "reporter", "clients")),
    FactRow(facts.StepTimedOut, "planner", _FOLD),
    FactRow(facts.StepGaveUp, "planner", _FOLD),
    FactRow(facts.StepSkipped, "planner", _FOLD),
    FactRow(facts.StepRetried, "planner", _FOLD),
    FactRow(facts.WaitBegan, "planner", _FOLD),
    FactRow(facts.WaitOver, "planner", _FOLD),
    FactRow(facts.HostSkipped, "planner", _FOLD),
    FactRow(facts.MasterNoted, "planner", _FOLD),
    FactRow(facts.HostLost, "planner", _FOLD),
    FactRow(facts.RunHeld, "planner", _FOLD),
    FactRow(facts.HoldAcknowledged, "planner", _FOLD),
    FactRow(facts.RunWaiting, "planner", _FOLD),
    FactRow(facts.RunWentOn, "planner", _FOLD),
    FactRow(facts.ApprovalAsked, "planner", _FOLD),
    FactRow(facts.ApprovalGiven, "planner", _FOLD),
    FactRow(facts.RunApproved, "planner", _FOLD),
    FactRow(facts.ApprovalRefused, "planner", _FOLD),
    FactRow(facts.RunPaused, "planner", _FOLD),
    FactRow(facts.RunResumed, "planner", _FOLD),
    FactRow(facts.RunCancelling, "planner", _FOLD),
    FactRow(facts.SettingOwed, "planner", _FOLD),
    FactRow(facts.SettingPaid, "planner", _FOLD),
    FactRow(facts.RunFinishing, "planner", _FOLD),
    FactRow(facts.OrderAnswered, "planner", _ALL),
    FactRow(facts.RunEnded, "planner", _FOLD),
    FactRow(facts.ForecastRequested, "planner", ("planner",)),
    FactRow(facts.ForecastStepOrdered, "planner", ("planner", "executor")),
    FactRow(facts.ForecastMade, "planner", _FOLD),
    FactRow(facts.ForecastFailed, "planner", _FOLD),
    FactRow(facts.StepStarted, "executor", ("planner", "executor", "clients")),
    FactRow(facts.StepProgressed, "executor", ("planner", "clients")),
    FactRow(facts.StepSucceeded, "executor", _FOLD),
    FactRow(facts.StepFailed, "executor", _FOLD),
    FactRow(facts.HostAnswering, "watcher", ("planner", "clients")),
    FactRow(facts.HostUnreachable, "watcher", ("planner", "clients")),
    FactRow(facts.HostDown, "watcher", ("planner", "clients")),
    FactRow(facts.HostCameBack, "watcher", ("planner", "clients")),
    FactRow(facts.MasterUnreachable, "watcher", ("planner", "clients")),
    FactRow(facts.MasterChanged, "watcher", ("planner", "clients")),
    FactRow(facts.ReportSent, "reporter", ("reporter", "clients")),
    FactRow(facts.ReportFailed, "reporter", ("reporter", "clients")),
    FactRow(facts.ScheduleSet, "scheduler", ("scheduler", "clients")),
    FactRow(facts.ScheduleDeleted, "scheduler", ("scheduler", "clients")),
    FactRow(facts.TickMissed, "scheduler", _ALL),
    FactRow(facts.OrderRefused, "planner, scheduler", _ALL),
    FactRow(facts.MessageRejected, "every service", _ALL),
)

BY_TYPE = MappingProxyType({fact_type(row.message): row.message for row in FACTS})
