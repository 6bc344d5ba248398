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
TTL_S_MAX = 3650 * 86_400  # of --default-ttl and --max-ttl: ten years. Data that needs longer does not fit this server


class Bound(NamedTuple):
    """What is said of a limit beside its value. `least` and `most` are what an operator may choose."""

    why: str
    option: str = ""  # the flag without its dashes; empty: not configurable
    least: int = 0
    most: int = 1 << 62
    policy: str = ""  # the field of the gossip core's Policy that it sets; fixed while the node runs


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
    """The limits that concern the gossip core: fields of its Policy, and their values."""
    return {bound_of(one).policy: getattr(limits, one.name) for one in fields(limits) if bound_of(one).policy}


@dataclass(frozen=True, slots=True)
class Limits:
    # -- connections ------------------------------------------------------------------------------
    clients_max: int = bound(
        10_000, "Connected clients, as in Redis. One more gets an error and is "
                "disconnected.",
                "maxclients", 1, 1_000_000
    )
    idle_timeout_s: int = bound(
        0, "A client that sends nothing for this long is disconnected, as in Redis; 0: "
           "never.",
           "timeout", 0, 31_536_000
    )
    auth_timeout_s: int = bound(
        10, "A client that has not authenticated after this long is disconnected; 0: "
            "never.",
            "auth-timeout", 0, 86_400
    )
    tcp_keepalive_s: int = bound(
        300, "Silence after which the kernel probes whether the client is still there; 0: never.", "tcp-keepalive", 0,
        32_767
    )  # fmt: skip
    backlog: int = bound(
        511, "Connections that may wait to be accepted, as in Redis. The kernel may allow "
             "fewer.",
             "tcp-backlog", 1, 65_535
    )
    subscriptions_max: int = bound(20_000, "Channels and patterns of one client. Each is an entry of a table.")
    patterns_max: int = bound(10_000, "Patterns of one client. A message is compared with each that begins with a "
                                      "wildcard, at some 30 ns.")

    # -- one request ------------------------------------------------------------------------------
    query_buffer_bytes_max: int = bound(
        32 * MIB,
        "Unread input of one client, and all arguments of one command together: two of the largest. Redis allows "
        "1 GiB.",
        "client-query-buffer-limit", MIB,
    )  # fmt: skip
    bulk_bytes_max: int = bound(
        16 * MIB, "One argument, and so one value. Work on one of 16 MiB takes up to 20 ms, and other clients "
                  "wait meanwhile. Redis allows 512 MiB.",
        "proto-max-bulk-len", MIB, 512 * MIB,
    )  # fmt: skip
    key_bytes_max: int = bound(
        64 * KIB, "A key that a command may make. All work on a key takes as long as it is, also where others list it. "
                  "Redis allows 512 MiB.",
        "key-size-limit", KIB, 512 * MIB,
    )  # fmt: skip
    args_max: int = bound(
        32_768,
        "Arguments of one command. Each takes 0.5 to 2 us, and other clients wait meanwhile. Redis allows 1,048,576.",
        "args-limit", 1_024, MIB,
    )  # fmt: skip
    inline_bytes_max: int = bound(64 * KIB,
                                  "An inline request, or a line with a length, that has not ended yet, as in Redis.")

    # -- transactions and one turn of the loop ----------------------------------------------------
    multi_commands_max: int = bound(
        4_096, "Commands queued in one MULTI, unless all are plain (see multi-keys-limit). EXEC takes 3 to 5 us for "
               "each, and other clients wait meanwhile.",
        "multi-commands-limit", 1, MIB,
    )  # fmt: skip
    multi_keys_max: int = bound(
        131_072, "Keys named by the plain commands of one MULTI, which are those that the engine runs itself (GET, "
                 "SET, INCR...). Each takes 0.1 to 0.3 us.",
        "multi-keys-limit", 1, 16 * MIB,
    )  # fmt: skip
    multi_args_max: int = bound(
        40_960, "Arguments of all commands queued in one MULTI, unless all are plain. EXEC takes as long for them as "
                "for the largest command and some small ones."
    )
    multi_bytes_max: int = bound(
        32 * MIB, "Bytes queued in one MULTI: as many as a query buffer may hold. Each argument counts 48 bytes more "
                  "than its length."
    )
    feed_commands_max: int = bound(
        512, "Commands of one client in one turn of the loop. A client that sends 100,000 at once must not hold up "
             "the others."
    )
    feed_reply_bytes_max: int = bound(
        96 * KIB, "Reply bytes of one client in one turn of the loop. They are sent before more replies are made."
    )

    # -- scripts ----------------------------------------------------------------------------------
    script_busy_ms: int = bound(
        5_000, "When a script runs longer, other clients get BUSY and may kill it, as in Redis; until then they wait. "
               "Inside EXEC it is killed.",
        "lua-time-limit", 1, 600_000,
    )  # fmt: skip
    script_ms_max: int = bound(
        30_000, "A script that runs longer is killed, and what it wrote stays. Redis never kills a script by itself.",
        "script-time-max", 1, 3_600_000
    )  # fmt: skip
    script_memory_bytes_max: int = bound(
        32 * MIB,
        "Memory of Lua: what one script holds, and what earlier scripts left for the garbage collector. Work on a text "
        "of 10 MiB, such as string.upper, takes up to 40 ms and three times its memory, and other clients wait. "
        "So does a script that stores a value of 16 MiB.",
        "script-memory-limit",
        4 * MIB, 16 * GIB,
    )  # fmt: skip
    scripts_max: int = bound(10_000, "Scripts kept for EVALSHA. The least recently used one is evicted, and its "
                                     "clients send it again.")
    scripts_bytes_max: int = bound(16 * MIB, "Bytes of all scripts kept for EVALSHA. The least recently used one is "
                                             "evicted.")

    # -- output -----------------------------------------------------------------------------------
    # Redis sets no limit for ordinary clients, so one that does not read can take all of its memory. These
    # are half of Redis's hard figure for replicas, and all of its soft one: several times the longest
    # pipeline that a client library writes before it reads, and still a bound.
    output_buffer_bytes_max: int = bound(
        128 * MIB,
        "Replies that one client has not read, or one reply in the making. A client that exceeds it is disconnected "
        "at once.",
        "output-buffer-limit", MIB,
    )  # fmt: skip
    output_soft_bytes_max: int = bound(
        64 * MIB, "Unread bytes at which a client is disconnected if it stays above them for "
                  "output-soft-seconds.",
                  "output-soft-limit", 64 * KIB
    )
    output_soft_s: int = bound(60, "How long a client may stay above a soft limit of its "
                                   "output.",
                                   "output-soft-seconds", 1,
                               86_400)
    output_stall_s: int = bound(
        60, "A client that reads no byte for this long while replies wait for it is "
            "disconnected.",
            "output-stall-seconds", 1,
        86_400
    )  # fmt: skip
    pubsub_output_bytes_max: int = bound(
        32 * MIB, "Messages that a subscriber has not read, as in Redis. A subscriber that exceeds it is "
                  "disconnected at once.",
        "pubsub-output-buffer-limit", 64 * KIB,
    )  # fmt: skip
    pubsub_output_soft_bytes_max: int = bound(
        8 * MIB, "Unread bytes at which a client is disconnected if it stays above them for "
                 "output-soft-seconds.",
                 "pubsub-output-soft-limit", 64 * KIB
    )

    # -- observation ------------------------------------------------------------------------------
    slow_threshold_us: int = bound(
        10_000, "A command that takes longer enters the slow log, as in Redis; -1: none does.",
        "slowlog-log-slower-than", -1, 3_600_000_000
    )  # fmt: skip
    slow_entries_max: int = bound(128, "Entries of the slow log, as in Redis.", "slowlog-max-len", 0, 100_000)
    tracked_keys_max: int = bound(
        1_000_000, "Keys remembered for client-side caching, as in Redis. When the table is full, the oldest are "
                   "invalidated.",
        "tracking-table-max-keys", 1, 100_000_000,
    )  # fmt: skip
    acl_entries_max: int = bound(
        128, "Entries of ACL LOG, as in Redis.", "acllog-max-len", 0, 100_000
    )  # fmt: skip
    error_kinds_max: int = bound(128, "Kinds of errors that are counted separately, as in Redis. The kind is the first "
                                      "word, which a script may invent.")

    # -- records and peers ------------------------------------------------------------------------
    clock_offset_ms_max: int = bound(
        2_000, "How far a stamp from a peer may be ahead of the local clock. A record with a later stamp is refused: "
               "the clock is wrong, or the peer lies.",
        policy="clock_offset_ms_max",
    )  # fmt: skip
    outbox_bytes_max: int = bound(
        64 * MIB, "Writes that wait to be sent to peers. When it is full, the oldest are dropped, and comparison "
                  "repairs that."
    )
    peer_queue_bytes_max: int = bound(
        16 * MIB,
        "Writes that wait for one slow peer. When it is full, they are dropped, and comparison repairs that.",
        "peer-queue-limit", MIB, 16 * GIB, "queue_bytes_max",
    )  # fmt: skip
    joiners_max: int = bound(2, "How many joining nodes one node fills up at the same "
                                "time.",
                                "joiners-at-once", 1, 64, "dumps_max")
    alone_ms: int = bound(
        3_000, "A joining node that met no peer for this long reports the state alone. If it met peers of which none "
               "is ready, they compare with each other and become ready.",
        "alone-after-ms", 0, 3_600_000, "alone_ms",
    )  # fmt: skip
    join_wait_s: int = bound(
        30,
        "How long a node that has reached no peer of --join refuses commands that decide. Afterwards --serve-alone "
        "applies.",
        "join-wait",
        0,
        86_400,
    )
    suspicion_ms: int = bound(
        4_000, "How long a suspected node has to refute that it is "
               "dead.",
               "suspicion-ms", 1_000, 600_000, "suspicion_ms"
    )
    isolation_window_ms: int = bound(
        10_000,
        "Length of a window in which half of the members should answer.",
        "isolation-window-ms",
        1_000,
        600_000,
        "window_ms",
    )
    isolation_windows_max: int = bound(
        3,
        "After this many windows in a row with fewer answers the node is isolated, and connects to the roots again.",
        "isolation-windows",
        1,
        100,
        "windows",
    )

    # -- the tree ---------------------------------------------------------------------------------
    tree_trunks_max: int = bound(32, "Trunks (children) of a root.", "tree-trunks", 1, 10_000, "trunks_max")
    tree_branches_max: int = bound(15, "Branches (children) of a trunk.", "tree-branches", 1, 10_000, "branches_max")
    tree_leaves_max: int = bound(25, "Leaves (children) of a branch.", "tree-leaves", 1, 10_000, "leaves_max")
    tree_check_ms: int = bound(
        30_000,
        "How often a node asks its parent whether it still counts as its child.",
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
        20, "How much lower the latency of a new parent must be, as a share of the present "
            "one's.",
            "tree-better-percent", 0, 99, "better_percent"
    )
    tree_better_ms: int = bound(2, "How much lower the latency of a new parent must be at "
                                   "least.",
                                   "tree-better-ms", 0, 60_000, "better_least_ms")
    tree_better_for_ms: int = bound(
        300_000, "How long a new parent must have been better before the node moves to "
                 "it.",
                 "tree-better-for-ms", 0, 86_400_000, "better_ms"
    )
    tree_rest_ms: int = bound(600_000, "How long a node stays after a "
                                       "move.",
                                       "tree-rest-ms", 0, 86_400_000, "rest_ms")
    tree_outside_percent: int = bound(
        30,
        "Share of the links that lead out of the node's own branch, where it has more than ten peers.",
        "tree-outside-percent",
        0,
        100,
        "outside_percent",
    )
