"""The fold: a night's facts in, what people are told of it out."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from services.reporter import folding
from services.reporter.report import Report, last_turns
from shared.domain import acts, facts
from shared.domain.policy import Policy
from tests.services.reporter import story
from tests.services.reporter.story import HOSTS, NEW, OLD, VMS, Story


def told(night: Story) -> Report:
    """The report of a night."""
    return folding.fold(night.pool, night.run, night.recorded())


def test_a_night_without_trouble_leaves_nothing_to_do() -> None:
    """All three hosts are done, every VM is home, nothing is owed, and the estimate stands beside the fact."""
    report = told(story.all_well())
    assert (report.state, report.outcome, report.updated, report.total) == ("ended", "succeeded", 3, 3)
    assert report.not_updated() == ()
    assert report.strays == ()
    assert report.gone == ()
    assert report.owed == ()
    assert {guest.whereabouts for guest in report.guests} == {"home"}
    assert report.estimate == 2300.0
    assert report.seconds is not None
    assert 1300 < report.seconds < 1400


def test_a_host_is_told_with_its_packages_its_absence_and_its_versions() -> None:
    """A turn says what was installed, how long the host was away, and what it ran before and runs now."""
    first = told(story.all_well()).turns[0]
    assert first.host == HOSTS[0]
    assert first.master
    assert [one.name for one in first.installed] == [one.name for one in story.PACKAGES]
    assert first.away_seconds is not None
    assert round(first.away_seconds) == 214
    assert (first.before, first.after) == (OLD, NEW)


def test_a_host_is_away_from_its_order_until_it_is_back() -> None:
    """The design's word: away is from the reboot's order, not from the moment the port closed."""
    night = story.all_well()
    order = next(
        at
        for at, _, fact in night.said
        if isinstance(fact, facts.StepOrdered) and isinstance(fact.act, acts.RebootHost)
    )
    assert told(night).turns[0].away_at == order


def test_the_parts_of_a_turn_follow_each_other() -> None:
    """Emptied, installed, away, checked, refilled: in this order and without overlap."""
    spans = told(story.all_well()).turns[1].spans
    assert [span.phase for span in spans] == ["preparing", "emptying", "installing", "away", "checking", "returning"]
    for one, following in itertools.pairwise(spans):
        assert one.end is not None
        assert one.end <= following.start


def test_every_vm_moves_away_and_home_again() -> None:
    """Twelve VMs, two moves each; the one that took two tries says so."""
    report = told(story.all_well())
    assert len(report.moved) == 24
    twice = [move for move in report.moves if move.attempts == 2]
    assert [move.vm.name for move in twice] == ["ci-2"]
    assert report.troubles[0].what == "moving ci-2 to xcp-graz-1"
    assert report.troubles[0].ended == "done"


def test_how_long_ha_was_off_is_told() -> None:
    """Both settings went off at the start and came back at the end."""
    settings = {one.setting: one for one in told(story.all_well()).settings}
    assert settings.keys() == {"ha", "auto_poweron"}
    for one in settings.values():
        assert one.back_at is not None
        assert one.back_at - one.changed_at > 1300


def test_a_held_run_says_what_it_waits_for() -> None:
    """The hold names the step and who can help, and is not over."""
    hold = told(story.held()).hold
    assert hold is not None
    assert hold.step == "installing updates on xcp-graz-2"
    assert hold.who_can_help == "whoever keeps the package mirror"
    assert hold.until is None


def test_what_a_cancelled_run_leaves_behind_is_told() -> None:
    """Hosts not updated, the debt with its command, the VM that may not go home, the one its owner stopped."""
    report = told(story.left_behind())
    assert [(turn.host.name, turn.state) for turn in report.not_updated()] == [
        ("xcp-graz-2", "turned_back"),
        ("xcp-graz-3", "not_begun"),
    ]
    assert [one.command for one in report.owed] == [story.ENABLE_HA]
    strays = {guest.vm.name: guest for guest in report.strays}
    assert strays["web-3"].at == HOSTS[0]
    assert strays["web-3"].because == story.OLDER
    assert [guest.vm.name for guest in report.gone] == ["mail"]
    assert report.hold is None
    assert report.holds[0].ended_by == "bert@example.org"


def test_steps_dropped_when_a_turn_goes_back_are_no_trouble() -> None:
    """Only what was tried and failed, or was left out by somebody, is told as trouble."""
    troubles = {one.what: one.ended for one in told(story.left_behind()).troubles}
    assert troubles == {
        "installing updates on xcp-graz-2": "gave_up",
        "moving web-3 home to xcp-graz-2": "skipped",
        "putting back high availability": "gave_up",
    }


def test_a_debt_that_is_paid_is_no_debt() -> None:
    """`setting_paid` takes it away and says since when the setting is back."""
    night = story.left_behind()
    night.pass_(60)
    paid = facts.SettingPaid(pool=night.pool, run=night.run, step=story.ALWAYS[1].step, setting="ha")
    night.say(paid)
    report = told(night)
    assert report.owed == ()
    assert next(one for one in report.settings if one.setting == "ha").back_at == night.at


def test_a_restore_that_succeeds_after_all_pays_the_debt() -> None:
    """The step itself may come off later; then nothing is owed."""
    night = story.left_behind()
    night.pass_(600)
    night.done(story.ALWAYS[1], 5.0, attempt=2)
    assert told(night).owed == ()


def test_what_is_waited_for_is_no_part_of_the_work() -> None:
    """A run that waits for approval and its window began when it began, and took what it took."""
    night = story.Story()
    night.requested()
    night.planned()
    ids: dict[str, Any] = {"pool": night.pool, "run": night.run}
    asked = facts.ApprovalAsked(
        **ids, about="plan", digest="d1", sentence="May it be done?", needed=1, until=night.at + 9000
    )
    night.say(asked)
    night.pass_(240)
    night.say(facts.ApprovalGiven(**ids, about="plan", digest="d1", by="anna@desk"))
    night.say(facts.RunApproved(**ids, about="plan", digest="d1", by=("anna@desk",)))
    night.say(facts.RunWaiting(**ids, because="Waiting for the window.", until=night.at + 3600))
    night.pass_(3600)
    night.say(facts.RunWentOn(**ids, because="The window is open."))
    night.began()
    began = night.at - 8.0
    night.pass_(600)
    night.say(facts.RunWaiting(**ids, because="Waiting for the next window.", until=night.at + 80_000))
    night.pass_(80_000)
    night.say(facts.RunWentOn(**ids, because="The window is open."))
    night.pass_(300)
    night.say(facts.RunEnded(**ids, outcome="succeeded", sentence="Done."))
    report = told(night)
    assert report.began_at == pytest.approx(began, abs=1.0)
    assert report.seconds == pytest.approx(908.0, abs=2.0)
    assert [round((one.until or 0.0) - one.since) for one in report.waits] == [240, 3600, 80_000]
    assert [one.what for one in report.said] == ["approved the plan (d1)"]


def test_each_package_is_told_with_what_it_was_before() -> None:
    """As far as the executor knew: one that is new has no version before."""
    turn = told(story.all_well()).turns[0]
    assert turn.version_before("xen-hypervisor") == "4.17.4-3.xcpng8.3"
    assert turn.version_before("openssl-libs") == ""
    assert "XSA-471" in turn.installed[0].changelog


def test_advisories_that_only_the_forecast_names_stay_open() -> None:
    """Its packages come without their texts; the planner read them."""
    night = story.Story()
    night.requested()
    turn = night.forecast().turns[0].model_copy(update={"updates": (), "advisories": ("XSA-480",)})
    night.planned(night.forecast().model_copy(update={"turns": (turn,)}))
    assert told(night).open_advisories == ("XSA-480",)


def test_advisories_are_closed_when_no_host_is_left_open() -> None:
    """Named in the changelogs: closed where every host has the package, open where one has not."""
    names = ("CVE-2026-1234", "CVE-2026-2001", "XSA-470", "XSA-471")
    assert told(story.all_well()).closed_advisories == names
    assert told(story.all_well()).open_advisories == ()
    behind = told(story.left_behind())
    assert behind.closed_advisories == ()
    assert behind.open_advisories == names


def test_a_vm_that_the_sweep_moved_is_not_said_to_be_home() -> None:
    """XAPI chose where it went, so until it is brought home nobody knows."""
    night = Story()
    night.requested()
    night.planned()
    night.began()
    steps = night.turn_begun(0)
    night.emptied(steps[:5] + steps[5:6])
    sweep = steps[5]
    night.done(sweep, 9.0, acts.Swept((VMS[11],)), attempt=2)
    report = folding.fold(night.pool, night.run, night.recorded())
    swept = next(guest for guest in report.guests if guest.vm == VMS[11])
    assert (swept.whereabouts, swept.at) == ("unknown", None)
    assert [move.destination for move in report.moves if move.purpose == "sweep"] == [None]


def test_a_home_found_later_counts_from_there() -> None:
    """A VM that its owner moved has its home where he put it."""
    night = Story()
    night.requested()
    night.planned()
    night.began()
    home = facts.Home(vm=VMS[0], host=HOSTS[2])
    night.say(facts.TurnPlanned(pool=night.pool, run=night.run, turn="t01", steps=(), homes=(home,)))
    report = told(night)
    assert next(guest for guest in report.guests if guest.vm == VMS[0]).home == HOSTS[2]


def test_the_master_s_second_turn_counts_once() -> None:
    """A host with two turns is one host, and its last turn says how it stands."""
    night = story.all_well()
    fact = {"turn": "t04", "host": HOSTS[0], "outcome": "failed", "sentence": "xcp-graz-1 failed its second turn."}
    night.say(facts.TurnEnded.model_validate({"pool": night.pool, "run": night.run, **fact}), at=night.at - 0.1)
    report = told(night)
    assert (report.updated, report.total) == (2, 3)
    assert [turn.id for turn in last_turns(report.turns)] == ["t02", "t03", "t04"]


def test_a_late_failure_of_an_earlier_attempt_changes_nothing() -> None:
    """As in the planner's own fold: only the attempt under way can fail."""
    night = story.all_well()
    step = story.turn_steps(2)[1]
    late = facts.StepFailed(
        pool=night.pool, run=night.run, step=step.step, attempt=1, because="Too late.", again_after=1
    )
    night.say(late, at=night.at)
    moves = [move for move in told(night).moves if move.vm.name == "ci-2" and move.purpose == "empty"]
    assert [move.state for move in moves] == ["moved"]


def test_a_late_failure_while_the_next_attempt_is_under_way_changes_nothing() -> None:
    """The try under way is still under way."""
    night = story.announced()
    steps = night.turn_begun(2)
    night.fails(steps[1], 5.0, "Not now.")
    night.pass_(30)
    night.order(steps[1], attempt=2)
    night.pass_(1)
    late = facts.StepFailed(pool=night.pool, run=night.run, step=steps[1].step, attempt=1, because="Too late.")
    night.say(late)
    (move,) = told(night).moves
    assert (move.state, move.attempts) == ("under_way", 2)


def test_a_rolling_reboot_is_called_one() -> None:
    """A policy without updates reboots hosts, and the report does not say updated."""
    night = Story()
    night.requested(policy=Policy(updates=False))
    assert told(night).purpose == "reboot"


def test_facts_that_name_nothing_known_fold_to_what_was_there() -> None:
    """The journal's beginning may be gone: no fact alone brings the fold down."""
    whole = story.left_behind().recorded()
    chance = random.Random(7)
    for _ in range(60):
        some = [one for one in whole if chance.random() < 0.4]
        report = folding.fold(story.POOL, story.RUN, some)
        assert report.pool == story.POOL
    for one in whole:
        folding.fold(story.POOL, story.RUN, [one])


def test_facts_told_twice_count_once() -> None:
    """After a server's death a reader may see some facts again."""
    whole = story.all_well().recorded()
    again = folding.fold(story.POOL, story.RUN, [one for fact in whole for one in (fact, fact)])
    once = folding.fold(story.POOL, story.RUN, whole)
    assert (again.updated, len(again.moved), again.seconds) == (once.updated, len(once.moved), once.seconds)


def test_a_destination_that_was_given_up_is_told_to_the_others() -> None:
    """A mail that never came through is news too."""
    night = story.all_well()
    failed = facts.ReportFailed(
        pool=night.pool, run=night.run, occasion="started", destination="mail.ops", about=9, because="550 no such user"
    )
    night.say(failed, at=night.at - 1)
    report = told(night)
    assert [(one.destination, one.occasion) for one in report.untold] == [("mail.ops", "started")]


def test_no_facts_make_an_empty_report() -> None:
    """A run nobody recorded is a report with nothing in it, not an error."""
    report = folding.fold("lab", "r1", [])
    assert (report.state, report.total, report.turns) == ("requested", 0, ())


def test_a_report_has_no_text_that_cannot_be_shown() -> None:
    """Names with line breaks, control characters or XAPI references are made harmless in the fold."""
    night = story.announced()
    night.say(
        facts.RunHeld(
            pool=night.pool,
            run=night.run,
            because="bad\r\nSubject: x \x1b[31m\u202eevil OpaqueRef:1234-abcd",
            step=None,
        )
    )
    held = told(night).holds[0].because
    assert held == "bad  Subject: x [31mevil (a reference)"


def test_lists_are_bounded_and_say_so() -> None:
    """A run of absurd size folds to a report of bounded size."""
    night = story.announced()
    for n in range(folding.MOST + 10):
        night.say(facts.HostLost(pool=night.pool, run=night.run, host=HOSTS[0], because=f"Lost {n}."))
    report = told(night)
    assert len(report.warnings) == len(report.events) == folding.MOST
    assert set(report.cut) == {"warnings", "events"}
