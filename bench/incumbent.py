"""The incumbent's order of calls: Xen Orchestra's rolling pool update, with XenAPI on whatever pool it is given.

Written after packages/xo-server/src/xapi/mixins/patching.mjs and pool.mjs of August 2026 (XO 9ef5389): checks, pool
settings, then host after host, the master first: assert, disable, evacuate with 3, update, reboot, wait. VMs go home at
the very end, one at a time. Where XO watches its cache of the pool, this asks every `POLL` seconds.
"""

from __future__ import annotations

import asyncio
import http.client
import xmlrpc.client
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import XenAPI

POLL = 2.0
"""Seconds between two looks at a host that is waited for."""

BACK_WITHIN = 20 * 60.0
"""Seconds after its reboot in which a host must be enabled again, and its metrics live."""

EVACUATED_AT_ONCE = 3
NO_NETWORK = "OpaqueRef:NULL"

GONE = (OSError, http.client.HTTPException, xmlrpc.client.Fault)
"""What a call raises while the master is away, and the first one after it, whose session has died."""


class Failed(Exception):
    """The rolling update ended with an error, as its log would tell it."""


@dataclass
class RollingPoolUpdate:
    """One rolling update of the pool behind `url`. Lives for one run; VMs' homes are remembered in it, as XO does."""

    url: str
    username: str
    password: str
    session: str = ""
    homes: dict[str, list[str]] = field(default_factory=dict)
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def run(self) -> None:
        """From the first check to the last VM at home. Raises Failed; what was switched off is switched on again."""
        await self._login()
        try:
            await self._update()
        except XenAPI.Failure as failure:
            raise Failed(str(failure)) from failure
        finally:
            for undo in reversed(self.undo):
                await undo()
            await asyncio.to_thread(self._logged_out)

    async def _update(self) -> None:
        (pool,) = await self._call("pool.get_all")
        hosts: list[str] = await self._call("host.get_all")
        await self._wlb_off(pool)
        listed = await asyncio.gather(*(self._plugin(host, "check_update") for host in hosts))
        missing = {host for host, packages in zip(hosts, listed, strict=True) if packages != "[]"}
        await self._ha_off(pool)
        await self._auto_poweron_off(pool)
        await asyncio.gather(*(self._fit_to_go(host) for host in hosts if host in missing))
        for vm, record in (await self._call("VM.get_all_records")).items():
            if record["power_state"] == "Running" and not record["is_control_domain"]:
                self.homes.setdefault(record["resident_on"], []).append(vm)
        master = await self._call("pool.get_master", pool)
        ordered = [master, *(host for host in hosts if host != master)]
        for host in ordered:
            if host in missing:
                await self._turn(host)
        await self._migrate_back(ordered)

    # --- before ---

    async def _wlb_off(self, pool: str) -> None:
        if await self._call("pool.get_wlb_enabled", pool):
            await self._call("pool.set_wlb_enabled", pool, False)
            self.undo.append(lambda: self._call("pool.set_wlb_enabled", pool, True))

    async def _ha_off(self, pool: str) -> None:
        if not await self._call("pool.get_ha_enabled", pool):
            return
        files = await self._call("pool.get_ha_statefiles", pool)
        srs = [await self._call("VDI.get_SR", file) for file in files]
        how = await self._call("pool.get_ha_configuration", pool)
        await self._call("pool.disable_ha")
        self.undo.append(lambda: self._call("pool.enable_ha", srs, how))

    async def _auto_poweron_off(self, pool: str) -> None:
        if (await self._call("pool.get_other_config", pool)).get("auto_poweron") == "true":
            await self._auto_poweron(pool, "false")
            self.undo.append(lambda: self._auto_poweron(pool, "true"))

    async def _auto_poweron(self, pool: str, value: str) -> None:
        await self._call("pool.remove_from_other_config", pool, "auto_poweron")
        await self._call("pool.add_to_other_config", pool, "auto_poweron", value)

    async def _fit_to_go(self, host: str) -> None:
        """Live, and nothing stands in the way of its evacuation."""
        if not await self._live(host):
            raise Failed("Not every host is live.")
        if await self._call("host.get_vms_which_prevent_evacuation", host):
            await self._call("host.assert_can_evacuate", host)

    # --- a host ---

    async def _turn(self, host: str) -> None:
        while not await self._live(host):  # without a time-out, as XO has it
            await asyncio.sleep(POLL)
        await self._call("host.assert_can_evacuate", host)
        await self._call("host.disable", host)
        try:
            await self._call("host.evacuate", host, NO_NETWORK, EVACUATED_AT_ONCE)
        except XenAPI.Failure:
            await self._call("host.enable", host)
            raise
        await self._plugin(host, "update")
        await self._call("host.get_servertime", host)
        before = await self._agent_started(host)
        name = await self._call("host.get_name_label", host)
        await self._call("host.reboot", host)
        await self._back(host, name, before)

    async def _plugin(self, host: str, function: str) -> str:
        return str(await self._call("host.call_plugin", host, "updater.py", function, {}))

    async def _back(self, host: str, name: str, before: float) -> None:
        """Enabled, with an agent that started after the reboot, and live; with a new session where the master went."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BACK_WITHIN
        while loop.time() < until:
            await asyncio.sleep(POLL)
            try:
                if await self._agent_started(host) > before and await self._enabled_and_live(host):
                    return
            except GONE:
                await self._login_again()
        raise Failed(f"Host {name} took too long to restart.")

    async def _enabled_and_live(self, host: str) -> bool:
        return bool(await self._call("host.get_enabled", host)) and await self._live(host)

    async def _agent_started(self, host: str) -> float:
        return float((await self._call("host.get_other_config", host)).get("agent_start_time", 0.0))

    async def _live(self, host: str) -> bool:
        return bool(await self._call("host_metrics.get_live", await self._call("host.get_metrics", host)))

    # --- home ---

    async def _migrate_back(self, ordered: list[str]) -> None:
        """The hosts with first and last swapped, their VMs one at a time; the first error is kept to the end."""
        hosts = [*ordered]
        hosts[0], hosts[-1] = hosts[-1], hosts[0]
        first: XenAPI.Failure | None = None
        for host in hosts:
            here = set(await self._call("host.get_resident_VMs", host))
            for vm in self.homes.get(host, []):
                if vm in here:
                    continue
                try:
                    await self._call("VM.pool_migrate", vm, host, {"live": "true"})
                except XenAPI.Failure as failure:
                    first = first or failure
        if first is not None:
            raise first

    # --- calls ---

    async def _call(self, name: str, *params: Any) -> Any:
        """One call of the API, over a connection of its own: XenAPI's kept one sends a call twice when it drops."""
        return await asyncio.to_thread(self._called, name, params)

    def _called(self, name: str, params: tuple[Any, ...]) -> Any:
        connection = XenAPI.Session(self.url)
        connection._session = self.session
        try:
            return connection.xenapi_request(name, params)
        finally:
            connection("close")()

    async def _login(self) -> None:
        self.session = await asyncio.to_thread(self._logged_in)

    def _logged_in(self) -> str:
        connection = XenAPI.Session(self.url)
        try:
            connection.xenapi_request("login_with_password", (self.username, self.password, "2.21", "incumbent"))
            return str(connection.handle)
        finally:
            connection("close")()

    def _logged_out(self) -> None:
        connection = XenAPI.Session(self.url)
        connection._session, connection.last_login_method = self.session, "login_with_password"
        try:
            connection.xenapi_request("session.logout", ())
        finally:
            connection("close")()

    async def _login_again(self) -> None:
        """As long as the master does not let anybody in, the next look tries again."""
        try:
            await self._login()
        except (*GONE, XenAPI.Failure):
            return
