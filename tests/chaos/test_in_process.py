"""A seeded part of the chaos in one process; all of it is `make chaos`. Each test is a whole run, its clock turned."""

from __future__ import annotations

import random

import pytest

from cli.judge import Promise
from shared.domain import acts, facts
from shared.domain.names import Named
from tests.chaos import harm, in_process, standing
from tests.chaos.blows import (
    FORMS,
    LONG,
    LONGER_THAN_ACK_WAIT,
    WITHIN_A_REBOOT,
    Blow,
    Call,
    Case,
    sample,
    singles,
    storm,
)
from tests.chaos.scenes import SCENES

SEED = 1
SINGLES, STORMS, SCHEDULED = 14, 6, 3


@pytest.fixture(scope="module")
def recorded() -> in_process.Recorded:
    """Every call of a run that nothing befalls, with one and with two of each service."""
    return in_process.recorded()


@pytest.fixture(scope="module")
def recorded_by_schedule() -> in_process.Recorded:
    """The same of a run that a schedule starts."""
    return in_process.recorded(scheduled=True)


def test_there_is_a_case_for_every_call_of_every_service(recorded: in_process.Recorded) -> None:
    """Before it and after it, at the bus and at the pool, with one and with two of each."""
    for calls, _ in recorded.values():
        assert {call.service for call in calls} == {"planner", "executor", "watcher", "reporter"}
        assert {call.when for call in calls} == {"before", "after"}
        assert {call.doing for call in calls} >= {"append_guarded", "send_order", "Async.host.reboot", "event.from"}
        assert len(singles(calls, 1, 0.0)) > len(calls) > 700


@pytest.mark.parametrize("number", range(SINGLES))
def test_one_blow_at_any_call_changes_nothing(recorded: in_process.Recorded, number: int) -> None:
    """Killed, stopped, cut off, or the bus dead: the run ends as it would have, once, and nothing is done twice."""
    every = [case for replicas, (calls, usual) in recorded.items() for case in singles(calls, replicas, usual)]
    case = sample(every, SINGLES, SEED)[number]

    verdict = in_process.tell_case(case)

    assert verdict.wrong == (), case
    assert verdict.struck == 1, case


@pytest.mark.parametrize("number", range(SCHEDULED))
def test_a_scheduler_that_is_struck_starts_one_run_all_the_same(
    recorded_by_schedule: in_process.Recorded, number: int
) -> None:
    """Between an order that sets a schedule, the fact that it is set, its tick, the order to start and the mark."""
    cases = [
        case
        for replicas, (calls, usual) in recorded_by_schedule.items()
        for case in singles([call for call in calls if call.service == "scheduler"], replicas, usual, scheduled=True)
    ]
    case = sample(cases, SCHEDULED, SEED)[number]

    verdict = in_process.tell_case(case)

    assert verdict.wrong == (), case
    assert verdict.struck == 1, case


@pytest.mark.parametrize("number", range(STORMS))
def test_a_storm_of_blows_changes_nothing(recorded: in_process.Recorded, number: int) -> None:
    """Several blows in one run, on a pool that has troubles of its own."""
    case = storm(SEED * 10_000 + number, recorded)

    verdict = in_process.tell_case(case)

    assert verdict.wrong == (), case
    assert verdict.struck > 0, case


@pytest.mark.parametrize("scene", SCENES)
def test_a_cancel_at_any_fact_of_a_step_does_no_harm_on_any_pool(scene: str) -> None:
    """Nobody is left down, away, or on a host that is disabled; what was stopped runs again. (Two facts here.)"""
    chance = random.Random(f"{SEED} {scene}")

    for form in FORMS:
        case = Case(1, scene=scene, cancel=form, cancel_at=chance.randint(3, 50))
        assert in_process.tell_case(case).wrong == (), case


def test_a_disc_whose_vm_must_stay_on_a_newer_host_is_left_noted_and_owed() -> None:
    """The VM went to a host that is updated already, and cannot go home to one that is not, nor can its disc."""
    case = Case(1, scene="a disc in a drive", cancel="now", cancel_at=41)

    assert in_process.tell_case(case).wrong == ()


def test_what_is_not_put_back_is_seen_unless_a_cancelled_run_owes_it() -> None:
    """A note that nobody owes, a disc of a run that was not cancelled, a host that is still detached."""
    drive, pbd = "Disc in drive 1", "PBD of ISOs on beta"
    before = {drive: "setup.iso", pbd: True}
    after = {drive: standing.AWAY, pbd: True}
    owed = facts.SettingOwed(
        pool="lab",
        run="r1",
        step="t01-s001",
        setting="the disc",
        because="fresh is on alpha",
        condition="fresh is on beta",
        command="xe vm-cd-insert",
        act=acts.InsertMedia(Named("vm", "fresh"), Named("iso", "setup.iso"), "vbd", Named("host", "beta")),
    )

    paid = facts.SettingPaid(pool="lab", run="r1", step="t01-s001", setting="the disc")
    note = {"kind": "pool", "t": 9.0, "setting": "other_config.rota:disc:vbd", "before": None, "value": "{}"}

    assert standing.not_put_back(before, before, cancelled=False) == []
    assert standing.not_put_back(before, after, cancelled=True) == []
    assert standing.not_put_back(before, after, cancelled=False) != []
    assert standing.not_put_back(before, {**after, pbd: False}, cancelled=True) != []
    assert not _notes([note], [owed], cancelled=True)
    assert _notes([note], [owed], cancelled=False)
    assert _notes([note], [], cancelled=True)
    assert _notes([note], [owed, paid], cancelled=True)


def _notes(journal: list[dict[str, object]], said: list[facts.Fact], *, cancelled: bool) -> list[str]:
    """What the judge says of notes."""
    found = harm.found(journal, Promise(), said, cancelled=cancelled)
    return [one for one in found if "rota:disc" in one]


@pytest.mark.parametrize(
    ("method", "nth", "seconds"),
    [
        ("host.disable", 2, LONG),
        ("VM.pool_migrate", 5, LONG),
        ("host.call_plugin", 2, LONGER_THAN_ACK_WAIT),
        ("host.reboot", 2, WITHIN_A_REBOOT),
        ("PBD.plug", 1, LONGER_THAN_ACK_WAIT),
        ("host.enable", 1, LONGER_THAN_ACK_WAIT),
    ],
)
def test_an_executor_that_stops_between_look_and_act_and_wakes_late_does_no_harm(
    method: str, nth: int, seconds: float
) -> None:
    """Another has done the step when its own act goes out at last. (Without the fence a host stays disabled, a VM
    away from home, and a reboot is obeyed twice.)"""
    act = Call("executor", f"Async.{method}", "north", nth, "before")

    verdict = in_process.tell_case(Case(2, (Blow("stall", act, seconds),)))

    assert verdict.wrong == ()
    assert verdict.struck == 1


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_planner_that_stops_between_fact_and_order_does_no_harm(recorded: in_process.Recorded, replicas: int) -> None:
    """Two of them: it sleeps longer than the run lasts. One alone: the run waits for it and goes on."""
    calls, _ = recorded[replicas]
    fact = next(
        call
        for call in calls
        if call.doing == "append_guarded" and call.about.endswith(".t01-s009.step_ordered") and call.when == "after"
    )

    verdict = in_process.tell_case(Case(replicas, (Blow("stall", fact, 3 * LONG if replicas == 2 else 60.0),)))

    assert verdict.wrong == ()
    assert verdict.struck == 1
