"""Messages that are well-formed and hostile, by the hundred thousand, against two live nodes that are peers.

    python -m tests.abuse.fuzz_peers --messages 1000000 --seconds 290 --seed 7

The two have no secret, so frames are read from anybody on this machine: what is attacked is what a member could say,
not the way in. Held to: no exception, no link lost between the two, memory within bounds, and they still bring each
other what their clients write.
"""

import argparse
import contextlib
import random
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from respram.wire.codec import encode
from tests.abuse.hostile import Hostile
from tests.live import SOON_S
from tests.peers.enclave import PATIENT, Member, enclave, rss_bytes, until, until_ready

MEMORY = "32mb"
GROWTH_BYTES_MAX = (32 + 96) << 20  # records, and books, keys and queues at their bounds
LINKS = 4
# So old is a link of nodes without a secret before nobody else can say its number: until then both may have dialled.
FRESH_S = 3.0
ESTABLISHED = "01"  # in /proc/net/tcp
PIECE = 40  # messages at a time
MESSAGES_OF_LINK_MAX = 400


@dataclass(slots=True)
class Outcome:
    messages: int = 0
    links: int = 0
    words: dict[bytes, int] = field(default_factory=dict)
    grown_bytes: int = 0


class HostileLink:
    def __init__(self, port: int, hostile: Hostile, outcome: Outcome) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), SOON_S)
        self.hostile, self.outcome = hostile, outcome
        self.sock.setblocking(False)
        self.left = memoryview(encode(hostile.begin()))
        self.number, self.seq = hostile.number, 0
        self.count = 0
        outcome.links += 1

    def go_on(self) -> bool:
        """Some more of what is to be said; False: the link is over."""
        with contextlib.suppress(BlockingIOError):
            try:
                while piece := self.sock.recv(1 << 16):
                    del piece
                return False
            except ConnectionError:
                return False
        if not self.left:
            if self.count >= MESSAGES_OF_LINK_MAX:
                return False
            self.hostile.number, self.hostile.seq = self.number, self.seq
            some = [self.hostile.message() for _ in range(PIECE)]
            self.seq = self.hostile.seq
            for one in some:
                self.outcome.words[one.word] = self.outcome.words.get(one.word, 0) + 1
            self.outcome.messages += PIECE
            self.count += PIECE
            self.left = memoryview(b"".join(map(encode, some)))
        try:
            self.left = self.left[self.sock.send(self.left) :]
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        return True


def fuzz(members: list[Member], messages: int, end_s: float, seed: int) -> Outcome:
    """Waits until both are ready, and one link stands between them: what a busy machine did to them before then, their
    doubts of themselves and a link that went, is no matter of the attack.
    """
    until_ready(members)
    rows = [member.client.execute_command("RESPRAM", "TOPOLOGY") for member in members]
    honest = {int(row[b"node"], 16): bytes(row[b"address"]) for row in rows[0]}
    assert len(honest) == 2
    begun_s = time.monotonic()
    until(lambda: time.monotonic() > begun_s + FRESH_S, "time stands still")
    standing = standing_links({int(address.rpartition(b":")[2]) for address in honest.values()}, 1)
    until_ready(members)
    before, logged = [rss_bytes(member) for member in members], [len(member.log()) for member in members]
    hostile = Hostile(seed, lambda: time.time_ns() // 1_000_000, honest)
    outcome, ports = Outcome(), [int(address.rpartition(b":")[2]) for address in honest.values()]
    links: list[HostileLink] = []
    while outcome.messages < messages and time.monotonic() < end_s:
        while len(links) < LINKS:
            links.append(HostileLink(hostile.rng.choice(ports), hostile, outcome))
        select.select([one.sock for one in links], [one.sock for one in links], [], 0.05)
        for one in tuple(links):
            if not one.go_on():
                one.sock.close()
                links.remove(one)
    for one in links:
        one.sock.close()
    outcome.grown_bytes = max(rss_bytes(member) - size for member, size in zip(members, before, strict=True))
    assert standing <= connections({port for pair in standing for port in pair}), (
        "the link between the honest ones was lost"
    )
    check(members, honest, outcome, logged)
    return outcome


def standing_links(ports: set[int], count: int) -> set[tuple[int, int]]:
    """The connections of so many links between nodes, once there are no others: where both have dialled, one of two
    links goes.
    """
    until(lambda: len(connections(ports)) == 2 * count, f"there are not {count} links")
    return connections(ports)


def connections(ports: set[int]) -> set[tuple[int, int]]:
    """That stand on this machine with one of these ports at an end: both ports, as the kernel tells."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        pair = int(local[-4:], 16), int(remote[-4:], 16)
        if state == ESTABLISHED and ports & set(pair):
            found.add(pair)
    return found


def check(members: list[Member], honest: dict[int, bytes], outcome: Outcome, logged: list[int]) -> None:
    """`logged`: so much was in their logs before."""
    until_ready(members)
    for member, before in zip(members, logged, strict=True):
        log = member.log()[before:]
        assert "event=bug" not in log and "Traceback" not in log, log[-3000:]
        info = member.info()
        assert info["links_ended_by_bugs"] == 0
        for number in honest:
            lost = re.findall(rf"event=hangup [^\n]*peer={number:016x}[^\n]*", log)
            assert not lost, (f"{number:016x}", lost[:5])
        for row in member.client.execute_command("RESPRAM", "PEERS"):
            if int(row[b"node"], 16) in honest:
                break
        else:
            raise AssertionError("the honest ones are not linked any more")
    assert outcome.grown_bytes < GROWTH_BYTES_MAX, f"{outcome.grown_bytes >> 20} MiB more"
    for here, there in (members, members[::-1]):
        key = b"honest-%d" % here.port
        until(lambda here=here, key=key: here.client.set(key, b"v", ex=60) or True, "a client is not served")  # type: ignore[misc]
        until(lambda there=there, key=key: there.client.get(key) == b"v", "the honest ones bring each other nothing")  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=290.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    begun = time.monotonic()
    with enclave(2, "--maxmemory", MEMORY, *PATIENT, secret="") as members:
        outcome = fuzz(members, asked.messages, begun + asked.seconds, asked.seed)
    took_s, grown = time.monotonic() - begun, outcome.grown_bytes >> 20
    sys.stdout.write(
        f"{outcome.messages} messages on {outcome.links} links in {took_s:.0f} s, {grown} MiB more; no complaint\n"
    )


if __name__ == "__main__":
    main()
