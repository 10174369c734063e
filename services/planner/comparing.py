"""What if: one reading of a pool planned under several policies, each in a few figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.planner import fitting, forecasting
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import PoolSnapshot
from shared.domain.policy import Policy

NAMED = 5
"""So many blockers of each are told in full."""


def compared(
    snapshot: PoolSnapshot,
    shown: facts.Forecast,
    asked: Policy,
    others: Sequence[Policy],
    history: History,
    opening: fitting.Opening | None,
) -> tuple[facts.Comparison, ...]:
    """The forecast that is shown and those of the other policies, side by side; nothing where there are no others."""
    if not others:
        return ()
    plans = [(asked, shown)]
    plans += [(policy, forecasting.forecast(snapshot, policy, history, opening)) for policy in others]
    return tuple(_figures(policy, plan) for policy, plan in plans)


def _figures(policy: Policy, plan: facts.Forecast) -> facts.Comparison:
    tightest = next((load for load in plan.loads if plan.tightest == load.host), None)
    return facts.Comparison(
        mode=policy.mode,
        max_away=plan.max_away,
        skip=policy.skip,
        turns=len(plan.turns),
        moves=sum(max(1, len(move.times) // 2) for turn in plan.turns for move in turn.moves),
        seconds=plan.seconds,
        upper=plan.upper,
        ha_off=plan.ha_off,
        tightest=tightest,
        blockers=plan.blockers[:NAMED],
        blocked_by=len(plan.blockers),
        digest=plan.digest,
    )
