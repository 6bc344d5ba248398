"""The metrics of a node for Prometheus, as families of samples; `health.py` serves them.

Two steps. `look` runs on the loop and copies numbers, none of which grows with the keys; `spell` makes OpenMetrics text
of them by prometheus-client, on another thread. No key, no value, no client's address is in any of them. Names follow
Prometheus's conventions: a unit at the end, `_total` for what only grows (until CONFIG RESETSTAT).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import generate_latest

from respram import __version__
from respram.commands.census import census
from respram.commands.cluster import UNREADY, state_of
from respram.commands.info import counters, errors_of, total_commands, used_bytes
from respram.commands.node import Node
from respram.commands.stats import MICROS_BOUNDS
from respram.engine.api import LATE_BOUNDS_MS

Labels = tuple[str, ...]


class Family(NamedTuple):
    kind: str  # "counter", "gauge" or "info"
    name: str
    help: str
    labels: Labels
    rows: Sequence[tuple[Labels, float]]


class Times(NamedTuple):
    """A histogram: how many values were up to each bound, each counted once and the last beyond all bounds; and their
    sum."""

    name: str
    help: str
    labels: Labels
    bounds_s: tuple[float, ...]
    rows: Sequence[tuple[Labels, Sequence[int], float]]


def look(node: Node, now_ms: int) -> list[Family | Times]:
    counts = counters(node)
    return [*_commands(node, counts), *_forgetting(node, counts), *_memory(node, counts), *_clients(node),
            *_peers(node, now_ms)]


def one(kind: str, name: str, text: str, value: float) -> Family:
    return Family(kind, name, text, (), [((), value)])


def _commands(node: Node, counts: dict[str, int]) -> Iterator[Family | Times]:
    stats = node.stats
    calls = {name.removeprefix("hot_"): count for name, count in counts.items() if name.startswith("hot_") and count}
    for name, stat in stats.by_command.items():
        calls[name.decode()] = calls.get(name.decode(), 0) + stat.calls
    yield Family("counter", "respram_commands", "Commands that ran.", ("command",),
                 [((name,), count) for name, count in sorted(calls.items())])
    yield Times(
        "respram_command_duration_seconds",
        "Time of commands that left the fast path; the fast path is counted and not timed.", ("command",),
        tuple(bound / 1e6 for bound in MICROS_BOUNDS),
        [((name.decode(),), tuple(stat.times), stat.micros / 1e6) for name, stat in sorted(stats.by_command.items())
         if stat.calls],
    )  # fmt: skip
    yield one("counter", "respram_commands_processed", "Commands that ran, all together.", total_commands(node))
    yield Family(
        "counter", "respram_commands_failed", "Commands that ended in an error.", ("command",),
        [((name.decode(),), stat.failed) for name, stat in sorted(stats.by_command.items()) if stat.failed],
    )  # fmt: skip
    refused = stats.refusals.by_command()
    yield Family("counter", "respram_refusals",
                 "Commands that were refused: they would delete, or are not for this store.", ("command",),
                 [((name.decode("ascii", "backslashreplace"),), count)
                  for name, count in sorted(refused.items())])  # fmt: skip
    yield Family("counter", "respram_errors", "Error replies by their first word.", ("word",),
                 [((word.decode("ascii", "backslashreplace"),), count)
                  for word, count in sorted(errors_of(node).items())])  # fmt: skip
    denied = [((name,), stats.denied.get(name.encode(), 0)) for name in ("command", "key", "channel")]
    yield Family("counter", "respram_access_denied", "What an ACL did not allow.", ("what",),
                 [(("auth",), stats.auth_failures), *denied])
    yield one("counter", "respram_keyspace_hits", "Reads that found a key.", counts["hits"])
    yield one("counter", "respram_keyspace_misses", "Reads that found none.", counts["misses"])
    yield one("counter", "respram_ttl_cut", "Lives that were cut to the maximum.", stats.ttl_cut)


def _forgetting(node: Node, counts: dict[str, int]) -> Iterator[Family | Times]:
    late = tuple(counts[f"late_{number}"] for number in range(len(LATE_BOUNDS_MS) + 1))
    yield Times("respram_expiry_lag_seconds", "How long after their deadlines values were destroyed.", (),
                tuple(bound / 1000 for bound in LATE_BOUNDS_MS),
                [((), late, counts["late_sum_ms"] / 1000)])  # fmt: skip
    yield one("counter", "respram_forgotten_values", "Values that were destroyed at their deadlines.",
              counts["expired"])
    yield one("counter", "respram_forgotten_bytes", "Bytes of those values.", counts["wiped_bytes"])
    yield one("gauge", "respram_forgotten_late_last_seconds", "How late the last was that was over 0.1 s late.",
              counts["late_last_by_ms"] / 1000)
    yield one("gauge", "respram_forgotten_late_last_timestamp_seconds", "When that was; 0: never.",
              counts["late_last_at_ms"] / 1000)
    yield one("gauge", "respram_keys", "Keys with a value.", counts["records"])
    yield one("gauge", "respram_stubs", "Keys whose value is gone and whose name is kept, so that an older value "
                                        "cannot come back.", counts["stubs"])
    yield one("counter", "respram_writes", "Records that were written by clients.", counts["writes"])


def _memory(node: Node, counts: dict[str, int]) -> Iterator[Family]:
    usage = node.usage()
    clients = census(node).input_bytes + census(node).output_bytes
    waiting = dict(node.peers.facts()).get("outbox_waiting_bytes", 0) if node.peers is not None else 0
    rows = {
        "records": used_bytes(node), "record_overhead": counts["records"] * counts["record_overhead_bytes"],
        "clients": clients,
        "outbox": float(str(waiting)), "resident": usage.get("rss_bytes", 0.0),
        "resident_peak": usage.get("rss_peak_bytes", 0.0),
    }  # fmt: skip
    yield Family("gauge", "respram_memory_bytes", "Memory by purpose; resident is all of the process.", ("purpose",),
                 [((name,), value) for name, value in rows.items()])  # fmt: skip
    yield one("gauge", "respram_memory_limit_bytes", "Where writes are refused; 0: nowhere.",
              node.settings.memory_bytes_max)
    yield one("counter", "respram_cpu_seconds", "CPU time of the process.",
              usage.get("cpu_user_s", 0.0) + usage.get("cpu_sys_s", 0.0))
    yield one("gauge", "respram_open_descriptors", "Open file descriptors.", usage.get("descriptors", 0.0))


def _clients(node: Node) -> Iterator[Family]:
    stats = node.stats
    yield Family("info", "respram", "What it is.", ("version", "engine", "enclave", "node"),
                 [((__version__, node.engine.name, node.config.enclave, f"{node.number:016x}"), 1.0)])  # fmt: skip
    yield one("gauge", "respram_start_time_seconds", "When it started.", node.started_ms / 1000)
    yield one("gauge", "respram_clients", "Clients that are connected.", len(node.clients))
    yield one("counter", "respram_connections", "Connections of clients.", stats.connections)
    yield one("counter", "respram_connections_rejected", "Connections that were one too many.",
              stats.rejected_connections)
    yield Family("counter", "respram_clients_closed", "Clients that were closed, and why.", ("why",), [
        (("output_limit",), stats.output_limit_disconnections), (("query_limit",), stats.query_limit_disconnections),
        (("idle",), stats.idle_disconnections), (("memory",), stats.evicted_clients),
        (("protocol",), stats.protocol_errors),
    ])  # fmt: skip
    yield one("counter", "respram_messages_dropped", "Messages that too many others were before.",
              stats.messages_dropped)
    yield Family("counter", "respram_network_bytes", "Bytes from and to clients.", ("direction",),
                 [(("in",), stats.net_input_bytes), (("out",), stats.net_output_bytes)])  # fmt: skip


def _peers(node: Node, now_ms: int) -> Iterator[Family]:
    peers = node.peers
    yield one("gauge", "respram_ready", "Whether the node holds what the others hold, as far as it knows.",
              float(is_ready(node)))
    if peers is None:
        return
    linked = [(f"{peer.number:016x}", peer) for peer in peers.linked()]
    for name, text, field, scale in (
        ("respram_peer_lag_seconds", "Age of the oldest write that the peer has not acknowledged.", "lag_ms", 1000),
        ("respram_peer_rtt_seconds", "Round trip to the peer; negative: not known yet.", "rtt_us", 1e6),
        ("respram_peer_heard_seconds", "Since its last message; negative: never.", "heard_ms", 1000),
        ("respram_peer_queue_bytes", "What waits for it.", "queue_bytes", 1),
    ):
        yield Family("gauge", name, text, ("peer",),
                     [((number,), getattr(peer, field) / scale) for number, peer in linked])
    yield Family("gauge", "respram_peer_state", "1 for the state that each peer is in.", ("peer", "state"),
                 [((number, peer.state.decode()), 1.0) for number, peer in linked])  # fmt: skip
    facts = {name: value for name, value in peers.facts() if isinstance(value, int | float)}
    for name, text in (
        ("enclave_members", "Nodes of this enclave, this one included."),
        ("enclave_peers_linked", "Of them those with a link."),
        ("enclave_peers_differing", "Of them those that hold something else, as far as is known."),
        ("homes_slots_here", "Slots that this node decides about."),
        ("forwards_open", "Commands at another node, not answered yet."),
        ("majority_size", "--enclave-size where a majority decides, else 0."),
        ("majority_votes", "1 if this node votes."),
        ("bootstrap_percent", "How far the node has filled up."),
        ("compare_interval_ms", "How often digests are compared: their age at most."),
    ):  # fmt: skip
        if name in facts:
            unit, scale = (name.removesuffix("_ms") + "_seconds", 1000) if name.endswith("_ms") else (name, 1)
            yield one("gauge", f"respram_{unit}", text, facts[name] / scale)
    for name, text in (
        ("compare_rounds", "Comparisons of digests."), ("compare_equal", "Of them those that found no difference."),
        ("records_repaired", "Records that a comparison brought."),
        ("records_refused", "Records of peers that were not taken."),
        ("peer_sent_bytes", "Bytes to peers."), ("peer_received_bytes", "Bytes from peers."),
        ("pulls_sent", "Misses that asked peers."),
        ("pulls_found", "Of them those that were answered."),
        ("forwarded_commands", "Commands sent to the node that decides."),
        ("forwarded_served", "Forwards of other nodes that were run here."),
        ("forwards_not_home", "Forwards refused for another view."),
        ("forwards_timed_out", "Forwards that were not done in time."),
        ("forwards_unknown", "Forwards whose outcome is not known."),
        ("counters_merged", "Versions of counters that were joined, because two nodes had counted at once."),
        ("majority_decided", "Decisions that a majority accepted."),
        ("majority_short", "Decisions that were not begun without a majority."),
        ("majority_lost", "Decisions that ran and that no majority accepted in time."),
        ("majority_deposed", "Times that the promises of another node were later."),
    ):  # fmt: skip
        if name in facts:
            yield one("counter", f"respram_{name}", text, facts[name])


def is_ready(node: Node) -> bool:
    """Whether the node is ready, as for `respram ping --ready`: not while it reads its snapshot, fills up, or has met
    none of its peers. A node that is isolated is ready.
    """
    return state_of(node) not in UNREADY


# -- as text --------------------------------------------------------------------------------------
class Collected:
    """The collector of a registry, for metrics that were copied before."""

    def __init__(self, families: Iterable[Family | Times]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        for family in self.families:
            yield _times(family) if isinstance(family, Times) else _samples(family)


def _samples(family: Family) -> Metric:
    if family.kind == "info":
        info = InfoMetricFamily(family.name, family.help)
        for labels, _ in family.rows:
            info.add_metric((), dict(zip(family.labels, labels, strict=True)))
        return info
    made: Metric
    made = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(
        family.name, family.help, labels=family.labels
    )
    for labels, value in family.rows:
        made.add_metric(labels, value)
    return made


def _times(times: Times) -> Metric:
    made = HistogramMetricFamily(times.name, times.help, labels=times.labels)
    for labels, counts, total in times.rows:
        below = list(accumulate(counts))
        buckets = [(str(float(bound)), float(count)) for bound, count in zip(times.bounds_s, below, strict=False)]
        made.add_metric(labels, [*buckets, ("+Inf", float(below[-1]))], total)
    return made


def spell(families: Iterable[Family | Times]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(families))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text
