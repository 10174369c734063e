"""Every message has a golden file, and what is written today is what it says."""

from __future__ import annotations

import json

import pytest

from shared.bus import wire
from shared.bus.port import Message, Stored
from shared.domain import commands, facts, messages
from tests.shared.domain import examples, golden

HOW = "run `python -m tests.shared.domain.golden` and look at the difference"


def test_every_message_of_the_registry_has_one_example() -> None:
    """A new message without an example fails here."""
    assert [type(one) for one in examples.COMMANDS] == [row.message for row in messages.COMMANDS]
    assert [type(one) for one in examples.FACTS] == [row.message for row in messages.FACTS]


def test_every_golden_file_belongs_to_a_message() -> None:
    """A file that no message has is left over from one that is gone."""
    assert sorted(golden.written()) == sorted(golden.expected()), HOW


@pytest.mark.parametrize("name", sorted(golden.expected()))
def test_a_message_is_written_as_its_golden_file_says(name: str) -> None:
    """A change on the wire is seen and meant."""
    assert golden.written().get(name) == golden.expected()[name], HOW


@pytest.mark.parametrize("fact", examples.FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_reads_back_from_its_golden_file_as_it_was(fact: facts.Fact) -> None:
    """Writing and reading are one another's inverse, on the subject that the fact's own fields give."""
    held = json.loads(golden.written()[f"{messages.fact_type(type(fact))}.json"])
    stored = Stored(held["subject"], json.dumps(held["message"]).encode(), {}, 1, golden.AT)
    recorded = wire.read_fact(stored)
    assert recorded.fact == fact
    assert recorded.at == golden.AT


@pytest.mark.parametrize("command", examples.COMMANDS, ids=lambda command: command.verb)
def test_a_command_reads_back_from_its_golden_file_as_it_was(command: commands.Command) -> None:
    """An order is understood as it was meant."""
    held = json.loads(golden.written()[f"command.{command.verb}.json"])
    message = Message(held["subject"], json.dumps(held["message"]).encode())
    read = wire.read_step if isinstance(command, commands.DoStep) else wire.read_command
    assert read(message) == command


@pytest.mark.parametrize("fact", examples.FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_with_a_field_that_is_not_known_is_read_without_it(fact: facts.Fact) -> None:
    """Readers ignore what a newer Rota adds."""
    held = json.loads(golden.written()[f"{messages.fact_type(type(fact))}.json"])
    held["message"]["data"]["added_later"] = 1
    assert wire.read_fact(Stored(held["subject"], json.dumps(held["message"]).encode(), {}, 1, 0.0)).fact == fact
