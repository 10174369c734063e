"""The planner as a process: `python -m services.planner`."""

from services.planner import handlers
from shared import service

if __name__ == "__main__":
    service.main("planner", handlers.serve)
