"""The cluster secret is exchanged under the eyes of clients: three nodes, two secrets for a while, nobody turned away.
"""

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.live import SOON_S
from tests.peers.enclave import Member, enclave, until, until_equal, until_linked, until_ready
from tests.ports import reserve
from tests.secrets import secret_of

OLD, NEW = secret_of("old"), secret_of("new")


@contextlib.contextmanager
def clients_at_work(members: list[Member]) -> Iterator[list[str]]:
    """On each node one who stays and one who comes anew each time. What goes wrong for them is in the list."""
    faults: list[str] = []
    over = threading.Event()
    served = [0] * len(members)

    def work(place: int) -> None:
        port = members[place].port
        staying = redis.Redis(port=port, socket_timeout=SOON_S, retry=Retry(NoBackoff(), 0))
        while not over.is_set():
            try:
                served[place] += bool(staying.set(f"w{place}:{served[place] % 500}", "v", ex=300))
                with redis.Redis(port=port, socket_timeout=SOON_S, retry=Retry(NoBackoff(), 0)) as passing:
                    passing.ping()
            except redis.RedisError as error:
                faults.append(f"{place}: {type(error).__name__}")
            time.sleep(0.005)
        staying.close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(members))]
    for thread in threads:
        thread.start()
    try:
        yield faults
    finally:
        over.set()
        for thread in threads:
            thread.join(SOON_S)
    assert all(served), served


def reload(member: Member, file: Path, content: str) -> None:
    assert member.node is not None
    before = member.log().count("event=peer_reload")
    file.write_text(content)
    member.node.process.send_signal(signal.SIGHUP)
    until(lambda: member.log().count("event=peer_reload") > before, "nothing was read again")


def linked_to(node: Member, count: int) -> bool:
    return bool(node.info()["enclave_peers_linked"] == count)


def is_untrusted(node: Member) -> bool:
    return "event=link_untrusted" in node.log()


@pytest.mark.slow
def test_a_cluster_secret_is_exchanged_and_no_client_notices(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(3)]
    for file in files:
        file.write_text(OLD)
    with enclave(3, secret="", each=lambda number: ("--cluster-secret-file", str(files[number]))) as members:
        until_ready(members)
        with clients_at_work(members) as faults:
            for step in (f"{OLD}\n{NEW}\n", f"{NEW}\n{OLD}\n", f"{NEW}\n"):
                for member, file in zip(members, files, strict=True):
                    reload(member, file, step)
                    assert "event=peer_reloaded what=secret" in member.log()
            until_linked(members)
            until(
                lambda: any("event=seal_key_made" in member.log() for member in members),
                "values are sealed with the keys of before",
            )
            members[0].client.set("after", "all", ex=300)
            until(lambda: all(member.client.get("after") == b"all" for member in members), "the nodes lost each other")
        assert not faults, faults[:5]
        until_equal(members, 1)
        assert "links_ended=2" in members[0].log(), "links of the old secret stayed"
        for member in members:
            assert OLD not in member.log() and NEW not in member.log() and "link_untrusted" not in member.log()
        for secret, linked in ((OLD, 0), (NEW, 3)):
            joiner = Member(reserve(), reserve(), members[0].join, "pure", (), secret)
            joiner.start()
            try:
                if linked:
                    until(partial(linked_to, joiner, 3), "the new secret is not believed")
                else:
                    until(partial(is_untrusted, joiner), "the old secret is still believed")
            finally:
                joiner.stop()


def test_a_wrong_secret_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(OLD)
    with enclave(2, "--cluster-secret-file", str(file), secret="") as members:
        until_ready(members)
        for content, why in (("short", "was not made by"), ("", "empty"), (f"{OLD}\n{OLD}", "twice")):
            reload(members[0], file, content)
            assert re.search(f"event=peer_reload_failed reason=the cluster secret .*{why}", members[0].log()), members[
                0
            ].log()
        members[0].client.set("k", "v", ex=100)
        until(lambda: members[1].client.get("k") == b"v", "the peers lost each other")
