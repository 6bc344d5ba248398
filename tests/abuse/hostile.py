"""Peer messages that are well-formed and hostile: every field has a value that it may have, and that nobody honest
would send.

The messages come from the table of the codec, so one that is added there is fuzzed here without a word more; what is in
its payloads is said below, and what is not said is bytes.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from respram.gossip.members import Member, pack_all, pack_member
from respram.gossip.witnesses import VOUCHES
from respram.record import FLAGS_KNOWN, HEADER, SEAL, SEALER, SHADOW
from respram.snapshot.keys import NO_COMMITMENT, commitment_to, hash_of, pack, segment_key, tombstone_of
from respram.wire.codec import LAYOUTS
from respram.wire.messages import VERSION, Hello, Message

EXTREMES = (0, 1, 2, 3, 7, 8, 63, 64, 127, 128, 255, 256, 1_000, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
            1 << 32,
            1 << 40, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
SIZES = (0, 1, 7, 8, 9, 15, 16, 17, 31, 40, 56, 64, 72, 100, 512, 513, 1_000, 4_096)
FEW = (0, 1, 1, 1, 2, 3, 10, 100)
SEGMENTS_KEPT = 50
PING_PONG_NEAR_MS = 1_000  # clocks further apart end the link, as they should


class Hostile:
    """`honest`: numbers and addresses of those to speak ill of."""

    def __init__(
        self, seed: int, now_ms: Callable[[], int], honest: dict[int, bytes], network: bytes = b"respram",
        enclave: bytes = b"default",
    ) -> None:  # fmt: skip
        self.rng = Random(seed)
        self.now_ms = now_ms
        self.honest = honest
        self.network, self.enclave = network, enclave
        self.number = 0
        self.seq = 0
        self.segments: list[tuple[int, bytes, bytes]] = []  # end, key and proof of those that it made up last
        self.shapes: dict[tuple[bytes, str], Callable[[], bytes]] = {
            (b"HELLO", "member"): self.members, (b"HELLO", "settings"): self.settings,
            (b"TERMS", "settings"): self.settings,
            (b"PING", "news"): self.members, (b"PONG", "news"): self.members, (b"MEMBERS", "entries"): self.members,
            (b"VOUCH", "numbers"): self.vouched, (b"BOOK", "sums"): lambda: self.words(64, 8),
            (b"SEALS", "keys"): self.seal_keys, (b"KEYS", "entries"): self.segment_keys,
            (b"KEYS", "dropped"): self.tombstones,
            (b"PUSH", "payload"): self.records, (b"RECORDS", "payload"): self.records,
            (b"DUMPED", "payload"): self.records,
            (b"PULLED", "payload"): self.records, (b"ACK", "refused"): lambda: self.words(self.rng.choice(FEW), 8),
            (b"ANNOUNCE", "batches"): lambda: self.words(2 * self.rng.choice(FEW), 8),
            (b"WANT", "batches"): lambda: self.words(2 * self.rng.choice(FEW), 8),
            (b"DIGEST", "payload"): lambda: self.words(3, 4) + self.words(2, 8), (b"BUCKETS", "payload"): self.buckets,
            (b"FILTER", "selection"): self.selection, (b"FILTER", "payload"): self.filter,
        }  # fmt: skip

    # -- links ----------------------------------------------------------------------------------------
    def begin(self) -> Hello:
        """The first word of a link: nearly always one that is let in."""
        self.number, self.seq = self.rng.getrandbits(64) or 1, 0
        rng = self.rng
        address = b"127.0.9.%d:%d" % (rng.randrange(1, 255), rng.randrange(1, 65_536))
        if rng.random() < 0.1:
            self.number, address = rng.choice(list(self.honest.items()))
        me = Member(self.number, self.enclave if rng.random() < 0.9 else b"elsewhere", address,
                    rng.choice((1, 2, 1_000, (1 << 31) - 1)),
                    rng.choice((0, 0, 0, 1)), rng.random() < 0.7, rng.randrange(4), self.word_number())  # fmt: skip
        return Hello(VERSION, self.network, me.number, me.enclave, me.address, self.now_ms() + rng.randrange(-900, 900),
                     rng.choice((0, 5, VOUCHES)),
                     pack_member(me), self.settings())  # fmt: skip

    def message(self) -> Message:
        layout = self.rng.choice(list(LAYOUTS.values()))
        word = layout.message.word
        values: list[Any] = []
        for name, is_number, most in layout.fields:
            if is_number:
                values.append(self.number_for(word, name, most))
            elif (shape := self.shapes.get((word, name))) is not None:
                values.append(shape()[:most])
            else:
                values.append(self.rng.randbytes(self.rng.choice(SIZES))[:most])
        return layout.message(*values)

    def number_for(self, word: bytes, name: str, most: int) -> int:
        rng = self.rng
        if name == "seq" and rng.random() < 0.9 and word != b"ACK":
            self.seq += 1
            return self.seq
        if name in ("ack", "seq") and rng.random() < 0.95:
            return rng.randrange(3)
        if name == "clock_ms" and rng.random() < 0.98:
            return self.now_ms() + rng.randrange(-PING_PONG_NEAR_MS, PING_PONG_NEAR_MS)
        if name in ("node", "origin") and rng.random() < 0.5:
            return rng.choice([*self.honest, self.number])
        if name in ("round", "nonce") and rng.random() < 0.5:
            return rng.randrange(30)
        return min(rng.choice(EXTREMES), most) if rng.random() < 0.9 else rng.randrange(most + 1)

    # -- payloads -------------------------------------------------------------------------------------
    def word_number(self, most: int = (1 << 64) - 1) -> int:
        return min(self.rng.choice(EXTREMES), most)

    def words(self, count: int, size: int) -> bytes:
        return b"".join(self.word_number((1 << 8 * size) - 1).to_bytes(size, "little") for _ in range(count))

    def settings(self) -> bytes:
        """(Smaller ones would hold for the honest, too, and leave them no record to compare.)"""
        said = [self.rng.choice((1 << 40, (1 << 64) - 1, 0)).to_bytes(8, "little") for _ in range(2)]
        return b"".join(said) + self.words(1, 1)

    def members(self) -> bytes:
        rng, made = self.rng, []
        for _ in range(rng.choice(FEW)):
            number = rng.choice(
                [*self.honest, *self.honest, self.number, rng.getrandbits(64) or 1, 1 + rng.randrange(200)]
            )
            address = self.honest.get(number, b"127.0.9.9:%d" % (1 + number % 65_535))
            if rng.random() < 0.1:
                address = rng.choice((b"?", b"a" * 255, *self.honest.values(), b"[::1]:1", b"no port", b"\xff\x00\r\n"))
            impossible = (1 << 31, (1 << 32) - 1) if rng.random() < 0.02 else ()
            incarnation = rng.choice((0, 1, 2, 3, 10, 100, 1_000, 1_024, 5_000, 1 << 20, (1 << 31) - 1, *impossible))
            enclave = self.enclave if rng.random() < 0.8 else rng.choice((b"elsewhere", b"x" * 255))
            parent = rng.choice([0, number, *self.honest, self.number, self.word_number()])
            made.append(Member(number, enclave, address, incarnation, rng.randrange(4), rng.random() < 0.5,
                               rng.randrange(4), parent))
        return pack_all(made)

    def vouched(self) -> bytes:
        rng = self.rng
        known = [*self.honest, self.number]
        numbers = [
            rng.choice([*known, rng.getrandbits(64), 1 + rng.randrange(200)])
            for _ in range(rng.choice((*FEW, 2_000)))
        ]
        return b"".join(number.to_bytes(8, "little") for number in numbers)

    def seal_keys(self) -> bytes:
        return b"".join(self.words(1, 8) + self.rng.randbytes(32) for _ in range(self.rng.choice(FEW)))

    def segment_keys(self) -> bytes:
        rng, made = self.rng, []
        for _ in range(rng.choice(FEW)):
            key, proof = rng.choice((bytes(32), rng.randbytes(32))), rng.randbytes(32)
            end_ms = rng.choice((self.word_number(), self.now_ms() + 60_000))
            commitment = commitment_to(proof) if rng.random() < 0.7 else rng.choice((NO_COMMITMENT, rng.randbytes(32)))
            made.append(segment_key(end_ms, key, commitment))
            self.segments = [*self.segments[-SEGMENTS_KEPT:], (end_ms, key, proof)]
        return pack(made)

    def tombstones(self) -> bytes:
        """Of its own keys, of nobody's, and of its own with another end or without the proof."""
        rng, made = self.rng, []
        for _ in range(rng.choice(FEW)):
            end_ms, key, proof = rng.choice([*self.segments, (self.now_ms() + 60_000, bytes(32), bytes(32))])
            if rng.random() < 0.3:
                end_ms, proof = rng.choice(((self.word_number(), proof), (end_ms, rng.choice((bytes(32), key)))))
            made.append(tombstone_of(end_ms, hash_of(key), proof))
        return pack(made)

    def records(self) -> bytes:
        return b"".join(self.record() for _ in range(self.rng.choice(FEW)))

    def record(self) -> bytes:
        rng, now_ms = self.rng, self.now_ms()
        flags = rng.choice((0, 1, 2, 4, 6, 8, 24, rng.randrange(FLAGS_KNOWN + 1)))
        # few: a full node refuses, and may
        key = rng.choice((b"", b"k%d" % rng.randrange(50), rng.randbytes(1), b"x" * 1_000))
        value = b"" if flags & 2 else rng.randbytes(rng.choice((0, 1, 40, 1_000, 9_000)))
        times = (now_ms + 60_000, now_ms - 1, now_ms + 1, 0, self.word_number())
        head = HEADER.pack(flags, rng.choice((0, 0, 1, 15, 16, 64, 81, 255)), len(key), len(value),
                           rng.choice((now_ms << 16, self.word_number())),
                           rng.choice([*self.honest, self.number, self.word_number()]), rng.choice(times))  # fmt: skip
        shadow = SHADOW.pack(rng.choice(times)) if flags & 4 else b""
        seal = SEAL.pack(self.word_number(), self.word_number()) if flags & 8 else b""
        return head + shadow + seal + (SEALER.pack(self.word_number()) if flags & 16 else b"") + key + value

    def buckets(self) -> bytes:
        return b"".join(self.words(2, 4) + self.words(1, 8) for _ in range(self.rng.choice(FEW)))

    def selection(self) -> bytes:
        return (
            self.words(2, 4)
            + bytes((self.rng.choice((0, 6, 16, 22, 23, 255)),))
            + self.words(1, 4)
            + self.words(self.rng.choice(FEW), 4)
        )

    def filter(self) -> bytes:
        rng = self.rng
        return self.words(rng.choice((0, 1, 2, 3)), rng.choice((1, 4, 8))) + rng.choice(
            (b"", b"\xff", b"\x00", b"\x55")
        ) * rng.choice(SIZES)
