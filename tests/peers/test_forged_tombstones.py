"""A member that knows the secret says that another's segment keys are destroyed: the other still restarts from its
snapshot without a key file. What its owner destroys is destroyed, also after that restart.
"""

import contextlib
import re
import shutil
import socket
import time
from pathlib import Path

from respram.gossip.agreement import pack_said
from respram.gossip.members import Member, pack_member
from respram.gossip.policy import Said, Terms
from respram.server.secret import Trust, trust_by_secret
from respram.snapshot.keys import SegmentKey, hash_of, pack, segment_key, tombstone_of, unpack
from respram.wire.codec import encode
from respram.wire.messages import VERSION, Hello, Keys
from tests.live import SOON_S
from tests.peers.enclave import SECRET, enclave, until, until_ready
from tests.peers.enclave import Member as Place

RECORDS = 50
KEYS_HEAD = re.compile(rb"\*3\r\n\$4\r\nKEYS\r\n\$(\d+)\r\n")
PATIENCE_S = 10.0  # until the member has heard keys


def forge(peer_port: int, trust: Trust) -> list[SegmentKey]:
    """Hears which keys there are, and says of each that it is destroyed, and that it ends at once; the keys."""
    me = Member(trust.number, b"default", b"127.0.9.8:7000")
    now_ms = time.time_ns() // 1_000_000
    said = pack_said(Said(Terms(), Terms(), Terms()))
    with (
        socket.create_connection(("127.0.0.1", peer_port), SOON_S) as sock,
        trust.dialling.wrap_socket(sock) as link,
    ):
        link.sendall(
            encode(Hello(VERSION, b"respram", me.number, me.enclave, me.address, now_ms, 0, pack_member(me), said))
        )
        heard, entries, end_s = b"", list[SegmentKey](), time.monotonic() + PATIENCE_S
        while not entries and time.monotonic() < end_s and (piece := link.recv(1 << 16)):
            heard += piece
            for found in KEYS_HEAD.finditer(heard):
                payload = heard[found.end() : found.end() + int(found[1])]
                if payload and len(payload) == int(found[1]):
                    entries += unpack(payload)
        for one in entries:
            hashed = hash_of(one.key)
            proofs = (bytes(32), bytes(one.key), one.commitment, hashed)
            wrong = [tombstone_of(one.end_ms, hashed, proof) for proof in proofs]
            soon = segment_key(now_ms + 2_000, one.key, one.commitment)
            link.sendall(encode(Keys(pack([soon]), pack(wrong))) + encode(Keys(b"", pack([one]))))
        link.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while link.recv(1 << 16):
                pass
    return entries


def state(member: Place) -> dict[str, object]:
    return dict(member.client.info("persistence"))


def test_a_node_restarts_from_its_snapshot_whatever_a_member_says_of_its_keys(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(2)]
    old = tmp_path / "old"

    def each(number: int) -> tuple[str, ...]:
        folders[number].mkdir(mode=0o700, exist_ok=True)
        return "--snapshot-dir", str(folders[number]), "--snapshot-interval", "2"

    def restarted(owner: Place) -> re.Match[str]:
        owner.kill()
        owner.start()
        until(lambda: "event=snapshot_restored" in owner.log(), "nothing is restored")
        found = re.search(r"event=snapshot_restored files=(\d+) records=(\d+) locked=(\d+)", owner.log())
        assert found is not None
        return found

    def passed(owner: Place) -> None:
        passes = int(str(state(owner)["snapshot_passes"]))
        until(lambda: int(str(state(owner)["snapshot_passes"])) > passes + 1, "no snapshot is written")

    with enclave(2, each=each) as members:
        until_ready(members)
        owner, other = members
        for number in range(RECORDS):
            owner.client.set(b"kept:%d" % number, b"v%d" % number, ex=3_600)
        passed(owner)
        trust = trust_by_secret((SECRET,))
        keys = [key for member in (other, owner) for key in forge(member.peer_port, trust)]
        mine = {path.stem.rpartition("-")[2] for path in folders[0].glob("*.segment")}
        assert mine and mine <= {one.id.hex() for one in keys}, "the member has not heard of the owner's keys"
        time.sleep(2.5)  # the ends that it has told are over
        found = restarted(owner)
        assert (int(found[2]), int(found[3])) == (RECORDS, 0), found[0]
        old.mkdir()
        for path in folders[0].glob("*.segment"):
            shutil.copy(path, old)
        assert list(old.iterdir())
        passed(owner)  # it destroys what it has read, with the proof from the disk
        for path in old.iterdir():
            shutil.copy(path, folders[0])
        found = restarted(owner)
        assert int(found[3]) == len(list(old.iterdir())), f"a destroyed key has opened an old copy: {found[0]}"
