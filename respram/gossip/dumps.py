"""Serves a dump: all records in the order of their key hash, one chunk a turn, within the joiner's credit.

A joiner asks for it (bootstrap.py). A peer whose ids cannot be compared gets it unasked (other_ids.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from respram.engine.ids import POINTS
from respram.gossip.delivery import Delivery
from respram.gossip.effects import Host
from respram.gossip.links import FRAME_BYTES, Link, launch
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import READY
from respram.wire.messages import Busy, Dump, Dumped


@dataclass(slots=True, eq=False)
class Dumps:
    host: Host
    neighbours: Neighbours
    delivery: Delivery

    def asked(self, link: Link, message: Dump) -> None:
        others = [other for other in self.neighbours.links.values() if other is not link]
        served = sum(other.dump_point is not None and not other.levels for other in others)
        if self.host.state != READY or served >= self.host.policy.dumps_max or message.point > POINTS:
            self.host.send(link.id, Busy())
            return
        link.dump_point, link.levels = message.point, False
        self.feed(link)

    def feed(self, link: Link) -> None:
        """Continues a dump, one chunk a turn, so that clients of the source wait for one chunk and not for all that
        fit. No chunk is made in the turn of the acknowledgement that made room, nor in the next one: that turn takes as
        long as a chunk, and clients are served in between.
        """
        if not link.feeding and self._has_room(link):
            link.feeding = True
            self.host.defer(self._chunks(link))

    def _chunks(self, link: Link) -> Iterator[bool]:
        try:
            yield False
            while link.dump_point is not None and self.neighbours.links.get(link.id) is link and self._has_room(link):
                found = self.host.store.dump(link.dump_point, self.host.policy.dump_bytes, self.host.now.wall_ms)
                launch(link, Dumped(0, 0, found.cursor, found.payload), None, self.host.now.ms, self.host.emit)
                self.delivery.arm_resend(link)
                link.dump_point = found.cursor if found.cursor < POINTS else None
                yield False
        finally:  # if there was no memory for a chunk, the joiner may ask again
            link.feeding = False

    def _has_room(self, link: Link) -> bool:
        """Whether a chunk fits the joiner's credit and leaves the window to more important frames."""
        policy = self.host.policy
        if link.dump_point is None:
            return False
        if link.dump_bytes and link.dump_bytes + policy.dump_bytes + FRAME_BYTES > policy.dump_in_flight_bytes_max:
            return False
        return not link.in_flight or link.in_flight_bytes <= policy.sync_in_flight_bytes_max
