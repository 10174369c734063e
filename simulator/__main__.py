"""`python -m simulator WORLD.yaml`: runs a simulated pool and prints one line of JSON when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import sys

from simulator import coverage
from simulator.description import WORLD
from simulator.faults import UnknownFault
from simulator.loopback import NoAddress
from simulator.simulation import running
from simulator.worldfile import WorldError, shipped


def arguments(told: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A simulated XCP-ng pool for real XAPI clients.",
        epilog=f"Worlds that come with it, by name: {', '.join(shipped())}.",
    )
    parser.add_argument("world", nargs="?", help="a world file, or the name of a world that comes with it")
    parser.add_argument("--port", type=int, default=0, help="one port for all hosts; a free one if not said")
    parser.add_argument("--factor", type=float, default=1.0, help="simulated seconds in a second (1 to 1,000)")
    parser.add_argument("--seed", default="0", help="another seed gives another world of chances")
    parser.add_argument("--journal", help="write what happens to this file, one JSON object a line")
    parser.add_argument("--tls", action="store_true", help="HTTPS with a CA of its own, told as 'ca'")
    parser.add_argument("--control-port", type=int, default=0, help="the control server's port on 127.0.0.1")
    parser.add_argument("--block", default="", help="use the loopback block 127.A.B.0/24, as in --block 7.1")
    parser.add_argument("--manual", action="store_true", help="the clock stands still until POST /clock turns it")
    parser.add_argument("--coverage", action="store_true", help="list the calls that are simulated")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of world files")
    return parser.parse_args(told)


def tell(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")


def schema_text() -> str:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A world for the simulated pool"}
    return json.dumps({**head, **WORLD.schema}, indent=1) + "\n"


async def serve(told: argparse.Namespace) -> None:
    """Runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if told.factor > 100:
        tell("Above factor 100 the order in which clients and world meet belongs to the machine.")
    async with running(
        told.world,
        drive="manual" if told.manual else "wall",
        factor=told.factor,
        seed=told.seed,
        journal=told.journal,
        tls=told.tls,
        port=told.port,
        control_port=told.control_port,
        block=told.block,
    ) as simulation:
        gc.freeze()  # the world as it starts lives as long as this process; looking through it again only delays
        sys.stdout.write(json.dumps(simulation.line()) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main(told: list[str]) -> int:
    options = arguments(told)
    if options.coverage or options.schema:
        sys.stdout.write(coverage.text() if options.coverage else schema_text())
        return 0
    if not options.world:
        tell(f"Say which world: a file, or one of {', '.join(shipped())}.")
        return 2
    if not 0 < options.factor <= 1000:
        tell(f"--factor must be above 0 and at most 1000, and is {options.factor:g}.")
        return 2
    try:
        asyncio.run(serve(options))
    except (WorldError, NoAddress, UnknownFault) as wrong:
        tell(str(wrong))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
