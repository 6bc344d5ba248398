"""While a node restores its snapshot it decides nothing: LOADING, as Redis says it, until it knows what its keys hold.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from respram.config.settings import Config
from respram.server import restoring
from respram.server import snapshot_files as files
from respram.server.app import App
from tests import dear
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import start
from tests.ports import reserve
from tests.trials import restores
from tests.trials.stops import KEY, until_loaded


@pytest.mark.parametrize(
    ("engine", "keys"), dear.first(1, [(name, 30_000 if name == "native" else 8_000) for name in reversed(ENGINES)])
)
def test_nobody_decides_by_what_is_not_read_yet_and_no_end_in_the_middle_loses_anything(
    engine: str, keys: int, tmp_path: Path
) -> None:
    count = asyncio.run(restores.run(4, keys, 5, engine, tmp_path, (signal.SIGKILL, signal.SIGTERM)))
    assert count.ends == 4 and not count.wrong and not count.lost, f"{count} {count.examples}"


def test_what_a_node_says_while_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file stays in the reader's hands for as long as the test asks."""
    config = Config(
        port=0, peer_port=reserve(), engine="pure", snapshot_dir=str(tmp_path / "snapshots"), snapshot_key=KEY
    )
    load = restoring.Earlier._load

    async def begin(held: asyncio.Event) -> App:
        async def held_back(self: restoring.Earlier, found: files.Found, seals: int) -> restoring.Restored:
            await held.wait()
            return await load(self, found, seals)

        monkeypatch.setattr(restoring.Earlier, "_load", held_back)
        app = App(config, asyncio.get_running_loop())
        app.listen()
        app.remember()
        return app

    async def ask(app: App, *argv: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*app.listeners[0].sockets[0].getsockname())
        writer.write(request(*argv))
        answer = await reader.read(1 << 16)
        writer.close()
        return answer

    async def end(app: App) -> None:
        await app.drain()
        assert app.ring is not None
        app.ring.wipe()

    async def main() -> None:
        held = asyncio.Event()
        held.set()
        app = await begin(held)
        while app.node.loading:
            await asyncio.sleep(0.001)
        assert await ask(app, b"SET", b"counter", b"1000") == b"+OK\r\n"
        await end(app)
        held.clear()
        app = await begin(held)
        assert await ask(app, b"RESPRAM", b"STATE") == b"+loading\r\n", "the first thing that anybody can see"
        assert b"\r\nloading:1\r\n" in await ask(app, b"INFO", b"persistence")
        for argv in ((b"PING",), (b"INCR", b"counter"), (b"SET", b"counter", b"1"), (b"GET", b"counter"), (b"DBSIZE",)):
            assert await ask(app, *argv) == b"-LOADING Redis is loading the dataset in memory\r\n", argv
        await end(app)  # in the middle: what was not read stays as it is
        app = await begin(held)
        assert await ask(app, b"RESPRAM", b"STATE") == b"+loading\r\n"
        held.set()
        while (state := await ask(app, b"RESPRAM", b"STATE")) == b"+loading\r\n":
            await asyncio.sleep(0.001)
        assert (
            state == b"+ready\r\n"
            and await ask(app, b"INCR", b"counter") == b":1001\r\n"
            and await ask(app, b"PING") == b"+PONG\r\n"
        )
        await end(app)

    asyncio.run(main())


def test_an_empty_directory_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(KEY + "\n")
    node = start(
        "--snapshot-dir",
        str(tmp_path / "snapshots"),
        "--snapshot-key-file",
        str(tmp_path / "key"),
        engine="auto",
        port=reserve(),
    )
    try:
        asyncio.run(until_loaded(node.port))
        assert node.connect().ask(b"PING\r\n", 7) == b"+PONG\r\n" and "WARNING" not in node.log()
    finally:
        node.stop()
