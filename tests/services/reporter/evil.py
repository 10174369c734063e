"""A night on a pool whose names were chosen to do harm, for tests of every form of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tests.services.reporter import story
from tests.services.reporter.story import Story

SCRIPT = "<script>alert(1)</script>"
QUOTE = '"><img src=x onerror=alert(2)>'
BREAK = "x\r\nBcc: everybody@example.org\r\n\r\n<h1>hello"
TEMPLATE = "{{ 7*7 }}{% raw %}"
CLOSE = "</title></style></svg></table>]]>--><b>bold</b>"
PASSWORD = "hunter2-hunter2"

NAMES: Mapping[str, str] = {
    "xcp-graz-1": SCRIPT,
    "xcp-graz-2": QUOTE,
    "xcp-graz-3": BREAK,
    "db-1": CLOSE,
    "db-2": TEMPLATE,
    "web-3": f"vm {SCRIPT}",
    "mail": f"{PASSWORD}{QUOTE}",
    "Lab in Graz": f"Lab {CLOSE}",
    "November patches": f"reason {SCRIPT}\u202e{PASSWORD}",
    "anna@example.org": f"anna {QUOTE}",
    "xen-hypervisor": f"xen{SCRIPT}",
    "NFS backups": f"NFS{SCRIPT}",
}
"""What is put in the place of each name."""


def evil(night: Story) -> Story:
    """The same night with other names. Facts are rebuilt from their data, so that only what the wire lets through is
    told."""
    said = [(at, by, type(fact).model_validate(_renamed(fact.model_dump(mode="json")))) for at, by, fact in night.said]
    return dataclasses.replace(night, said=said)


def _renamed(value: Any) -> Any:
    if isinstance(value, str):
        for name, other in NAMES.items():
            value = value.replace(name, other)
        return value[:3900]
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if isinstance(value, dict):
        return {key: one if key in _KEPT else _renamed(one) for key, one in value.items()}
    return value


_KEPT = {"uuid", "pool", "run", "step", "turn", "kind", "outcome", "setting"}


def left_behind() -> Story:
    """The night with the most to tell."""
    return evil(story.left_behind())


def all_well() -> Story:
    """The night with the longest story."""
    return evil(story.all_well())
