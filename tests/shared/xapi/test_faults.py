"""XAPI's codes to what follows from them, in a sentence with names."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import GiveUp, TryAgain
from shared.xapi import faults

NOT_IN_THE_DATAMODEL = {"UNKNOWN_XENAPI_PLUGIN_FUNCTION"}
"""What a plugin's own library raises."""


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("HOST_STILL_BOOTING", 5),
        ("OTHER_OPERATION_IN_PROGRESS", 20),
        ("HOST_OFFLINE", 30),
        ("CANNOT_CONTACT_HOST", 30),
        ("CLUSTERED_SR_DEGRADED", 60),
        ("SR_BACKEND_FAILURE_73", 30),
        ("TASK_CANCELLED", 30),
    ],
)
def test_what_passes_is_tried_again(code: str, after: float) -> None:
    """In seconds of pool time."""
    error = faults.error(code, ["athos"] * 4, "It failed")
    assert isinstance(error, TryAgain)
    assert (error.after, error.code) == (after, code)


@pytest.mark.parametrize("code", ["VM_REQUIRES_SR", "VM_LACKS_FEATURE", "SESSION_AUTHENTICATION_FAILED", "NEW_CODE"])
def test_what_does_not_pass_is_given_up(code: str) -> None:
    """With who can help; an unknown code is told as it is."""
    error = faults.error(code, ["gitlab", "vms"], "gitlab could not be moved to porthos")
    assert isinstance(error, GiveUp)
    assert error.who_can_help
    assert error.code == code


def test_a_sentence_names_the_thing_the_cause_and_the_end() -> None:
    """What was being done, then why not, with the names it was given."""
    error = faults.error("VM_REQUIRES_SR", ["gitlab", "vms"], "gitlab could not be moved to porthos")
    assert (
        error.because == "gitlab could not be moved to porthos: gitlab needs the SR vms, which is not attached there."
    )


def test_parameters_that_xapi_leaves_out_are_unknown() -> None:
    """HOST_NOT_ENOUGH_FREE_MEMORY carries two parameters, or one; a template never fails."""
    for code in faults.FAULTS:
        assert "{" not in faults.error(code, [], "It failed").because


def test_memory_is_told_in_sizes_that_people_read() -> None:
    """XAPI gives bytes; from an evacuation it gives the VM instead."""
    error = faults.error("HOST_NOT_ENOUGH_FREE_MEMORY", ["8664385536", "1073741824"], "It failed")
    assert error.because == "It failed: there is not enough free memory (needed 8.1 GiB, free 1.0 GiB)."
    error = faults.error("HOST_NOT_ENOUGH_FREE_MEMORY", ["gitlab"], "athos could not be emptied")
    assert error.because == "athos could not be emptied: no other host has enough free memory for gitlab."


def test_an_endless_parameter_is_cut() -> None:
    """A sentence stays one that fits a fact."""
    assert len(faults.error("INTERNAL_ERROR", ["x" * 10_000], "It failed").because) < 2000


@pytest.mark.parametrize(
    "text",
    ["The updater plugin is busy (current operation: check_update)", "Update already in progress"],
)
def test_a_busy_updater_has_a_code_of_its_own(text: str) -> None:
    """XAPI's is -1 for every failure of a plugin."""
    error = faults.error("-1", [text, "", "traceback"], "athos could not be asked")
    assert isinstance(error, TryAgain)
    assert error.code == faults.UPDATER_BUSY


def test_a_plugin_that_failed_is_not_busy() -> None:
    """yum's own failure is told with its text."""
    error = faults.error("1", ["Command 'yum' failed with code: 1", "stderr: no mirror"], "athos could not be updated")
    assert isinstance(error, TryAgain)
    assert "no mirror" in error.because
    assert error.code == "1"


def test_every_code_of_the_table_is_one_of_xapis(repository: Path) -> None:
    """A misspelt code would never be met. Needs XAPI's data model beside the repository."""
    file = repository.parent / "shared" / "xapi-datamodel.json"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside this repository, so the codes are not compared with XAPI's")
    model: dict[str, Any] = json.loads(file.read_text())
    unknown = set(faults.FAULTS) - set(model["errors"]) - NOT_IN_THE_DATAMODEL
    assert unknown == set()


def test_templates_ask_for_no_more_than_xapi_gives(repository: Path) -> None:
    """A place beyond a code's parameters would always be told as unknown."""
    file = repository.parent / "shared" / "xapi-datamodel.json"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside this repository, so the codes are not compared with XAPI's")
    errors = json.loads(file.read_text())["errors"]
    wrong = {
        code
        for code, fault in faults.FAULTS.items()
        if code in errors
        for _, place, _, _ in string.Formatter().parse(fault.cause)
        if place and place.isdigit() and int(place) >= len(errors[code]["params"])
    }
    assert wrong == set()
