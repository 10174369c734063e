"""`python -m services.reporter`: run the reporter as a process."""

from __future__ import annotations

from services.reporter import handlers
from shared import service

if __name__ == "__main__":
    service.main("reporter", handlers.serve, secrets=True)
