"""The verb that plans: a forecast as a table and a timeline, as a page, or compared with others. Changes nothing."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import client as client_
from cli import ordering, plan_page, plan_view
from cli.exits import Ending, Exit, Stop
from shared.domain import commands, facts


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Other ways to try: modes, numbers of hosts away, hosts that have no turn."""

    modes: tuple[str, ...] = ()
    max_away: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def policies(self, policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Every combination laid over a policy, and behind them the policy as it is; it alone where there is none."""
        found: list[Mapping[str, Any]] = []
        for mode, away in itertools.product(self.modes or ("",), self.max_away or ("",)):
            said: dict[str, Any] = {**policy}
            said |= {"mode": mode} if mode else {}
            said |= {"max_away": _amount(away)} if away else {}
            said |= {"skip": list(self.skip)} if self.skip else {}
            found.append(said)
        return found if dict(policy) in found else [*found, policy]


def _amount(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


async def plan(pool: str, words: Sequence[str], what_if: WhatIf, *, html: bool, to: Path | None) -> Ending:
    """Ask for a forecast and show it. Status 4 where something stands in the way."""
    first, *others = what_if.policies(ordering.policy_of(words))
    command = ordering.made(commands.PlanPool, pool=pool, policy=first, compare=others)
    async with client_.connected() as client:
        sent, answer = await client_.ask(client, command, say=ordering.asides())
        now = client.clock.now()
    fact = answer.fact
    document: dict[str, object] = {"order": sent.order, "pool": pool}
    if not isinstance(fact, facts.ForecastMade):
        return Ending(document, (), answer.code, answer.sentence)
    document["forecast"] = fact.forecast.model_dump(mode="json")
    if fact.compared:
        document["compared"] = json.loads(fact.model_dump_json(include={"compared"}))["compared"]
    if html:
        return _page(plan_page.page(fact, now), to, answer.code, answer.sentence)
    return Ending(document, plan_view.shown(fact, now), answer.code, answer.sentence)


def _page(text: str, to: Path | None, code: Exit, sentence: str) -> Ending:
    if to is None:
        sys.stdout.write(text)
        return Ending({}, (), code, sentence if code is not Exit.DONE else "")
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Stop(Exit.FAILED, f"{to} cannot be written: {error.strerror or error}.") from error
    return Ending({"file": str(to)}, (), code, f"The plan is in {to}. {sentence}")
