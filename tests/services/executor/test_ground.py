"""What Rota stands on: its own machine, its bus, and what they need."""

from __future__ import annotations

from pathlib import Path

from services.executor import ground
from shared.domain import acts
from shared.domain.model import PoolSnapshot
from tests.services.executor.simulated import Simulated, story

UUID = "00112233-4455-6677-8899-aabbccddeeff"
SWAPPED = "33221100-5544-7766-8899-aabbccddeeff"


def told(sys: Path, file: str, text: str) -> tuple[str, ...]:
    """The machine's uuid where a file under /sys says this."""
    (sys / file).parent.mkdir(parents=True, exist_ok=True)
    (sys / file).write_text(text)
    return ground.own_uuids(sys)


def test_a_machines_uuid_is_what_xen_says_and_else_what_its_firmware_says(tmp_path: Path) -> None:
    """In either byte order; nothing that is none."""
    assert ground.own_uuids(tmp_path) == ()
    assert told(tmp_path, ground.TOLD_BY_FIRMWARE, "Not Specified\n") == ()
    assert told(tmp_path, ground.TOLD_BY_FIRMWARE, f"{SWAPPED.upper()}\n") == (SWAPPED, UUID)
    assert told(tmp_path, ground.TOLD_BY_XEN, f"{UUID}\n") == (UUID, SWAPPED)


def test_a_survey_knows_the_vms_that_are_never_stopped() -> None:
    """By name or uuid; who is named and not there is told."""

    async def run(pool: Simulated) -> None:
        snapshot = await pool.learn()
        known = ground.Ground(("wiki",), (pool["mail"].uuid, "dns"), (pool["gitlab"].uuid,))
        found = ground.stood_on(snapshot, known)
        assert set(found.rota_vms) == {pool["wiki"].uuid, pool["gitlab"].uuid}
        assert found.needed_vms == (pool["mail"].uuid,)
        assert ground.strangers(snapshot, known) == ("dns",)
        assert isinstance(found, PoolSnapshot)
        assert (await pool.do(acts.Survey("lab", False))).sentence == "Surveyed lab: 3 hosts, 3 VMs."

    story(run)
