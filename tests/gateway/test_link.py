"""Links to nodes: many requests on one, ends, stillness, and what is no node at all."""

import asyncio

import pytest

from respram.gateway import link as links
from respram.gateway.faults import Busy, NodesGone, Refusal
from respram.gateway.link import connect
from tests.live import SOON_S, LiveNode
from tests.ports import reserve


async def twice(link: links.NodeLink) -> None:
    await link.call(b"PING")
    await link.call(b"PING")


async def to(port: int, answer_s: float = SOON_S) -> links.NodeLink:
    return await connect("127.0.0.1", port, "", None, answer_s)


def test_answers_reach_whoever_asked(node: LiveNode) -> None:
    async def main() -> None:
        link = await to(node.port)
        echoes = await asyncio.gather(*(link.batch([(b"ECHO", b"%d" % number), (b"PING",)]) for number in range(500)))
        assert echoes == [[b"%d" % number, b"PONG"] for number in range(500)]
        with pytest.raises(Refusal) as refused:
            await link.call(b"NO-SUCH", b"secret")
        assert refused.value.word == "ERR"
        link.close()

    asyncio.run(main())


def test_whoever_waits_hears_of_the_end(node: LiveNode) -> None:
    async def main() -> None:
        link = await to(node.port)
        waiting = link.batch([(b"PING",)])
        link.close()
        with pytest.raises(NodesGone) as gone:
            await waiting
        assert gone.value.sent
        with pytest.raises(NodesGone) as later:
            link.batch([(b"PING",)])
        assert not later.value.sent

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n", b"$-7\r\n", b""])
def test_what_is_no_node_ends_the_link_and_nothing_else(answer: bytes) -> None:
    async def main() -> None:
        async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(answer)
            await writer.drain()
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(strange, "127.0.0.1", 0)
        link = await to(server.sockets[0].getsockname()[1], answer_s=0.3)
        with pytest.raises((NodesGone, Refusal)):
            await twice(link)  # one answer too many may come behind the first
        server.close()

    asyncio.run(main())


def test_nobody_there_is_said_at_once() -> None:
    port = reserve()

    async def main() -> None:
        with pytest.raises(NodesGone) as gone:
            await to(port)
        assert not gone.value.sent

    asyncio.run(main())


def test_a_link_takes_only_so_many_requests(node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "REQUESTS_MAX", 3)

    async def main() -> None:
        link = await to(node.port)
        waiting = [link.batch([(b"PING",)]) for _ in range(3)]
        with pytest.raises(Busy):
            link.batch([(b"PING",)])
        assert await asyncio.gather(*waiting) == [[b"PONG"]] * 3
        assert await link.call(b"PING") == b"PONG"
        link.close()

    asyncio.run(main())
