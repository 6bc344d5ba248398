"""Drives a link over time: sends what its window allows, acknowledges in time, resends, gives up.

links.py has the arithmetic of one link; here it meets time and the other concerns."""

from collections.abc import Callable
from dataclasses import dataclass

from respram.gossip.effects import Host
from respram.gossip.links import Link, ack, ack_if_due, pump, resend
from respram.gossip.neighbours import Neighbours
from respram.gossip.timers import AckDue, ResendDue
from respram.wire.messages import Nudge


@dataclass(slots=True, eq=False)
class Delivery:
    host: Host
    neighbours: Neighbours
    on_room: Callable[[Link], None] = lambda link: None  # called when a dump may continue

    def pump(self, link: Link) -> None:
        assert link.peer is not None
        if link.peer.queue or link.sync:
            pump(link, self.host.policy, self.host.now.ms, self.host.emit)
        self.host.wake()
        if link.dump_point is not None:
            self.on_room(link)
        if not link.resend_timer:
            self.arm_resend(link)

    def arm_resend(self, link: Link) -> None:
        """Sets the timer after which unacknowledged frames are sent again."""
        if link.in_flight and not link.resend_timer:
            link.resend_timer = True
            self.host.at(self.host.now.ms + (self.host.policy.resend_ms << link.resends), ResendDue(link.id))

    def arm_ack(self, link: Link) -> None:
        if ack_if_due(link, self.host.policy, self.host.emit):
            link.ack_timer = True
            self.host.at(self.host.now.ms + self.host.policy.ack_delay_ms, AckDue(link.id))

    def nudge_all(self) -> None:
        for link in self.neighbours.greeted():
            if link.in_flight:
                self.host.send(link.id, Nudge())

    def nudged(self, link: Link) -> None:
        if link.pending:
            link.nudged = True
        else:
            ack(link, self.host.emit)

    # -- timers ---------------------------------------------------------------------------------------
    def ack_due(self, link: Link) -> None:
        link.ack_timer = False
        if link.received > link.acked or link.refused:
            ack(link, self.host.emit)

    def resend_due(self, link: Link) -> None:
        link.resend_timer = False
        if not resend(link, self.host.policy, self.host.now.ms, self.host.emit):
            self.neighbours.hangup(link, "it acknowledges nothing")
        else:
            self.arm_resend(link)
