"""The grounds that each promise of the bus is tried on, and short words for what the tests write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.bus.port import Bus
from tests.contracts.bus.grounds import EmbeddedGround, Ground, MemoryGround, RestartableGround, ServerGround
from tests.contracts.nats_container import running_nats, why_no_container


@pytest.fixture(scope="session")
def container_url() -> Iterator[str]:
    """One container for all tests of a worker."""
    with running_nats() as url:
        yield url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The container is one of the grounds where there can be one; test_container.py says aloud where there cannot."""
    if "ground" in metafunc.fixturenames:
        kinds = ["memory", "embedded", *(["container"] if why_no_container() is None else [])]
        metafunc.parametrize("ground", kinds, indirect=True)


@pytest.fixture
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    """A server of each kind, with nothing on it."""
    made: Ground
    if request.param == "memory":
        made = MemoryGround()
    elif request.param == "embedded":
        made = await EmbeddedGround.start(tmp_path)
    else:
        made = ServerGround(request.getfixturevalue("container_url"))
        await made.wipe()
    yield made
    await made.close()


@pytest.fixture(params=["memory", "embedded"])
async def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RestartableGround]:
    """A server that can be killed and comes back. A container's would come back on another port."""
    made = MemoryGround() if request.param == "memory" else await EmbeddedGround.start(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def bus(ground: Ground) -> Bus:
    """One client."""
    return await ground.client("one")


@pytest.fixture
async def other(ground: Ground) -> Bus:
    """Another client of the same server."""
    return await ground.client("other")
