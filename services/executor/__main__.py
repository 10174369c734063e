"""Run the executor: `python -m services.executor`."""

from __future__ import annotations

from services.executor import handlers
from shared import service

if __name__ == "__main__":
    service.main("executor", handlers.serve, secrets=True)
