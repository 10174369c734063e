"""The updater plugin's answers, old and new."""

from __future__ import annotations

import json

import pytest

from shared.domain.errors import Unreadable
from shared.xapi import answers, updater


def test_offered_packages_are_read_by_name() -> None:
    """With version, release and the texts; a changelog may be null."""
    told = [
        {"name": "xen", "version": "4.17.6", "release": "2.1", "description": "Xen", "changelog": None},
        {"name": "kernel", "version": "4.19", "release": "8", "changelog": {"description": "- CVE"}, "size": 3},
    ]
    kernel, xen = updater.offered(json.dumps(told))
    assert (kernel.name, kernel.changelog, xen.version, xen.release) == ("kernel", "- CVE", "4.17.6", "2.1")


def test_nothing_offered_is_an_empty_list() -> None:
    """Up to date."""
    assert updater.offered("[]") == ()


@pytest.mark.parametrize("text", ["", "no json", "{}", '[{"version": "1"}]', "[1]"])
def test_an_answer_of_another_shape_is_unreadable(text: str) -> None:
    """Nothing is guessed about what would be installed."""
    with pytest.raises(Unreadable):
        updater.offered(text)


def test_an_old_plugin_tells_errors_as_text() -> None:
    """They become the failure that a newer one raises."""
    with pytest.raises(answers.Failure) as raised:
        updater.offered('{"error": "The updater plugin is busy"}')
    assert raised.value.code == "-1"


@pytest.mark.parametrize("told", [{"returncode": 1, "stderr": "no mirror"}, {"exit": 1, "stderr": "no mirror"}])
def test_an_update_that_ended_badly_is_a_failure(told: dict[str, object]) -> None:
    """By both names of the exit status."""
    with pytest.raises(answers.Failure) as raised:
        updater.check_outcome(json.dumps(told))
    assert "no mirror" in raised.value.params


def test_an_update_that_ended_well_is_none() -> None:
    """Nothing is raised."""
    updater.check_outcome('{"returncode": 0, "stdout": "Complete!"}')


def test_installed_packages_are_names_to_texts() -> None:
    """What is not installed is an empty text."""
    assert updater.installed('{"kernel": "kernel-1-2.x86_64", "nano": null}') == {
        "kernel": "kernel-1-2.x86_64",
        "nano": "",
    }
