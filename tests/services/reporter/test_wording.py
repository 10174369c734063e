"""What is said on each occasion. The subjects are golden: people's mail filters lean on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import pytest

from services.reporter import folding, occasions, wording
from services.reporter.letter import Letter
from shared.bus import wire
from shared.domain import acts, facts
from tests.services.reporter import story
from tests.services.reporter.story import Story


def letters(night: Story) -> list[Letter]:
    """Every letter of a night, each with the report as it was then."""
    recorded = night.recorded()
    written = []
    for one in recorded:
        occasion = occasions.occasion(one)
        if occasion is not None:
            until_then = [fact for fact in recorded if fact.seq <= one.seq]
            written.append(wording.letter(occasion, folding.fold(night.pool, night.run, until_then), UTC))
    return written


def last(night: Story) -> Letter:
    """The last letter of a night."""
    return letters(night)[-1]


def system(fact: facts.Fact) -> Letter:
    """The letter of a fact without a run."""
    occasion = occasions.occasion(wire.Recorded(fact, story.MIDNIGHT, "planner", 7, story.MIDNIGHT), {"lab"})
    assert occasion is not None
    return wording.letter(occasion, None, UTC)


def test_the_subjects_of_a_night_without_trouble() -> None:
    """Announced, begun, each host, the end: pool, outcome, n of m."""
    assert [letter.subject for letter in letters(story.all_well())] == [
        "[Rota] lab: an update of 3 hosts is planned, about 40 min",
        "[Rota] lab: an update of 3 hosts has begun",
        "[Rota] lab: xcp-graz-1 is done, 1 of 3 hosts updated",
        "[Rota] lab: xcp-graz-2 is done, 2 of 3 hosts updated",
        "[Rota] lab: xcp-graz-3 is done, 3 of 3 hosts updated",
        "[Rota] lab: succeeded, 3 of 3 hosts updated",
    ]


@pytest.mark.parametrize(
    ("night", "subject"),
    [
        (story.held, "[Rota] lab: HELD, 1 of 3 hosts updated, needs a person"),
        (
            story.left_behind,
            "[Rota] lab: cancelled, 1 of 3 hosts updated, owed: high availability, 2 VMs not home",
        ),
        (story.refused, "[Rota] lab: refused, nothing was changed"),
        (story.second_order, "[Rota] lab: order refused, nothing was changed"),
    ],
)
def test_the_subjects_of_other_nights(night: Callable[[], Story], subject: str) -> None:
    """Held, cancelled with debts, refused."""
    assert last(night()).subject == subject


def test_the_subjects_without_a_run() -> None:
    """A refused order names its verb, a rejected message who rejected it."""
    refused = facts.OrderRefused(order="o1", by="anna", verb="start_run", pool="lbb", because="There is no pool 'lbb'.")
    assert system(refused).subject == "[Rota] order start_run refused, nothing was changed"
    assert system(refused.model_copy(update={"pool": "lab"})).subject == (
        "[Rota] lab: order start_run refused, nothing was changed"
    )
    rejected = facts.MessageRejected(
        rejected_subject="rota.command.executor.survey.lab.r1.t00-s001-1",
        seq=4,
        because="It is not JSON.",
        service="executor",
    )
    assert system(rejected).subject == "[Rota] lab: a message was rejected by the executor"


def test_nothing_to_update_is_said_in_one_line() -> None:
    """A run that finds every host up to date is no alarm."""
    night = Story()
    night.requested()
    empty = night.forecast().model_copy(
        update={"turns": (), "left_alone": story.HOSTS, "sentence": "Nothing is waiting."}
    )
    night.planned(empty)
    night.ended("succeeded", "No host of lab has anything to install.")
    letter = last(night)
    assert letter.subject == "[Rota] lab: succeeded, nothing to be updated"
    assert letter.tone == "good"
    assert letter.points == ()


def test_the_first_block_goes_from_hosts_to_debts_to_vms_to_warnings() -> None:
    """Conduct's order: hosts not updated, what is owed with its command, VMs not home or changed, warnings."""
    texts = [point.text for point in last(story.left_behind()).points]
    order = [
        "xcp-graz-2 is not updated",
        "xcp-graz-3 is not updated",
        "Only what is left",
        "High availability is still off",
        "web-3 is not at home",
        "ci-1 is not at home",
        "mail was stopped, deleted or moved",
        "The backup network",
    ]
    assert [text[: len(start)] for text, start in zip(texts, order, strict=True)] == order


def test_everything_that_can_be_done_carries_its_command() -> None:
    """The exact command, ready to be copied."""
    commands = {point.text.split(" ")[0]: point.command for point in last(story.left_behind()).points}
    assert commands["High"] == story.ENABLE_HA
    assert commands["Only"] == "rota start lab"
    assert commands["web-3"] == (f"xe vm-migrate uuid={story.VMS[4].uuid} host-uuid={story.HOSTS[1].uuid} live=true")


def test_a_held_run_says_how_to_go_on_and_how_to_end() -> None:
    """The cause, who can help, and both commands."""
    points = last(story.held()).points
    assert points[0].tone == "bad"
    assert "package mirror" in points[0].text
    assert points[0].more == "Who can help: whoever keeps the package mirror."
    assert [point.command for point in points[1:3]] == [f"rota resume {story.RUN}", f"rota cancel {story.RUN}"]


def test_a_held_run_says_how_the_pool_stands_meanwhile() -> None:
    """Hosts not updated yet, VMs not at home, what is switched off: somebody decides on that at three at night."""
    texts = [point.text for point in last(story.held()).points]
    assert texts[3:] == [
        "Not updated yet: xcp-graz-2 and xcp-graz-3.",
        "4 VMs not at home meanwhile: web-3, mail, git and ci-1.",
        "Off until the run ends: high availability and automatic power-on.",
    ]


def test_a_good_night_asks_nothing() -> None:
    """No points, and the calm sentence says so."""
    letter = last(story.all_well())
    assert letter.points == ()
    assert letter.tone == "good"
    assert letter.calm == "Nothing is asked of you: 3 of 3 hosts updated, every VM is home, nothing is owed."


def test_a_success_with_a_debt_is_not_told_as_good() -> None:
    """Weakness 6 of the incumbent: success with HA off. Here the subject says what is owed and the tone is bad."""
    night = story.all_well()
    night.said = [said for said in night.said if not isinstance(said[2], facts.RunEnded)]
    step = story.ALWAYS[1]
    night.say(
        facts.SettingOwed(
            pool=night.pool, run=night.run, step=step.step, setting="wlb", because="it did not answer.",
            condition="it does", command="xe pool-param-set …", act=step.act,
        )
    )  # fmt: skip
    night.ended("succeeded_with_warnings", "All hosts are updated, with warnings.")
    letter = last(night)
    assert letter.subject == "[Rota] lab: succeeded with warnings, 3 of 3 hosts updated, owed: workload balancing"
    assert letter.tone == "bad"
    assert letter.title == "All 3 hosts are updated and something is owed"


def test_the_announcement_says_by_when_a_report_is_due() -> None:
    """No mail at all is the likeliest sign that Rota died: the announcement says when to look."""
    letter = letters(story.announced())[0]
    due = next(point for point in letter.points if "If no report has come by" in point.text)
    assert "Mon 23 Nov 2026, 01:57 UTC" in due.text
    assert due.command == f"rota show {story.RUN}"


def test_a_warning_said_twice_is_told_once() -> None:
    """Planner's warnings often say again what a host or a debt says already."""
    night = story.left_behind()
    night.said[-1] = (
        night.said[-1][0],
        "planner",
        facts.RunEnded(
            pool=night.pool,
            run=night.run,
            outcome="cancelled",
            sentence="Cancelled.",
            warnings=(story.OLDER, story.OLDER, "Something new."),
        ),
    )
    texts = [point.text for point in last(night).points]
    assert story.OLDER not in texts
    assert texts.count("Something new.") == 1


def test_names_cannot_break_out_of_a_subject() -> None:
    """A host called `x\\r\\nBcc: everybody` is told on one line."""
    night = story.all_well()
    evil = story.HOSTS[0].__class__(story.HOSTS[0].uuid, "x\r\nBcc: everybody@example.org\r\n\r\nHello")
    ended = facts.TurnEnded(pool=night.pool, run=night.run, turn="t01", host=evil, outcome="done", sentence="done")
    letter = next(
        one
        for one in letters(Story(said=[*story.announced().said, (night.at, "planner", ended)]))
        if one.occasion.name == "host_done"
    )
    assert letter.subject.isprintable()
    assert letter.subject.startswith("[Rota] lab: x  Bcc: everybody@example.org")


def test_a_subject_is_never_endless() -> None:
    """A name of 400 characters is cut."""
    night = story.announced()
    ended = facts.TurnEnded(
        pool=night.pool,
        run=night.run,
        turn="t01",
        host=story.HOSTS[0].__class__("u", "n" * 400),
        outcome="done",
        sentence=".",
    )
    night.say(ended)
    assert len(last(night).subject) == wording.SUBJECT


def test_a_hundred_strays_are_counted_not_listed() -> None:
    """The first block stays short enough to be read."""
    night = story.left_behind()
    homes = tuple(
        facts.Home(vm=story.VMS[0].__class__(f"ffffffff-{n:04d}", f"vm-{n}"), host=story.HOSTS[0]) for n in range(100)
    )
    swept = story.planned("t01", 90, acts_swept := story.turn_steps(0)[5].act)
    assert acts_swept.kind == "evacuate_rest"
    night.say(facts.HomesNoted(pool=night.pool, run=night.run, homes=homes), at=story.MIDNIGHT + 20)
    night.done(swept, 1.0, acts.Swept(tuple(home.vm for home in homes)), at=story.MIDNIGHT + 30)
    points = last(night).points
    assert sum("is not at home" in point.text for point in points) == 12
    assert any(point.text.startswith("90 more VMs not at home") for point in points)


def test_a_host_that_needed_nothing_any_more_is_no_alarm() -> None:
    """Somebody updated it by hand meanwhile: its turn leaves it alone, and nothing is asked of anybody."""
    night = Story()
    night.requested()
    night.planned()
    night.began()
    night.whole_turn(0)
    night.whole_turn(1)
    night.turn_ended(2, "left_alone", "xcp-graz-3 is left alone: nothing is waiting for it any more.")
    night.finished()
    night.ended("succeeded", "2 of 3 hosts are updated.")
    letter = last(night)
    assert (letter.tone, letter.points) == ("good", ())
    assert letter.title == "2 of 3 hosts updated, the rest needed nothing"
    assert any("left alone" in line for section in letter.sections for line in section.lines)


def test_a_debt_is_told_once() -> None:
    """The planner's own warning of it says no more than the point with the command."""
    night = story.left_behind()
    owed = f"Owed: ha ({story.VERSIONS_DIFFER}); when all hosts run the same version {story.ENABLE_HA}"
    night.said[-1] = (
        night.said[-1][0],
        "planner",
        facts.RunEnded(pool=night.pool, run=night.run, outcome="cancelled", sentence="Cancelled.", warnings=(owed,)),
    )
    assert sum("pool-ha-enable" in point.text + point.command for point in last(night).points) == 1


def test_putting_everything_back_is_called_so() -> None:
    """A run that only undoes says nothing of updates, and is not announced: it is over in a minute."""
    night = Story()
    night.requested()
    at, by, requested = night.said[0]
    night.said[0] = (at, by, requested.model_copy(update={"purpose": "undo"}))
    night.planned(night.forecast().model_copy(update={"turns": ()}))
    night.finished()
    night.ended("succeeded", "What Rota had changed is put back.")
    assert last(night).subject == "[Rota] lab: succeeded, everything is put back"
    assert not any("is planned" in letter.subject for letter in letters(night))


def test_who_is_asked_to_approve_is_told_what_by_which_digest_until_when_and_how() -> None:
    """Two different persons; the commands are ready to be copied; what changed is named, and shown as it is."""
    night = story.announced()
    night.say(
        facts.ApprovalAsked(
            pool=night.pool,
            run=night.run,
            about="t02",
            host=story.HOSTS[1],
            digest="5c9d0e1f2a3b4c5d",
            sentence="The turn of xcp-graz-2 is not as it was approved. May it go on?",
            changes=("<b>late</b> is moved to xcp-graz-1 too",),
            needed=2,
            until=story.MIDNIGHT + 7200.0,
        )
    )
    letter = last(night)

    assert letter.subject.startswith("[Rota] lab: approval is needed until ")
    assert "2 different persons" in letter.points[0].text
    assert [point.command for point in letter.points[:2]] == [f"rota approve {story.RUN}", f"rota reject {story.RUN}"]
    assert "<b>late</b> is moved to xcp-graz-1 too" in [point.text for point in letter.points]
    assert letter.points[0].more == "The turn of xcp-graz-2, digest 5c9d0e1f2a3b4c5d."
