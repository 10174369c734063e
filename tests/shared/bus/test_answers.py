"""How answers of a server are read. No server needed."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.jetstream import link, pull, reading, write
from shared.bus.port import BusRefused, GuardLost, OutcomeUnknown


def message(reply: str = "", data: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
    """One as nats-py hands it over."""
    return Msg(Client(), subject="s", reply=reply, data=data, headers=headers)


@pytest.mark.parametrize(
    ("err_code", "code", "meaning"),
    [
        (10071, 400, GuardLost),
        (10164, 400, GuardLost),
        (10201, 400, OutcomeUnknown),
        (10176, 400, OutcomeUnknown),
        (10210, 429, OutcomeUnknown),
        (10077, 503, OutcomeUnknown),
        (10054, 400, BusRefused),
    ],
)
def test_what_a_refused_guarded_write_means(err_code: int, code: int, meaning: type[Exception]) -> None:
    """Lost, unknown, or never."""
    assert type(write.meaning(link.Refusal(code, err_code, "so"))) in (meaning, link.Refusal)
    assert isinstance(write.meaning(link.Refusal(code, err_code, "so")), meaning)


def test_the_true_sequence_is_read_from_the_refusal() -> None:
    """Where it is told."""
    lost = write.meaning(link.Refusal(400, 10071, "wrong last sequence: 4711"))
    unsaid = write.meaning(link.Refusal(400, 10164, "wrong last sequence"))
    assert isinstance(lost, GuardLost)
    assert isinstance(unsaid, GuardLost)
    assert (lost.actual, unsaid.actual) == (4711, None)


@pytest.mark.parametrize("prefix", ["$JS.ACK.S.c", "$JS.ACK.hub.AHASH.S.c"])
def test_a_place_is_read_in_both_forms(prefix: str) -> None:
    """With and without domain and account; a random token may stand at the end."""
    tail = "2.17.5.1795385956064016031.3" + (".rnd" if "hub" in prefix else "")
    place = pull.place_of(message(reply=f"{prefix}.{tail}"))
    assert place == pull.Place(seq=17, consumer_seq=5, delivered=2, stored_at=1795385956.064016, pending=3)


def test_a_status_is_only_what_the_server_itself_says() -> None:
    """A message may have a header of that name."""
    assert link.status(message(headers={"Status": "503"})) == 503
    assert link.status(message(headers={"Status": "503"}, reply="$JS.ACK.x")) == 0
    assert link.status(message(headers={"Status": "503"}, data=b"x")) == 0
    assert link.status(message(headers={"Status": "503", "Nats-Stream": "S"})) == 0
    assert link.status(message(headers={"Status": "lost"})) == 0
    assert link.status(message()) == 0


@pytest.mark.parametrize(
    ("timestamp", "nanos"),
    [
        ("2026-11-22T22:19:16.065151486Z", 1795385956065151486),
        ("2026-11-22T22:19:16.06Z", 1795385956060000000),
        ("2026-11-22T22:19:16Z", 1795385956000000000),
    ],
)
def test_a_time_stamp_is_the_same_moment_in_both_its_forms(timestamp: str, nanos: int) -> None:
    """A fact looked up and the same fact followed are equal to the last bit."""
    assert reading.seconds(timestamp) == nanos / 10**9


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b'"text"'])
def test_an_answer_that_makes_no_sense_is_none(data: bytes) -> None:
    """So the question is put again, or the outcome is unknown."""
    with pytest.raises(link.Unanswered):
        link.decode(message(data=data))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "127.0.0.1:4222"),
        ("nats://u:p@a:1,tls://t@b:2", "a:1, b:2"),
        ("u:p@a:1", "a:1"),
        ("a", "a"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    """User, password and token are cut off."""
    assert link.hidden(url) == shown
