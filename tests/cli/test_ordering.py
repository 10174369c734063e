"""Policy words of the command line."""

from __future__ import annotations

import pytest

from cli import ordering
from cli.exits import Exit, Stop


def test_values_are_read_as_json_where_they_are_json_and_as_text_elsewhere() -> None:
    """Numbers and truth come through as such, names as they are."""
    words = ["max_away=2", "squeeze=true", "mode=home", "migration_network=10.0.0.0/24", "only=h1, h2", 'skip=["h3"]']
    assert ordering.policy_of(words) == {
        "max_away": 2,
        "squeeze": True,
        "mode": "home",
        "migration_network": "10.0.0.0/24",
        "only": ["h1", "h2"],
        "skip": ["h3"],
    }


def test_a_strategy_names_its_vm() -> None:
    """One table of the policy has keys of its own."""
    words = ["strategies.db1=block", "strategies.db.2=migrate"]
    assert ordering.policy_of(words) == {"strategies": {"db1": "block", "db.2": "migrate"}}


def test_options_that_choose_hosts_are_words_of_the_policy() -> None:
    """Names with blanks and commas stay whole; what is not given says nothing."""
    words = ordering.selecting(["h1", "rack 2, top"], [], ["h2"])
    assert ordering.policy_of(words) == {"only": ["h1", "rack 2, top"], "order": ["h2"]}


def test_a_group_is_a_list_of_hosts() -> None:
    """One word for each failure domain."""
    assert ordering.policy_of(["groups.rack1=h1,h2", "groups.rack2=h3"]) == {
        "groups": {"rack1": ["h1", "h2"], "rack2": ["h3"]}
    }


@pytest.mark.parametrize("word", ["max_away", "=2", ""])
def test_a_word_without_key_and_value_is_a_mistake_of_usage(word: str) -> None:
    """The sentence says how it is written."""
    with pytest.raises(Stop, match="is not key=value") as stop:
        ordering.policy_of([word])
    assert stop.value.ending.code is Exit.USAGE


def test_an_order_that_no_wire_takes_is_told_before_it_is_sent() -> None:
    """A name of 500 characters is no name."""
    with pytest.raises(Stop, match=r"^pool: "):
        ordering.start_command("x" * 500, [], "", "", now=False)


def test_a_consent_goes_with_the_order() -> None:
    """VMs by name, as they were given."""
    command = ordering.start_command("lab", [], "", "", now=False, consents=["erp", "db"])
    assert command.consents == ("erp", "db")
