"""What the owner wants of a run. Every field has a default with its reason; what Rota cannot do yet is refused,
never ignored: `unsupported` says so in one sentence.

A policy stands in rota.toml (per pool) and in an order (for one run); the order's fields win.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.names import Name, Token

Minutes = Annotated[float, Field(gt=0, le=7 * 24 * 60)]
Few = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")]
Amount = Few | Share
"""So many hosts, or a share of the pool's hosts such as "25%"."""

Gates = Annotated[tuple[Token, ...], Field(max_length=10)]
"""Names of gates, as the tables of rota.toml have them."""

Strategy = Literal["migrate", "migrate_with_storage", "suspend", "shutdown", "skip_host", "block", "ask"]


Cause = Literal["local_disk", "device", "no_tools", "memory", "disc", "one_host", "blocked", "immobile", "no_place",
                "storage_vm", "excluded_sr"]  # fmt: skip
"""Why a VM cannot simply move: a disk that only its host reaches; a PCI, GPU, USB or SR-IOV device; no guest tools; no
host with enough memory; a disc in its drive that only its host reaches; a pool of one host; a block by its owner; a
mark that it is immobile; no host that could take it for another reason;
a disk, wherever it runs, on an SR that a VM of the host in its turn serves; a disk on an SR that is not to be touched,
where policy does not let its VM move."""


class Policy(BaseModel):
    """What the owner wants. Times are minutes of pool time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["home", "level", "stay"] = "home"
    """Where VMs are at the end. `home`: each where it began, two moves a VM. `level`: where they were put, about one
    move a VM, and at last a few more until the hosts are about equally full. `stay`: where they were put."""

    updates: bool = True
    """Install waiting updates. False: a rolling reboot."""

    install: Literal["in_turn", "pool_first", "pool_first_at_own_risk"] = "in_turn"
    """When packages are installed: on the emptied host, in its turn."""

    reboot: Literal["always", "when_needed"] = "always"
    """Reboot after any update: the vendor's advice, and it cannot always be told whether one is needed. `when_needed`:
    a host whose updates are all of the toolstack keeps its VMs, and only its toolstack is restarted."""

    only: tuple[Name, ...] = ()
    """Only these hosts, by name or uuid; empty means all with something to do."""

    skip: tuple[Name, ...] = ()
    """Not these hosts, by name or uuid."""

    order: tuple[Name, ...] = ()
    """These hosts first, after the master, in this order."""

    groups: Mapping[Name, tuple[Name, ...]] = Field(default_factory=dict)
    """Failure domains (a rack, a power supply) and their hosts, by name or uuid: never two of one group at once."""

    max_away: Amount = 1
    """How many hosts may be away at once, from their reboot's order until they are back; a number, or a share of the
    pool's hosts ("25%"). Lowered, and said so, where memory does not allow it."""

    empty_ahead: Annotated[int, Field(ge=0, le=100)] | Share | None = None
    """How many hosts more may be emptied and installed while others are away, once the master and the first member
    after it are back. Left out: none below 4 hosts, else one."""

    squeeze: bool = False
    """Whether guests may be squeezed to their dynamic minimum for want of room."""

    migration_network: Name = ""
    """The network that migrations use, by name or uuid; empty: the pool's own choice, else management."""

    migrations_per_source: Few = 3
    """Migrations at once from one host (what the incumbent uses, so nobody is surprised)."""

    migrations_per_destination: Few = 4
    """Migrations at once into one host (xenopsd's worker pool is 4)."""

    migrations_per_pool: Few | None = None
    """Migrations at once in the whole pool, where its network should not carry more; left out: as its hosts allow."""

    on_failure: Literal["hold", "cancel", "skip_host"] = "hold"
    """When a step gives up: hold and ask a person; cancel after this turn; or take the turn back and go on with the
    next host. Where a turn can no longer go back, and for the run's first host, the run holds."""

    on_host_lost: Literal["hold", "cancel"] = "hold"
    """When a host is lost that Rota did not send away: hold and ask a person, or cancel after the turns under way."""

    failure_budget: Few = 1
    """After so many hosts that failed nothing new begins: the run holds."""

    strategies: Mapping[Name, Strategy] = Field(default_factory=dict)
    """What to do with VMs that cannot simply move, by VM name, tag or uuid; what is not named is `block`."""

    chains: Mapping[Cause, tuple[Strategy, ...]] = Field(default_factory=dict)
    """What to do with VMs that nobody named, by the cause that keeps them: the first of the chain that can be done."""

    exclude_sr: tuple[Name, ...] = ()
    """SRs not to touch (off-site, backup), by name, tag or uuid: no disk and no suspended memory is put there, and what
    lies there stays there."""

    excluded_vms: Literal["move", "block"] = "move"
    """What becomes of VMs with a disk on such an SR: they move, that disk staying where it is; or they stay too."""

    sr_spare: Share = "5%"
    """The share of an SR's size that storage moves leave free: what guests write meanwhile needs room too."""

    disk_mib_per_second: Annotated[float, Field(gt=0)] | None = None
    """What one storage move copies in a second, for the estimate. Left out: what was measured on the pool, else 100."""

    owner: Name = ""
    """Who answers for the strategies and chains of this policy: the name on record when a VM is stopped by them."""

    hard_shutdown: bool = False
    """Whether a guest that does not shut down when it is asked is switched off hard, which may cost it data."""

    eject_discs: bool = False
    """Whether a disc that keeps a VM on its host, because no other reaches it, is taken out of its drive before the VM
    leaves and put back when it is home. A guest that reads from it meanwhile finds it gone."""

    guest_shutdown_minutes: Minutes = 10.0
    """How long a guest may take to shut down; a database takes minutes, a guest that ignores the wish never ends."""

    export_minutes: Minutes = 15.0
    """How long the export of a storage VM may take to answer once that VM runs, and a host to attach it again."""

    approval: Literal["none", "plan", "turn", "stops"] = "none"
    """Whether a person must approve the plan, each turn, or the plan only where it stops any VM (`stops`)."""

    approvers: Annotated[int, Field(ge=1, le=2)] = 1
    """How many different persons must approve."""

    approval_minutes: Minutes = 720.0
    """How long an approval is waited for. Then a run that has not begun is refused, and one under way is cancelled."""

    between_windows: Literal["restore", "leave"] = "restore"
    """Whether high availability is switched on again while a run waits for its next window, where versions allow."""

    window: Name = ""
    """The name of the window in which turns may begin; empty: at any time."""

    gates_before_run: Gates = ()
    """Gates of rota.toml, by name, that must say yes before anything on the pool is changed, in this order."""

    gates_before_turn: Gates = ()
    """Gates that must say yes before a host is disabled for its turn."""

    gates_after_turn: Gates = ()
    """Gates that must say yes when a host is done and its VMs are home, before the next turn begins."""

    gates_after_run: Gates = ()
    """Gates that are asked when everything is put back, before the run is over."""

    autostart_settle_minutes: Minutes = 5.0
    """auto_poweron is put back no earlier than this after the last boot, else xapi-autostart-vms starts all at once."""

    shutdown_minutes: Minutes = 10.0
    """How long a host may take to go down once it was told to reboot: its own script may empty it first, and shuts down
    what it cannot move. Then the run holds; nothing is rebooted a second time."""

    host_back_minutes: Minutes = 45.0
    """How long a rebooted host may stay away before the run holds (20 was too short for users)."""

    host_back_boots: Annotated[float, Field(ge=1, le=20)] = 3.0
    """Or so many times its last boot, where that is more: large machines test their memory for half an hour."""

    resync_minutes: Minutes = 120.0
    """How long storage that is replicated between the hosts is waited for to be whole, before a host is disabled and
    before it is rebooted; then the run holds. What was written while a host was away is sent again in minutes."""

    install_minutes: Minutes = 60.0
    """How long an installation may show no progress. It is never interrupted: past this a person is asked."""

    migration_minutes: Minutes = 60.0
    """How long a migration may show no progress; while it gets on it may take as long as it likes. Past this it is
    cancelled, and the VM's move is planned again."""

    step_minutes: Minutes = 20.0
    """How long any other step may take: the slowest of them, a gate that waits for storage, takes minutes."""

    backup_minutes: Minutes = 240.0
    """How long a backup, or somebody else's task on a host, is waited for before its turn or its reboot; then the run
    holds. A night's backup of a large VM takes hours, and to kill one is worse than to wait."""

    canaries: Annotated[int, Field(ge=0, le=10)] = 2
    """How many guests go home first, after the run's first host, and are watched; 0: none. Those tagged `rota:canary`,
    else the smallest."""

    soak_minutes: Annotated[float, Field(ge=0, le=24 * 60)] = 3.0
    """How long those guests must go on reporting before the others go home."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a step is tried before it gives up: with XAPI's pauses of 10 to 60 s a toolstack restart passes."""


SUPPORTED: Mapping[str, frozenset[Any]] = {
    "mode": frozenset({"home", "level", "stay"}),
    "install": frozenset({"in_turn"}),
}
"""The values that Rota carries out today, for each field that names something it may not be able to do."""

STRATEGIES: frozenset[Strategy] = frozenset(get_args(Strategy))
"""The strategies that there are, for what a VM's owner wrote on it."""


GATES = ("gates_before_run", "gates_before_turn", "gates_after_turn", "gates_after_run")
"""The fields that name gates."""


def unsupported(policy: Policy) -> str | None:
    """One sentence that names the first thing in a policy which Rota cannot carry out yet, or None."""
    for name, allowed in SUPPORTED.items():
        value = getattr(policy, name)
        if value not in allowed:
            return f"The policy asks for {name} = {value!r}, which Rota cannot do yet; leave {name} out."
    return None


def strange_gate(policy: Policy | Mapping[str, Any], known: Collection[str]) -> str:
    """One sentence that says which gate a policy names that there is not, or nothing."""
    for field in GATES:
        named = getattr(policy, field) if isinstance(policy, Policy) else policy.get(field, ())
        for name in named if isinstance(named, (tuple, list)) else ():
            if name not in known:
                return f"There is no gate {str(name)[:100]!r} in rota.toml (gates: {', '.join(known) or 'none'})."
    return ""


def merged(owner: Policy, order: Mapping[str, Any]) -> Policy:
    """The pool's policy with an order's fields laid over it. Raises pydantic.ValidationError for a bad field."""
    return Policy.model_validate({**owner.model_dump(exclude_unset=True), **order})
