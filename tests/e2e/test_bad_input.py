"""Bad input, by real processes: one sentence each, a status that is not 0, and nothing changed on any pool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.bus import wire
from shared.bus.port import Message
from shared.domain import facts
from tests.e2e.conftest import House, Said, Sim, origin, rota_up, simulated

FACTOR = 60
STUCK = """
name: stuck
pool: {name: Stuck}
hosts:
  - {name: left, master: true, memory: 32 GiB, local_sr: 100 GiB}
  - {name: right, memory: 32 GiB}
vms:
  - {name: rooted, host: left, memory: 2 GiB, disks: [{sr: Local storage on left, size: 8 GiB}]}
  - {name: free, host: right, memory: 2 GiB}
"""


@dataclass(frozen=True)
class Town:
    """A house of Rota and the pools that it must not touch."""

    house: House
    pools: tuple[Sim, ...]

    def untouched(self) -> bool:
        """Whether nothing at all was changed on any pool."""
        return not any(sim.changes() for sim in self.pools)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Pools that are good, stuck, behind TLS and not there, and one `rota up` for all of them."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "stuck.yaml").write_text(STUCK)
    speed = ("--factor", str(FACTOR))
    with ExitStack() as stack:
        spare = stack.enter_context(simulated(Path("small"), folder / "spare.ndjson", *speed))
        good = stack.enter_context(simulated(Path("small"), folder / "good.ndjson", *speed))
        stuck = stack.enter_context(simulated(folder / "stuck.yaml", folder / "stuck.ndjson", *speed))
        tls = stack.enter_context(simulated(Path("small"), folder / "tls.ndjson", *speed, "--tls"))
        (folder / "rota.toml").write_text(settings(good, stuck, tls, spare))
        (folder / "right").write_text("simulated")
        (folder / "wrong").write_text("guessed")
        yield Town(stack.enter_context(rota_up(folder)), (good, stuck, tls))


def settings(good: Sim, stuck: Sim, tls: Sim, spare: Sim) -> str:
    """rota.toml with each kind of pool."""

    def pool(key: str, url: str, password: str, **more: str) -> str:
        lines = [f"[pool.{key}]", f"url = {json.dumps(url)}", f'password_file = "{password}"']
        return "\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in more.items())]) + "\n"

    return "\n".join(
        (
            f"[clock]\nfactor = {FACTOR}\norigin = {origin(good)}\n",
            pool("good", good.url, "right"),
            pool("spare", spare.url, "right"),
            pool("stuck", stuck.url, "right"),
            pool("denied", good.url, "wrong"),
            pool("gone", "https://127.0.0.1:9", "right"),
            pool("foreign", tls.url, "right"),
            pool("pinned", tls.url, "right", fingerprint="00" * 32),
        )
    )


def last_sentence(said: Said) -> str:
    """The sentence that a verb ends with."""
    return said.err.strip().splitlines()[-1]


def one_sentence(text: str) -> bool:
    """Whether a person can read it: no reference, no traceback, and it ends."""
    return "OpaqueRef" not in text and "Traceback" not in text and text.rstrip(")").rstrip()[-1] in ".?!"


@pytest.mark.parametrize("verb", ["plan", "start"])
def test_an_unknown_pool_is_refused_by_name(town: Town, verb: str) -> None:
    """In the command line and as a fact."""
    said = town.house.rota(verb, "attic", "--json")
    assert said.code == 4
    assert "'attic'" in last_sentence(said)
    assert said.document["sentence"] == last_sentence(said)
    refused = [fact for fact in town.house.told() if isinstance(fact, facts.OrderRefused) and fact.pool == "attic"]
    assert last_sentence(said) in [fact.because for fact in refused]
    assert town.untouched()


@pytest.mark.parametrize("name", ["Lab Pool", "lab.*", "../etc", "x" * 41])
def test_a_name_that_is_no_subject_token_is_refused_by_name(town: Town, name: str) -> None:
    """It never gets into a subject, and the sentence says what a key looks like."""
    said = town.house.rota("start", name)
    assert said.code == 4
    assert repr(name) in last_sentence(said)
    assert any(isinstance(fact, facts.OrderRefused) and fact.pool == name for fact in town.house.told())
    assert town.untouched()


@pytest.mark.parametrize("data", [b"{pool: lab", b"[]", b'{"pool":"good","polcy":{}}', b"\xff\xfe", b""])
def test_a_malformed_order_of_any_client_is_taken_off_the_bus_and_told(town: Town, data: bytes) -> None:
    """Never a crash loop and never silence: a fact names the subject and the fault."""

    async def publish() -> None:
        async with town.house.bus() as bus:
            message = Message("rota.command.planner.start_run", data)
            seq = await bus.append(message, id=f"bad-{data!r}")
            rejected = facts.MessageRejected.subject
            async with asyncio.timeout(20), bus.follow([rejected], after=0) as following:
                async for stored in following:
                    fact = wire.read_fact(stored).fact
                    if isinstance(fact, facts.MessageRejected) and fact.seq == seq:
                        assert fact.rejected_subject == message.subject
                        assert one_sentence(fact.because)
                        break
            async with asyncio.timeout(20):
                while await bus.orders_outstanding("rota.command.>"):
                    await asyncio.sleep(0.05)

    asyncio.run(publish())
    assert town.untouched()


@pytest.mark.parametrize(
    ("word", "named"), [("max_awy=2", "max_awy"), ("max_away=many", "max_away"), ("mode=sideways", "mode")]
)
def test_a_policy_that_cannot_be_read_or_carried_out_is_refused_by_its_key(town: Town, word: str, named: str) -> None:
    """Refused, never ignored."""
    said = town.house.rota("start", "good", "--policy", word)
    assert said.code == 4
    assert named in last_sentence(said)
    assert town.untouched()


@pytest.mark.parametrize(
    ("pool", "cause"),
    [
        ("gone", "127.0.0.1:9"),
        ("denied", "SESSION_AUTHENTICATION_FAILED|password|credentials|login"),
        ("foreign", "certificate"),
        ("pinned", "certificate|fingerprint"),
    ],
)
def test_a_pool_that_cannot_be_used_says_why(town: Town, pool: str, cause: str) -> None:
    """Not there, wrong credentials, a certificate of somebody else: plan and start both say so, as facts too."""
    planned = town.house.rota("plan", pool)
    assert planned.code == 1
    assert any(word in last_sentence(planned) for word in cause.split("|")), planned.err
    assert one_sentence(last_sentence(planned))
    started = town.house.rota("start", pool)
    assert started.code in (1, 3, 4)
    assert any(word in last_sentence(started) for word in cause.split("|")), started.err
    told = [getattr(fact, "because", "") or getattr(fact, "sentence", "") for fact in town.house.told()]
    assert any(last_sentence(started).startswith(one) or one in last_sentence(started) for one in told if one)
    assert town.untouched()


def test_a_vm_that_cannot_leave_its_host_is_named_with_the_cause_and_the_fix(town: Town) -> None:
    """The plan shows it, the run is refused by it, and the pool is as it was."""
    planned = town.house.rota("plan", "stuck")
    assert planned.code == 4
    assert "rooted" in planned.out
    assert "Local storage on left" in planned.out
    started = town.house.rota("start", "stuck", "--json")
    assert started.code == 4
    assert "rooted" in started.document["sentence"]
    ended = [fact for fact in town.house.told() if isinstance(fact, facts.RunEnded) and fact.pool == "stuck"]
    assert [fact.outcome for fact in ended] == ["refused"]
    assert "OpaqueRef" not in planned.out + planned.err + started.out + started.err
    assert town.untouched()


def test_a_second_run_on_the_same_pool_is_refused_with_the_name_of_the_first(town: Town) -> None:
    """And the first can be cancelled; status 6 says how it ended."""
    first = town.house.rota("start", "spare", "--json")
    assert first.code == 0
    second = town.house.rota("start", "spare")
    cancelled = town.house.rota("cancel", first.document["run"], "--now")
    watched = town.house.rota("watch", first.document["run"])
    assert second.code == 4
    assert first.document["run"] in last_sentence(second)
    assert cancelled.code == 0
    assert watched.code == 6
    assert town.house.rota("runs", "--json").document["runs"][0]["run"] == first.document["run"]
