"""What a disk that fills up means, in sentences. Pure but for asking how much is free."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

LOW = 256 * 2**20
"""Bytes free below which people are warned."""
TIGHT = 48 * 2**20
"""Bytes free below which open runs are held, while the bus can still store that they are."""
FULL = 4 * 2**20
"""Bytes free below which the bus can hardly store a fact any more (it asks for a block at a time)."""
ROOM_AGAIN = 2 * TIGHT
"""Bytes free from which what was held goes on: well above, so that it does not go to and fro."""
HOLD_LEVEL, FULL_LEVEL = 2, 3

STOPPED_WRITING = "no space left on device"
"""What a nats-server's log says when it could not write. The stream then refuses all writes until the server is
started again, also when there is room (nats-server, filestore.go: a critical write error stays)."""


def free(data: Path) -> int:
    """Bytes free on the disk of a folder; plenty where that cannot be told."""
    try:
        return shutil.disk_usage(data).free
    except OSError:
        return LOW


def level(space: int) -> int:
    """0 enough, 1 low, 2 so tight that runs are held, 3 full."""
    return (space < LOW) + (space < TIGHT) + (space < FULL)


def sentence(at: int, space: int, data: Path) -> str:
    """What a level means for people, with so many bytes free; nothing where there is enough."""
    left = f"{space // 2**20} MiB are free on the disk of {data}"
    sentences = (
        "",
        f"Only {left}; below {TIGHT // 2**20} MiB open runs are held.",
        f"Only {left}, so open runs are held; make room there, and they go on by themselves.",
        f"{left}: the bus cannot store facts, and runs stand still; make room, and they go on by themselves.",
    )
    return sentences[at]


def error_sentence(error: OSError, data: Path) -> str:
    """What went wrong with the data folder, for a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {data} is full: make room there, then start `rota up` again; open runs then go on."
    return f"The data folder {data} cannot be used: {error.strerror or error}."


def stopped_writing(log: Path, since: int) -> tuple[bool, int]:
    """Whether a nats-server's log tells of a full disk after byte `since`, and where to look from next time."""
    try:
        with log.open("rb") as file:
            file.seek(since)
            text = file.read()
    except OSError:
        return False, since
    return STOPPED_WRITING.encode() in text, since + len(text)
