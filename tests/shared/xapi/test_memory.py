"""Memory as we count it is memory as the pool counts it."""

from __future__ import annotations

from shared.xapi.stream import Reader
from tests.services.executor.simulated import Simulated, story


def test_what_is_free_on_a_host_is_what_xapi_says() -> None:
    """`host.compute_free_memory` counts the control domain too; a plan that does not is refused by the pool."""

    async def run(pool: Simulated) -> None:
        snapshot = await pool.learn()
        async with await Reader.open(pool.access) as reader:
            for host in snapshot.hosts:
                (ref,) = await reader.call("host.get_by_name_label", host.name)
                assert snapshot.free(host) == int(await reader.call("host.compute_free_memory", ref))

    story(run)
