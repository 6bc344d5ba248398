"""A member tells a live node of as many keys of segments as there is room for: the node's snapshots are still written,
and restored after a kill.
"""

import contextlib
import os
import re
import socket
import time
from pathlib import Path
from typing import Any

from respram.gossip.agreement import pack_said
from respram.gossip.members import Member, pack_member
from respram.gossip.policy import Said, Terms
from respram.server.secret import Trust, trust_by_secret
from respram.snapshot.keys import KEY_BYTES, KEYS_MAX, pack, segment_key
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Hello, Keys
from tests.live import SOON_S
from tests.peers.enclave import SECRET, enclave, until, until_ready

NEVER_MS = (1 << 64) - 1
RECORDS = 200


def tell(peer_port: int, trust: Trust, end_ms: int, count: int) -> None:
    """Tells of so many keys that end then, as long as the link stands."""
    me = Member(trust.number, b"default", b"127.0.9.8:7000")
    said = pack_said(Said(Terms(), Terms(), Terms()))
    now_ms = time.time_ns() // 1_000_000
    with (
        socket.create_connection(("127.0.0.1", peer_port), SOON_S) as sock,
        trust.dialling.wrap_socket(sock) as link,
        contextlib.suppress(OSError),
    ):
        link.sendall(
            encode(Hello(VERSION, b"respram", me.number, me.enclave, me.address, now_ms, 0, pack_member(me), said))
        )
        heard = b""
        while b"MEMBERS" not in heard and b"REFUSE" not in heard and (piece := link.recv(1 << 16)):
            heard += piece
        for _ in range(0, count, 4_096):
            keys = [segment_key(end_ms, os.urandom(KEY_BYTES), os.urandom(32)) for _ in range(4_096)]
            link.sendall(encode(Keys(pack(keys), b"")))
            link.settimeout(0.005)
            with contextlib.suppress(TimeoutError):
                if not link.recv(1 << 16):
                    return
            link.settimeout(SOON_S)


def test_a_ring_full_of_anothers_keys_loses_no_snapshot(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir(mode=0o700)

    def each(number: int) -> tuple[str, ...]:
        return "--snapshot-dir", str(folders[number]), "--snapshot-interval", "1"

    with enclave(2, each=each) as members:
        until_ready(members)
        first = members[0]

        def state() -> dict[str, Any]:
            return dict(first.client.info("persistence"))

        trust = trust_by_secret((SECRET,))
        for member in members:
            tell(member.peer_port, trust, NEVER_MS, KEYS_MAX)
            tell(member.peer_port, trust, time.time_ns() // 1_000_000 + 3_600_000, KEYS_MAX)
        for number in range(RECORDS):
            first.client.set(b"kept:%d" % number, b"v%d" % number, ex=3_600)
        written = state()["snapshot_last_time"]
        until(lambda: state()["snapshot_last_time"] > written + 1, "no snapshot is written")
        assert state()["snapshot_status"] == "ok", state()
        assert state()["snapshot_keys_held"] > KEYS_MAX // 16 and state()["snapshot_keys_refused"] > KEYS_MAX // 16
        first.kill()
        first.start()
        until(lambda: "event=snapshot_restored" in first.log(), "nothing is restored")
        found = re.search(r"event=snapshot_restored files=(\d+) records=(\d+)", first.log())
        assert found is not None and int(found[2]) == RECORDS, first.log()[-3000:]
        for number in range(RECORDS):
            assert first.client.get(b"kept:%d" % number) == b"v%d" % number
