"""The one door to OR-Tools: whether it is here, and one question asked of CP-SAT. Nothing else imports it.

It is no part of Rota and of no lock that Rota runs from; `make solver` installs it (docs/adr/0018).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

HERE = find_spec("ortools") is not None
MISSING = "THE PLANS ARE NOT PROVED: OR-Tools is not installed here; `make solver` installs it"

Said = Literal["optimal", "feasible", "infeasible", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What CP-SAT says of a model: its status, the objective and the bound it has proved of it (0 without an
    objective), and the value of each variable (`values(var)`)."""

    said: Said
    objective: float
    bound: float
    values: Any

    @property
    def found(self) -> bool:
        """Whether there is a solution."""
        return self.said in ("optimal", "feasible")


def new_model() -> Any:
    """An empty CP-SAT model."""
    return _cp().CpModel()


def ask(model: Any, *, work: float) -> Answer:
    """What CP-SAT says of a model, with one worker: within so much `work`, which it counts by what it does
    and which is the same on a busy machine, so that the same seed gets the same answer."""
    solver = _cp().CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = work
    status = _NAMES[solver.solve(model).name]
    some = status in ("optimal", "feasible") and model.has_objective()
    return Answer(status, solver.objective_value if some else 0.0, solver.best_objective_bound, solver.value)


def _cp() -> Any:
    return importlib.import_module("ortools.sat.python.cp_model")


_NAMES: dict[str, Said] = {
    "OPTIMAL": "optimal",
    "FEASIBLE": "feasible",
    "INFEASIBLE": "infeasible",
    "UNKNOWN": "unknown",
}
