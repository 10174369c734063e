"""A run written by hand: three hosts, twelve VMs, high availability, one night in November.

`Story` says facts at moments of pool time; the functions at the foot tell whole nights with it: one that goes well, one
that is held, one that was cancelled and leaves things behind, one that was refused. Nothing here reads or decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.bus import wire
from shared.bus.port import Message
from shared.domain import acts, facts
from shared.domain.model import HA, Package, Versions
from shared.domain.names import Named, run_id, step_id, turn_id
from shared.domain.policy import Policy

MIDNIGHT = 1_795_395_600.0
"""Mon 23 Nov 2026, 01:00 UTC."""

POOL = "lab"
RUN = run_id(POOL, "nightly-1")
GIB = 2**30

OLD = Versions("3.2.1", "1.20", "8.3.0-1", "4.17.4-3", "4.19.0+1", "8.3.0")
NEW = Versions("3.2.1", "1.20", "8.3.0-2", "4.17.5-15", "4.19.322+1", "8.3.0")

HOSTS = tuple(Named(f"8f3c0dd9-0000-4000-8000-00000000000{n}", f"xcp-graz-{n}") for n in (1, 2, 3))
HEARTBEAT_SR = "5ea70000-0000-4000-8000-000000000001"

PACKAGES = (
    Package(
        "xen-hypervisor", "4.17.5", "15.xcpng8.3", "The Xen hypervisor", "* Fix XSA-470\n* Fix XSA-471, CVE-2026-1234"
    ),
    Package("kernel", "4.19.322", "1.xcpng8.3", "The kernel of the control domain", "* CVE-2026-2001: net: fix a race"),
    Package("xapi-core", "26.1.3", "1.6.xcpng8.3", "The toolstack", "* Do not lose a PBD at boot"),
    Package("openssl-libs", "1.0.2k", "26.xcpng8.3", "TLS for the control domain", ""),
)

BEFORE = {"xen-hypervisor": "4.17.4-3.xcpng8.3", "kernel": "4.19.19-8.xcpng8.3"}

_NAMES = ("db-1", "db-2", "web-1", "web-2", "web-3", "mail", "git", "ci-1", "ci-2", "dns", "monitoring", "wiki")
VMS = tuple(Named(f"00000000-1111-4000-8000-0000000000{n:02d}", name) for n, name in enumerate(_NAMES))
MEMORY = tuple(size * GIB for size in (16, 16, 4, 4, 4, 8, 8, 6, 6, 2, 8, 2))
HOMES = tuple(facts.Home(vm=vm, host=HOSTS[n // 4]) for n, vm in enumerate(VMS))


@dataclass
class Story:
    """A run's facts, said at any moment and in any order; `recorded` puts them in order and numbers them."""

    pool: str = POOL
    run: str = RUN
    at: float = MIDNIGHT
    said: list[tuple[float, str, facts.Fact]] = field(default_factory=list)

    def say(self, fact: facts.Fact, at: float | None = None, by: str = "planner") -> None:
        """One fact, now or at another moment."""
        self.said.append((self.at if at is None else at, by, fact))

    def recorded(self, first: int = 1) -> list[wire.Recorded]:
        """The facts as a reader has them, numbered from `first`."""
        return [wire.Recorded(fact, at, by, first + n, at) for n, (at, by, fact) in enumerate(self._in_order())]

    def messages(self) -> list[Message]:
        """The facts as they are put on a bus."""
        order = enumerate(self._in_order())
        return [wire.fact_message(fact, source=by, at=at, id=f"{self.run}-{n}") for n, (at, by, fact) in order]

    def _in_order(self) -> Iterator[tuple[float, str, facts.Fact]]:
        return iter(sorted(self.said, key=lambda said: said[0]))

    def pass_(self, seconds: float) -> None:
        """Time goes by."""
        self.at += seconds

    # --- steps

    def order(self, step: facts.StepPlanned, attempt: int = 1, at: float | None = None) -> None:
        """A step's order."""
        self.say(facts.StepOrdered(**self._of(step), attempt=attempt, act=step.act, sentence=step.why), at)

    def done(
        self, step: facts.StepPlanned, seconds: float, result: acts.Result | None = None, *, at: float | None = None,
        attempt: int = 1,
    ) -> float:  # fmt: skip
        """A step ordered at `at` that succeeds after `seconds`; the moment it ended. Time stays where it is."""
        begun = self.at if at is None else at
        self.order(step, attempt, begun)
        self.say(
            facts.StepStarted(**self._of(step), attempt=attempt, token=(1, 1), session="s", by="executor@here:1"),
            begun + 0.1,
            "executor",
        )
        self.say(
            facts.StepSucceeded(**self._of(step), attempt=attempt, result=result or acts.Done(), seconds=seconds),
            begun + seconds,
            "executor",
        )
        return begun + seconds

    def fails(
        self, step: facts.StepPlanned, seconds: float, because: str, *, code: str = "", again: float | None = 30.0,
        attempt: int = 1,
    ) -> None:  # fmt: skip
        """A step that fails; time goes on to its failure."""
        self.order(step, attempt)
        self.pass_(seconds)
        failed = facts.StepFailed(**self._of(step), attempt=attempt, because=because, code=code, again_after=again)
        self.say(failed, by="executor")

    def then(self, step: facts.StepPlanned, seconds: float, result: acts.Result | None = None) -> None:
        """A step that succeeds; time goes on to its end."""
        self.at = self.done(step, seconds, result)

    def side_by_side(self, steps: Sequence[facts.StepPlanned], seconds: Iterable[float], at_once: int = 3) -> None:
        """Migrations, at most `at_once` at a time; time goes on to the last one's end."""
        free = [self.at] * at_once
        for step, lasts in zip(steps, seconds, strict=True):
            lane = free.index(min(free))
            free[lane] = self.done(step, lasts, acts.Moved(), at=free[lane] + 0.2)
        self.at = max(free)

    def _of(self, step: facts.StepPlanned) -> dict[str, Any]:
        return {"pool": self.pool, "run": self.run, "step": step.step}

    def _run(self) -> dict[str, Any]:
        return {"pool": self.pool, "run": self.run}

    # --- a run

    def requested(
        self, by: str = "anna@example.org", reason: str = "November patches", policy: Policy | None = None
    ) -> None:
        """Somebody orders it, and the pool is surveyed."""
        survey = planned("t00", 1, acts.Survey(), "to see what is there")
        self.say(
            facts.RunRequested(
                **self._run(), order="nightly-1", by=by, policy=policy or Policy(), reason=reason, survey=survey
            )
        )
        self.pass_(0.4)
        self.then(survey, 8.0, acts.SurveyTaken("lab/1", "d1", 3, 12))

    def planned(self, forecast: facts.Forecast | None = None) -> None:
        """The plan, and where the VMs live."""
        forecast = forecast or self.forecast()
        self.say(
            facts.RunPlanned(**self._run(), forecast=forecast, snapshot="lab/1", preparation=PREPARATION, always=ALWAYS)
        )
        self.say(facts.HomesNoted(**self._run(), homes=HOMES))

    def forecast(self) -> facts.Forecast:
        """Three hosts, the master first."""
        turns = tuple(
            facts.ForecastTurn(
                turn=turn_id(n + 1),
                host=host,
                master=n == 0,
                updates=PACKAGES,
                moves=tuple(
                    facts.ForecastMove(vm=home.vm, to=_refuge(n, k), memory=MEMORY[4 * n + k])
                    for k, home in enumerate(_living_on(n))
                ),
                seconds=720.0,
                because="4 packages are waiting; the master goes first." if n == 0 else "4 packages are waiting.",
            )
            for n, host in enumerate(HOSTS)
        )
        return facts.Forecast(
            pool_name="Lab in Graz",
            turns=turns,
            left_alone=(),
            blockers=(),
            warnings=(),
            settings=("High availability is off for the whole run.", "Automatic power-on is off for the whole run."),
            seconds=2300.0,
            digest="d41d8cd98f",
            sentence="3 hosts get 4 packages each, xcp-graz-1 (the master) first; 12 VMs move away and home again.",
        )

    def began(self) -> None:
        """The pool's settings are changed."""
        self.pass_(0.5)
        self.say(facts.RunBegan(**self._run(), sentence="The update of lab has begun with xcp-graz-1, the master."))
        for step in PREPARATION:
            self.then(step, 4.0)

    def turn_begun(self, n: int) -> tuple[facts.StepPlanned, ...]:
        """Host n's turn begins and is planned; its steps."""
        turn, host = turn_id(n + 1), HOSTS[n]
        survey = planned(turn, 1, acts.Survey(), "to plan this turn afresh")
        self.pass_(0.3)
        self.say(facts.TurnBegun(**self._run(), turn=turn, host=host, master=n == 0, survey=survey))
        self.then(survey, 6.0, acts.SurveyTaken(f"lab/{n + 2}", "d2", 3, 12))
        steps = turn_steps(n)
        self.say(facts.TurnPlanned(**self._run(), turn=turn, steps=steps, seconds=720.0))
        return steps

    def emptied(self, steps: Sequence[facts.StepPlanned]) -> None:
        """Disabled, its VMs moved away, swept."""
        self.then(steps[0], 1.0)
        self.side_by_side(steps[1:5], (52.0, 61.0, 17.0, 18.0))
        self.then(steps[5], 1.5, acts.Swept())

    def installed(self, step: facts.StepPlanned, packages: tuple[Package, ...] = PACKAGES) -> None:
        """Its packages installed."""
        self.then(step, 96.0, acts.Installed(packages, BEFORE))

    def rebooted(self, steps: Sequence[facts.StepPlanned], away: float) -> None:
        """Noted, rebooted, back, checked, enabled."""
        self.then(steps[0], 1.0, acts.HostNoted(self.at - 9e6, self.at, NEW))
        reboot, wait = steps[1], steps[2]
        told = self.at
        self.then(reboot, 1.0)
        self.say(
            facts.WaitBegan(**self._of(wait), until=told + 2700, because="A host has 45 minutes to come back."),
            told + 1.1,
        )
        self.at = told + away
        self.say(facts.WaitOver(**self._of(wait), because="It has rebooted, answers and is live."))
        repaired = ("The PBD of 'NFS backups' was plugged again at the second try.",) if wait.act == SECOND_WAIT else ()
        self.then(steps[3], 5.0, acts.Checked(repaired, NEW))
        self.then(steps[4], 2.0)

    def returned(self, steps: Sequence[facts.StepPlanned]) -> None:
        """Its VMs come home."""
        self.side_by_side(steps, (50.0, 58.0, 15.0, 16.0)[: len(steps)])

    def turn_ended(
        self, n: int, outcome: str = "done", sentence: str = "", warnings: tuple[str, ...] = ()
    ) -> None:  # fmt: skip
        """Host n's turn is over."""
        self.pass_(0.2)
        told = sentence or f"{HOSTS[n]} is updated, back, and has its VMs again."
        fact = {"turn": turn_id(n + 1), "host": HOSTS[n], "outcome": outcome, "sentence": told, "warnings": warnings}
        self.say(facts.TurnEnded.model_validate({**self._run(), **fact}))

    def whole_turn(self, n: int, away: float = 190.0) -> None:
        """A turn in which all goes well."""
        steps = self.turn_begun(n)
        self.emptied(steps)
        self.installed(steps[6])
        self.rebooted(steps[7:12], away)
        self.returned(steps[12:])
        self.turn_ended(n)

    def finished(self) -> None:
        """What was changed is put back."""
        self.pass_(0.2)
        self.say(facts.RunFinishing(**self._run(), sentence="No turn is left; what was changed is put back."))
        for step in ALWAYS:
            self.then(step, 5.0)

    def ended(self, outcome: str, sentence: str, **more: object) -> None:
        """The run is over."""
        self.pass_(0.3)
        self.say(facts.RunEnded.model_validate({**self._run(), "outcome": outcome, "sentence": sentence, **more}))


# --- its steps ------------------------------------------------------------------------------------------------------


def planned(turn: str, number: int, act: acts.Act, why: str = "", **more: object) -> facts.StepPlanned:
    """A step of a turn."""
    return facts.StepPlanned.model_validate({"step": step_id(turn, number), "act": act, "why": why, **more})


def turn_steps(n: int) -> tuple[facts.StepPlanned, ...]:
    """Disable, four moves away, sweep, install, read, reboot, await, check, enable, four moves home."""
    host, turn = HOSTS[n], turn_id(n + 1)
    ceiling = None if n == 0 else HOSTS[0]
    away = [acts.MigrateVM(home.vm, _refuge(n, k), host, "empty") for k, home in enumerate(_living_on(n))]
    home = [replace(act, to=host, away_from=act.to, purpose="home") for act in away]
    kinds: list[acts.Act] = [
        acts.DisableHost(host),
        *away,
        acts.EvacuateRest(host),
        acts.InstallUpdates(host, ceiling),
        acts.ReadHost(host, ceiling),
        acts.RebootHost(host),
        acts.AwaitHost(host),
        acts.CheckGate(host, versions=OLD),
        acts.EnableHost(host),
        *home,
    ]
    return tuple(planned(turn, number, act) for number, act in enumerate(kinds, start=2))


def _living_on(n: int) -> tuple[facts.Home, ...]:
    return HOMES[4 * n : 4 * n + 4]


def _refuge(n: int, k: int) -> Named:
    others = [host for host in HOSTS if host != HOSTS[n]]
    return others[k % 2]


_HA = HA(True, (HEARTBEAT_SR,), {"timeout": "60"}, 1)

PREPARATION = (
    planned("t00", 2, acts.ChangePoolSetting("ha", _HA), "a host that reboots must not be fenced"),
    planned("t00", 3, acts.ChangePoolSetting("auto_poweron", "true"), "halted VMs must not start on an emptied host"),
)
ALWAYS = (
    planned("t99", 1, acts.RestorePoolSetting("auto_poweron", "true"), if_it_fails="warn"),
    planned("t99", 2, acts.RestorePoolSetting("ha", _HA), if_it_fails="warn"),
)


SECOND_WAIT = acts.AwaitHost(HOSTS[1])


# --- whole nights -----------------------------------------------------------------------------------------------------


def all_well() -> Story:
    """Three hosts updated, every VM home, nothing owed; one migration took two tries."""
    story = Story()
    story.requested()
    story.planned()
    story.began()
    story.whole_turn(0, away=214.0)
    story.whole_turn(1, away=188.0)
    steps = story.turn_begun(2)
    story.then(steps[0], 1.0)
    story.fails(
        steps[1], 12.0, "xcp-graz-1 had too little memory for ci-2 at that moment.", code="HOST_NOT_ENOUGH_FREE_MEMORY"
    )
    story.pass_(30)
    story.at = story.done(steps[1], 40.0, acts.Moved(), attempt=2)
    story.side_by_side(steps[2:5], (14.0, 41.0, 13.0))
    story.then(steps[5], 1.5, acts.Swept())
    story.installed(steps[6])
    story.rebooted(steps[7:12], away=195.0)
    story.returned(steps[12:])
    story.turn_ended(2)
    story.finished()
    story.ended("succeeded", "All 3 hosts of lab are updated, and every VM is where it was.")
    return story


def announced() -> Story:
    """Ordered, surveyed, planned."""
    story = Story()
    story.requested()
    story.planned()
    return story


def held() -> Story:
    """The second host's installation fails for good, and the run waits for a person."""
    story = Story()
    story.requested()
    story.planned()
    story.began()
    story.whole_turn(0, away=214.0)
    steps = story.turn_begun(1)
    story.emptied(steps)
    for attempt in (1, 2):
        story.fails(steps[6], 20.0, NO_MIRROR, attempt=attempt, code="UPDATER_FAILED")
        story.pass_(60)
    story.fails(steps[6], 20.0, NO_MIRROR, attempt=3, again=None, code="UPDATER_FAILED")
    story.say(facts.StepGaveUp(**story._of(steps[6]), because=NO_MIRROR))
    story.say(
        facts.RunHeld(
            **story._run(),
            because=f"The run waits for a person: {NO_MIRROR}",
            step=steps[6].step,
            who_can_help="whoever keeps the package mirror",
        )
    )
    return story


def left_behind() -> Story:
    """The held run is cancelled: one host updated, two not, high availability owed, VMs that cannot go home."""
    story = held()
    steps = turn_steps(1)
    story.pass_(3900)
    story.say(
        facts.RunCancelling(
            **story._run(), by="bert@example.org", now=True, sentences=("xcp-graz-2 goes back: it is enabled again.",)
        )
    )
    back = (
        planned("t02", 40, steps[11].act),
        *(planned("t02", 41 + n, step.act) for n, step in enumerate(steps[12:15])),
    )
    story.say(
        facts.TurnTurnedBack(
            **story._run(), turn="t02", steps=back, because="xcp-graz-2 was emptied and nothing is installed on it yet."
        )
    )
    story.then(back[0], 2.0)
    stuck, gone, home = back[1:]
    story.order(stuck)
    story.pass_(1)
    story.say(facts.StepSkipped(**story._of(stuck), because=OLDER))
    story.then(gone, 1.0, acts.Moved(gone=True))
    story.then(home, 15.0, acts.Moved())
    story.turn_ended(
        1, "turned_back", "xcp-graz-2 is not updated: nothing could be installed, and the run was cancelled."
    )
    story.pass_(0.2)
    story.say(facts.RunFinishing(**story._run(), sentence="No turn is left; what was changed is put back."))
    story.then(ALWAYS[0], 5.0)
    debt = facts.Debt(setting="ha", condition="all hosts run the same version", command=ENABLE_HA)
    story.order(ALWAYS[1])
    story.pass_(2)
    story.say(
        facts.StepFailed(
            **story._of(ALWAYS[1]), attempt=1, because=VERSIONS_DIFFER, code="POOL_NOT_HOMOGENEOUS", debt=debt
        ),
        by="executor",
    )
    story.say(
        facts.SettingOwed(
            **story._of(ALWAYS[1]), setting="ha", because=VERSIONS_DIFFER, condition=debt.condition, command=ENABLE_HA,
            act=ALWAYS[1].act,
        )
    )  # fmt: skip
    story.ended(
        "cancelled",
        "bert@example.org cancelled the run: 1 of 3 hosts is updated.",
        warnings=("The backup network of xcp-graz-3 has no link.",),
    )
    return story


def refused() -> Story:
    """A VM with a local disk stands in the way, and nothing was changed."""
    story = Story()
    story.requested()
    blocker = facts.Blocker(
        sentence="db-1 cannot leave xcp-graz-1: its disk is on 'Local storage' of that host;"
        " move the disk to shared storage or shut db-1 down.",
        code="VM_REQUIRES_SR",
        host=HOSTS[0],
        vm=VMS[0],
    )
    story.ended("refused", "lab cannot be updated now: 1 VM cannot leave its host.", blockers=(blocker,))
    return story


def second_order() -> Story:
    """An order for a pool that has a run already."""
    story = Story(run=run_id(POOL, "nightly-2"))
    because = f"The pool lab has the run {RUN} already; wait for it or cancel it."
    story.say(facts.RunRefused(**story._run(), order="nightly-2", by="carl@example.org", because=because))
    return story


NO_MIRROR = "xcp-graz-2 could not install its updates: the package mirror does not answer (updates.example.org)."
OLDER = "web-3 must stay on xcp-graz-1: it may not move from a newer host to an older one, and xcp-graz-2 is older."
VERSIONS_DIFFER = "the hosts run different versions, and XAPI refuses high availability until they are the same."
ENABLE_HA = f"xe pool-ha-enable heartbeat-sr-uuids={HEARTBEAT_SR} ha-config:timeout=60"
