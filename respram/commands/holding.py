"""Adds up the memory that one client may hold in a node, from the bounds of the single mechanisms.

`docs/operating.md` gives the sum for the defaults, and a test compares it and tries to hold more.
"""

from respram.commands.blocking import KEYS_MAX
from respram.commands.node import NAME_BYTES, QUEUED_BYTES
from respram.commands.pubsub import SUBSCRIPTION_BYTES_MAX
from respram.commands.tracking import PREFIX_BYTES_MAX, PREFIXES_MAX
from respram.commands.transactions import WATCHED_BYTES_MAX, WATCHED_KEYS_MAX
from respram.config.limits import Limits


def most_held(limits: Limits) -> dict[str, int]:
    """The largest number of bytes by purpose. All of them can be reached at the same time."""
    return {
        "input": limits.query_buffer_bytes_max,
        "queued": limits.multi_bytes_max + limits.multi_commands_max * QUEUED_BYTES,
        "output": max(limits.output_buffer_bytes_max, limits.pubsub_output_bytes_max),
        "subscribed": SUBSCRIPTION_BYTES_MAX + limits.subscriptions_max * NAME_BYTES,
        "watched": WATCHED_BYTES_MAX + WATCHED_KEYS_MAX * NAME_BYTES,
        "prefixes": PREFIXES_MAX * (PREFIX_BYTES_MAX + NAME_BYTES),
        "waited_for": KEYS_MAX * NAME_BYTES,
    }
