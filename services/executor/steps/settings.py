"""A pool's settings: changed for the run, and put back to what was noted before it. Only what Rota changed."""

from __future__ import annotations

from services.executor.steps import noted
from services.executor.work import Ended, Owed, Work
from shared.domain import acts
from shared.domain.acts import Setting
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.facts import Debt
from shared.domain.model import HA, PoolSettings
from shared.xapi.port import NotAnswered, Pool, PoolLook

OWED_AGAIN = 60.0
"""Pool seconds after which a setting that is owed is tried again: the pool judges its versions each 30 s."""


async def change(act: acts.ChangePoolSetting, work: Work) -> Ended:
    """Off for the run: HA and workload balancing disabled, auto_poweron "false"."""
    name, look = _NAMES[act.setting], await work.pool.look()
    if _is_off(act.setting, look.settings):
        return Ended(acts.Done(already=not work.again), f"{name} is off.")
    undo = command(acts.RestorePoolSetting(act.setting, act.before), look.named.uuid)
    await work.pool.mark(noted.key(act.setting), noted.text(work.place.run, undo, act.before))
    await _switch_off(act.setting, work.pool)
    if not _is_off(act.setting, (await work.pool.look()).settings):
        raise TryAgain(f"{name} was switched off and is still on.", after=15)
    return Ended(acts.Done(), f"{name} is switched off for the run.")


async def restore(act: acts.RestorePoolSetting, work: Work) -> Ended:
    """As it was noted. What the pool refuses for now is owed: the failure carries condition and command."""
    name, look = _NAMES[act.setting], await work.pool.look()
    if _is_as_noted(act, look.settings):
        await noted.forget(act.setting, look.settings, work.pool)
        return Ended(acts.Done(already=not work.again), f"{name} is as it was before.")
    try:
        await _put_back(act, look.settings, work.pool)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp) as error:
        raise _owed(act, look, error) from error
    if not _is_as_noted(act, (await work.pool.look()).settings):
        raise _owed(act, look, TryAgain(f"{name} was put back and is not as it was.", after=15))
    await noted.forget(act.setting, look.settings, work.pool)
    return Ended(acts.Done(), f"{name} is put back as it was before.")


def command(act: acts.RestorePoolSetting, pool: str) -> str:
    """What a person could type on the master. `pool` is its uuid."""
    if isinstance(act.before, HA):
        srs = ",".join(act.before.heartbeat_srs)
        options = "".join(f" ha-config:{key}={value}" for key, value in sorted(act.before.configuration.items()))
        failures = f"xe pool-param-set uuid={pool} ha-host-failures-to-tolerate={act.before.failures_to_tolerate}"
        enable = f"xe pool-ha-enable heartbeat-sr-uuids={srs}{options}"
        return f"{enable} && {failures}" if act.before.failures_to_tolerate else enable
    if act.setting == "wlb":
        return f"xe pool-param-set uuid={pool} wlb-enabled={act.before or 'true'}"
    if act.before is None:
        return f"xe pool-param-remove uuid={pool} param-name=other-config param-key=auto_poweron"
    return f"xe pool-param-set uuid={pool} other-config:auto_poweron={act.before}"


def _owed(act: acts.RestorePoolSetting, look: PoolLook, error: TryAgain | GiveUp) -> Owed:
    after = max(OWED_AGAIN, error.after) if isinstance(error, TryAgain) else OWED_AGAIN
    debt = Debt(setting=act.setting, condition=_CONDITIONS[act.setting], command=command(act, look.named.uuid))
    return Owed(error.because, debt=debt, after=after, code=error.code)


async def _switch_off(setting: Setting, pool: Pool) -> None:
    if setting == "ha":
        await pool.disable_ha()
    elif setting == "wlb":
        await pool.set_wlb(False)
    else:
        await pool.mark("auto_poweron", "false")


async def _put_back(act: acts.RestorePoolSetting, now: PoolSettings, pool: Pool) -> None:
    if isinstance(act.before, HA):
        if not now.ha.enabled:
            await pool.enable_ha(act.before)
        await pool.tolerate_failures(act.before.failures_to_tolerate)
    elif act.setting == "wlb":
        await pool.set_wlb(act.before != "false")
    else:
        await pool.mark("auto_poweron", act.before)


def _is_off(setting: Setting, now: PoolSettings) -> bool:
    if setting == "ha":
        return not now.ha.enabled
    if setting == "wlb":
        return not now.wlb_enabled
    return now.auto_poweron == "false"


def _is_as_noted(act: acts.RestorePoolSetting, now: PoolSettings) -> bool:
    if isinstance(act.before, HA):
        alike = now.ha.failures_to_tolerate == act.before.failures_to_tolerate
        return not act.before.enabled or (now.ha.enabled and alike)
    if act.setting == "wlb":
        return now.wlb_enabled == (act.before != "false")
    return now.auto_poweron == act.before


_NAMES: dict[Setting, str] = {
    "ha": "High availability",
    "wlb": "Workload balancing",
    "auto_poweron": "The start of VMs at boot (auto_poweron)",
}
_CONDITIONS: dict[Setting, str] = {
    "ha": "every host is up, enabled and at the same version, and reaches the heartbeat SRs",
    "wlb": "the workload balancing server answers",
    "auto_poweron": "the pool's master takes the change",
}
