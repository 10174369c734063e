"""What the updater plugin answers (xcp-ng-xapi-plugins, updater.py), to values. Pure: text in, packages out.

Calling it is `client`'s. Versions before XCP-ng 8.2.1 tell errors as JSON `{"error": …}` and in `exit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.domain.errors import Unreadable
from shared.domain.model import Package
from shared.xapi import answers

LONGEST_TEXT = 1000
"""Characters that are kept of a description, a changelog, and what yum said."""


def offered(text: str) -> tuple[Package, ...]:
    """The packages in an answer of `check_update`, by name. Raises Failure for an error told as text, Unreadable."""
    found = _json(text, "check_update")
    if not isinstance(found, list):
        raise Unreadable("The host's updater gave no list of packages.")
    try:
        packages = [_package(one) for one in found]
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"The host's updater gave a package without {error}.") from error
    return tuple(sorted(packages, key=lambda package: package.name))


def installed(text: str) -> dict[str, str]:
    """The answer of `query_installed`: name to `name-version-release.arch`, empty for what is not installed."""
    found = _json(text, "query_installed")
    if not isinstance(found, dict):
        raise Unreadable("The host's updater gave no table of packages.")
    return {str(name): str(nvra or "") for name, nvra in found.items()}


def check_outcome(text: str) -> None:
    """The answer of `update`. Raises Failure when yum did not end well, as the plugin's newer versions do."""
    found = _json(text, "update")
    if isinstance(found, dict) and (status := int(found.get("returncode") or found.get("exit") or 0)):
        raise answers.Failure(str(status), ["yum update failed", str(found.get("stderr", ""))[-LONGEST_TEXT:]])


def _json(text: str, asked: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The host's updater answered {asked} with something that is not JSON.") from error
    if isinstance(found, dict) and found.get("error"):
        raise answers.Failure("-1", [str(found["error"])])
    return found


def _package(one: Mapping[str, Any]) -> Package:
    changelog = one.get("changelog") or {}
    return Package(
        name=str(one["name"]),
        version=str(one["version"]),
        release=str(one.get("release") or ""),
        description=str(one.get("description") or "")[:LONGEST_TEXT],
        changelog=str(changelog.get("description") or "")[:LONGEST_TEXT],
    )
