"""The replica from bytes to bytes: what waits, what is merged, what is acknowledged, what is refused."""

from collections import deque
from dataclasses import replace
from random import Random

import pytest

from respram.config.settings import load
from respram.errors import ConfigError
from respram.gossip.core import Core
from respram.gossip.effects import Acknowledged, Answered, Deliver, Effect, Hangup, Merge
from respram.gossip.forwarding import Request
from respram.gossip.members import Member
from respram.gossip.policy import Policy, Terms
from respram.gossip.timers import Now
from respram.record import HASH, Record, member_key, pack, unpack
from respram.replica import VALUE_BYTES_MAX, Bug, Output, Replica, Write
from respram.sim.world import EPOCH_MS, IDS_KEY, engine_of, settings
from respram.slots import pack_command, pack_keys, slot_of
from respram.wire.codec import encode
from respram.wire.frames import Frames
from respram.wire.messages import DONE, RUN, Answer, Forward, Message, Nudge, Push
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)

ms = [0]


def now() -> Now:
    return Now(ms[0], EPOCH_MS + ms[0])


def replica(number: int, memory_bytes_max: int = 0, policy: Policy | None = None) -> Replica:
    engine = engine_of(0, settings(number, memory_bytes_max))
    engine.track(IDS_KEY)
    core = Core(Member(number, b"main", b"host-%d:1" % number), policy or Policy(), engine, Random(number))
    made = Replica(engine, core, 16 << 20)
    made.start(now())
    return made


class Wire:
    """Two replicas and one connection. What is not for the other side is kept."""

    def __init__(self, memory_bytes_max: int = 0) -> None:
        ms[0] = 0
        self.ends = (replica(1), replica(2, memory_bytes_max))
        self.kept: tuple[list[Output], list[Output]] = ([], [])
        greetings = (self.ends[0].opened(7, b"host-2:1", now()), self.ends[1].opened(7, b"", now()))
        self._carry(deque((end, output) for end in (0, 1) for output in greetings[end]))

    def carry(self, end: int, outputs: list[Output]) -> None:
        """In the order of sending, until nobody has anything more to say."""
        self._carry(deque((end, output) for output in outputs))

    def _carry(self, todo: deque[tuple[int, Output]]) -> None:
        while todo:
            end, output = todo.popleft()
            if isinstance(output, Write):
                todo.extend((1 - end, answer) for answer in self.ends[1 - end].received(7, output.data, now()))
            else:
                self.kept[end].append(output)

    def write(self, end: int, key: bytes, value: bytes = b"v") -> None:
        self.ends[end].engine.store(0, key, value, now().wall_ms + 60_000, False, now().wall_ms, b"set")
        self.carry(end, self.ends[end].wrote(now()))

    def wait(self, for_ms: int) -> None:
        for _ in range(for_ms):
            ms[0] += 1
            for end in (0, 1):
                due_ms = self.ends[end].next_deadline()
                if due_ms is not None and due_ms <= ms[0]:
                    self.carry(end, self.ends[end].tick(now()))


def read(wire: Wire, end: int, key: bytes) -> bytes | None:
    entry = wire.ends[end].engine.lookup(0, key, now().wall_ms)
    return entry and entry.value


def test_a_write_is_on_the_other_side_after_two_milliseconds_and_not_before() -> None:
    wire = Wire()
    wire.write(0, b"k", b"value")
    wire.wait(1)
    assert read(wire, 1, b"k") is None
    wire.wait(1)
    assert read(wire, 1, b"k") == b"value"
    one, other = (end.engine.peek(0, b"k", now().wall_ms) for end in wire.ends)
    assert one == other


def test_writes_share_a_frame_and_a_full_frame_does_not_wait() -> None:
    wire = Wire()
    for number in range(100):
        wire.write(0, b"k%d" % number)
    wire.wait(2)
    assert wire.ends[0].sent[b"PUSH"].frames == 1
    wire.write(0, b"large", bytes(70_000))
    assert read(wire, 1, b"large") == bytes(70_000)


def test_who_asks_whether_a_flush_is_due_may_leave_out_what_would_change_nothing() -> None:
    wire = Wire()
    end = wire.ends[0]
    full_bytes = end.core.policy.batch_bytes
    assert not end.will_flush(1)  # its time has yet to be set
    wire.write(0, b"k")
    due_ms = end.next_deadline()
    assert end.will_flush(full_bytes - 1) and not end.will_flush(full_bytes)
    ms[0] += 1
    assert end.wrote(now()) == [] and end.next_deadline() == due_ms
    wire.wait(2)
    assert not end.will_flush(1)


def asked(keys: list[bytes], touches: bool) -> Request:
    commands = b"".join(pack_command([b"INCR", key]) for key in keys)
    return Request(RUN, 0, 2, b"", b"", pack_keys(keys), b"", commands, touches=touches)


def away(wire: Wire) -> list[bytes]:
    """Keys that the other replica decides about."""
    wire.wait(10_000)
    homes = wire.ends[0].core.homes
    found = [key for key in map(b"k%d".__mod__, range(200)) if homes.home_of(slot_of(key)) == 2]
    assert len(found) > 2
    return found


def test_what_a_home_decides_by_goes_before_the_forward_and_other_writes_do_not() -> None:
    wire = Wire()
    one, other, *_ = away(wire)
    end = wire.ends[0]
    wire.write(0, one)
    assert end.forward(asked([other], touches=False), now())[0] and pushes(end) == 0
    token, outputs = end.forward(asked([other, one], touches=False), now())
    assert token and pushes(end) == 1
    words = [message.word for output in outputs if isinstance(output, Write)
             for message in read_frames(output.data)]
    assert words == [b"PUSH", b"FORWARD"]
    wire.write(0, one)
    assert end.forward(asked([other], touches=True), now())[0] and pushes(end) == 2


def test_what_is_decided_here_waits_for_no_flush() -> None:
    wire = Wire()
    there = away(wire)
    here = next(key for key in map(b"k%d".__mod__, range(200)) if key not in there)
    wire.write(0, here)
    assert wire.ends[0].forward(asked([here], touches=False), now())[0]
    assert pushes(wire.ends[0]) == 0


def pushes(end: Replica) -> int:
    return end.sent[b"PUSH"].frames if b"PUSH" in end.sent else 0


def read_frames(data: bytes) -> list[Message]:
    frames = Frames(1 << 20)
    frames.greeted = True
    return frames.push(data)


def test_wait_counts_the_peer_once_it_has_merged() -> None:
    wire = Wire()
    wire.write(0, b"k")
    number, outputs = wire.ends[0].await_acks(now())
    assert wire.ends[0].holders(number) == 0
    wire.carry(0, outputs)
    assert wire.ends[0].holders(number) == 1
    assert Acknowledged() in wire.kept[0]


def test_a_peer_whose_memory_is_full_does_not_count_and_does_not_harm() -> None:
    wire = Wire(memory_bytes_max=1)
    wire.write(1, b"mine")
    wire.write(0, b"k")
    number, outputs = wire.ends[0].await_acks(now())
    wire.carry(0, outputs)
    assert wire.ends[0].holders(number) == 0
    assert wire.ends[1].refused_records == 1
    wire.wait(10_000)
    assert read(wire, 0, b"mine") == b"v" and read(wire, 1, b"mine") == b"v"
    assert wire.ends[0].sent[b"RECORDS"].bytes < 2_000 if b"RECORDS" in wire.ends[0].sent else True


def test_a_publication_comes_behind_the_write_it_speaks_of() -> None:
    wire = Wire()
    wire.write(0, b"result", b"42")
    seen: list[bytes | None] = []
    for output in wire.ends[0].publish(b"done", b"result", now()):
        assert isinstance(output, Write)
        for answer in wire.ends[1].received(7, output.data, now()):
            if isinstance(answer, Deliver):
                seen.append(read(wire, 1, b"result"))
    assert seen == [b"42"]


def test_a_pull_brings_what_the_other_has() -> None:
    wire = Wire()
    wire.ends[1].engine.merge(pack(Record(0, b"k", b"old", EPOCH_MS - 9_000 << 16, 9, EPOCH_MS + 60_000)), EPOCH_MS)
    core = wire.ends[0].core
    assert wire.ends[0].pull(0, b"k", now()) == (False, [])
    core.neighbours.set_differs(core.neighbours.peers[2])
    assert wire.ends[0].pulls_useful()
    waits, outputs = wire.ends[0].pull(0, b"k", now())
    assert waits
    wire.carry(0, outputs)
    assert Answered(0, b"k") in wire.kept[0] and read(wire, 0, b"k") == b"old"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"*1\r\n$9999999999\r\n", b"*1\r\n$4\r\nSAME\r\n"]
)
def test_garbage_before_acquaintance_costs_its_link(data: bytes) -> None:
    ms[0] = 0
    one = replica(1)
    one.opened(3, b"", now())
    outputs = one.received(3, data, now())
    assert [output.link for output in outputs if isinstance(output, Hangup)] == [3]
    assert one.received(3, data, now()) == []
    assert one.core.neighbours.links == {}


def test_a_bad_record_is_dropped_alone_and_counted() -> None:
    wire = Wire()
    good = pack(Record(0, b"good", b"v", EPOCH_MS << 16, 2, EPOCH_MS + 60_000))
    far = pack(Record(0, b"far", b"v", EPOCH_MS + 99_000 << 16, 2, EPOCH_MS + 60_000))
    late = pack(Record(0, b"late", b"v", EPOCH_MS << 16, 2, EPOCH_MS + 10**12))
    push = Push(wire.ends[1].core.neighbours.links[7].next_seq, 0, 2, 1, 0, 0, far + good + late + b"\xff" * 50)
    wire.carry(0, wire.ends[0].received(7, encode(push), now()))
    assert wire.ends[0].engine.scan(0, 0, 10, EPOCH_MS).keys == [b"good"]
    assert (wire.ends[0].refused_records, wire.ends[0].malformed_payloads) == (2, 1)
    assert wire.ends[0].core.neighbours.links


HOUR_MS = 3_600_000


def strict(number: int) -> Replica:
    """A node that may keep nothing for more than an hour."""
    ms[0] = 0
    end = replica(number, policy=replace(Policy(), terms=Terms(HOUR_MS, 1 << 20)))
    end.engine.configure(settings(number)._replace(max_ttl_ms=HOUR_MS))
    return end


def hear(end: Replica, *records: Record) -> list[Output]:
    return end._done([Merge(7, 0, pack(record)) for record in records], now())


@pytest.mark.parametrize("writer", [0x0001_0000_0000_0000, 0x0003_0000_0000_0000, (1 << 64) - 1])
def test_what_was_written_just_after_what_is_cut_wins_whichever_comes_first(writer: int) -> None:
    """The cut had the very clock of the next write, and where the number of its node was higher, the value that had
    been overwritten came back on all nodes; so did one that had been let go.
    """
    clock, long_ms = EPOCH_MS << 16, EPOCH_MS + 24 * HOUR_MS
    older = Record(0, b"k", b"older", clock, writer, long_ms)
    newer = Record(0, b"k", b"newer", clock + 1, 0x0001_0000_0000_0001, EPOCH_MS + 60_000)
    gone = replace(newer, value=None, deadline_ms=EPOCH_MS, shadow_ms=long_ms)
    for records, wanted in (
        ((older, newer), b"newer"), ((newer, older), b"newer"), ((older, gone), None), ((gone, older), None)
    ):  # fmt: skip
        end = strict(0x0002_0000_0000_0000)
        hear(end, *records)
        entry = end.engine.lookup(0, b"k", EPOCH_MS)
        assert (entry and entry.value) == wanted
    end = strict(0x0002_0000_0000_0000)
    hear(end, older)
    assert (entry := end.engine.lookup(0, b"k", EPOCH_MS)) is not None and entry.value == b"older"


def test_a_cut_brings_back_no_member_that_a_mark_has_cleared() -> None:
    """The mark has the clock of the last member that it cleared, and the cut of that member had a later one."""
    number = 0x0002_0000_0000_0000
    end = strict(number)
    engine, now_ms = end.engine, EPOCH_MS
    engine.configure(settings(number))
    engine.found(0, b"k", HASH, now_ms + 300, False, now_ms)
    member = Record(16, member_key(b"k", b"f"), b"old", now_ms + 200 << 16, 9, now_ms + 24 * HOUR_MS, implicit=True)
    engine.merge(pack(member), now_ms + 200)
    ms[0] = 2_000
    now_ms += 2_000
    engine.expire(now_ms, 1000)
    engine.found(0, b"k", HASH, now_ms + 5_000, False, now_ms)  # begun anew: what it had shown is cleared
    engine.put_member(0, b"k", b"g", b"new", None, now_ms)
    assert {one.name for one in engine.members(0, b"k", 0, 100, now_ms).members} == {b"g"}
    engine.configure(settings(number)._replace(max_ttl_ms=HOUR_MS))
    hear(end, member)
    assert {one.name for one in engine.members(0, b"k", 0, 100, now_ms).members} == {b"g"}


def test_a_cut_of_what_has_a_newer_version_here_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that held neither would show under one stamp what this node shows with another end."""
    end = strict(0x0002_0000_0000_0000)
    older = Record(0, b"k", b"older", EPOCH_MS << 16, 9, EPOCH_MS + 24 * HOUR_MS)
    told: list[bytes] = []
    wrote = end.core.wrote

    def noted(payload: bytes, at: Now) -> list[Effect]:
        told.append(payload)
        return wrote(payload, at)

    monkeypatch.setattr(end.core, "wrote", noted)
    hear(end, older)
    assert len(told) == 1 and end.refused_records == 0
    ms[0] = 5_000
    hear(end, older)
    assert len(told) == 1 and end.refused_records == 0, "it is told of the first one by comparison"


def test_replayed_and_reordered_frames_change_nothing() -> None:
    wire = Wire()
    frames = []
    for number in range(1, 21):
        record = Record(0, b"k", b"%d" % number, EPOCH_MS + number << 16, 2, EPOCH_MS + 60_000)
        frames.append(encode(Push(number, 0, 2, number, 0, 0, pack(record))))
    shuffled = frames * 3
    Random(4).shuffle(shuffled)
    for frame in shuffled:
        wire.ends[0].received(7, frame, now())
    assert read(wire, 0, b"k") == b"20"
    assert wire.ends[0].core.neighbours.links[7].received == 20


def test_what_is_written_can_be_read_as_frames() -> None:
    ms[0] = 0
    one = replica(1)
    messages: list[Message] = []
    frames = Frames(1 << 20)
    for output in one.opened(1, b"", now()):
        assert isinstance(output, Write)
        messages += frames.push(output.data)
    assert [message.word for message in messages] == [b"HELLO"]


def test_digests_are_equal_on_equal_replicas() -> None:
    wire = Wire()
    for number in range(20):
        wire.write(number % 2, b"k%d" % number)
    wire.wait(4_000)
    one, other = (end.digest(now()) for end in wire.ends)
    assert one == other and one is not None and one.records == 20


def test_a_mistake_in_the_handling_of_one_link_costs_that_link_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    other = replica(3)
    outputs = wire.ends[0].opened(9, b"", now())
    for output in other.opened(9, b"host-1:1", now()):
        if isinstance(output, Write):
            outputs += wire.ends[0].received(9, output.data, now())
    assert sorted(wire.ends[0].core.neighbours.links) == [7, 9]

    def broken(link: object, message: object) -> None:
        raise ValueError("ours")

    table = wire.ends[0].core.inbox.table
    monkeypatch.setitem(table, Nudge, replace(table[Nudge], hear=broken))
    outputs = wire.ends[0].received(9, encode(Nudge()), now())
    assert [output.link for output in outputs if isinstance(output, Hangup)] == [9]
    assert [type(output.error) for output in outputs if isinstance(output, Bug)] == [ValueError] and wire.ends[
        0
    ].bugs == 1
    wire.write(0, b"k")
    wire.wait(5)
    assert wire.ends[1].engine.count(0, now().wall_ms) == 1 and list(wire.ends[0].core.neighbours.links) == [7]


def test_no_node_can_be_set_to_values_that_a_peer_would_not_read() -> None:
    def bulk_bytes_max(size: int) -> int:
        flags = {"proto-max-bulk-len": str(size), "client-query-buffer-limit": "1gb"}
        return load(flags, {}).limits.bulk_bytes_max

    assert bulk_bytes_max(VALUE_BYTES_MAX) == VALUE_BYTES_MAX
    with pytest.raises(ConfigError):
        bulk_bytes_max(VALUE_BYTES_MAX + 1)


# -- answers behind a push ------------------------------------------------------------------------------
MUCH = Policy().answer_pushed_bytes_min


def decided_at(wire: Wire, sizes: dict[bytes, int], before: tuple[bytes, ...] = ()) -> list[Message]:
    """A forward of the first end that wrote values of these sizes at the second: the frames that came back for it."""
    home = wire.ends[1]
    for name in before:
        home.engine.merge(pack(Record(0, name, b"old", EPOCH_MS << 16, 5, EPOCH_MS + 60_000)), now().wall_ms)
    forward = Forward(1, 1, RUN, 0, 0, 2, b"", b"", pack_keys([*sizes, *before]), b"", b"", b"")
    for name, size in sizes.items():
        home.engine.store(0, name, b"v" * size, now().wall_ms + 60_000, False, now().wall_ms, b"set")
    found = home.served(1, forward, DONE, b"+OK\r\n", now())
    reader, frames = Frames(1 << 30), list[Message]()
    reader.greeted = True
    for one in found:
        assert isinstance(one, Write)
        frames += reader.push(one.data)
    wire.carry(1, found)
    return frames


def test_much_that_was_written_goes_before_the_answer_and_not_in_it() -> None:
    wire = Wire()
    assert wire.ends[1].core.me.number == 2
    push, answer = decided_at(wire, {b"a": MUCH, b"b": 10}, before=(b"c",))
    assert isinstance(push, Push) and isinstance(answer, Answer) and answer.behind == push.seq
    assert {record.key for record in unpack(push.payload)} == {b"a", b"b"}
    assert [record.key for record in unpack(answer.records)] == [b"c"], "what was not written just now"
    assert read(wire, 0, b"a") == b"v" * MUCH and read(wire, 0, b"b") == b"v" * 10


def test_little_goes_in_the_answer() -> None:
    wire = Wire()
    (answer,) = decided_at(wire, {b"a": 10})
    assert isinstance(answer, Answer) and not answer.behind
    assert [record.key for record in unpack(answer.records)] == [b"a"]


def test_what_does_not_fit_into_the_link_or_the_outbox_goes_in_the_answer() -> None:
    wire = Wire()
    core = wire.ends[1].core
    core.policy = replace(core.policy, in_flight_bytes_max=MUCH)
    wire.ends[1].engine.store(0, b"z", b"v", now().wall_ms + 60_000, False, now().wall_ms, b"set")
    (link,) = core.neighbours.greeted()
    kept = wire.ends[1].flush(now())
    assert link.in_flight
    answer = decided_at(wire, {b"a": 2 * MUCH})[-1]
    assert isinstance(answer, Answer) and not answer.behind and link.peer is not None and link.peer.queue
    assert [record.key for record in unpack(answer.records)] == [b"a"]
    wire.carry(1, kept)
    wire.wait(30)
    assert read(wire, 0, b"a") == b"v" * 2 * MUCH, "the push comes when there is room"
    wire = Wire()
    wire.ends[1].engine.configure(settings(2)._replace(outbox_bytes_max=MUCH + 200))
    (answer,) = decided_at(wire, {b"a": MUCH, b"b": 300})
    assert isinstance(answer, Answer) and not answer.behind
    assert {record.key for record in unpack(answer.records)} == {b"a", b"b"}
