"""How long each kind of step may take and how often it is tried, and the sentences that say so. Pure.

The minutes and their reasons are the policy's. An installation, a migration and a host's shutdown count from their last
sign of progress, so none of them has an upper end while it gets on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.domain import acts
from shared.domain.book import Book
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.run import Run, Step, StepState


@dataclass(frozen=True, slots=True)
class Wait:
    """How many seconds of pool time a host is waited for, and the sentence that says so."""

    seconds: float
    because: str


def for_return(host: Named, book: Book, policy: Policy) -> Wait:
    """A host may be away as long as policy says, or some times its last boot where that is more (conduct 23)."""
    least = policy.host_back_minutes * 60
    boot = book.boots.get(host.uuid, 0.0)
    seconds = max(least, boot * policy.host_back_boots)
    because = f"Waiting for {host.name} to come back, for {duration(seconds)} at most"
    if seconds > least:
        because += f" (its last boot took {duration(boot)})"
    return Wait(seconds, f"{because}.")


def boot_seconds(book: Book, run: Run, step: Step) -> float:
    """How long the boot took that a wait was for, from the reboot's order; 0 where it is no measure: the wait was over
    its deadline, or begun anew, so somebody had to help."""
    if not isinstance(step.act, acts.AwaitHost) or step.state is StepState.TIMED_OUT or step.attempt > 1:
        return 0.0
    seen = book.hosts.get(step.act.host.uuid)
    turn = next((turn for turn in run.turns.values() if step.id in turn.steps), None)
    ordered = [reboot.ordered_at for reboot in turn.of_kind("reboot_host")] if turn else []
    return max(0.0, seen.back_at - max(ordered)) if seen and ordered else 0.0


def deadline(step: Step, policy: Policy) -> float:
    """When an ordered step times out, pool time. Long steps count from the last sign of progress."""
    if step.until:
        return step.until
    minutes = MINUTES.get(step.act.kind, _any)(policy)
    return max(step.ordered_at, step.heard_at) + minutes * 60


def late(step: Step, policy: Policy, now: float) -> str:
    """The sentence that says a step is past its deadline, or nothing."""
    if now <= deadline(step, policy):
        return ""
    waited = duration(now - step.ordered_at)
    if isinstance(step.act, acts.AwaitHost):
        return f"{step.act.host.name} has not come back {waited} after its reboot; look at its console, then retry."
    return f"{subject(step)} did not end within {waited}; look at the pool, then retry or cancel."


def spent(step: Step, policy: Policy) -> bool:
    """Whether a step has failed as often as policy allows."""
    return step.attempt - step.tries_from >= policy.attempts and bool(step.because)


def worn_out(step: Step) -> str:
    """The sentence of a step that gives up after its attempts."""
    return f"{step.because} (tried {step.attempt - step.tries_from} times)"


def subject(step: Step) -> str:
    """What a step is about, with names."""
    return step.why.rstrip(".") or f"Step {step.id}"


def duration(seconds: float) -> str:
    """A span of time as people say it."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _any(policy: Policy) -> float:
    return policy.step_minutes


def _reboot(policy: Policy) -> float:
    """The executor says itself that a host does not go down; this is for when no executor is there to say so."""
    return policy.shutdown_minutes + policy.step_minutes


MINUTES: Mapping[str, Callable[[Policy], float]] = MappingProxyType(
    {
        "install_updates": lambda policy: policy.install_minutes,
        "install_package": lambda policy: policy.install_minutes,
        "check_replication": lambda policy: policy.resync_minutes + policy.step_minutes,
        "migrate_vm": lambda policy: policy.migration_minutes,
        "shutdown_vm": lambda policy: policy.guest_shutdown_minutes + policy.step_minutes,
        "suspend_vm": lambda policy: policy.migration_minutes,
        "resume_vm": lambda policy: policy.migration_minutes,
        "reboot_host": _reboot,
        "check_unused": lambda policy: policy.backup_minutes + policy.step_minutes,
        "plug_pbd": lambda policy: policy.export_minutes + policy.step_minutes,
    }
)
"""Minutes without an end or a sign of progress after which a step times out; every other kind has `step_minutes`."""
