"""Who is squeezed on which host for want of room, and by how much: said with the plan (conduct 17). Pure.

XAPI counts every guest at its dynamic minimum, so that a host takes more than its guests have now; the balloon driver
then shares what there is. It gives each guest the same part of the way from its minimum to what it had (xenopsd
squeezer, which keeps that part even over a host).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from services.planner import placement
from services.planner.few import few
from shared.domain.model import VM, Host, PoolSnapshot

MIB = 1024**2


def told(snapshot: PoolSnapshot, leaving: Host, found: placement.Placement) -> Iterator[str]:
    """One sentence for each host on which guests are squeezed while `leaving` is emptied by this placement."""
    guests = {host.uuid: dict[str, VM]() for host in snapshot.hosts}
    for host in snapshot.hosts:
        guests[host.uuid] = {vm.uuid: vm for vm in snapshot.resident(host.uuid)}
    arriving: defaultdict[str, list[VM]] = defaultdict(list)
    for move in (*found.rooms, *found.moves):
        guests[(move.source or leaving).uuid].pop(move.vm.uuid, None)
        arriving[move.to.uuid].append(move.vm)
    for host in snapshot.hosts:
        if host.uuid in arriving and (losses := _losses(host, [*guests[host.uuid].values(), *arriving[host.uuid]])):
            yield _sentence(leaving, host, losses)


def moving(vms: Iterable[VM]) -> Iterator[str]:
    """One sentence for the guests that XAPI shrinks to their dynamic minimum for the time of their own move."""
    soft = sorted({vm.uuid: vm for vm in vms if vm.memory + MIB <= vm.memory_now}.values(), key=lambda vm: vm.name)
    if soft:
        names = few([f"{vm.name} from {vm.memory_now // MIB} to {vm.memory // MIB} MiB" for vm in soft])
        yield f"For its move XAPI shrinks a guest with dynamic memory to its minimum: {names}."


def _losses(host: Host, vms: list[VM]) -> list[tuple[VM, int]]:
    """The guests that lose memory on a host with the bytes that each loses, most first."""
    usable = host.memory_total - host.memory_overhead
    over = sum(placement.comfortable(vm) for vm in vms) - usable
    give = {vm.uuid: placement.comfortable(vm) - placement.tight(vm) for vm in vms}
    spare = sum(give.values())
    if over <= 0 or not spare:
        return []
    losses = [(vm, min(give[vm.uuid], give[vm.uuid] * over // spare)) for vm in vms]
    return sorted(((vm, loss) for vm, loss in losses if loss >= MIB), key=lambda one: (-one[1], one[0].name))


def _sentence(leaving: Host, host: Host, losses: list[tuple[VM, int]]) -> str:
    names = few(
        [f"{vm.name} from {vm.memory_now // MIB} to {(vm.memory_now - loss) // MIB} MiB" for vm, loss in losses]
    )
    whole = sum(loss for _, loss in losses) // MIB
    return (
        f"While {leaving.name} is empty, guests on {host.name} are squeezed by {whole} MiB in all (squeeze = true):"
        f" {names}."
    )
