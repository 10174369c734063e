"""What a step does: one frozen value per kind, with everything its doer must know, and what each kind answers.

An act is idempotent and has one target. It is planned by the planner, carried in its facts and orders, and done by
the executor; `AwaitHost` is a wait and is sent to nobody. Kinds of the design that no planner emits yet have no row.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.domain.acts.hosts import AwaitHost as AwaitHost
from shared.domain.acts.hosts import CheckGate as CheckGate
from shared.domain.acts.hosts import DisableHost as DisableHost
from shared.domain.acts.hosts import EnableHost as EnableHost
from shared.domain.acts.hosts import EvacuateRest as EvacuateRest
from shared.domain.acts.hosts import InstallUpdates as InstallUpdates
from shared.domain.acts.hosts import ReadHost as ReadHost
from shared.domain.acts.hosts import RebootHost as RebootHost
from shared.domain.acts.hosts import RestartToolstack as RestartToolstack
from shared.domain.acts.media import EjectMedia as EjectMedia
from shared.domain.acts.media import InsertMedia as InsertMedia
from shared.domain.acts.pool import AskGate as AskGate
from shared.domain.acts.pool import ChangePoolSetting as ChangePoolSetting
from shared.domain.acts.pool import ClaimPool as ClaimPool
from shared.domain.acts.pool import DumpDatabase as DumpDatabase
from shared.domain.acts.pool import PostMessage as PostMessage
from shared.domain.acts.pool import ReleasePool as ReleasePool
from shared.domain.acts.pool import RestorePoolSetting as RestorePoolSetting
from shared.domain.acts.pool import Setting as Setting
from shared.domain.acts.pool import Survey as Survey
from shared.domain.acts.replication import CheckReplication as CheckReplication
from shared.domain.acts.replication import InstallPackage as InstallPackage
from shared.domain.acts.replication import SwitchService as SwitchService
from shared.domain.acts.results import Checked as Checked
from shared.domain.acts.results import Done as Done
from shared.domain.acts.results import Dumped as Dumped
from shared.domain.acts.results import HostNoted as HostNoted
from shared.domain.acts.results import Installed as Installed
from shared.domain.acts.results import Moved as Moved
from shared.domain.acts.results import Result as Result
from shared.domain.acts.results import Started as Started
from shared.domain.acts.results import Stopped as Stopped
from shared.domain.acts.results import SurveyTaken as SurveyTaken
from shared.domain.acts.results import Swept as Swept
from shared.domain.acts.storage import CheckUnused as CheckUnused
from shared.domain.acts.storage import PlugPBD as PlugPBD
from shared.domain.acts.storage import UnplugPBD as UnplugPBD
from shared.domain.acts.vms import MigrateVM as MigrateVM
from shared.domain.acts.vms import ResumeVM as ResumeVM
from shared.domain.acts.vms import ShutdownVM as ShutdownVM
from shared.domain.acts.vms import StartVM as StartVM
from shared.domain.acts.vms import SuspendVM as SuspendVM
from shared.domain.acts.vms import WatchGuests as WatchGuests

Act = Annotated[
    Survey
    | ChangePoolSetting
    | RestorePoolSetting
    | ClaimPool
    | ReleasePool
    | DumpDatabase
    | PostMessage
    | DisableHost
    | MigrateVM
    | ShutdownVM
    | SuspendVM
    | StartVM
    | ResumeVM
    | EjectMedia
    | InsertMedia
    | CheckUnused
    | UnplugPBD
    | PlugPBD
    | EvacuateRest
    | InstallUpdates
    | ReadHost
    | RebootHost
    | AwaitHost
    | CheckGate
    | EnableHost
    | RestartToolstack
    | WatchGuests
    | CheckReplication
    | InstallPackage
    | SwitchService
    | AskGate,
    Field(discriminator="kind"),
]

Stop = ShutdownVM | SuspendVM
"""What takes a VM down for a turn."""

Start = StartVM | ResumeVM
"""What brings it back."""

GivesBack = StartVM | ResumeVM | PlugPBD
"""What gives back to its users what a turn took: owed, and named, where it cannot be done."""

Restoring = RestorePoolSetting | EnableHost | StartVM | ResumeVM | PlugPBD | InsertMedia | MigrateVM
"""What puts back what was changed, at the end of a run, or by `rota undo`."""

WAITS: frozenset[str] = frozenset({"await_host"})
"""Kinds that are sent to nobody."""
