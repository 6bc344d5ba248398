"""Sums over all clients, for INFO, MEMORY STATS and metrics.

A walk over 9,000 clients takes some milliseconds, and INFO made several. With many clients it is made once for all who
ask, and again when fifty times as long has passed: so it takes 2% of the node's time at most, however often INFO is
asked for. With few clients every answer is exact.
"""

from typing import NamedTuple

from respram.commands.deadlines import count_all_defaulted
from respram.commands.node import Node

EXACT_MAX = 512  # clients that are counted anew for everybody who asks
SPARED = 50  # times as long as a walk took the next one waits


class Census(NamedTuple):
    input_bytes: int = 0  # received and not executed, of all clients,
    output_bytes: int = 0  # and waiting to be read
    input_bytes_most: int = 0  # the same of the client that has most
    output_bytes_most: int = 0
    blocked: int = 0
    subscribed: int = 0


def census(node: Node) -> Census:
    clients = node.clients.values()
    began_us = node.micros()
    if len(clients) > EXACT_MAX and node.counted is not None and began_us < node.counted_until_us:
        assert isinstance(node.counted, Census)
        return node.counted
    count_all_defaulted(node)
    received = waiting = received_most = waiting_most = blocked = subscribed = 0
    for one in clients:
        size = one.session.buffered_bytes
        if size:
            received += size
            received_most = max(received_most, size)
        size = one.transport.waiting_bytes()
        if size:
            waiting += size
            waiting_most = max(waiting_most, size)
        blocked += one.session.suspended
        if one.channels or one.patterns or one.shard_channels:
            subscribed += 1
    counted = node.counted = Census(received, waiting, received_most, waiting_most, blocked, subscribed)
    ended_us = node.micros()
    node.counted_until_us = ended_us + SPARED * (ended_us - began_us)
    return counted
