"""The scheduler as a process: `python -m services.scheduler`."""

from services.scheduler import loop
from shared import service

if __name__ == "__main__":
    service.main("scheduler", loop.serve)
