"""What is wrong in the journal of a pool whose run was cancelled: harm, and not that hosts were left as they were."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cli import judge
from shared.domain import facts


def found(
    journal: Sequence[Mapping[str, Any]], promise: judge.Promise, said: Sequence[object], *, cancelled: bool
) -> list[str]:
    """What the judge finds; of a run that was cancelled not that hosts were left as they were, nor that a VM stays on
    an updated host whose home is older, nor a note of its disks or discs that says so, where in what was `said` as
    much is owed as is noted."""
    wrong = judge.violations(journal, promise)
    if not cancelled:
        return wrong
    owed = {fact.setting for fact in said if isinstance(fact, facts.SettingOwed)}
    owed -= {fact.setting for fact in said if isinstance(fact, facts.SettingPaid)}
    noted = [one for one in wrong if _NOTED.search(one)]
    if len(noted) <= len(owed):
        wrong = [one for one in wrong if one not in noted]
    updated = {line["host"] for line in journal if line["kind"] == "host" and line.get("state") == "rebooting"}
    return [one for one in wrong if not _LEFT.search(one) and not _stays(one, updated)]


def _stays(sentence: str, updated: set[str]) -> bool:
    stays = _STAYS.search(sentence)
    return stays is not None and stays[1] in updated and stays[2] not in updated


_LEFT = re.compile(r"was never rebooted|updates still waiting")
_NOTED = re.compile(r"other_config\.rota:(disc|disks):")
_STAYS = re.compile(r"is on (\S+) at the end and began on (\S+)\.")
