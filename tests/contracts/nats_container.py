"""A NATS server in a container, through testcontainers, for whichever ring wants one.

Without a Docker engine, or without an image, there is a sentence that says so.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any

LOCAL_IMAGE = "nats:2.15-local"
"""Made by docker/ci-engine.sh from the embedded binary, for machines that reach no image registry."""

PUBLIC_IMAGE = "nats:2.15-alpine"


class NoContainer(Exception):
    """There can be no container here. The text says why."""


@contextmanager
def running_nats() -> Iterator[str]:
    """The address of a NATS server with JetStream that runs in a container. Raises NoContainer."""
    # Read when testcontainers is imported. Its reaper is an image that may not be had; containers are ended here.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    os.environ.setdefault("TC_POOLING_INTERVAL", "0.05")
    image = _image()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # testcontainers deprecates parts of itself
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        container = DockerContainer(image).with_command("-js").with_exposed_ports(4222)
        with container.waiting_for(LogMessageWaitStrategy("Server is ready")) as running:
            yield f"nats://{running.get_container_host_ip()}:{running.get_exposed_port(4222)}"


@cache
def why_no_container() -> str | None:
    """Why there can be no container here, or None. Asked once for each process."""
    try:
        _image()
    except NoContainer as reason:
        return str(reason)
    return None


def _image() -> str:
    """The image to run: the local one where it was made, else the public one, fetched if need be."""
    _knock()
    docker: Any = import_module("docker")  # by name: a folder here has the same
    wanted = os.environ.get("ROTA_TEST_NATS_IMAGE")
    try:
        with closing(docker.from_env(timeout=60)) as engine:
            for candidate in [wanted] if wanted else [LOCAL_IMAGE, PUBLIC_IMAGE]:
                with suppress(docker.errors.ImageNotFound):
                    engine.images.get(candidate)
                    return str(candidate)
            engine.images.pull(wanted or PUBLIC_IMAGE)
    except docker.errors.DockerException as error:
        raise NoContainer(f"the Docker engine does not give the image {wanted or PUBLIC_IMAGE}: {error}") from None
    return wanted or PUBLIC_IMAGE


def _knock() -> None:
    """Whether anybody is behind the engine's socket; docker's own client leaves sockets open when nobody is."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://"):
        with closing(socket.socket(socket.AF_UNIX)) as door:
            try:
                door.connect(address.removeprefix("unix://"))
            except OSError as error:
                raise NoContainer(f"no Docker engine answers at {address} ({error.strerror})") from None
