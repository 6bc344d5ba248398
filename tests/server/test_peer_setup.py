"""A node's start among its peers: which engine, which address, whose root, and what is said when it cannot be."""

import asyncio
import socket
from pathlib import Path

import pytest

from respram.config import Config
from respram.engine.pure import PureEngine
from respram.errors import BindError, ConfigError
from respram.options import Address, Service
from respram.server import discovery, peer_setup
from respram.server import driver as driver_module
from respram.server.secret import trust_by_secret
from tests.server.nodes import make_node, parties, peer_port, run, start_party, until

SECRET = "Zk3-qT8vJx0_LmW4sYb7Rd"


def test_trust_comes_from_a_secret_or_from_certificates_or_is_not_there(tmp_path: Path) -> None:
    assert peer_setup.make_trust(Config()) is None
    trust = peer_setup.make_trust(Config(cluster_secret=SECRET))
    assert trust is not None and trust.source == "secret"
    with pytest.raises(ConfigError, match="weak"):
        peer_setup.make_trust(Config(cluster_secret="weak"))
    with pytest.raises(ConfigError, match="cannot be read"):
        peer_setup.make_trust(Config(peer_cert="none", peer_key="none", peer_ca=str(tmp_path / "none")))


def test_only_a_node_with_peers_pays_for_digests_and_an_outbox() -> None:
    alone = make_node(Config(engine="pure"), 1, None, lambda _: None)
    assert isinstance(alone.engine, PureEngine) and alone.engine.keyspace.digests is None
    joined = make_node(Config(engine="pure", join=(Address("127.0.0.1", 1),)), 1, None, lambda _: None)
    assert isinstance(joined.engine, PureEngine) and joined.engine.keyspace.digests is not None


def test_the_key_of_record_ids_is_that_of_the_cluster() -> None:
    def ids_key(config: Config) -> int:
        node = make_node(config, 1, peer_setup.make_trust(config), lambda _: None)
        assert isinstance(node.engine, PureEngine) and node.engine.keyspace.digests is not None
        return node.engine.keyspace.digests.ids_key

    join = (Address("127.0.0.1", 1),)
    open_one, green = Config(engine="pure", join=join), Config(engine="pure", join=join, network="green")
    secret = Config(engine="pure", cluster_secret=SECRET)
    assert ids_key(secret) == trust_by_secret((SECRET,)).ids_key
    assert len({ids_key(open_one), ids_key(green), ids_key(secret)}) == 3
    assert ids_key(open_one) == ids_key(open_one)


def test_a_taken_peer_port_is_one_clear_error_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"listen for peers on 127.0.0.1:{port}.*--peer-port"):
            peer_setup.listen(Config(peer_port=port, join=(Address("127.0.0.1", 1),)))
    free = peer_port()
    listeners = peer_setup.listen(Config(peer_port=free, peer_bind=("127.0.0.1", "127.0.0.2"), cluster_secret=SECRET))
    assert [one.getsockname() for one in listeners] == [("127.0.0.1", free), ("127.0.0.2", free)]
    for one in listeners:
        one.close()


@pytest.mark.parametrize(
    ("root", "names_itself", "is_root"), [("auto", True, True), ("auto", False, False), ("yes", False, True), ("no", True, False)]
)
def test_who_is_a_root(root: str, names_itself: bool, is_root: bool) -> None:
    async def main() -> None:
        port, other = peer_port(), peer_port()
        party = await start_party(1, port, (port, other) if names_itself else (other,), root=root)
        core = party.driver.replica.core
        assert (core.me.role == 3) is is_root
        assert core.roots == [b"127.0.0.1:%d" % other], "a node never dials itself"
        assert f"root={'yes' if is_root else 'no'}" in party.lines[-1] or any("root=" in line for line in party.lines)
        await party.driver.stop()

    run(main)


def test_nobody_to_join_makes_a_root_that_is_ready_at_once() -> None:
    async def main() -> None:
        party = await start_party(1, peer_port(), (), trust_by_secret((SECRET,)), cluster_secret=SECRET)
        core = party.driver.replica.core
        assert core.state == "ready" and core.me.role == 3
        await party.driver.stop()

    run(main)


def test_a_name_that_dns_does_not_know_keeps_the_node_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "name_servers", lambda: [Address("127.0.0.1", 1)])

    async def main() -> None:
        lines: list[str] = []
        config = Config(engine="pure", peer_port=peer_port(), join=(Service("_nowhere._tcp.invalid"),))
        node = make_node(config, 1, None, lines.append)
        driver = await peer_setup.start(config, node, asyncio.get_running_loop(), None, peer_setup.listen(config), lines.append)
        assert any("event=join_unresolved" in line and "srv:_nowhere._tcp.invalid" in line for line in lines)
        assert driver.replica.core.state == "joining" and driver.replica.core.roots == [b"srv:_nowhere._tcp.invalid"]
        await until(lambda: driver.replica.core.state == "ready")
        await driver.stop()

    run(main)


def test_names_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "LOOK_SOON_S", 0.05)

    async def main() -> None:
        async with parties(2) as (one, _):
            late = await start_party(9, peer_port(), (peer_port(),))
            assert not late.driver.links
            found = discovery.Found((Address("127.0.0.1", one.port),), ())

            async def find(*_: object) -> object:
                return found

            monkeypatch.setattr(discovery, "find", find)
            await until(lambda: late.driver.replica.core.greeted())
            await late.driver.stop()

    run(main)
