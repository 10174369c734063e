"""Storage on the hosts themselves: seen to be whole before the next host goes, LINSTOR of one version everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from services.planner import forecasting, limits, orders, replication
from shared.domain import acts, commands, facts
from shared.domain.model import SR, Package, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import UPDATES, Play, failed, host, pool

SATELLITE = Package("linstor-satellite", "1.31.0", "1")
CONTROLLER = Package("linstor-controller", "1.31.0", "1")


class WithLinstor(Play):
    """A play whose hosts get single packages."""

    def _package(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, acts.InstallPackage)
        left = tuple(one for one in self._host(act.host).updates or () if one.name != act.package.name)
        self._change(act.host, updates=left)
        return acts.Installed((act.package,))

    _DOES: ClassVar[Any] = {**Play._DOES, "install_package": _package}


def world(type_: str = "linstor", offered: tuple[Package, ...] = (CONTROLLER, SATELLITE), **sr: str) -> PoolSnapshot:
    """Three hosts that hold the storage together, all with these packages and others waiting."""
    hosts = [host(name, attached=("sr-nfs", "sr-x"), updates=(*UPDATES, *offered)) for name in NAMES]
    found = pool(hosts)
    return replace(found, srs=(*found.srs, SR("sr-x", "Replicas", type_, True, **sr)))  # type: ignore[arg-type]


NAMES = ("athos", "porthos", "aramis")


def stopped(snapshot: PoolSnapshot, **policy: Any) -> list[str]:
    """The sentences of a forecast's blockers."""
    return [stop.sentence for stop in forecasting.forecast(snapshot, Policy.model_validate(policy)).blockers]


def what(act: acts.Act) -> str:
    """An act that touches LINSTOR, in a word."""
    if isinstance(act, acts.InstallPackage):
        return f"{act.package.name} {act.host.name}"
    if isinstance(act, acts.SwitchService):
        return f"{act.action} {act.service} {act.host.name}"
    return act.kind


def test_linstors_packages_are_on_all_hosts_before_the_first_is_touched() -> None:
    """In their order, each on all hosts, the master first; then the services; the other packages in each turn."""
    play = WithLinstor(world()).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    done = [what(act) for act in play.done]
    assert done[done.index("check_replication") : done.index("disable_host")] == [
        "check_replication",
        *(f"linstor-satellite {name}" for name in NAMES),
        *(f"linstor-controller {name}" for name in NAMES),
        *(f"stop linstor-controller {name}" for name in NAMES),
        *(f"restart linstor-satellite {name}" for name in NAMES),
        "survey",
        "check_replication",
    ]
    ceilings = {act.host.name: act.ceiling for act in play.done if isinstance(act, acts.InstallPackage)}
    assert {name: one.name if one else None for name, one in ceilings.items()} == {
        "athos": None,
        "porthos": "athos",
        "aramis": "athos",
    }


@pytest.mark.parametrize("type_", ["linstor", "gfs2"])
def test_it_must_be_whole_before_each_host_is_disabled_and_before_it_is_rebooted(type_: str) -> None:
    """One host away, none ahead, whatever was asked for."""
    play = WithLinstor(world(type_, ()), Policy(max_away=2)).start().play()
    assert play.run.outcome == "succeeded_with_warnings", play.run.sentence
    assert "'Replicas' is replicated between the hosts, so at most 1 of the 2 hosts" in play.run.warnings[0]
    kinds = [act.kind for act in play.done if act.kind in ("check_replication", "disable_host", "reboot_host")]
    assert kinds == ["check_replication", "disable_host", "check_replication", "reboot_host"] * 3
    looks = [act for act in play.done if isinstance(act, acts.CheckReplication)]
    assert all(act.since > 0 and act.minutes == 120 for act in looks)


def test_storage_that_is_not_whole_by_its_deadline_holds_the_run_with_its_sentence() -> None:
    """The host is not disabled; when somebody has looked after it, the run goes on."""
    broken = [True]

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        looks = isinstance(command.act, acts.CheckReplication) and "reboot_host" in play.kinds()
        return failed(command, "'Replicas' is not whole after 2 h.") if broken[0] and looks else None

    play = WithLinstor(world(offered=()), trouble=trouble).start().play()
    assert play.run.hold
    assert "not whole after 2 h" in play.run.hold.because
    assert play.kinds().count("reboot_host") == 1
    assert all(one.enabled for one in play.world.hosts)
    broken[0] = False
    step = play.run.hold.step
    assert step
    play.order(commands.RetryStep(pool="lab", run=play.run.id, step=step), orders.Given("again", "ann"))
    assert play.play().run.outcome == "succeeded"


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_between_the_packages_leaves_no_two_versions(now: bool) -> None:
    """After each fact and each act: either no host has them, or all have."""
    going, between = WithLinstor(world()).start(), 0
    while going.step() and "disable_host" not in going.kinds():
        play = replace(
            going,
            journal=[*going.journal],
            done=[*going.done],
            sentences=[*going.sentences],
            snapshots={**going.snapshots},
            away={**going.away},
        )
        if not play.run.began_at:
            continue
        unfinished = replication.unfinished(play.run)
        between += unfinished
        answer = play.order(commands.CancelRun(pool="lab", run=play.run.id, now=now), orders.Given("cancel", "bob"))
        told = " ".join(fact.model_dump_json() for fact in answer.facts)
        assert ("LINSTOR's packages are brought to all hosts first" in told) is unfinished
        play.play()
        assert play.run.outcome in ("cancelled", "succeeded"), play.sentences[-3:]
        left = {tuple(one for one in host.updates or () if one in (CONTROLLER, SATELLITE)) for host in play.world.hosts}
        assert len(left) == 1, play.kinds()
        services = [act for act in play.done if isinstance(act, acts.SwitchService)]
        assert len(services) == (6 if left == {()} else 0)
    assert between > 10


def test_a_package_that_cannot_be_installed_holds_the_run_even_when_it_is_cancelled() -> None:
    """A person must see to it that the hosts are alike."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        bad = isinstance(act, acts.InstallPackage) and act.host.name == "aramis"
        return failed(command, "No mirror answers.") if bad else None

    play = WithLinstor(world(), trouble=trouble).start().play()
    assert play.run.hold
    play.cancel(now=True)
    play.play()
    assert play.run.open
    assert "No mirror answers" in play.run.hold.because


def test_linstors_packages_that_are_published_meanwhile_hold_the_run_before_the_next_host() -> None:
    """They are for all hosts, and not for one."""
    play = WithLinstor(world(offered=())).start()
    while "reboot_host" not in play.kinds():
        assert play.step()
    installs = [act for act in play.done if isinstance(act, acts.InstallUpdates)]
    assert installs[0].apart == replication.ALIKE
    hosts = (replace(one, updates=(*(one.updates or ()), SATELLITE)) for one in play.world.hosts)
    play.world = replace(play.world, hosts=tuple(hosts))
    play.play()
    assert play.run.hold
    assert "aramis is offered linstor-satellite by now, which must be on all hosts" in play.run.hold.because
    assert all(one.enabled for one in play.world.hosts)


def test_the_plan_says_what_is_done_and_what_is_not_whole_now() -> None:
    """And for how long it is waited for."""
    shown = forecasting.forecast(world(degraded="porthos is OFFLINE"), Policy())
    assert shown.blockers == ()
    said = " ".join(shown.notes)
    assert "which is waited for, for 120 minutes each time" in said
    assert "linstor-satellite, linstor-controller is installed on 3 hosts, the master first" in said
    assert "'Replicas' is not whole now (porthos is OFFLINE)" in " ".join(shown.warnings)
    assert shown.seconds > forecasting.forecast(world(offered=()), Policy()).seconds


def test_what_cannot_be_seen_or_would_differ_stops_the_plan() -> None:
    """With the reason and what to do."""
    (unseen,) = stopped(world(unseen="the host has no plugin linstor-manager."))
    assert "it cannot be told whether it is whole: the host has no plugin linstor-manager. See that" in unseen
    unlike = world()
    first, *others = unlike.hosts
    older = replace(first, updates=(*UPDATES, Package("linstor-satellite", "1.30.0", "1")))
    (stop,) = stopped(replace(unlike, hosts=(older, *others)))
    assert "linstor-satellite is offered as 1.30.0-1 to athos, 1.31.0-1 to porthos, 1.31.0-1 to aramis" in stop
    assert stopped(replace(unlike, hosts=(older, *others)), updates=False) == []


def test_storage_that_its_owner_calls_replicated_needs_a_gate_that_says_so() -> None:
    """Rota has nobody to ask; the limits hold all the same."""
    mirrored = replace(world("nfs", ()), replicated=("sr-x",))
    (stop,) = stopped(mirrored)
    assert "'Replicas' is replicated between the hosts, as rota.toml says (replicated)" in stop
    assert stopped(mirrored, gates_before_turn=["mirror"]) == []
    assert limits.resolved(Policy(max_away=2), mirrored).max_away == 1


def test_no_other_pool_hears_of_it() -> None:
    """The same packages elsewhere are packages."""
    plain = replace(world(), srs=pool().srs)
    assert "LINSTOR" not in " ".join(forecasting.forecast(plain, Policy()).notes)
    assert "check_replication" not in WithLinstor(plain).start().play().kinds()
