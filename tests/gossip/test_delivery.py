"""A link kept moving: one timer of each kind at a time, resends that give up, acknowledgements that wait a little."""

from respram.gossip.delivery import Delivery
from respram.gossip.effects import Hangup, Send
from respram.gossip.links import Batch, Link, enqueue
from respram.gossip.timers import AckDue, Now, ResendDue
from respram.wire.messages import RECORDS_KIND, Ack, Nudge, Push

from .host import Alone
from .rig import ME


def stand() -> tuple[Alone, Delivery, Link]:
    host = Alone()
    near = host.near()
    delivery = Delivery(host, near)
    peer = near.peer(5)
    link = peer.link = Link(1, b"", 0, peer)
    near.links[1] = link
    return host, delivery, link


def push(host: Alone, delivery: Delivery, link: Link, number: int) -> None:
    assert link.peer is not None
    enqueue(
        link.peer,
        Batch(ME, number, 0, RECORDS_KIND, b"x" * 100, host.now.ms, number, number),
        host.policy,
        host.now.ms,
        number,
    )
    delivery.pump(link)


def test_what_is_in_flight_has_one_timer_and_a_pump_wakes_who_waits() -> None:
    host, delivery, link = stand()
    for number in (1, 2, 3):
        push(host, delivery, link, number)
    assert host.timers == [(host.policy.resend_ms, ResendDue(1))] and host.woken == 3


def test_a_link_that_acknowledges_nothing_is_given_up() -> None:
    host, delivery, link = stand()
    push(host, delivery, link, 1)
    for _ in range(host.policy.resends_max + 1):
        due_ms, timer = host.timers.pop()
        assert timer == ResendDue(1)
        host.now = Now(due_ms, due_ms)
        delivery.resend_due(link)
    assert host.effects[-1] == Hangup(1, "it acknowledges nothing") and not host.timers
    sent = [one for one in host.effects if isinstance(one, Send) and isinstance(one.message, Push)]
    assert len(sent) == 1 + host.policy.resends_max


def test_an_acknowledgement_waits_and_a_nudge_brings_it_at_once() -> None:
    host, delivery, link = stand()
    link.received = 1
    delivery.arm_ack(link)
    delivery.arm_ack(link)
    assert host.timers == [(host.policy.ack_delay_ms, AckDue(1))] and not host.effects
    delivery.nudged(link)
    assert host.effects == [Send(1, Ack(1, b""))]
    delivery.ack_due(link)
    assert len(host.effects) == 1, "it was sent already"
    link.pending.add(2)
    delivery.nudged(link)
    assert len(host.effects) == 1 and link.nudged, "the engine's word comes first"


def test_only_links_with_something_in_flight_are_nudged() -> None:
    host, delivery, link = stand()
    delivery.nudge_all()
    assert not host.effects
    push(host, delivery, link, 1)
    delivery.nudge_all()
    assert host.effects[-1] == Send(1, Nudge())


def test_a_pump_tells_that_a_dump_may_go_on() -> None:
    _, delivery, link = stand()
    room: list[int] = []
    delivery.on_room = lambda one: room.append(one.id)
    delivery.pump(link)
    link.dump_point = 0
    delivery.pump(link)
    assert room == [1]
