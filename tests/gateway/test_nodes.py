"""Several nodes behind one gateway: the next one when one fails, most of the enclave for a write, links within bounds.
"""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
import redis

from respram.gateway import nodes as nodes_file
from respram.gateway.faults import Busy, WrongLogin
from respram.gateway.nodes import Nodes, facts, info_fields
from respram.gateway.target import Login, read_url
from tests.gateway.faces import serving, until
from tests.live import SOON_S, LiveNode, running, start
from tests.ports import reserve
from tests.secrets import secret_of


def test_facts_are_read_out_of_flat_arrays_and_lines() -> None:
    assert facts([b"node", b"1", b"lag_ms", 5, b"none", None]) == {"node": "1", "lag_ms": "5", "none": ""}
    assert facts(b"node=1 lag_ms=5 none=") == {"node": "1", "lag_ms": "5", "none": ""}
    assert facts(b"x") == {} and info_fields(None) == {}
    assert info_fields(b"# Head\r\na:1\r\nb:x:y\r\n\r\n") == {"a": "1", "b": "x:y"}


def test_when_a_node_ends_the_next_one_is_asked() -> None:
    first, second = start(), start()
    try:
        with (
            serving(f"redis://127.0.0.1:{first.port}", f"redis://127.0.0.1:{second.port}") as gateway,
            gateway.client() as client,
        ):
            assert client.put("/v1/data/a", content=b"1").status_code == 201
            first.stop()
            assert client.get("/v1/data/a").status_code == 404, "the second one does not hold it: they are no enclave"
            assert client.put("/v1/data/b", content=b"2").status_code == 201
            second.stop()
            gone = client.get("/v1/data/b")
            assert gone.status_code == 503 and gone.headers["retry-after"] == "1"
            assert client.get("/v1/health").status_code == 503
    finally:
        first.stop()
        second.stop()


def test_a_node_that_has_met_none_of_its_peers_is_left_for_the_next_and_is_not_said_to_be_healthy() -> None:
    words = ("--join", f"127.0.0.1:{reserve()}", "--alone-after-ms", "300", "--serve-alone", "no")
    with (
        running(*words, env={"RESPRAM_CLUSTER_SECRET": secret_of("gateway")}) as first,
        running() as second,
        redis.Redis(port=first.port, socket_timeout=SOON_S) as direct,
    ):
        until(lambda: direct.execute_command("RESPRAM", "STATE") == b"alone")
        urls = [f"redis://127.0.0.1:{one.port}" for one in (first, second)]
        with serving(*urls) as gateway, gateway.client() as client:
            assert client.put("/v1/data/a", content=b"1").status_code == 201
            assert client.get("/v1/data/none").status_code == 404, "the first one does not know"
        with serving(urls[0]) as gateway, gateway.client() as client:
            assert client.get("/v1/health").json()["status"] == "joining"


def test_a_node_that_stands_still_is_left_for_the_next() -> None:
    with (
        running() as first,
        running() as second,
        serving(*(f"redis://127.0.0.1:{one.port}" for one in (first, second))) as gateway,
    ):
        client = httpx.Client(base_url=gateway.base, timeout=SOON_S, trust_env=False)
        assert client.put("/v1/data/a", content=b"1").status_code == 201
        os.kill(first.process.pid, signal.SIGSTOP)
        try:
            assert client.get("/v1/data/a").status_code == 404, "answered by the second"
            assert client.put("/v1/data/b", content=b"1").status_code == 201
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
            client.close()


def enclave(count: int) -> "list[LiveNode]":
    ports = [reserve() for _ in range(count)]
    join = ",".join(f"127.0.0.1:{port}" for port in ports)
    return [start("--peer-port", str(port), "--join", join) for port in ports]


def test_a_write_waits_for_most_nodes_and_says_when_it_cannot(tmp_path: Path) -> None:
    nodes = enclave(3)
    try:
        urls = [f"redis://127.0.0.1:{node.port}" for node in nodes]
        with serving(urls[0], words=("--write-timeout=1",)) as gateway, gateway.client() as client:
            until(lambda: client.get("/v1/health").json()["status"] == "healthy")
            until(lambda: len(client.get("/v1/topology").json()["peers"]) == 2)
            until(lambda: client.put("/v1/data/a", content=b"1").status_code == 201)
            held = [node.connect().ask(b"GET a\r\n", 7) for node in nodes]
            assert held.count(b"$1\r\n1\r\n") >= 2
            for node in nodes[1:]:
                os.kill(node.process.pid, signal.SIGSTOP)
            try:
                got = client.put("/v1/data/a", content=b"2")
                assert (got.status_code, got.text) == (202, "Accepted (quorum pending)")
                assert client.put("/v1/data/a?quorum=none", content=b"3").status_code == 201
                assert client.put("/v1/data/a?quorum=most", content=b"3").status_code == 400
                assert client.get("/v1/data/a").content == b"3"
            finally:
                for node in nodes[1:]:
                    os.kill(node.process.pid, signal.SIGCONT)
            until(lambda: client.put("/v1/data/a", content=b"4").status_code == 201)
    finally:
        for node in nodes:
            node.stop()


def test_links_of_users_and_of_waiting_writes_are_bounded(node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes_file, "USERS_MAX", 3)
    monkeypatch.setattr(nodes_file, "SPARE_MAX", 2)
    wire = node.connect()
    for number in range(5):
        wire.ask(b"ACL SETUSER user%d on >word ~* +@all\r\n" % number, 5)

    async def main() -> None:
        nodes = Nodes([read_url(f"redis://127.0.0.1:{node.port}")])
        links = [await nodes.link(Login(b"user%d" % number, b"word")) for number in range(5)]
        await asyncio.sleep(0.1)
        assert [link.ended for link in links] == [True, True, False, False, False]
        with pytest.raises(WrongLogin):
            await nodes.link(Login(b"user1", b"other"))
        async with nodes.own() as one:
            async with nodes.own() as other:
                assert one is not other
                with pytest.raises(Busy):
                    async with nodes.own():
                        pass
            async with nodes.own() as again:
                assert again is other, "a link is used again"
                again.close()
                await asyncio.sleep(0.05)
            async with nodes.own() as fresh:
                assert fresh is not again and await fresh.call(b"PING") == b"PONG"
        nodes.close()

    asyncio.run(main())
