"""Which hosts have a turn, in which order; and selections that bow to master first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.planner import forecasting, selection
from shared.domain.model import Package, PoolSettings, PoolSnapshot
from shared.domain.policy import Policy, unsupported
from tests.services.planner.play import host, pool, vm

DONE: tuple[Package, ...] = ()


def chosen(snapshot: PoolSnapshot, **policy: object) -> list[str]:
    """The names of the hosts that have a turn."""
    return [one.name for one in selection.select(snapshot, Policy.model_validate(policy)).hosts]


def codes(snapshot: PoolSnapshot, **policy: object) -> list[str]:
    """What forbids a selection."""
    return [stop.code for stop in selection.select(snapshot, Policy.model_validate(policy)).blockers]


def test_the_master_is_first_and_then_whoever_the_policy_puts_first() -> None:
    """The rest go by name; a uuid will do for a name."""
    assert chosen(pool()) == ["athos", "aramis", "porthos"]
    assert chosen(pool(), order=["porthos"]) == ["athos", "porthos", "aramis"]
    assert chosen(pool(), order=["host-porthos", "athos"]) == ["athos", "porthos", "aramis"]


def test_only_and_skip_choose_by_name_or_uuid() -> None:
    """What both name is left out; who is left out and has something to do is told."""
    assert chosen(pool(), only=["athos", "host-aramis"]) == ["athos", "aramis"]
    assert chosen(pool(), skip=["porthos"]) == ["athos", "aramis"]
    assert chosen(pool(), only=["athos", "porthos"], skip=["porthos"]) == ["athos"]
    notes = selection.select(pool(), Policy(skip=("porthos",))).notes
    assert notes == ("porthos has 2 updates waiting and is left out, as the policy says.",)


def test_a_host_with_nothing_to_do_is_left_alone() -> None:
    """Even where the policy names it; a rolling reboot finds something for everybody."""
    snapshot = pool((host("athos"), host("porthos", updates=DONE), host("aramis")))
    assert chosen(snapshot) == ["athos", "aramis"]
    assert chosen(snapshot, only=["athos", "porthos"]) == ["athos"]
    assert chosen(snapshot, updates=False) == ["athos", "aramis", "porthos"]


def test_a_host_that_waits_for_a_reboot_has_a_turn() -> None:
    """What it has installed does not run, or an installation of ours is noted and no boot came after."""
    assert chosen(pool((host("athos", updates=DONE), host("porthos", updates=DONE, reboot_pending=True)))) == [
        "porthos"
    ]


def test_an_installation_of_ours_that_no_boot_followed_is_a_pending_reboot() -> None:
    """It is noted in the pool with the host's own time; a note that cannot be read is believed."""

    def with_note(text: str) -> list[str]:
        noted = PoolSettings(notes={"rota:installed:host-porthos": text, "rota:claim": "{}"})
        snapshot = pool((host("athos", updates=DONE), host("porthos", updates=DONE)), settings=noted)
        assert chosen(snapshot) == []
        return chosen(selection.with_installations(snapshot))

    assert with_note('{"at": 5000.0}') == ["porthos"]
    assert with_note('{"at": 900.0}') == []
    assert with_note("nonsense") == ["porthos"]


@pytest.mark.parametrize("policy", [{"only": ["porthos"]}, {"skip": ["athos"]}])
def test_no_member_is_updated_while_its_master_waits(policy: dict[str, object]) -> None:
    """The sentence names both and says what to do."""
    refused = selection.select(pool(), Policy.model_validate(policy)).blockers
    assert [stop.code for stop in refused] == ["MASTER_FIRST"]
    assert refused[0].sentence.startswith("athos is the master of Lab and has updates waiting, so ")
    assert "Select athos too." in refused[0].sentence


def test_a_master_that_was_patched_and_not_rebooted_is_not_left_out_either() -> None:
    """It still runs the old software; so is a member that only waits for its reboot."""
    members = (host("porthos"), host("aramis", updates=DONE, reboot_pending=True))
    snapshot = pool((host("athos", updates=DONE, reboot_pending=True), *members))
    assert codes(snapshot, only=["porthos"]) == ["MASTER_FIRST"]
    assert codes(snapshot, only=["aramis"]) == ["MASTER_FIRST"]
    assert codes(snapshot, updates=False, only=["aramis"]) == ["MASTER_FIRST"]


def test_members_alone_may_be_chosen_once_the_master_is_done() -> None:
    """And at any time for a reboot that changes nothing."""
    snapshot = pool((host("athos", updates=DONE), host("porthos"), host("aramis")))
    assert (chosen(snapshot, only=["porthos"]), codes(snapshot, only=["porthos"])) == (["porthos"], [])
    assert codes(pool(), updates=False, only=["porthos"]) == []


def test_names_that_no_host_has_are_refused_with_the_names_there_are() -> None:
    """In each field that names hosts."""
    for policy in ({"only": ["athod"]}, {"skip": ["athod"]}, {"order": ["athod"]}, {"groups": {"rack": ["athod"]}}):
        stops = selection.select(pool(), Policy.model_validate(policy)).blockers
        assert [stop.code for stop in stops] == ["NO_SUCH_HOST"]
        assert "'athod'" in stops[0].sentence
        assert "athos, porthos, aramis" in stops[0].sentence
    shown = forecasting.forecast(pool(), Policy(only=("athod",)))
    assert shown.blockers
    assert "cannot be updated as it is" in shown.sentence


def test_hosts_of_one_group_are_never_away_together() -> None:
    """A host beside one of another group, or of none, is free."""
    policy = Policy(groups={"rack 1": ("athos", "host-porthos"), "rack 2": ("aramis",)})
    athos, porthos, aramis = (one.named for one in pool().hosts)
    assert selection.conflicts(porthos, [aramis], policy) == ""
    assert selection.conflicts(aramis, [athos, porthos], policy) == ""
    said = selection.conflicts(porthos, [aramis, athos], policy)
    assert said == "porthos waits for athos, because both are of the group 'rack 1'."


def test_a_member_ahead_of_its_master_is_in_nobodys_way() -> None:
    """It has a turn, in which it is looked at; unless nothing makes its master newer."""
    ahead = host("porthos", updates=None, live=False, enabled=False, ahead=True)
    snapshot = pool((host("athos"), ahead, host("aramis")), (vm("a", "athos"),))
    shown = forecasting.forecast(snapshot, Policy())
    assert [turn.host.name for turn in shown.turns] == ["athos", "aramis", "porthos"]
    assert shown.blockers == ()
    assert any("joins by itself after the turn of athos" in note for note in shown.notes)
    done = replace(snapshot, hosts=(host("athos", updates=DONE), *snapshot.hosts[1:]))
    assert codes(done) == ["MEMBER_AHEAD"]


def test_packages_of_the_toolstack_need_no_reboot_where_the_policy_says_so() -> None:
    """One other package, or one that nobody knows, and the host is rebooted."""
    small = (Package("xapi-core", "26.1.4", "1"), Package("sm", "3.2.12", "1"), Package("xenopsd-xc", "26.1.4"))
    when_needed = Policy(reboot="when_needed")
    assert selection.work(host("athos", updates=small), when_needed) == "toolstack"
    assert selection.work(host("athos", updates=small), Policy()) == "reboot"
    assert selection.work(host("athos", updates=(*small, Package("openssl", "1.1"))), when_needed) == "reboot"
    assert selection.work(host("athos", updates=(Package("smartmontools", "7"),)), when_needed) == "reboot"
    assert selection.work(host("athos", updates=small, reboot_pending=True), when_needed) == "reboot"


def test_selections_are_supported() -> None:
    """No policy that chooses hosts is refused as something that Rota cannot do."""
    assert unsupported(Policy(only=("a",), skip=("b",), order=("c",), groups={"rack": ("a",)})) is None
