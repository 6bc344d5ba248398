"""Queues, windows, acknowledgements: bounded for any peer, lossless for one that keeps up."""

import pytest

from respram.gossip.effects import Effect, Send
from respram.gossip.links import (
    Batch,
    Link,
    Peer,
    ack,
    acknowledge,
    arrives,
    compact,
    enqueue,
    handled,
    pump,
    resend,
    unsent_pushes,
)
from respram.gossip.policy import Policy
from respram.record import Record, pack, slices, split, unpack
from respram.wire.messages import PUBLICATION_KIND, RECORDS_KIND, Ack, Filter, Push

POLICY = Policy()


def record(key: bytes, value: bytes = b"v", clock: int = 1) -> bytes:
    return pack(Record(0, key, value, clock, 7, 1_900_000_000_000))


def batch(number: int, payload: bytes, kind: int = RECORDS_KIND) -> Batch:
    return Batch(7, number, 0, kind, payload, 1_000 + number, number, number)


def stand() -> tuple[Link, Peer]:
    peer = Peer(5)
    link = Link(1, b"", 0, peer=peer, same_enclave=True)
    peer.link = link
    return link, peer


def pushes(out: list[Effect]) -> list[Push]:
    return [one.message for one in out if isinstance(one, Send) and isinstance(one.message, Push)]


def test_a_queue_that_grows_keeps_the_last_version_of_each_key() -> None:
    _, peer = stand()
    for number in range(1, 3001):
        assert enqueue(peer, batch(number, record(b"k%d" % (number % 10), b"v" * 1000, number)), POLICY, 0, number)
    assert peer.queue_bytes < 2 * POLICY.compact_bytes
    compact(peer, POLICY)
    left = [one for waiting in peer.queue for one in unpack(waiting.payload)]
    assert {one.key: one.clock for one in left} == {b"k%d" % (number % 10): number for number in range(2991, 3001)}
    assert max(waiting.own for waiting in peer.queue) == 3000 and min(waiting.own_least for waiting in peer.queue) == 1


def test_publications_stay_behind_the_writes_that_came_before_them() -> None:
    _, peer = stand()
    enqueue(peer, batch(1, record(b"a")), POLICY, 0, 1)
    enqueue(peer, batch(2, b"publication", PUBLICATION_KIND), POLICY, 0, 2)
    enqueue(peer, batch(3, record(b"b")), POLICY, 0, 3)
    compact(peer, POLICY)
    assert [one.kind for one in peer.queue] == [RECORDS_KIND, PUBLICATION_KIND]
    assert peer.queue_bytes == sum(len(one.payload) + 128 for one in peer.queue)


def test_beyond_its_cap_a_queue_is_dropped_and_the_peer_lags() -> None:
    _, peer = stand()
    number = 0
    while enqueue(peer, batch(number := number + 1, record(b"k%d" % number, b"v" * 60_000)), POLICY, 77, number):
        assert peer.queue_bytes <= POLICY.queue_bytes_max
    assert 250 < number < 300
    assert (len(peer.queue), peer.queue_bytes, peer.lagging_ms, peer.joined_at) == (0, 0, 77, number)


def test_in_flight_stops_at_the_window_and_goes_on_with_acknowledgements() -> None:
    link, peer = stand()
    for number in range(1, 101):
        enqueue(peer, batch(number, record(b"k%d" % number, b"v" * 60_000)), POLICY, 0, number)
    out: list[Effect] = []
    pump(link, POLICY, 0, out.append)
    first = len(pushes(out))
    assert 60 < first < 72 and link.in_flight_bytes <= POLICY.in_flight_bytes_max
    assert [one.seq for one in pushes(out)] == list(range(1, first + 1))
    assert len(acknowledge(link, 10)) == 10
    pump(link, POLICY, 0, out.append)
    assert len(pushes(out)) == first + 10


def test_a_value_larger_than_the_window_goes_alone() -> None:
    link, peer = stand()
    enqueue(peer, batch(1, record(b"large", bytes(8 << 20))), POLICY, 0, 1)
    enqueue(peer, batch(2, record(b"small")), POLICY, 0, 2)
    out: list[Effect] = []
    pump(link, POLICY, 0, out.append)
    assert [one.number for one in pushes(out)] == [1]
    acknowledge(link, 1)
    pump(link, POLICY, 0, out.append)
    assert [one.number for one in pushes(out)] == [1, 2]
    assert peer.lagging_ms is None


def test_a_value_larger_than_the_queue_is_not_an_overflow() -> None:
    _, peer = stand()
    assert enqueue(peer, batch(1, record(b"huge", bytes(20 << 20))), POLICY, 0, 1)


def test_pushes_pass_filters() -> None:
    link, peer = stand()
    for part in range(40):
        link.sync.append(Filter(0, 0, 1, 0, b"", part, 40, bytes(64 << 10)))
        link.sync_bytes += 64 << 10
    out: list[Effect] = []
    pump(link, POLICY, 0, out.append)
    assert link.in_flight_bytes <= POLICY.sync_in_flight_bytes_max and link.sync
    enqueue(peer, batch(1, record(b"k")), POLICY, 0, 1)
    pump(link, POLICY, 0, out.append)
    assert len(pushes(out)) == 1 and link.sync


def test_a_stalled_link_is_not_buried_and_given_up_in_the_end() -> None:
    link, peer = stand()
    for number in range(1, 60):
        enqueue(peer, batch(number, record(b"k%d" % number, b"v" * 60_000)), POLICY, 0, number)
    pump(link, POLICY, 0, lambda effect: None)
    again: list[Effect] = []
    now_ms, attempts = 0, 0
    while resend(link, POLICY, now_ms, again.append):
        now_ms += 500
        attempts += 1
        assert attempts < 1000
    assert len(pushes(again)) == POLICY.resends_max
    assert {one.seq for one in pushes(again)} == {1}
    assert now_ms > 30_000
    assert len(unsent_pushes(link)) == 59


def test_a_frame_seen_twice_or_early_is_taken_once() -> None:
    link, _ = stand()
    order = [1, 3, 3, 2, 2, 1, 4]
    taken = []
    for seq in order:
        push = Push(seq, 0, 9, seq, 0, 0, b"")
        if arrives(link, push, POLICY):
            taken.append(seq)
            handled(link, seq, True)
    assert taken == [1, 3, 2, 4]
    assert link.received == 4 and not link.out_of_order


def test_a_gap_holds_the_acknowledgement_and_what_is_beyond_is_bounded() -> None:
    link, _ = stand()
    for seq in range(2, 6000):
        if arrives(link, Push(seq, 0, 9, seq, 0, 0, b""), POLICY):
            handled(link, seq, True)
    assert link.received == 0 and len(link.out_of_order) == POLICY.out_of_order_frames_max


def test_what_was_not_kept_is_said_before_it_is_acknowledged() -> None:
    link, peer = stand()
    for seq in (1, 2):
        arrives(link, Push(seq, 0, 9, seq, 0, 0, b""), POLICY)
        handled(link, seq, seq != 2)
    enqueue(peer, batch(1, record(b"k")), POLICY, 0, 1)
    out: list[Effect] = []
    pump(link, POLICY, 0, out.append)
    assert pushes(out)[0].ack == 0
    ack(link, out.append)
    assert out[-1] == Send(1, Ack(2, (2).to_bytes(8, "little")))


@pytest.mark.parametrize("bytes_max", [1, 100, 1000, 1 << 20])
def test_a_payload_is_split_between_records(bytes_max: int) -> None:
    payload = b"".join(record(b"k%d" % number, bytes(number)) for number in range(50))
    parts = split(payload, bytes_max)
    assert b"".join(parts) == payload
    assert all(list(unpack(part)) for part in parts)
    assert all(len(part) <= bytes_max or len(slices(part)) == 1 for part in parts)
