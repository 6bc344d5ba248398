"""The families: by name, what draws their streams. A family is a row of the result.

Mirrored families are compared with a real Redis. The others have their expected replies in the streams, because
no Redis of that version answers what is asked.
"""

from collections.abc import Callable
from typing import NamedTuple

from compat.oracle.draw import Draw
from compat.oracle.families import collections, designed, keys, node, scripts, sessions, sorted_sets, strings, wire
from compat.oracle.families.plan import Plan
from compat.oracle.stream import Stream

COMMANDS_OF_A_STREAM = 30  # approximate number drawn for one stream
Drawer = Callable[[Draw, int, int], Plan]


class Family(NamedTuple):
    draw: Drawer
    mirrored: bool = True


FAMILIES: dict[str, Family] = {
    "strings-set": Family(strings.strings_set),
    "strings-get": Family(strings.strings_get),
    "counters": Family(strings.counters),
    "ranges": Family(strings.ranges),
    "bits": Family(strings.bits),
    "expiry": Family(keys.expiry),
    "multi-key": Family(keys.multi_key),
    "scan": Family(keys.scan),
    "hashes": Family(collections.hashes),
    "sets": Family(collections.sets),
    "letting-go": Family(keys.letting_go),
    "transactions": Family(sessions.transactions),
    "pubsub": Family(sessions.pubsub),
    "protocol": Family(wire.protocol),
    "inline": Family(wire.inline),
    "arity": Family(wire.arity),
    "connection": Family(node.connection),
    "introspection": Family(node.introspection),
    "resp3": Family(node.resp3),
    "sorted-sets": Family(sorted_sets.sorted_sets),
    "sorted-names": Family(sorted_sets.sorted_names),
    "sorted-waits": Family(sorted_sets.sorted_waits),
    "scripts": Family(scripts.scripts),
    "scripts-of-libraries": Family(scripts.libraries),
    "refusals": Family(designed.refusals, mirrored=False),
    "newer": Family(designed.newer, mirrored=False),
    "limits": Family(designed.limits, mirrored=False),
}

# What one of several nodes answers as one node does, though others decide about most keys. Left out: WAIT counts them,
# each counts its own commands, CONFIG SET is one node's; events and invalidations of what another decided come behind
# the reply.
SEVERAL = tuple(name for name in FAMILIES if name not in {"pubsub", "connection", "introspection", "resp3", "limits"})


def stream_of(family: str, seed: int, number: int) -> Stream:
    """The stream of that number: the same for the same seed, in each of the protocols by turns."""
    proto = 2 + number % 2
    drawn = FAMILIES[family].draw(Draw(f"{seed} {family} {number}"), proto, COMMANDS_OF_A_STREAM)
    return Stream(family, number, proto, drawn.steps, drawn.config, drawn.whole_only)
