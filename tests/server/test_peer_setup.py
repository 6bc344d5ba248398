"""A node's start among its peers: which engine, which address, whose root, and what is said when it cannot be."""

import asyncio
import socket
from pathlib import Path

import pytest

from respram.config.limits import Limits
from respram.config.options import Address, Service
from respram.config.settings import Config
from respram.engine.pure import PureEngine
from respram.errors import BindError, ConfigError
from respram.server import discovery, peer_setup
from respram.server import driver as driver_module
from respram.server.secret import trust_by_secret
from tests.ports import reserve
from tests.secrets import secret_of
from tests.server.nodes import into, make_node, parties, run, start_party, until

SECRET = secret_of("setup")


def test_trust_comes_from_a_secret_or_from_certificates_or_is_not_there(tmp_path: Path) -> None:
    assert peer_setup.make_trust(Config()) is None
    trust = peer_setup.make_trust(Config(cluster_secret=SECRET))
    assert trust is not None and trust.source == "secret"
    with pytest.raises(ConfigError, match="was not made by"):
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
    free = reserve()
    listeners = peer_setup.listen(Config(peer_port=free, peer_bind=("127.0.0.1", "127.0.0.2"), cluster_secret=SECRET))
    assert [one.getsockname() for one in listeners] == [("127.0.0.1", free), ("127.0.0.2", free)]
    for one in listeners:
        one.close()


@pytest.mark.parametrize(
    ("root", "names_itself", "is_root"),
    [("auto", True, True), ("auto", False, False), ("yes", False, True), ("no", True, False)],
)
def test_who_is_a_root(root: str, names_itself: bool, is_root: bool) -> None:
    async def main() -> None:
        port, other = reserve(), reserve()
        party = await start_party(1, port, (port, other) if names_itself else (other,), root=root)
        core = party.driver.replica.core
        assert (core.me.role == 3) is is_root
        assert core.partners.roots == [b"127.0.0.1:%d" % other], "a node never dials itself"
        assert f"root={'yes' if is_root else 'no'}" in party.lines[-1] or any("root=" in line for line in party.lines)
        await party.driver.stop()

    run(main)


def test_the_core_keeps_to_what_the_operator_set() -> None:
    async def main() -> None:
        party = await start_party(
            1, reserve(), (), limits=Limits(tree_leaves_max=7, suspicion_ms=9_000, peer_queue_bytes_max=1 << 20)
        )
        policy = party.driver.replica.core.policy
        assert (policy.leaves_max, policy.suspicion_ms, policy.queue_bytes_max) == (7, 9_000, 1 << 20)
        assert policy.branches_max == 15
        await party.driver.stop()

    run(main)


def test_nobody_to_join_makes_a_root_that_is_ready_at_once() -> None:
    async def main() -> None:
        party = await start_party(1, reserve(), (), trust_by_secret((SECRET,)), cluster_secret=SECRET)
        core = party.driver.replica.core
        assert core.state == "ready" and core.me.role == 3
        await party.driver.stop()

    run(main)


def test_a_name_that_dns_does_not_know_keeps_the_node_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "name_servers", lambda: [Address("127.0.0.1", 1)])

    async def main() -> None:
        lines: list[str] = []
        config = Config(engine="pure", peer_port=reserve(), join=(Service("_nowhere._tcp.invalid"),))
        node = make_node(config, 1, None, lines.append)
        driver = await peer_setup.start(config, node, asyncio.get_running_loop(), None, peer_setup.listen(config),
                                        into(lines))
        assert any("event=join_unresolved" in line and "srv:_nowhere._tcp.invalid" in line for line in lines)
        assert driver.replica.core.state == "joining" and driver.replica.core.partners.roots == [
            b"srv:_nowhere._tcp.invalid"
        ]
        await until(lambda: driver.replica.core.state == "alone")
        assert any("event=alone" in line for line in lines)
        await driver.stop()

    run(main)


def test_a_name_that_cannot_be_resolved_yet_is_somebody_to_look_for() -> None:
    """Else the first node of a deployment, whose names come up one after the other, calls itself complete."""

    async def main() -> None:
        lines: list[str] = []
        port = reserve()
        config = Config(engine="pure", peer_port=port, join=(Address("127.0.0.1", port), Address("later.invalid", 7)))
        node = make_node(config, 1, None, lines.append)
        driver = await peer_setup.start(config, node, asyncio.get_running_loop(), None, peer_setup.listen(config),
                                        into(lines))
        core = driver.replica.core
        assert core.state == "joining" and core.partners.roots == [b"later.invalid:7"] and core.me.role == 3
        await driver.stop()

    run(main)


def test_a_node_knows_itself_among_those_to_join_before_dns_knows_its_name() -> None:
    """As in a headless service, where the records of a pod may come after its start."""

    async def main() -> None:
        port, other = reserve(), reserve()
        party = await start_party(
            1, port, (port, other), trust_by_secret((SECRET,)),
            peer_bind=("0.0.0.0",), advertise=Address("later.invalid", port), cluster_secret=SECRET,
        )  # fmt: skip
        core = party.driver.replica.core
        assert core.me.role == 3 and core.partners.roots == [b"127.0.0.1:%d" % other]
        await party.driver.stop()

    run(main)


def test_whoever_is_given_the_address_of_another_by_mistake_is_told_so() -> None:
    """It must not take the other for itself, find nobody else to join, and look as if all were well."""

    async def main() -> None:
        async with parties(1) as (one,):
            port = reserve()
            wrong = await start_party(9, port, (one.port,), advertise=Address("127.0.0.1", one.port))
            for party in (one, wrong):
                await until(lambda party=party: any("we_both_advertise" in line for line in party.lines))  # type: ignore[misc]
            await wrong.driver.stop()

    run(main)


def test_a_node_behind_a_mapped_port_finds_out_that_it_is_one_of_those_to_join() -> None:
    async def main() -> None:
        port, mapped = reserve(), reserve()

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inward, outward = await asyncio.open_connection("127.0.0.1", port)

            async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                while data := await source.read(4096):
                    target.write(data)
                target.close()

            await asyncio.gather(carry(reader, outward), carry(inward, writer))

        server = await asyncio.start_server(forward, "127.0.0.1", mapped)
        party = await start_party(1, port, (mapped,), advertise=Address("127.0.0.1", mapped))
        core = party.driver.replica.core
        assert core.me.role == 3
        await until(lambda: list(core.neighbours.own_addresses) == [b"127.0.0.1:%d" % mapped])
        await until(lambda: core.state == "ready")
        assert not core.book.alive
        await party.driver.stop()
        server.close()

    run(main)


def test_nodes_meet_over_ipv6() -> None:
    async def main() -> None:
        first, port = reserve(), reserve()
        one = await start_party(1, first, (first,), host="::1", peer_bind=("::1",))
        other = await start_party(2, port, (first,), host="::1", peer_bind=("::1",))
        assert f"listen=[::1]:{port} address=[::1]:{port} " in other.lines[-1]
        await until(
            lambda: one.driver.replica.core.neighbours.greeted() and other.driver.replica.core.neighbours.greeted()
        )
        [link] = other.driver.links.table.values()
        assert link.remote == f"[::1]:{first}", "an address as one would write it"
        for party in (one, other):
            await party.driver.stop()

    run(main)


def test_names_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "LOOK_SOON_S", 0.05)

    async def main() -> None:
        async with parties(2) as (one, _):
            late = await start_party(9, reserve(), (reserve(),))
            assert not late.driver.links.table
            found = discovery.Found((Address("127.0.0.1", one.port),), ())

            async def find(*_: object) -> object:
                return found

            monkeypatch.setattr(discovery, "find", find)
            await until(lambda: late.driver.replica.core.neighbours.greeted())
            await late.driver.stop()

    run(main)


def test_cluster_clients_are_told_where_this_node_listens_for_them() -> None:
    def told(ports: tuple[int, int] = (6379, 0), peer_host: str = "10.0.0.7", **settings: object) -> bytes:
        return peer_setup.clients_address(Config(**{"cluster": "yes", **settings}), peer_host, *ports)  # type: ignore[arg-type]

    assert told(cluster="no") == b"" and told((0, 0)) == b"", "nobody is to be told"
    assert told(bind=("127.0.0.1",)) == b"127.0.0.1:6379", "peers find it elsewhere, clients do not"
    assert told(bind=("0.0.0.0",)) == told(bind=("::1", "10.0.0.7")) == b"10.0.0.7:6379"
    assert told((6379, 6380), bind=("fd00::7",)) == b"[fd00::7]:6379/6380"
    assert told((0, 6380), bind=("10.0.0.7",)) == b"10.0.0.7:6380/6380"
    there = Address("cache.example", 7000)
    assert told((0, 0), cluster_announce=there) == told(cluster_announce=there) == b"cache.example:7000"
    assert told((6379, 6380), cluster_announce=there, cluster_announce_tls_port=7001) == b"cache.example:7000/7001"
