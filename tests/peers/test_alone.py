"""A node that was told to join and meets nobody does not look healthy: what is wrong stands in its log, and `ping
--ready` fails.
"""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from tests.live import SOON_S, LiveNode
from tests.peers.enclave import SECRET, USUAL, Member, enclave, until
from tests.ports import reserve
from tests.secrets import secret_of

OTHER_SECRET = secret_of("another")


@contextlib.contextmanager
def joining(join: str, *args: str, secret: str = SECRET, alone_after_ms: int = 300) -> Iterator[Member]:
    member = Member(reserve(), reserve(), join, USUAL, ("--alone-after-ms", str(alone_after_ms), *args), secret)
    member.start(wait=False)
    try:
        yield member
    finally:
        member.stop()


def state(member: Member) -> bytes:
    reply = member.client.execute_command("RESPRAM", "STATE")
    assert isinstance(reply, bytes)
    return reply


def ping_ready(node: LiveNode | None) -> int:
    assert node is not None
    return subprocess.run(
        [sys.executable, "-m", "respram", "ping", "--port", str(node.port), "--ready"], capture_output=True
    ).returncode


def warned(member: Member, words: str) -> bool:
    return any(words in line for line in member.log().splitlines() if " WARNING " in line)


def test_what_is_wrong_with_the_addresses_is_said_once_for_each() -> None:
    with enclave(1) as (there,):
        assert there.node is not None
        for join, secret, words in (
            (f"127.0.0.1:{there.node.port}", SECRET, "a port for clients answers there"),
            (f"127.0.0.1:{there.node.port}", "", "a port for clients answers there"),
            (f"127.0.0.1:{reserve()}", SECRET, "event=unreached"),
            (f"127.0.0.1:{there.peer_port}", OTHER_SECRET, "event=link_untrusted"),
        ):
            with joining(join, secret=secret) as member:
                until(lambda: state(member) == b"alone", "it thinks that it is well")
                until(lambda: warned(member, words), f"{words}: {member.log()}")  # noqa: B023 - called at once
                assert warned(member, "event=alone")
                assert ping_ready(member.node) == 1
                assert member.info()["peer_state"] == "alone"


def ready_by_http(port: int) -> tuple[int, bytes]:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON_S)
    with contextlib.closing(wire):
        wire.request("GET", "/readyz")
        answer = wire.getresponse()
        return answer.status, answer.read()


def test_nothing_is_decided_alone_before_the_patience_is_over_and_then_it_is_said() -> None:
    with joining(f"127.0.0.1:{reserve()}", "--join-wait", "4") as member:
        client = member.client
        until(lambda: state(member) == b"alone", "not alone")
        with pytest.raises(redis.exceptions.BusyLoadingError):
            client.incr("count")
        with pytest.raises(redis.exceptions.BusyLoadingError):
            client.get("count")
        assert client.set("blind", 1, ex=60) and client.get("blind") == b"1"
        until(lambda: state(member) == b"ready", "it never serves")
        assert client.incr("count") == 1 and ping_ready(member.node) == 0
        assert warned(member, "serves_alone")


def test_who_must_not_serve_alone_does_not_and_joins_whoever_comes() -> None:
    port, metrics_port = reserve(), reserve()
    words = ("--join-wait", "0", "--serve-alone", "no", "--metrics-port", str(metrics_port))
    with joining(f"127.0.0.1:{port}", *words) as member:
        until(lambda: state(member) == b"alone", "not alone")
        assert ready_by_http(metrics_port) == (503, b"alone\n"), "a balancer sends nobody to who decides nothing"
        time.sleep(0.7)
        assert state(member) == b"alone"
        with pytest.raises(redis.exceptions.BusyLoadingError):
            member.client.incr("count")
        late = Member(reserve(), port, f"127.0.0.1:{port}", USUAL, (), SECRET)
        late.start()
        try:
            late.client.set("count", 41, ex=60)
            until(lambda: state(member) == b"ready", "it does not join")
            assert member.client.incr("count") == 42
        finally:
            late.stop()


@pytest.mark.parametrize(("secret", "network", "words"), [
    (OTHER_SECRET, "respram", "event=link_untrusted"), (SECRET, "other", "why=another_network"),
])  # fmt: skip
def test_who_is_refused_by_those_it_was_told_to_join_is_not_ready(secret: str, network: str, words: str) -> None:
    """After --join-wait it said that it was ready, and was refused every five seconds."""
    metrics_port = reserve()
    with enclave(1) as (there,):
        join = f"127.0.0.1:{there.peer_port}"
        extra = ("--join-wait", "1", "--network", network, "--metrics-port", str(metrics_port))
        with joining(join, *extra, secret=secret) as member:
            until(lambda: warned(member, words), f"{words}: {member.log()}")
            until(lambda: state(member) == b"alone", "it thinks that it is well")
            until(lambda: member.log().count(words) > 1, "it is not refused again")
            assert state(member) == b"alone" and ready_by_http(metrics_port) == (503, b"alone\n")
            assert "event=ready" not in member.log() and warned(member, "waits until that is corrected")
            with pytest.raises(redis.exceptions.BusyLoadingError):
                member.client.incr("count")
