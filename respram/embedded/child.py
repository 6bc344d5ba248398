"""A node in a process of its own that lives as long as its standard input: `python -m respram.embedded.child --port=0
...`.

It says one line of JSON when clients can connect, and one for each command: `advance MS`. When the input ends, however
its parent ended, the node stops in order.
"""

import asyncio
import gc
import json
import os
import sys

if __name__ == "__main__":
    gc.disable()  # objects made by imports stay, and collecting among them is a tenth of the start

from respram.cli.main import parse_flags
from respram.config.options import OPTIONS
from respram.embedded.node import Node
from respram.embedded.words import config_of
from respram.errors import ConfigError
from respram.seal import RING_BYTES
from respram.server import logs, process
from respram.server.guard import guard_memory
from respram.server.serve import SPARE_DESCRIPTORS, loop_factory

LINE_BYTES = 1 << 10  # the longest command


def main(words: list[str]) -> int:
    gc.freeze()
    gc.enable()
    try:
        config = config_of(parse_flags(words, {option.name: bool(option.metavar) for option in OPTIONS}))
        logs.set_up(config.log_level)
        process.raise_descriptor_limit(config.limits.clients_max + SPARE_DESCRIPTORS)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_live(Node, config))
    except ConfigError as error:
        say({"error": str(error)})
        return 2
    return 0


async def _live(make: type[Node], config: object) -> None:
    from respram.config.settings import Config

    assert isinstance(config, Config)
    node = make(config, guard_memory(RING_BYTES) if config.seal_memory else None)
    await node.start()
    engine = node.app.node.engine.name
    say(
        {
            "port": node.port,
            "tls_port": node.tls_port,
            "peer_port": node.peer_port,
            "metrics_port": node.metrics_port,
            "engine": engine,
        }
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, _hear, node, ended)
    node.app.stopping.add_done_callback(lambda _: ended.set())  # after a client's SHUTDOWN
    await ended.wait()
    await node.stop()


def _hear(node: Node, ended: asyncio.Event) -> None:
    line = os.read(0, LINE_BYTES)
    if not line:
        asyncio.get_running_loop().remove_reader(0)
        ended.set()
    for one in line.splitlines():
        name, _, number = one.partition(b" ")
        if name == b"advance" and number.isdigit():
            node.advance(int(number))
            say({"advanced": int(number)})


def say(what: dict[str, object]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
