"""Every bound of a node in one table: its name (with the unit at the end), its default, and why.

A bound that an operator may need to move names its option; the rest are fixed here. `config.py` turns the
options into flags, variables and keys, and `docs/operating.md` lists the whole table. Nothing but
bounds may live in this file, and nothing in the node may grow without one.
"""

from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TTL_S_MAX = 3650 * 86_400  # --default-ttl and --max-ttl, ten years: who needs longer does not want this server


class Bound(NamedTuple):
    """What is said of a limit beside its value. `least` and `most` are what an operator may choose."""

    why: str
    option: str = ""  # name of the flag without its dashes; empty: not configurable
    least: int = 0
    most: int = 1 << 62


def bound(default: int, why: str, option: str = "", least: int = 0, most: int = 1 << 62) -> Any:
    """A field of `Limits`. (Any, as `dataclasses.field` itself is typed for the checker.)"""
    return field(default=default, metadata={"bound": Bound(why, option, least, most)})


def bound_of(limit: "Field[Any]") -> Bound:
    """What was said of one of the fields of `Limits`."""
    said = limit.metadata["bound"]
    assert isinstance(said, Bound)
    return said


def configurable() -> dict[str, str]:
    """The limits that have an option: option to field name."""
    return {bound_of(one).option: one.name for one in fields(Limits) if bound_of(one).option}


@dataclass(frozen=True, slots=True)
class Limits:
    # -- connections ------------------------------------------------------------------------------
    clients_max: int = bound(
        10_000, "Connected clients, as in Redis; one more is told so and closed.", "maxclients", 1, 1_000_000
    )
    idle_timeout_s: int = bound(
        0, "A client that sends nothing for so long is closed; 0 never, as in Redis.", "timeout", 0, 31_536_000
    )
    tcp_keepalive_s: int = bound(
        300, "Silence after which the kernel asks whether the client still lives; 0 never asks.", "tcp-keepalive", 0, 32_767
    )  # fmt: skip
    backlog: int = bound(
        511, "Connections that wait to be accepted, as in Redis; the kernel may allow fewer.", "tcp-backlog", 1, 65_535
    )
    subscriptions_max: int = bound(100_000, "Channels and patterns of one client: a table entry each.")

    # -- one request ------------------------------------------------------------------------------
    query_buffer_bytes_max: int = bound(
        GIB, "Unread input of one client, all arguments of one command together, as in Redis.",
        "client-query-buffer-limit", MIB,
    )  # fmt: skip
    bulk_bytes_max: int = bound(
        64 * MIB, "One argument, hence one key or value. Redis allows 512 MiB; a key that lives for an hour is no file store.",
        "proto-max-bulk-len", MIB, 512 * MIB,
    )  # fmt: skip
    args_max: int = bound(MIB, "Arguments of one command: Redis's own count, so that a large MSET behaves alike.")
    inline_bytes_max: int = bound(64 * KIB, "An inline request, or a line that announces a length, as in Redis.")
    untrusted_args_max: int = bound(10, "Arguments before authentication, as in Redis: a stranger may say AUTH, no more.")
    untrusted_bulk_bytes_max: int = bound(16 * KIB, "One argument before authentication, as in Redis.")

    # -- transactions and one turn of the loop ----------------------------------------------------
    multi_commands_max: int = bound(
        8_192, "Commands queued in one MULTI. EXEC runs without a pause, at 3 to 5 us each: so long all others wait.",
        "multi-commands-limit", 1, MIB,
    )  # fmt: skip
    multi_bytes_max: int = bound(
        GIB, "All that is queued in one MULTI; as much as the query buffer could hold of one command."
    )
    feed_commands_max: int = bound(
        512, "Commands of one client in one turn of the loop; 100,000 in one write must not hold up the others."
    )
    feed_reply_bytes_max: int = bound(
        MIB, "Reply bytes of one client in one turn: what is answered is sent before more is made."
    )

    # -- output -----------------------------------------------------------------------------------
    # Redis sets none for ordinary clients, and one that does not read can take its whole memory. These
    # are Redis's figures for replicas, the most generous that it ships: several times the longest
    # pipeline that a client library writes before it reads, and still a bound.
    output_buffer_bytes_max: int = bound(
        256 * MIB, "Replies that wait for a client to read them; beyond it is closed at once.",
        "output-buffer-limit", MIB,
    )  # fmt: skip
    output_soft_bytes_max: int = bound(
        64 * MIB, "The same, when it lasts longer than output-soft-seconds.", "output-soft-limit", 64 * KIB
    )
    output_soft_s: int = bound(60, "How long a client may stay beyond output-soft-limit.", "output-soft-seconds", 1, 86_400)
    output_stall_s: int = bound(
        60, "A client that takes not one byte for so long while replies wait is closed.", "output-stall-seconds", 1, 86_400
    )  # fmt: skip
    pubsub_output_bytes_max: int = bound(
        32 * MIB, "Messages that wait for a subscriber, as in Redis; beyond it is closed at once.",
        "pubsub-output-buffer-limit", 64 * KIB,
    )  # fmt: skip
    pubsub_output_soft_bytes_max: int = bound(
        8 * MIB, "The same, when it lasts longer than output-soft-seconds.", "pubsub-output-soft-limit", 64 * KIB
    )

    # -- observation ------------------------------------------------------------------------------
    slow_threshold_us: int = bound(
        10_000, "A command that takes longer enters the slow log, as in Redis; -1 logs nothing.", "slowlog-log-slower-than", -1, 3_600_000_000
    )  # fmt: skip
    slow_entries_max: int = bound(128, "Entries of the slow log, as in Redis.", "slowlog-max-len", 0, 100_000)
    tracked_keys_max: int = bound(
        1_000_000, "Keys remembered for client-side caching, as in Redis; beyond it the oldest are invalidated.",
        "tracking-table-max-keys", 1, 100_000_000,
    )  # fmt: skip
    acl_entries_max: int = bound(
        128, "Entries of ACL LOG, as in Redis.", "acllog-max-len", 0, 100_000
    )  # fmt: skip
    error_kinds_max: int = bound(128, "First words of errors counted apart, as in Redis; a client may invent words.")

    # -- records and peers ------------------------------------------------------------------------
    databases: int = bound(16, "Databases, as in Redis by default; clients' configurations name them by number.")
    clock_offset_ms_max: int = bound(
        2_000, "A peer's stamp further ahead of the local clock is not merged: its clock is wrong, or it lies."
    )
    outbox_bytes_max: int = bound(
        64 * MIB, "Writes that wait for the peers; beyond it the oldest are dropped and repaired by comparison."
    )
