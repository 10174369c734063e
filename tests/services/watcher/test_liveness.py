"""From signals to states: answering, unreachable, down, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.watcher import liveness
from services.watcher.liveness import Login, Reach, Says, Sight
from shared.domain.model import Versions

NOW = 1_000_000.0
MEMBER = Says("h-2", "h2", "10.0.0.2", "OpaqueRef:2", master=False, live=True, boot_time=100.0, agent_start_time=110.0)
LIMIT = 180.0


def state(seen: Sight, at: float) -> liveness.State | None:
    """The state, with the limit that the settings have by themselves."""
    return liveness.state(seen, at, down_after=LIMIT)


def sight(
    says: Says = MEMBER, *, open: bool | None = True, returning: bool = False, login: Login | None = None
) -> Sight:
    """A host that was probed before."""
    first = liveness.first(says, returning=returning, now=NOW)
    return replace(first, reach=Reach(open), login=login)


@pytest.mark.parametrize(
    ("probes", "open"),
    [
        ("", None),
        ("+", True),
        ("-", None),
        ("--", False),
        ("+-", True),
        ("+-+-+-", True),
        ("+--", False),
        ("+----", False),
        ("--+", True),
        ("--+-", True),
    ],
)
def test_two_probes_in_a_row_close_an_address_and_one_opens_it(probes: str, open: bool | None) -> None:
    """A single probe that fails is a lost packet as likely as a lost host."""
    reach = Reach()
    for probe in probes:
        reach = reach.heard(probe == "+")
    assert reach.open is open


@pytest.mark.parametrize(
    ("open", "live", "not_live_for", "expected"),
    [
        (None, True, 0, None),
        (True, True, 0, "answering"),
        (False, True, 0, "unreachable"),
        (True, False, LIMIT - 1, "answering"),
        (False, False, LIMIT - 1, "unreachable"),
        (True, False, LIMIT + 1, "down"),
        (False, False, LIMIT + 1, "down"),
        (None, False, LIMIT + 1, "down"),
    ],
)
def test_unreachable_is_not_down(open: bool | None, live: bool, not_live_for: float, expected: str | None) -> None:
    """An address that is closed makes a host unreachable; only what the master says for long enough makes it down."""
    assert state(sight(replace(MEMBER, live=live), open=open), NOW + not_live_for) == expected


def test_a_host_that_is_live_again_is_not_down() -> None:
    """The time of not being live starts anew each time."""
    seen = liveness.said(sight(replace(MEMBER, live=False)), MEMBER, NOW + 100)
    seen = liveness.said(seen, replace(MEMBER, live=False), NOW + 200)
    assert state(seen, NOW + 200 + LIMIT - 1) == "answering"
    assert state(seen, NOW + 200 + LIMIT + 1) == "down"


def test_what_the_database_repeats_does_not_start_the_time_anew() -> None:
    """Other fields change while a host is not live."""
    seen = sight(replace(MEMBER, live=False))
    seen = liveness.said(seen, replace(MEMBER, live=False, name="renamed"), NOW + 100)
    assert state(seen, NOW + LIMIT + 1) == "down"


@pytest.mark.parametrize(
    ("open", "live", "login", "back"),
    [
        (True, True, Login.MEMBER, True),
        (True, True, Login.MASTER, True),
        (True, True, Login.UNTRUSTED, True),
        (True, True, Login.NOT_YET, False),
        (True, True, None, False),
        (True, False, Login.MEMBER, False),
        (False, True, Login.MEMBER, False),
        (None, True, Login.MEMBER, False),
    ],
)
def test_back_takes_an_open_address_a_login_and_the_masters_word(
    open: bool | None, live: bool, login: Login | None, back: bool
) -> None:
    """All three, whatever the order in which they come."""
    seen = replace(sight(replace(MEMBER, live=live), returning=True), reach=Reach(open), login=login)
    assert liveness.came_back(seen) is back


def test_a_host_that_was_never_away_does_not_come_back() -> None:
    """Nothing is published for a host that was there all the time, and it is not asked by login."""
    seen = sight(login=Login.MEMBER)
    assert not liveness.came_back(seen)
    assert not liveness.wants_login(sight())


def test_a_closed_address_makes_a_host_return_later() -> None:
    """Away, then open again: it is asked by login, and only an answer counts that came after."""
    seen = liveness.probed(liveness.probed(sight(), answered=False), answered=False)
    assert seen.returning
    assert not liveness.wants_login(seen)
    seen = liveness.probed(seen, answered=True)
    assert liveness.wants_login(seen)
    assert not liveness.came_back(seen)
    assert liveness.came_back(liveness.asked(seen, Login.MEMBER))


def test_an_answer_of_before_the_address_closed_does_not_count() -> None:
    """Closed once more while it returned: the login has to be made again."""
    seen = sight(returning=True, login=Login.MEMBER)
    for _ in range(2):
        seen = liveness.probed(seen, answered=False)
    assert liveness.probed(seen, answered=True).login is None


def test_a_host_that_boots_is_asked_again() -> None:
    """HOST_STILL_BOOTING is not the last word; HOST_IS_SLAVE is."""
    seen = sight(returning=True)
    assert liveness.wants_login(liveness.asked(seen, Login.NOT_YET, "HOST_STILL_BOOTING"))
    assert not liveness.wants_login(liveness.asked(seen, Login.MEMBER))


@pytest.mark.parametrize(
    ("change", "returns"),
    [
        ({"boot_time": 500.0}, True),
        ({"agent_start_time": 500.0}, True),
        ({"versions": Versions(xen="4.18")}, True),
        ({"live": False}, True),
        ({"address": "10.0.0.9"}, True),
        ({"boot_time": None}, False),
        ({"agent_start_time": None, "boot_time": None}, False),
        ({"name": "renamed"}, False),
        ({}, False),
    ],
)
def test_a_newer_boot_is_a_return_that_nobody_saw_leave(change: dict[str, object], returns: bool) -> None:
    """A toolstack restart may fall between two probes. Keys that are absent for a moment mean nothing."""
    seen = liveness.said(sight(), replace(MEMBER, **change), NOW)  # type: ignore[arg-type]
    assert seen.returning is returns


def test_a_boot_time_that_is_absent_for_a_moment_is_not_forgotten() -> None:
    """xapi removes the key and adds it again; the same value afterwards is no news, a newer one is."""
    absent = liveness.said(sight(), replace(MEMBER, boot_time=None), NOW)
    assert absent.says.boot_time == 100.0
    assert not liveness.said(absent, MEMBER, NOW).returning
    assert liveness.said(absent, replace(MEMBER, boot_time=900.0), NOW).returning


def test_a_return_is_told_again_when_the_boot_time_comes_late() -> None:
    """live comes before boot_time: the first telling has the old one, the second the new one."""
    told = liveness.told_back(sight(returning=True, login=Login.MEMBER))
    assert not liveness.came_back(told)
    later = liveness.said(told, replace(MEMBER, boot_time=900.0), NOW)
    assert later.returning
    assert liveness.came_back(liveness.asked(later, Login.MEMBER))


def test_a_new_session_tells_everything_again() -> None:
    """States are values: after a reconnect each is published anew, and time without the master is not held against
    a host that was not live."""
    seen = replace(sight(replace(MEMBER, live=False)), told="unreachable")
    again = liveness.anew(seen, NOW + 170)
    assert again.told is None
    assert state(again, NOW + 190) == "answering"
    down = liveness.anew(replace(seen, told="down"), NOW + 1000)
    assert state(down, NOW + 1000) == "down"


def test_a_session_on_the_master_proves_that_its_address_is_open() -> None:
    """The master is back with the login, not with the next probe."""
    closed = replace(sight(replace(MEMBER, master=True)), reach=Reach(open=False, failures=7), returning=True)
    assert liveness.wants_login(liveness.anew(closed, NOW))


@pytest.mark.parametrize(
    ("seen", "away", "run", "seconds"),
    [
        (sight(), False, False, liveness.AT_REST),
        (sight(), False, True, liveness.IN_RUN),
        (sight(), True, True, liveness.AWAY),
        (sight(open=False), False, False, liveness.AWAY),
        (sight(returning=True), False, False, liveness.AWAY),
        (sight(open=None), False, False, liveness.AWAY),
        (sight(replace(MEMBER, live=False)), False, False, liveness.AWAY),
        (replace(sight(), reach=Reach(open=True, failures=1)), False, False, liveness.AGAIN),
    ],
)
def test_how_often_a_host_is_looked_at(seen: Sight, away: bool, run: bool, seconds: float) -> None:
    """Each second what is away, each 2 s in a run, else each 30 s; a first failure is looked into at once."""
    assert liveness.interval(seen, away=away, run=run) == seconds


@pytest.mark.parametrize(("interval", "within"), [(liveness.IN_RUN, 5.0), (liveness.AT_REST, 35.0)])
def test_the_intervals_keep_what_was_promised(interval: float, within: float) -> None:
    """A host dies just after a probe: the next one runs into its time-out, then the second."""
    connect = 1.0
    assert interval + max(connect, liveness.AGAIN) + connect < within


def test_a_state_is_explained_with_names() -> None:
    """A person reads what, where and what to do, and no ref."""
    seen = replace(sight(replace(MEMBER, live=False)), answer="HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR")
    down = liveness.because(seen, "down", NOW + 240)
    assert "h2" in down
    assert "4 minutes" in down
    assert "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR" in down
    assert "console" in liveness.because(sight(replace(MEMBER, live=False), open=False), "down", NOW + 240)
    assert "10.0.0.2" in liveness.because(sight(), "unreachable", NOW)
    assert "OpaqueRef" not in down
