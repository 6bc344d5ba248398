"""`/v1/metrics`: what passes through this gateway, and what the node behind it says, as Prometheus reads it.

REPRAM has this path, and four of its names (`repram_peers_active` and its kin) stand for the same things here. The node
has more to say on a port of its own (docs/metrics.md). No key, no value and no client's address is in any of them: a
request is counted by its route.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from respram.gateway.faults import Busy, NodesGone
from respram.gateway.nodes import Nodes, info_fields
from respram.gateway.target import Login

ROUTES_DATA = "/v1/data/{key}"
METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"))  # other methods are counted together
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
OPENMETRICS = "application/openmetrics-text"

# A field of INFO and its metric: kind, name, description and divisor.
FROM_INFO: Mapping[str, tuple[str, str, str, float]] = {
    "records": ("gauge", "respram_node_keys", "Keys with a value.", 1),
    "stubs": ("gauge", "respram_node_stubs", "Keys whose value is gone and whose name is kept.", 1),
    "used_memory": ("gauge", "respram_node_used_memory_bytes", "Memory of records.", 1),
    "used_memory_rss": ("gauge", "respram_node_resident_memory_bytes", "Memory of the process.", 1),
    "maxmemory": ("gauge", "respram_node_memory_limit_bytes", "Where writes are refused; 0: nowhere.", 1),
    "connected_clients": ("gauge", "respram_node_clients", "Clients that are connected.", 1),
    "uptime_in_seconds": ("gauge", "respram_node_uptime_seconds", "Since it started.", 1),
    "replication_lag_ms_max": ("gauge", "respram_node_replication_lag_seconds", "Towards the slowest peer.", 1000),
    "writes": ("counter", "respram_node_writes", "Records that clients wrote.", 1),
    "keyspace_hits": ("counter", "respram_node_keyspace_hits", "Reads that found a key.", 1),
    "keyspace_misses": ("counter", "respram_node_keyspace_misses", "Reads that found none.", 1),
    "forgotten_values": (
        "counter",
        "respram_node_forgotten_values",
        "Values that were destroyed at their deadlines.",
        1,
    ),
    "forgotten_bytes": ("counter", "respram_node_forgotten_bytes", "Bytes of those values.", 1),
    "refused_deletes": ("counter", "respram_node_refused_deletes", "Commands that would have deleted.", 1),
    "enclave_peers_linked": ("gauge", "repram_peers_active", "Peers of the enclave with a link.", 1),
}


class Traffic:
    """Requests by route, method and status, and how long each waited for its answer to begin."""

    def __init__(self, routes: Mapping[bytes, object]) -> None:
        self.routes = {path: path.decode() for path in routes}
        self.counts: dict[tuple[str, str, int], int] = {}  # bounded: routes, methods and statuses are few
        self.waits: dict[str, list[int]] = {}  # by route: counts up to each of BOUNDS_S; the last one has no bound
        self.waited_s: dict[str, float] = {}

    def count(self, path: bytes, method: str, status: int, wait_s: float) -> None:
        route = ROUTES_DATA if path.startswith(b"/v1/data/") else self.routes.get(path, "other")
        key = (route, method if method in METHODS else "other", status)
        self.counts[key] = self.counts.get(key, 0) + 1
        waits = self.waits.get(route)
        if waits is None:
            waits = self.waits[route] = [0] * (len(BOUNDS_S) + 1)
            self.waited_s[route] = 0.0
        waits[bisect_left(BOUNDS_S, wait_s)] += 1
        self.waited_s[route] += wait_s

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "respram_gateway_requests", "Requests that were answered.", labels=("route", "method", "status")
        )
        for (route, method, status), count in sorted(self.counts.items()):
            requests.add_metric((route, method, str(status)), count)
        yield requests
        waits = HistogramMetricFamily(
            "respram_gateway_answer_seconds", "How long a request waited for its answer to begin.", labels=("route",)
        )
        for route, counts in sorted(self.waits.items()):
            below = list(accumulate(counts))
            buckets = [(str(bound), float(count)) for bound, count in zip(BOUNDS_S, below, strict=False)]
            waits.add_metric((route,), [*buckets, ("+Inf", float(below[-1]))], self.waited_s[route])
        yield waits


class Collected:
    """A registry's collector of metrics that are made already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> list[Metric]:
        return self.metrics


async def metrics(
    nodes: Nodes, login: Login | None, traffic: Traffic, gauges: Mapping[str, tuple[str, float]], accept: str
) -> tuple[bytes, bytes]:
    """The text and its content type. A gateway without a node tells of itself; a login is checked by a node or not at
    all.
    """
    try:
        link = await nodes.link(login)
        (info,) = await link.batch([(b"INFO", b"everything")])
        answers = True
    except (NodesGone, Busy):
        if login is not None:
            raise
        info, answers = None, False
    up = GaugeMetricFamily("respram_gateway_node_up", "Whether a node answers.", value=float(answers))
    own = [GaugeMetricFamily(f"respram_gateway_{name}", text, value=value) for name, (text, value) in gauges.items()]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected([up, *own, *traffic.collect(), *_of_node(info_fields(info))]))
    encoder, kind = choose_encoder(accept if OPENMETRICS in accept else "")
    text: bytes = encoder(registry)
    return text, kind.encode()


def _of_node(fields: dict[str, str]) -> Iterator[Metric]:
    """What INFO told; nothing where the user may not ask."""
    for field, (kind, name, text, scale) in FROM_INFO.items():
        value = fields.get(field, "")
        if value.isascii() and value.isdigit():
            family: Any = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            yield family(name, text, value=int(value) / scale)
