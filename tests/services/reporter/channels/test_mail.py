"""Mail, to a real server: TLS, passwords, refusals, greylisting, lines cut at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.reporter import spoken
from services.reporter.channels.mail import MailChannel, channels, compose, message_id
from services.reporter.rendering import Renderer
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import MailDestination
from tests.services.reporter import evil, story
from tests.services.reporter.channels import post
from tests.services.reporter.channels.parcels import parcels
from tests.services.reporter.channels.post import Postman, certificates, destination, serving

RENDERER = Renderer(UTC)
NIGHT = parcels(story.all_well())


def channel(settings: MailDestination) -> MailChannel:
    """The only mailbox of a destination."""
    (only,) = channels("ops", settings, RENDERER, spoken.hiding([settings.password.get_secret_value()]))
    return only


def with_password(settings: MailDestination, password: str = post.PASSWORD) -> MailDestination:
    """As the settings are once secrets were read."""
    return settings.model_copy(update={"username": post.USER, "password": SecretStr(password)})


# --- the way there ----------------------------------------------------------------------------------------------------


async def test_a_mail_arrives_in_two_forms() -> None:
    """Text and HTML, to the mailbox, with a subject that can be filtered."""
    postman = Postman()
    async with serving(postman) as port:
        reference = await channel(destination(port)).deliver(NIGHT["ended"])
    mail = postman.read()
    assert mail["Subject"] == "[Rota] lab: succeeded, 3 of 3 hosts updated"
    assert (mail["From"], mail["To"]) == ("Rota <rota@example.org>", "ops@example.org")
    assert mail["Message-ID"] == reference
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Rota-Occasion"] == "ended"
    assert postman.envelopes == [("rota@example.org", ["ops@example.org"])]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "All 3 hosts are updated" in text.get_content()
    assert "<h1" in html.get_content()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_mail_goes_encrypted_with_a_password(tmp_path: Path, tls: str) -> None:
    """STARTTLS and TLS from the first byte, both by a certificate that was checked."""
    context, ca = certificates(tmp_path)
    postman = Postman()
    async with serving(postman, tls=tls, context=context) as port:
        await channel(with_password(destination(port, tls=tls, ca_file=ca))).deliver(NIGHT["ended"])
    assert len(postman.mails) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_nobody_vouches_for_is_not_trusted(tmp_path: Path, tls: str) -> None:
    """No mail and no password go there; it is tried again, because a certificate can be put right."""
    context, _ = certificates(tmp_path)
    postman = Postman()
    async with serving(postman, tls=tls, context=context) as port:
        with pytest.raises(TryAgain, match="certificate"):
            await channel(with_password(destination(port, tls=tls))).deliver(NIGHT["ended"])
    assert postman.seen == []


async def test_a_server_without_starttls_gets_no_mail() -> None:
    """What was to be encrypted never goes in the clear."""
    postman = Postman()
    async with serving(postman) as port:
        with pytest.raises(TryAgain, match="STARTTLS"):
            await channel(destination(port, tls="starttls")).deliver(NIGHT["ended"])
    assert postman.seen == []


async def test_a_wrong_password_is_given_up_and_not_told(tmp_path: Path) -> None:
    """535 is for ever, and the password stands in no sentence."""
    context, ca = certificates(tmp_path)
    async with serving(Postman(), tls="implicit", context=context) as port:
        settings = with_password(destination(port, tls="implicit", ca_file=ca), "wrong-password")
        with pytest.raises(GiveUp, match="535") as caught:
            await channel(settings).deliver(NIGHT["ended"])
    assert "wrong-password" not in caught.value.because


async def test_a_missing_certificate_file_is_tried_again(tmp_path: Path) -> None:
    """It must not bring the reporter down; somebody may put it there."""
    settings = destination(25, tls="implicit", ca_file=tmp_path / "missing.pem")
    with pytest.raises(TryAgain, match="No such file"):
        await channel(settings).deliver(NIGHT["ended"])


# --- no for an answer -------------------------------------------------------------------------------------------------


async def test_an_unknown_mailbox_is_given_up() -> None:
    """550 is for ever."""
    async with serving(Postman(to_recipients=["550 no such user"])) as port:
        with pytest.raises(GiveUp, match=r"ops@example\.org: 550 no such user"):
            await channel(destination(port)).deliver(NIGHT["ended"])


async def test_a_refused_content_is_given_up() -> None:
    """554 after DATA too."""
    async with serving(Postman(to_data=["554 looks like spam"])) as port:
        with pytest.raises(GiveUp, match="554 looks like spam"):
            await channel(destination(port)).deliver(NIGHT["ended"])


@pytest.mark.parametrize("where", ["to_recipients", "to_data"])
async def test_greylisting_is_waited_out(where: str) -> None:
    """451 is for now; the second try arrives, once."""
    postman = Postman(**{where: ["451 try again later"]})  # type: ignore[arg-type]
    async with serving(postman) as port:
        with pytest.raises(TryAgain, match="451 try again later"):
            await channel(destination(port)).deliver(NIGHT["ended"])
        await channel(destination(port)).deliver(NIGHT["ended"])
    assert len(postman.mails) == 1


async def test_nobody_at_that_port_is_tried_again() -> None:
    """A mail server that is down is no reason to forget the report."""
    async with serving(Postman()) as port:
        pass
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1 could not be used"):
        await channel(destination(port)).deliver(NIGHT["ended"])


async def test_one_mailbox_s_refusal_repeats_nothing_for_the_others() -> None:
    """Each mailbox is a destination of its own, and every mail names them all."""
    postman = Postman(to_recipients=["550 gone", "250"])
    async with serving(postman) as port:
        gone, there = channels(
            "ops", destination(port, to=["a@example.org", "b@example.org"]), RENDERER, spoken.hiding([])
        )
        with pytest.raises(GiveUp):
            await gone.deliver(NIGHT["ended"])
        await there.deliver(NIGHT["ended"])
    assert (gone.name, there.name) == ("mail.ops a@example.org", "mail.ops b@example.org")
    assert postman.read()["To"] == "a@example.org, b@example.org"
    assert postman.envelopes == [("rota@example.org", ["b@example.org"])]


# --- lines that are cut -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def cutting_in_data(after: int) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that hangs up after so many bytes of a mail; how many it got, mail by mail."""
    got: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                got.append(len(await reader.read(after)))
                break
            writer.write(b"250 OK\r\n")
        writer.close()

    server = await asyncio.start_server(serve, post.LOOPBACK, 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1]), got


async def test_a_line_cut_in_the_middle_of_a_mail_is_tried_again() -> None:
    """The mail was not taken, and nobody says it was."""
    async with cutting_in_data(1000) as (port, got):
        with pytest.raises(TryAgain, match="could not be used"):
            await channel(destination(port)).deliver(NIGHT["ended"])
    assert len(got) == 1
    assert 0 < got[0] <= 1000


async def test_a_mail_taken_without_a_word_is_sent_again_the_same() -> None:
    """SMTP cannot do better than at least once; so the copy is the same to the byte, Message-ID and all."""
    postman = Postman(vanish_after_data=1)
    async with serving(postman) as port:
        with pytest.raises(TryAgain):
            await channel(destination(port)).deliver(NIGHT["ended"])
        await channel(destination(port)).deliver(parcels(story.all_well())["ended"])
    first, second = postman.seen
    assert first == second


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole exchange has its time."""
    monkeypatch.setattr("services.reporter.channels.mail.ALTOGETHER", 0.2)
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(serve, post.LOOPBACK, 0)
    async with server:
        with pytest.raises(TryAgain, match="did not answer in time"):
            await channel(destination(int(server.sockets[0].getsockname()[1]))).deliver(NIGHT["ended"])
        await asyncio.wait_for(hung_up.wait(), 5)


# --- how it is made ---------------------------------------------------------------------------------------------------


async def test_a_run_s_mails_answer_its_announcement() -> None:
    """So that a mail program shows them as one thread."""
    postman = Postman()
    async with serving(postman) as port:
        for occasion in ("announced", "started", "ended"):
            await channel(destination(port)).deliver(NIGHT[occasion])
    announced, started, ended = (postman.read(n) for n in range(3))
    assert announced["In-Reply-To"] is None
    assert started["In-Reply-To"] == ended["In-Reply-To"] == announced["Message-ID"]
    assert ended["References"] == announced["Message-ID"]
    assert len({announced["Message-ID"], started["Message-ID"], ended["Message-ID"]}) == 3


def test_long_ids_stay_whole() -> None:
    """The library would encode an id longer than a line, and the thread would be lost."""
    settings = destination(25, sender="rota@infrastructure.department.some-very-long-company-name.example.org")
    raw = compose(NIGHT["ended"], "a-key-of-almost-forty-letters-or-so", settings, RENDERER).as_bytes()
    announced = NIGHT["ended"].answers
    assert announced is not None
    domain = "infrastructure.department.some-very-long-company-name.example.org"
    id = message_id(announced, "a-key-of-almost-forty-letters-or-so", domain)
    assert f"In-Reply-To: {id}".encode() in raw
    assert f"References: {id}".encode() in raw


def test_names_cannot_add_headers() -> None:
    """Line breaks in names end up as blanks, in the subject and everywhere."""
    raw = compose(parcels(evil.left_behind())["ended"], "ops", destination(25), RENDERER).as_bytes()
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\r\n"))
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@pytest.mark.parametrize("bad", [{"sender": "nobody"}, {"to": ["not an address"]}, {"to": ["ä@example.org"]}])
async def test_an_address_that_is_none_is_given_up(bad: dict[str, object]) -> None:
    """One sentence that names it, and no loop."""
    async with serving(Postman()) as port:
        with pytest.raises(GiveUp, match=r"no address|553|501|refused"):
            await channel(destination(port, **bad)).deliver(NIGHT["ended"])


def test_names_beyond_ascii_survive() -> None:
    """A pool in Kraków is called so in the subject."""
    night = story.all_well()
    parcel = parcels(evil.evil(night))["ended"]
    letter = parcel.letter.__class__(**{
        **{name: getattr(parcel.letter, name) for name in parcel.letter.__slots__},
        "subject": "[Rota] lab: Kraków ☂ 3 of 3 hosts updated",
    })  # fmt: skip
    mail = compose(parcel.__class__(letter, parcel.answers, parcel.latest), "ops", destination(25), RENDERER)
    assert b"Krak=C3=B3w" in mail.as_bytes() or b"=?utf-8?" in mail.as_bytes().lower()
    assert str(mail["Subject"]) == "[Rota] lab: Kraków ☂ 3 of 3 hosts updated"
