"""The look that pages share: what is in it, and what a user without rights sees."""

import asyncio

from respram.gateway import live
from respram.gateway.live import Live, Look
from respram.gateway.nodes import Nodes
from respram.gateway.store import Store
from respram.gateway.target import Login, read_url
from tests.live import running


def test_the_next_minute_is_exact_for_few_keys_and_scaled_for_many() -> None:
    with running() as node:

        async def main() -> None:
            nodes = Nodes([read_url(f"redis://127.0.0.1:{node.port}")])
            link = await nodes.link()
            await link.batch(
                [
                    (b"SET", b"k%d" % number, b"x", b"PX", b"%d" % (number % 30 * 1000 + 25_000))
                    for number in range(1500)
                ]
            )
            await link.batch([(b"SET", b"long%d" % number, b"x", b"EX", b"900") for number in range(100)])
            found = (await Look(Store(nodes, False, 1.0), None).once())["minute"]
            assert (
                found["keys"] == found["looked"] == 1600
                and 1400 <= sum(found["seconds"]) <= 1500
                and max(found["seconds"]) <= 90
            )
            live.LOOKED_MAX, before = 400, live.LOOKED_MAX
            try:
                found = (await Look(Store(nodes, False, 1.0), None).once())["minute"]
            finally:
                live.LOOKED_MAX = before
            assert 300 <= found["looked"] < 1000 and 1100 < sum(found["seconds"]) < 1700
            nodes.close()

        asyncio.run(main())


def test_a_user_sees_what_its_rights_show() -> None:
    with running() as node:

        async def main() -> None:
            nodes = Nodes([read_url(f"redis://127.0.0.1:{node.port}")])
            link = await nodes.link()
            await link.call(b"ACL", b"SETUSER", b"app", b"on", b">w", b"~app:*", b"+@all", b"-@admin", b"-@dangerous")
            await link.batch([(b"SET", name, b"x", b"EX", b"30") for name in (b"app:1", b"other:1")])
            async with Live(Store(nodes, False, 1.0)).view(Login(b"app", b"w")) as look:
                assert look.last is not None
                assert (
                    look.last["reduced"] and sum(look.last["minute"]["seconds"]) == 1 and look.last["state"] == "ready"
                )
                later = await look.next()
                assert later["at_ms"] > 0
            nodes.close()

        asyncio.run(main())
