"""Nodes whose links run through proxies that can be cut and mended: each node advertises its proxy's address."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.wire import Wire
from tests.peers.enclave import SECRET, USUAL, Member, until_linked, until_ready
from tests.ports import reserve


@contextmanager
def wired(
    count: int, *args: str, engine: str = USUAL, environment: Callable[[int], dict[str, str]] = lambda _: {}
) -> Iterator[tuple[list[Member], list[Wire]]]:
    ports = [reserve() for _ in range(count)]
    proxies = [Wire(port) for port in ports]
    join = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
    members = [
        Member(
            reserve(), port, join, engine, ("--advertise", f"127.0.0.1:{proxy.port}", *args), SECRET,
            environment=environment(number),
        )
        for number, (port, proxy) in enumerate(zip(ports, proxies, strict=True))
    ]  # fmt: skip
    try:
        for member in members:
            member.start()
        until_linked(members)
        until_ready(members)
        yield members, proxies
        for member in members:
            assert "event=bug" not in member.log(), member.log()
    finally:
        for member in members:
            member.stop()
        for proxy in proxies:
            proxy.close()
