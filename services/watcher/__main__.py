"""Starts the watcher as a process of its own."""

from __future__ import annotations

from services.watcher import loop
from shared import service

if __name__ == "__main__":
    service.main("watcher", loop.serve, secrets=True)
