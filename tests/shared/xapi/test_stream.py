"""Reading a pool: sessions, errors, certificates, event.from."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from shared.xapi import address, stream
from tests.shared.xapi.fake import Say, fails, serving


def access(url: str, *, ca_file: Path | None = None, fingerprint: str = "") -> stream.Access:
    """What a reader is opened with."""
    return stream.Access(url, "root", SecretStr("s3cret"), ca_file, fingerprint)


async def test_a_reader_logs_in_with_four_parameters_and_logs_out() -> None:
    """The originator is given, the session's uuid is known, and closing ends the session."""
    async with serving() as fake:
        async with await stream.Reader.open(access(fake.url), originator="rota-test") as reader:
            assert (reader.session_ref, reader.session_uuid) == ("OpaqueRef:session", "session-uuid")
        assert fake.calls == [
            ("session.login_with_password", ["root", "s3cret", "1.0", "rota-test"]),
            ("session.get_uuid", ["OpaqueRef:session", "OpaqueRef:session"]),
            ("session.logout", ["OpaqueRef:session"]),
        ]


async def test_a_call_carries_the_session_first() -> None:
    """`call` puts the session in front and gives back the result as it is."""
    async with serving(host__get_servertime="20260101T00:00:00Z") as fake:
        async with await stream.Reader.open(access(fake.url)) as reader:
            assert await reader.call("host.get_servertime", "OpaqueRef:h1") == "20260101T00:00:00Z"
        assert fake.calls[2] == ("host.get_servertime", ["OpaqueRef:session", "OpaqueRef:h1"])


async def test_a_member_tells_where_its_master_is() -> None:
    """HOST_IS_SLAVE becomes an error with the master's address, and no session is left to end."""
    async with serving(session__login_with_password=fails("HOST_IS_SLAVE", "10.0.0.1")) as fake:
        with pytest.raises(stream.HostIsSlave) as raised:
            await stream.Reader.open(access(fake.url))
        assert raised.value.master == "10.0.0.1"
        assert fake.methods() == ["session.login_with_password"]


@pytest.mark.parametrize(
    "answer",
    [
        fails("HOST_STILL_BOOTING"),
        fails("HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", "26.1"),
        Say({"jsonrpc": "2.0", "error": ["HOST_STILL_BOOTING"], "id": 0}),
        Say({"jsonrpc": "2.0", "error": ["INTERNAL_ERROR", "no database"], "id": 0}),
    ],
    ids=["booting", "too new", "booting, before dispatch", "internal error before dispatch"],
)
async def test_a_host_in_emergency_mode_is_told_apart(answer: Say) -> None:
    """Both shapes of an error mean the same, the plain array with id 0 too."""
    async with serving(session__login_with_password=answer) as fake:
        with pytest.raises(stream.Emergency):
            await stream.Reader.open(access(fake.url))


async def test_an_internal_error_of_a_call_is_no_emergency() -> None:
    """Only what is raised before dispatch says something about the host."""
    async with serving(host__get_all=fails("INTERNAL_ERROR", "oops")) as fake:
        async with await stream.Reader.open(access(fake.url)) as reader:
            with pytest.raises(stream.Failure) as raised:
                await reader.call("host.get_all")
        assert type(raised.value) is stream.Failure
        assert (raised.value.code, raised.value.params) == ("INTERNAL_ERROR", ("oops",))


async def test_a_session_that_is_gone_has_its_own_error() -> None:
    """The master restarted: nothing is logged in again behind anybody's back."""
    async with serving(event__from=fails("SESSION_INVALID", "OpaqueRef:session")) as fake:
        async with await stream.Reader.open(access(fake.url)) as reader:
            with pytest.raises(stream.SessionGone):
                await reader.events(["host"], "", 1.0)
        assert fake.methods().count("session.login_with_password") == 1


async def test_wrong_credentials_are_a_plain_failure() -> None:
    """A wrong password is no state of the host."""
    async with serving(session__login_with_password=fails("SESSION_AUTHENTICATION_FAILED", "root", "no")) as fake:
        with pytest.raises(stream.Failure) as raised:
            await stream.Reader.open(access(fake.url))
        assert raised.value.code == "SESSION_AUTHENTICATION_FAILED"


async def test_a_closed_port_is_no_answer() -> None:
    """A refused connection is told in one sentence with the address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(stream.NoAnswer, match=url):
            await stream.Reader.open(access(url))


async def test_silence_ends_with_the_time_out() -> None:
    """A host that takes the connection and says nothing is given up."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    async with serving(session__login_with_password=never) as fake:
        with pytest.raises(stream.NoAnswer, match=r"within 0\.2 s"):
            await stream.Reader.open(access(fake.url), timeout=0.2)


@pytest.mark.parametrize("body", ["<html>no</html>", {"id": 1}, {"jsonrpc": "2.0", "result": "x", "id": 77}])
async def test_what_is_not_an_answer_to_us_is_no_answer(body: object) -> None:
    """Text, a reply without result, a reply to somebody else: none of them is a session."""
    async with serving(session__login_with_password=Say(body)) as fake:
        with pytest.raises(stream.NoAnswer):
            await stream.Reader.open(access(fake.url))


async def test_a_gateway_error_is_no_answer() -> None:
    """What stands before a xapi that starts may answer by HTTP status alone."""
    async with serving(session__login_with_password=Say("later", 503)) as fake:
        with pytest.raises(stream.NoAnswer, match="503"):
            await stream.Reader.open(access(fake.url))


async def test_a_failed_start_leaves_no_session_behind() -> None:
    """When the second call of opening fails, the first one's session is ended."""
    async with serving(session__get_uuid=fails("INTERNAL_ERROR")) as fake:
        with pytest.raises(stream.Failure):
            await stream.Reader.open(access(fake.url))
        assert fake.methods()[-1] == "session.logout"


async def test_closing_takes_a_short_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that is gone does not hold up whoever stops."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stream, "LOGOUT", 0.2)
    async with serving(session__logout=never) as fake:
        reader = await stream.Reader.open(access(fake.url))
        async with asyncio.timeout(2):
            await reader.close()


async def test_a_batch_is_read_as_xapi_writes_it() -> None:
    """Classes come in lower case, a delete has no snapshot, the time-out is a float."""
    reply = {
        "events": [
            {
                "id": "7",
                "timestamp": "0.0",
                "class": "host",
                "operation": "add",
                "ref": "h",
                "snapshot": {"a": 1},
            },
            {"id": "8", "timestamp": "0.0", "class": "vm", "operation": "del", "ref": "v"},
        ],
        "valid_ref_counts": {"host": 1, "vm": 0},
        "token": "00000000000000000008,00000000000000000000",
    }
    async with serving(event__from=reply) as fake:
        async with await stream.Reader.open(access(fake.url)) as reader:
            batch = await reader.events(("host", "VM"), "", 5)
        assert batch.events == (
            stream.Event("host", "add", "h", {"a": 1}),
            stream.Event("vm", "del", "v", None),
        )
        assert batch.valid_ref_counts == {"host": 1, "vm": 0}
        asked = fake.calls[2][1]
        assert asked == ["OpaqueRef:session", ["host", "VM"], "", 5.0]
        assert isinstance(asked[3], float)


async def test_an_event_that_cannot_be_read_is_no_answer() -> None:
    """A reply without its parts does not take the reader down with a KeyError."""
    reply = {"events": [{}], "valid_ref_counts": {}, "token": ""}
    async with serving(event__from=reply) as fake, await stream.Reader.open(access(fake.url)) as reader:
        with pytest.raises(stream.NoAnswer, match="cannot be understood"):
            await reader.events(["host"], "", 1)


class Tls:
    """An authority, a server's context, and what a client needs to trust it."""

    def __init__(self, folder: Path, name: str = "127.0.0.1") -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert(name)
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self.server)
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        self.fingerprint = hashlib.sha256(der).hexdigest()


async def test_a_certificate_that_the_ca_file_vouches_for_is_taken(tmp_path: Path) -> None:
    """Verified TLS with an authority of one's own."""
    tls = Tls(tmp_path)
    async with serving(tls.server) as fake, await stream.Reader.open(access(fake.url, ca_file=tls.ca_file)) as reader:
        assert reader.session_ref


async def test_one_of_several_pinned_certificates_is_enough(tmp_path: Path) -> None:
    """Each host has its own certificate; with colons or without, divided by commas or blanks."""
    tls = Tls(tmp_path)
    pinned = ":".join(tls.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    async with serving(tls.server) as fake:
        asked = access(fake.url, fingerprint=f"{'00' * 32}, {pinned}")
        reader = await stream.Reader.open(asked)
        await reader.close()
        assert fake.methods()[-1] == "session.logout"


async def test_a_certificate_that_nobody_vouches_for_is_sent_nothing(tmp_path: Path) -> None:
    """Neither a strange authority, nor a strange pin, nor a wrong name gets the password."""
    tls, wrong_name = Tls(tmp_path), Tls(tmp_path, name="10.9.9.9")
    for server, trusted in (
        (tls.server, access("", fingerprint="00" * 32)),
        (tls.server, access("")),
        (wrong_name.server, access("", ca_file=wrong_name.ca_file)),
    ):
        async with serving(server) as fake:
            asked = stream.Access(fake.url, "root", SecretStr("x"), trusted.ca_file, trusted.fingerprint)
            with pytest.raises(stream.Untrusted, match="certificate"):
                await stream.Reader.open(asked)
            assert fake.calls == []


async def test_the_port_stays_when_an_address_is_followed() -> None:
    """An address that XAPI gives carries neither scheme nor port."""
    async with serving() as fake:
        url = fake.url.replace("127.0.0.1", "127.0.0.9")
        async with await stream.Reader.open(access(url), "127.0.0.1") as reader:
            assert reader.url == fake.url


@pytest.mark.parametrize(
    ("url", "followed", "expected"),
    [
        ("https://master", "10.0.0.2", "https://10.0.0.2"),
        ("https://master:8443", "fe80::1", "https://[fe80::1]:8443"),
        ("http://127.0.0.1:80/x", "127.0.0.2", "http://127.0.0.2:80"),
        ("http://localhost", "[::1]", "http://[::1]"),
    ],
)
def test_an_address_keeps_scheme_and_port(url: str, followed: str, expected: str) -> None:
    """A table of addresses."""
    assert address.at(url, followed) == expected


def test_http_never_leaves_the_machine() -> None:
    """A password is not sent in the clear, wherever a member says its master is."""
    with pytest.raises(address.Unencrypted, match="https"):
        address.at("http://127.0.0.1", "10.0.0.2")


def test_ports_are_those_of_the_scheme() -> None:
    """Where the URL names none."""
    assert [address.port(url) for url in ("https://a", "http://a", "https://a:5")] == [443, 80, 5]


# --- the mirror ----------------------------------------------------------------------------------------------------


def batch(token: str, *events: tuple[str, str, str, Any], counts: dict[str, int] | None = None) -> stream.Batch:
    """A batch of (class, operation, ref, snapshot)."""
    return stream.Batch(tuple(stream.Event(*event) for event in events), token, counts or {})


def test_a_mirror_takes_what_a_batch_says() -> None:
    """Added, changed, deleted; what did not change is no change; other classes are not kept."""
    mirror = stream.Mirror(["host", "VM"])
    mirror.apply(batch("1", ("host", "add", "h1", {"n": 1}), ("vm", "add", "v1", {"n": 1}), ("sr", "add", "s", {})))
    changes = mirror.apply(
        batch("2", ("vm", "add", "v2", {"n": 2}), ("host", "mod", "h1", {"n": 1}), ("vm", "del", "v1", None))
    )
    assert changes == (
        stream.Change("vm", "v2", None, {"n": 2}),
        stream.Change("vm", "v1", {"n": 1}, None),
    )
    assert mirror.records == {"host": {"h1": {"n": 1}}, "vm": {"v2": {"n": 2}}}
    assert mirror.token == "2"


def test_a_new_session_starts_from_an_empty_token_and_drops_what_is_gone() -> None:
    """After a restart the first batch is the whole truth, and tells what changed meanwhile."""
    mirror = stream.Mirror(["host"])
    mirror.apply(batch("9", ("host", "add", "h1", {"n": 1}), ("host", "add", "h2", {"n": 2})))
    mirror.restart()
    assert mirror.token == ""
    assert mirror.records["host"]["h2"] == {"n": 2}
    changes = mirror.apply(batch("3", ("host", "add", "h1", {"n": 5})))
    assert changes == (stream.Change("host", "h1", {"n": 1}, {"n": 5}), stream.Change("host", "h2", {"n": 2}, None))
    assert mirror.records["host"] == {"h1": {"n": 5}}


class Script:
    """A source that answers what was written down, and remembers what it was asked."""

    def __init__(self, *batches: stream.Batch) -> None:
        self.batches = list(batches)
        self.asked: list[tuple[tuple[str, ...], str]] = []

    async def events(self, classes: Any, token: str, timeout: float) -> stream.Batch:
        self.asked.append((tuple(classes), token))
        return self.batches.pop(0)


async def test_a_class_that_lost_deletes_is_read_anew() -> None:
    """event.from loses deletes in silence; the counts tell, and only that class is asked for again."""
    source = Script(
        batch(
            "1", ("vm", "add", "v1", {}), ("vm", "add", "v2", {}), ("host", "add", "h", {}), counts={"vm": 2, "host": 1}
        ),
        batch("2", ("host", "mod", "h", {"n": 1}), counts={"vm": 1, "host": 1}),
        batch("9", ("vm", "add", "v2", {}), counts={"vm": 1}),
    )
    mirror = stream.Mirror(["vm", "host"])
    await mirror.catch_up(source, 1)
    changes = await mirror.catch_up(source, 1)
    assert source.asked == [(("vm", "host"), ""), (("vm", "host"), "1"), (("vm",), "")]
    assert stream.Change("vm", "v1", {}, None) in changes
    assert mirror.records["vm"] == {"v2": {}}
    assert mirror.token == "2"


async def test_a_count_that_never_fits_is_asked_about_once() -> None:
    """A pool that counts what it does not show is not asked again and again."""
    odd = {"vm": 5}
    source = Script(
        batch("1", ("vm", "add", "v1", {}), counts=odd),
        batch("1", ("vm", "add", "v1", {}), counts=odd),
        batch("2", counts=odd),
    )
    mirror = stream.Mirror(["vm"])
    await mirror.catch_up(source, 1)
    await mirror.catch_up(source, 1)
    assert source.batches == []
    assert len(source.asked) == 3


async def test_a_source_that_fails_leaves_the_mirror_as_it_was() -> None:
    """The next attempt asks from the same token."""

    class Broken(Script):
        async def events(self, classes: Any, token: str, timeout: float) -> stream.Batch:
            raise stream.NoAnswer("gone")

    mirror = stream.Mirror(["vm"])
    mirror.apply(batch("4", ("vm", "add", "v1", {})))
    with pytest.raises(stream.NoAnswer):
        await mirror.catch_up(Broken(), 1)
    assert (mirror.token, mirror.records["vm"]) == ("4", {"v1": {}})
