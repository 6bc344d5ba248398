"""Every bound of a node in one table: its name (with the unit at the end), its default, and why.

A bound that an operator may need to move names its option; the rest are fixed here. `settings.py` turns the
options into flags, variables and keys, and `docs/operating.md` lists the whole table. Nothing but
bounds may live in this file, and nothing in the node may grow without one.

Each row is read by what it limits. A bound that belongs to one mechanism and that nobody can move is no row here: it
is a constant whose name ends in `_MAX`, beside what it limits, with its reason.
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
    policy: str = ""  # the field of the gossip core's Policy that it sets; the node keeps what it started with


def bound(default: int, why: str, option: str = "", least: int = 0, most: int = 1 << 62, policy: str = "") -> Any:
    """A field of `Limits`. (Any, as `dataclasses.field` itself is typed for the checker.)"""
    return field(default=default, metadata={"bound": Bound(why, option, least, most, policy)})


def bound_of(limit: "Field[Any]") -> Bound:
    """What was said of one of the fields of `Limits`."""
    said = limit.metadata["bound"]
    assert isinstance(said, Bound)
    return said


def configurable() -> dict[str, str]:
    """The limits that have an option: option to field name."""
    return {bound_of(one).option: one.name for one in fields(Limits) if bound_of(one).option}


def of_policy(limits: "Limits") -> dict[str, int]:
    """What they say of the gossip core: fields of its Policy, and their values."""
    return {bound_of(one).policy: getattr(limits, one.name) for one in fields(limits) if bound_of(one).policy}


@dataclass(frozen=True, slots=True)
class Limits:
    # -- connections ------------------------------------------------------------------------------
    clients_max: int = bound(
        10_000, "Connected clients, as in Redis; one more is told so and closed.", "maxclients", 1, 1_000_000
    )
    idle_timeout_s: int = bound(
        0, "A client that sends nothing for so long is closed; 0 never, as in Redis.", "timeout", 0, 31_536_000
    )
    auth_timeout_s: int = bound(
        10, "A client that has to authenticate and does not for so long is closed; 0 never.", "auth-timeout", 0, 86_400
    )
    tcp_keepalive_s: int = bound(
        300, "Silence after which the kernel asks whether the client still lives; 0 never asks.", "tcp-keepalive", 0,
        32_767
    )  # fmt: skip
    backlog: int = bound(
        511, "Connections that wait to be accepted, as in Redis; the kernel may allow fewer.", "tcp-backlog", 1, 65_535
    )
    subscriptions_max: int = bound(20_000, "Channels and patterns of one client: a table entry each.")
    patterns_max: int = bound(10_000, "Patterns of one client: a message is compared with each that has no head, at "
                                      "some 30 ns.")

    # -- one request ------------------------------------------------------------------------------
    query_buffer_bytes_max: int = bound(
        32 * MIB,
        "Unread input of one client, all arguments of one command together: two of the largest. Redis allows 1 GiB.",
        "client-query-buffer-limit", MIB,
    )  # fmt: skip
    bulk_bytes_max: int = bound(
        16 * MIB, "One argument, hence one key or value; to work on it takes up to 20 ms, in which nobody else is "
                  "served. Redis allows 512 MiB.",
        "proto-max-bulk-len", MIB, 512 * MIB,
    )  # fmt: skip
    args_max: int = bound(
        32_768,
        "Arguments of one command, at 0.5 to 2 us each, in which nobody else is served. Redis allows 1,048,576.",
        "args-limit", 1_024, MIB,
    )  # fmt: skip
    inline_bytes_max: int = bound(64 * KIB,
                                  "An inline request, or a line of a length, whose end has not come, as in Redis.")

    # -- transactions and one turn of the loop ----------------------------------------------------
    multi_commands_max: int = bound(
        8_192, "Commands queued in one MULTI, unless all are plain. EXEC runs without a pause, at 3 to 5 us each: so "
               "long all others wait.",
        "multi-commands-limit", 1, MIB,
    )  # fmt: skip
    multi_keys_max: int = bound(
        131_072, "Keys that the plain commands of one MULTI (those of the engine: GET, SET, INCR...) may name; at 0.1 "
                 "to 0.3 us each.",
        "multi-keys-limit", 1, 16 * MIB,
    )  # fmt: skip
    multi_args_max: int = bound(
        65_536, "Arguments of all that is queued in one MULTI, unless all are plain: EXEC takes as long for them as "
                "for two of the largest commands."
    )
    multi_bytes_max: int = bound(
        32 * MIB, "All that is queued in one MULTI; as much as a query buffer may hold. An argument counts for 48 "
                  "bytes more than it has."
    )
    feed_commands_max: int = bound(
        512, "Commands of one client in one turn of the loop; 100,000 in one write must not hold up the others."
    )
    feed_reply_bytes_max: int = bound(
        96 * KIB, "Reply bytes of one client in one turn: what is answered is sent before more is made."
    )

    # -- scripts ----------------------------------------------------------------------------------
    script_busy_ms: int = bound(
        5_000, "A script that runs longer gives way: others are told BUSY and may end it, as in Redis. Inside EXEC it "
               "is ended.",
        "lua-time-limit", 1, 600_000,
    )  # fmt: skip
    script_ms_max: int = bound(
        30_000, "A script that runs longer is ended; what it wrote stays. Redis lets it run for ever.",
        "script-time-max", 1, 3_600_000
    )  # fmt: skip
    script_memory_bytes_max: int = bound(
        64 * MIB, "Memory of Lua: what one script may hold, and what earlier ones left uncollected.",
        "script-memory-limit",
        4 * MIB, 16 * GIB,
    )  # fmt: skip
    scripts_max: int = bound(10_000, "Scripts kept for EVALSHA; the one that was used longest ago makes room, and its "
                                     "clients send it again.")
    scripts_bytes_max: int = bound(16 * MIB, "Their texts together; the same.")

    # -- output -----------------------------------------------------------------------------------
    # Redis sets none for ordinary clients, and one that does not read can take its whole memory. These
    # are half of Redis's hard figure for replicas, and all of its soft one: several times the longest
    # pipeline that a client library writes before it reads, and still a bound.
    output_buffer_bytes_max: int = bound(
        128 * MIB,
        "Replies that wait for a client to read them, or the one that is being made; beyond it is closed at once.",
        "output-buffer-limit", MIB,
    )  # fmt: skip
    output_soft_bytes_max: int = bound(
        64 * MIB, "The same, when it lasts longer than output-soft-seconds.", "output-soft-limit", 64 * KIB
    )
    output_soft_s: int = bound(60, "How long a client may stay beyond output-soft-limit.", "output-soft-seconds", 1,
                               86_400)
    output_stall_s: int = bound(
        60, "A client that takes not one byte for so long while replies wait is closed.", "output-stall-seconds", 1,
        86_400
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
        10_000, "A command that takes longer enters the slow log, as in Redis; -1 logs nothing.",
        "slowlog-log-slower-than", -1, 3_600_000_000
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
    clock_offset_ms_max: int = bound(
        2_000, "A peer's stamp further ahead of the local clock is not merged: its clock is wrong, or it lies.",
        policy="clock_offset_ms_max",
    )  # fmt: skip
    outbox_bytes_max: int = bound(
        64 * MIB, "Writes that wait for the peers; beyond it the oldest are dropped and repaired by comparison."
    )
    peer_queue_bytes_max: int = bound(
        16 * MIB,
        "Writes that wait for one peer; beyond it they are dropped, and the peer is made level by comparison.",
        "peer-queue-limit", MIB, 16 * GIB, "queue_bytes_max",
    )  # fmt: skip
    joiners_max: int = bound(2, "Nodes that a node fills up at a time.", "joiners-at-once", 1, 64, "dumps_max")
    alone_ms: int = bound(
        3_000, "Without any peer for so long a joiner says that it is alone; with peers of whom none is ready they "
               "become level.",
        "alone-after-ms", 0, 3_600_000, "alone_ms",
    )  # fmt: skip
    join_wait_s: int = bound(
        30,
        "How long a node that was told to join, and has met nobody, decides nothing; then --serve-alone says.",
        "join-wait",
        0,
        86_400,
    )
    suspicion_ms: int = bound(
        4_000, "How long a suspected node has to deny that it is dead.", "suspicion-ms", 1_000, 600_000, "suspicion_ms"
    )
    isolation_window_ms: int = bound(
        10_000,
        "A window in which half of the members should answer.",
        "isolation-window-ms",
        1_000,
        600_000,
        "window_ms",
    )
    isolation_windows_max: int = bound(
        3,
        "Windows in a row with fewer; then the node is isolated, and goes back to the roots.",
        "isolation-windows",
        1,
        100,
        "windows",
    )

    # -- the tree ---------------------------------------------------------------------------------
    tree_trunks_max: int = bound(32, "Trunks of a root.", "tree-trunks", 1, 10_000, "trunks_max")
    tree_branches_max: int = bound(15, "Branches of a trunk.", "tree-branches", 1, 10_000, "branches_max")
    tree_leaves_max: int = bound(25, "Leaves of a branch.", "tree-leaves", 1, 10_000, "leaves_max")
    tree_check_ms: int = bound(
        30_000,
        "How often a node asks its parent whether it is still its child.",
        "tree-check-ms",
        1_000,
        3_600_000,
        "check_ms",
    )
    tree_rebalance_ms: int = bound(
        900_000,
        "How often a node may look for a better parent.",
        "tree-rebalance-ms",
        10_000,
        86_400_000,
        "rebalance_ms",
    )
    tree_better_percent: int = bound(
        20, "By so much of its latency a parent must be better.", "tree-better-percent", 0, 99, "better_percent"
    )
    tree_better_ms: int = bound(2, "And by so much at least.", "tree-better-ms", 0, 60_000, "better_least_ms")
    tree_better_for_ms: int = bound(
        300_000, "And for so long, before a node moves to it.", "tree-better-for-ms", 0, 86_400_000, "better_ms"
    )
    tree_rest_ms: int = bound(600_000, "Rest after a move.", "tree-rest-ms", 0, 86_400_000, "rest_ms")
    tree_outside_percent: int = bound(
        30,
        "Links to outside the own branch, of all beyond ten peers.",
        "tree-outside-percent",
        0,
        100,
        "outside_percent",
    )
