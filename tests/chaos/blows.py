"""What can befall a service, and when: at the n-th time that it does a certain thing, before it is done or after.

Values only. Who strikes is `frail`'s, what is expected afterwards `in_process`'s.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.chaos.scenes import SMALL

Kind = Literal["kill", "stall", "cut", "server"]
Cancel = Literal["", "after this turn", "now"]
FORMS: tuple[Cancel, ...] = ("after this turn", "now")
When = Literal["before", "after"]


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """The n-th time that a service does something, over all its replicas: on the bus or at the pool, with what."""

    service: str
    doing: str
    about: str
    nth: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.service}'s {self.doing} {self.about} #{self.nth}"


@dataclass(frozen=True, slots=True, order=True)
class Blow:
    """What happens at a call. `kill`: the replica is gone, another comes 1 to 3 s later. `stall`: it stands still for
    `seconds`, heartbeats and all, as after SIGSTOP. `cut`: it cannot reach the bus for so long. `server`: the bus dies
    and is back, with its files, after so long."""

    kind: Kind
    call: Call
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:g} s" if self.seconds else ""
        return f"{self.kind}{lasting} {self.call}"


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One run: how many replicas of each service, which blows fall, and which trouble the pool itself has (a name of
    `TROUBLES`). `scheduled`: an order sets a schedule, whose tick starts the run. `scene` is the pool, a name of
    `SCENES`; `cancel_at`: after how many facts of steps the run is cancelled. `usual` is how many simulated seconds
    such a run takes without blows."""

    replicas: int
    blows: tuple[Blow, ...] = ()
    trouble: str = ""
    scheduled: bool = False
    scene: str = SMALL
    cancel: Cancel = ""
    cancel_at: int = 0
    usual: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        more = [self.scene] * (self.scene != SMALL) + ["scheduled"] * self.scheduled
        trouble = [self.trouble] if self.trouble else []
        cancel = [f"cancelled {self.cancel} at fact {self.cancel_at} of a step"] if self.cancel else []
        return ", ".join([f"{self.replicas} of each", *more, *map(str, self.blows), *trouble, *cancel])

    @property
    def kind(self) -> str:
        """What its row in the table is called."""
        scene = f"{self.scene}: " * (self.scene != SMALL)
        if self.cancel:
            return f"{scene}cancel {self.cancel}"
        if len(self.blows) == 1 and not self.trouble:
            return f"{scene}{self.blows[0].kind} {self.blows[0].call.service}"
        scheduled, trouble = ", started by a schedule" * self.scheduled, ", trouble in the pool" * bool(self.trouble)
        return f"{scene}storms{scheduled}{trouble}"


SHORT, WITHIN_A_REBOOT, LONGER_THAN_ACK_WAIT, LONG = 1.5, 4.0, 13.0, 1200.0
"""Seconds that a pause, a cut or a bus's death lasts. A step whose executor is silent is given away after 2; a host
that is to be rebooted goes down after 10; a whole run is over within the longest."""

CHANGES = frozenset({"append", "append_guarded", "send_order", "put", "put_object", "ack"})
CHANGES_THE_POOL = ("Async.", "session.log", "pool.add_to", "pool.remove_from", "host.", "task.cancel")
"""What changes something on the bus, and at the pool. Of two looks between two changes it makes no difference at which
a service dies: what outlives it is the same. So a blow is tried before and after each change, and at one look
between."""


def changes(doing: str) -> bool:
    """Whether a call changes anything that outlives who makes it."""
    return doing in CHANGES or (doing.startswith(CHANGES_THE_POOL) and ".get" not in doing)


def kills_at_a_change(case: Case) -> bool:
    """Whether a case is one kill, immediately before or after something is changed that outlives the killed."""
    return len(case.blows) == 1 and case.blows[0].kind == "kill" and changes(case.blows[0].call.doing)


ACTS = frozenset({"append", "append_guarded", "send_order"})


def _acts(call: Call) -> bool:
    """Whether a call is what was looked for before: an act at the pool, a fact, an order."""
    return call.doing in ACTS or call.doing.startswith("Async.") or "other_config" in call.doing


HEARTBEATS = frozenset({"working", "say"})
"""Done every moment while a step is in hand, and of no consequence: nothing is struck there."""


def singles(calls: Sequence[Call], replicas: int, usual: float, *, scheduled: bool = False) -> list[Case]:
    """One blow each: every service is killed at every call; executors, planners and schedulers stand still before and
    after each act, longer than the bus waits, two of them also for twenty minutes; one of each is cut off there, and
    the bus dies when something is told to it."""
    acts = [call for call in calls if call.service in ("executor", "planner", "scheduler") and _acts(call)]
    alone = replicas == 1
    pauses = (LONGER_THAN_ACK_WAIT,) if alone else (LONGER_THAN_ACK_WAIT, LONG)
    blows = [Blow("kill", call) for call in calls]
    blows += [Blow("stall", call, seconds) for call in acts for seconds in pauses]
    blows += [Blow("stall", call, WITHIN_A_REBOOT) for call in acts if not alone and "reboot" in str(call)]
    blows += [Blow("cut", call, LONGER_THAN_ACK_WAIT) for call in acts if alone]
    blows += [Blow("server", call, SHORT) for call in acts if alone and "." not in call.doing]
    return [Case(replicas, (blow,), scheduled=scheduled, usual=usual) for blow in blows]


def storm(
    seed: int, recorded: Mapping[int, tuple[Sequence[Call], float]], *, scheduled: bool = False, scene: str = SMALL
) -> Case:
    """Several blows in one run, on the smallest pool half of the time with troubles of the pool's own."""
    chance = random.Random(f"storm {seed}{scene * (scene != SMALL)}")
    replicas = chance.choice([1, 2])
    calls, usual = recorded[replicas]
    struck = chance.sample([call for call in calls if call.service != "reporter"], chance.randint(3, 9))
    kinds: list[Kind] = ["kill", "kill", "kill", "stall", "cut", "server"]
    blows = [Blow(kind, call, SECONDS[kind]) for call in struck for kind in [chance.choice(kinds)]]
    trouble = chance.choice(sorted(TROUBLES)) if chance.random() < 0.5 and scene == SMALL else ""
    return Case(replicas, tuple(blows), trouble, scheduled, scene, usual=usual)


def sample(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """So many of them, the same for the same seed, in an order that makes every beginning of it a fair sample too."""
    return random.Random(seed).sample(sorted(cases), min(count, len(cases)))


SECONDS: Mapping[Kind, float] = {"kill": 0.0, "stall": LONGER_THAN_ACK_WAIT, "cut": 30.0, "server": SHORT}

TROUBLES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "replies to reboots are lost": ({"kind": "reply_lost", "method": "host.reboot", "times": 2},),
    "replies to moves are lost": ({"kind": "reply_lost", "method": "VM.pool_migrate", "times": 3},),
    "replies of updaters are lost": ({"kind": "reply_lost", "method": "host.call_plugin", "times": 2},),
    "replies to disable and enable are lost": (
        {"kind": "reply_lost", "method": "host.disable", "times": 2},
        {"kind": "reply_lost", "method": "host.enable", "times": 2},
    ),
    "installs restart toolstacks": tuple(
        {"kind": "install_restarts_toolstack", "host": host, "at_second": 20} for host in ("north", "south")
    ),
    "a toolstack restarts": ({"kind": "toolstack_restart", "host": "master", "at": 30},),
    "a move fails": ({"kind": "migration_fails", "times": 1},),
    "an SR is slow to come back": ({"kind": "pbd_plug_fails", "times": 2},),
    "the updater is busy": ({"kind": "plugin_busy", "times": 3},),
}
"""What may be wrong with the pool itself, in the simulator's words; a run ends well all the same."""
