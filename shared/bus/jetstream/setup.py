"""Making the streams, buckets and stores of the table in `streams` on a server, and keeping them as the table says.

Nothing is ever deleted here. Whoever may not make streams finds them made and needs no right to.
"""

from __future__ import annotations

from typing import Any

from shared.bus import streams
from shared.bus.jetstream.link import Link, Refusal
from shared.bus.jetstream.pull import NANOS

STREAM_NOT_FOUND = 10059
NAME_TAKEN = 10058


async def ensure(link: Link, replicas: int | None) -> None:
    """Make or bring up to date everything Rota keeps; waits for the bus. Any number of services may do it at once.

    `replicas` None leaves the number as it is (1 for what is new). Raises BusRefused when a server cannot do it, for
    example because it has fewer nodes than replicas.
    """
    for config in configs():
        await _ensure_one(link, config if replicas is None else {**config, "num_replicas": replicas})


def configs() -> list[dict[str, Any]]:
    """The configuration of every stream, as JetStream's API takes it."""
    return [
        *(_stream(shape) for shape in streams.STREAMS),
        *(_bucket(name) for name in streams.BUCKETS),
        *(_store(name) for name in streams.OBJECTS),
    ]


async def _ensure_one(link: Link, config: dict[str, Any]) -> None:
    name = config["name"]

    async def attempt() -> bool:
        try:
            found = (await link.api(f"STREAM.INFO.{name}"))["config"]
        except Refusal as refusal:
            if refusal.err_code != STREAM_NOT_FOUND:
                raise
            verb = "CREATE"
            wanted = config
        else:
            if all(found.get(key) == value for key, value in config.items()):
                return True
            verb = "UPDATE"
            wanted = {**found, **config}
        try:
            await link.api(f"STREAM.{verb}.{name}", wanted)
        except Refusal as refusal:
            return refusal.err_code != NAME_TAKEN and _raise(refusal)
        return True

    while not await link.insist(attempt):
        """Somebody else made it meanwhile, a little differently: look again."""


def _raise(refusal: Refusal) -> bool:
    raise refusal


def _stream(shape: streams.Stream) -> dict[str, Any]:
    return {
        "name": shape.name,
        "subjects": list(shape.subjects),
        "retention": "workqueue" if shape.queue else "limits",
        "storage": "file",
        "discard": "old",
        "max_age": int(shape.max_age * NANOS),
        "duplicate_window": int(shape.window * NANOS),
        "allow_direct": True,
        "allow_atomic": True,
    }


def _bucket(name: str) -> dict[str, Any]:
    """As every client makes a KV bucket with a history of one."""
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
    }


def _store(name: str) -> dict[str, Any]:
    """As every client makes an object store."""
    return {
        "name": f"OBJ_{name}",
        "subjects": [f"$O.{name}.C.>", f"$O.{name}.M.>"],
        "storage": "file",
        "discard": "new",
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    }
