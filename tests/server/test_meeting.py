"""The way to peers, with a node that was alone and one that comes while it starts. More of it with live nodes:
tests/peers/test_first_peer.py, test_rotation.py.
"""

import asyncio
import socket
from pathlib import Path

from respram.config.settings import Config
from respram.server import clock
from respram.server.app import App
from tests.live import SOON_S
from tests.ports import reserve
from tests.server.test_secret import own_pki


def test_a_first_peer_that_comes_while_the_node_starts_is_met_once() -> None:
    """Before the loop's first turn is over: two nodes that are started together."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        app = App(Config(port=0, peer_port=reserve(), engine="pure"), loop)
        app.listen()
        met: list[object] = []
        meet_peers = app.meeting._meet

        async def noted() -> None:
            await meet_peers()
            met.append(app.meeting.driver)

        app.meeting._meet = noted  # type: ignore[method-assign]
        app.meet()
        with socket.create_connection(app.meeting.awaiting[0].getsockname()):
            app.meeting.grow()  # as the loop would, in the turn in which the meeting begins
            end = clock.now_ms() + SOON_S * 1000
            while len(met) < 1 and clock.now_ms() < end:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
        assert len(met) == 1 and met[0] is app.meeting.driver is not None and not app.stopping.done()
        await app.drain()

    asyncio.run(main())


def test_a_certificate_that_was_renewed_is_taken_without_a_signal(tmp_path: Path) -> None:
    own = own_pki(tmp_path, "own")

    async def main() -> None:
        config = Config(port=0, peer_port=reserve(), engine="pure", peer_cert=own.certificate, peer_key=own.key,
                        peer_ca=own.authority)
        app = App(config, asyncio.get_running_loop())
        meeting, before = app.meeting, app.meeting.trust
        meeting.look()
        assert meeting.renewing is None, "there is nothing new"
        key = Path(own.key).read_bytes()
        Path(own.key).write_bytes(b"half of it")
        meeting.look()
        assert meeting.renewing is not None
        await meeting.renewing
        assert meeting.trust is before
        Path(own.key).write_bytes(key)
        meeting.look()  # until it is good
        await meeting.renewing
        assert meeting.trust is not before
        last = meeting.renewing
        meeting.look()
        assert meeting.renewing is last
        await app.drain()

    asyncio.run(main())
