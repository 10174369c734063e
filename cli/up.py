"""`rota up`: the bus, if none is named, and all services, as children of this process, for one machine.

It keeps a data folder, lets no second one into it, starts again what dies, and ends everything calmly.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli import children, disk, output, storage
from cli.children import Child
from cli.exits import Ending, Exit, Stop
from cli.place import URL_FILE
from shared import settings as settings_
from shared.bus import embedded

SERVICES = ("planner", "executor", "watcher", "reporter", "scheduler")
STOPPED = "Everything that `rota up` had started is ended. Open runs go on when it is started again."
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds of machine time before a service that died is started again; the last one from then on."""
WELL_AFTER = 60.0
"""A service that lived so many seconds is started again at once when it dies."""


@dataclass(slots=True)
class House:
    """What runs here."""

    data: Path
    environment: dict[str, str]
    say: Callable[[str], None]
    children: dict[str, Child] = field(default_factory=dict)
    server: embedded.EmbeddedServer | None = None

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    async def server_anew(self) -> None:
        """End the bus, so that it is started again."""
        if self.server is not None:
            await self.server.stop()


async def up(data: Path | None) -> Ending:
    """Run everything until told to stop. Raises Stop for settings, a folder or a bus that cannot be used."""
    environment = environment_with(data)
    settings = read_settings(environment)
    try:
        with data_folder(settings.data.absolute()) as folder, lock(folder):
            house = House(folder, environment, output.say)
            async with children.stoppable():
                await _live(house, settings)
    except asyncio.CancelledError:
        return Ending({}, (), Exit.DONE, STOPPED)
    except OSError as error:
        raise Stop(Exit.FAILED, disk.error_sentence(error, settings.data)) from error
    return Ending({}, (), Exit.FAILED, STOPPED)


def environment_with(data: Path | None) -> dict[str, str]:
    """The environment of the services; a data folder that was named wins over the settings'."""
    return {**os.environ, **({"ROTA_DATA": str(data.absolute())} if data else {})}


def read_settings(environment: dict[str, str]) -> settings_.Settings:
    """The settings with their secrets, so that what is wrong is told before anything starts. Raises Stop (2)."""
    try:
        return settings_.read(None, environment, secrets=True)
    except settings_.SettingsError as error:
        raise Stop(Exit.USAGE, str(error)) from error


@contextlib.contextmanager
def data_folder(data: Path) -> Iterator[Path]:
    """The data folder and its logs, made where they are missing. Raises OSError."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / "logs").mkdir(exist_ok=True)
    yield data


@contextlib.contextmanager
def lock(data: Path) -> Iterator[None]:
    """Have the data folder to oneself. Raises Stop (4) with the holder's process id."""
    with (data / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Stop(
                Exit.REFUSED,
                f"Another `rota up` (process {holder}) has {data}; end it, or name another folder with --data.",
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


async def _live(house: House, settings: settings_.Settings) -> None:
    try:
        url = settings.bus.url or await _start_bus(house)
        house.environment["ROTA_NATS_URL"] = url
        tasks = [asyncio.ensure_future(_keep_alive(house, name)) for name in SERVICES]
        if house.server is not None:
            tasks.append(asyncio.ensure_future(_keep_bus(house)))
            tasks.append(asyncio.ensure_future(storage.Guard(house.data, url, house.say, house.server_anew).watch()))
        house.say(_greeting(house, settings, url))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await _end(house)


async def _end(house: House) -> None:
    """Services first: they hand back what they have in hand. The bus last."""
    await children.end(list(house.children.values()))
    if house.server is not None:
        await house.server.stop()
    (house.data / URL_FILE).unlink(missing_ok=True)


async def _start_bus(house: House) -> str:
    try:
        house.server = await embedded.start(house.data / "nats")
    except embedded.EmbeddedFailed as error:
        raise Stop(Exit.FAILED, str(error)) from error
    _write_url(house.data / URL_FILE, house.server.url)
    return house.server.url


def _write_url(path: Path, url: str) -> None:
    """Where clients in this folder find the bus."""
    path.touch(mode=0o600)
    path.write_text(url + "\n", encoding="utf-8")


async def _keep_bus(house: House) -> None:
    """Start the bus again on the same port when it dies; everybody else waits for it."""
    for pause in _pauses():
        if house.server is None:
            return
        code = await asyncio.to_thread(house.server.process.wait)
        house.say(f"The bus {_how(code)}; it is started again in {pause:g} s.")
        await asyncio.sleep(pause)
        try:
            house.server = await embedded.start(house.data / "nats", port=house.server.port)
        except (embedded.EmbeddedFailed, OSError) as error:
            house.say(f"{error} It is tried again.")


async def _keep_alive(house: House, name: str) -> None:
    """Start a service, and again when it dies, later each time it dies soon."""
    loop = asyncio.get_running_loop()
    deaths = 0
    while True:
        began = loop.time()
        child = await _begin(house, name)
        if child is not None:
            house.children[name] = child
            code = await child.process.wait()
            deaths = 0 if loop.time() - began >= WELL_AFTER else deaths + 1
            words = child.last_words(1)
            pause = PAUSES[min(deaths, len(PAUSES)) - 1] if deaths else 0.0
            house.say(f"The {name} {_how(code)}; it is started again in {pause:g} s. Its last words: {words}")
        else:
            deaths += 1
            pause = PAUSES[min(deaths, len(PAUSES)) - 1]
        await asyncio.sleep(pause)


async def _begin(house: House, name: str) -> Child | None:
    try:
        log = house.logs / f"{name}.log"
        return await children.begin(name, f"services.{name}", environment=house.environment, log=log)
    except OSError as error:
        house.say(f"The {name} cannot be started. {disk.error_sentence(error, house.data)}")
        return None


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended by itself with status {code}"


def _pauses() -> Iterator[float]:
    yield from PAUSES
    while True:
        yield PAUSES[-1]


def _greeting(house: House, settings: settings_.Settings, url: str) -> str:
    pools = ", ".join(settings.pool) or "no pool yet; rota.toml names none"
    where = f"its own bus at {url}" if house.server else "the bus that is named"
    return (
        f"Rota is up on {where}, for {pools}. Data and logs are in {house.data}."
        f" `rota` in this folder finds it; Ctrl-C ends it."
    )
