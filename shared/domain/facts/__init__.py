"""Facts: what happened, past tense, each with the subject it is stored under.

A fact is a frozen pydantic model; its fields `pool`, `run`, `step`, `host` fill the subject's places. Readers ignore
unknown fields. The rooms are named after who says them; which service writes which fact, and who reads it, stands in
`messages`.
"""

from __future__ import annotations

from shared.domain.facts.asking import ApprovalAsked as ApprovalAsked
from shared.domain.facts.asking import ApprovalGiven as ApprovalGiven
from shared.domain.facts.asking import ApprovalRefused as ApprovalRefused
from shared.domain.facts.asking import RunApproved as RunApproved
from shared.domain.facts.asking import RunWaiting as RunWaiting
from shared.domain.facts.asking import RunWentOn as RunWentOn
from shared.domain.facts.doing import StepFact as StepFact
from shared.domain.facts.doing import StepFailed as StepFailed
from shared.domain.facts.doing import StepProgressed as StepProgressed
from shared.domain.facts.doing import StepStarted as StepStarted
from shared.domain.facts.doing import StepSucceeded as StepSucceeded
from shared.domain.facts.due import ScheduleDeleted as ScheduleDeleted
from shared.domain.facts.due import ScheduleFact as ScheduleFact
from shared.domain.facts.due import ScheduleSet as ScheduleSet
from shared.domain.facts.due import TickMissed as TickMissed
from shared.domain.facts.forecast import Comparison as Comparison
from shared.domain.facts.forecast import Forecast as Forecast
from shared.domain.facts.forecast import ForecastFailed as ForecastFailed
from shared.domain.facts.forecast import ForecastMade as ForecastMade
from shared.domain.facts.forecast import ForecastMove as ForecastMove
from shared.domain.facts.forecast import ForecastPart as ForecastPart
from shared.domain.facts.forecast import ForecastRequested as ForecastRequested
from shared.domain.facts.forecast import ForecastStepOrdered as ForecastStepOrdered
from shared.domain.facts.forecast import ForecastStop as ForecastStop
from shared.domain.facts.forecast import ForecastTurn as ForecastTurn
from shared.domain.facts.forecast import HostLoad as HostLoad
from shared.domain.facts.forecast import PlanFact as PlanFact
from shared.domain.facts.parts import Blocker as Blocker
from shared.domain.facts.parts import Debt as Debt
from shared.domain.facts.parts import Details as Details
from shared.domain.facts.parts import Home as Home
from shared.domain.facts.parts import Measured as Measured
from shared.domain.facts.parts import Need as Need
from shared.domain.facts.parts import StepPlanned as StepPlanned
from shared.domain.facts.root import Fact as Fact
from shared.domain.facts.root import Value as Value
from shared.domain.facts.run import HoldAcknowledged as HoldAcknowledged
from shared.domain.facts.run import HomesNoted as HomesNoted
from shared.domain.facts.run import HostLost as HostLost
from shared.domain.facts.run import HostSkipped as HostSkipped
from shared.domain.facts.run import MasterNoted as MasterNoted
from shared.domain.facts.run import OrderAnswered as OrderAnswered
from shared.domain.facts.run import Outcome as Outcome
from shared.domain.facts.run import RunBegan as RunBegan
from shared.domain.facts.run import RunCancelling as RunCancelling
from shared.domain.facts.run import RunEnded as RunEnded
from shared.domain.facts.run import RunFact as RunFact
from shared.domain.facts.run import RunFinishing as RunFinishing
from shared.domain.facts.run import RunHeld as RunHeld
from shared.domain.facts.run import RunPaused as RunPaused
from shared.domain.facts.run import RunPlanned as RunPlanned
from shared.domain.facts.run import RunRefused as RunRefused
from shared.domain.facts.run import RunRequested as RunRequested
from shared.domain.facts.run import RunResumed as RunResumed
from shared.domain.facts.seen import HostAnswering as HostAnswering
from shared.domain.facts.seen import HostCameBack as HostCameBack
from shared.domain.facts.seen import HostDown as HostDown
from shared.domain.facts.seen import HostFact as HostFact
from shared.domain.facts.seen import HostUnreachable as HostUnreachable
from shared.domain.facts.seen import MasterChanged as MasterChanged
from shared.domain.facts.seen import MasterUnreachable as MasterUnreachable
from shared.domain.facts.seen import PoolFact as PoolFact
from shared.domain.facts.step import SettingOwed as SettingOwed
from shared.domain.facts.step import SettingPaid as SettingPaid
from shared.domain.facts.step import StepGaveUp as StepGaveUp
from shared.domain.facts.step import StepOrdered as StepOrdered
from shared.domain.facts.step import StepRetried as StepRetried
from shared.domain.facts.step import StepSkipped as StepSkipped
from shared.domain.facts.step import StepTimedOut as StepTimedOut
from shared.domain.facts.step import WaitBegan as WaitBegan
from shared.domain.facts.step import WaitOver as WaitOver
from shared.domain.facts.system import MessageRejected as MessageRejected
from shared.domain.facts.system import OrderRefused as OrderRefused
from shared.domain.facts.told import Occasion as Occasion
from shared.domain.facts.told import ReportFact as ReportFact
from shared.domain.facts.told import ReportFailed as ReportFailed
from shared.domain.facts.told import ReportSent as ReportSent
from shared.domain.facts.turn import StepsAdded as StepsAdded
from shared.domain.facts.turn import StepsReopened as StepsReopened
from shared.domain.facts.turn import TurnBegun as TurnBegun
from shared.domain.facts.turn import TurnEnded as TurnEnded
from shared.domain.facts.turn import TurnPlanned as TurnPlanned
from shared.domain.facts.turn import TurnTurnedBack as TurnTurnedBack
