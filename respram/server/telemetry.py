"""Sends the metrics of `metrics.py`, and slow commands as spans, to an OpenTelemetry collector by OTLP over HTTP.

Off unless `--otlp-endpoint` names a collector; only then is the SDK imported. The loop copies the numbers, which takes
far less than a millisecond, and hands them to a thread, which makes messages of them and sends them. One batch is under
way at a time: while a collector is slow or gone the next ones are left out, and numbers that only grow lose nothing by
that. A span has the command's name, its beginning and its end. No key, no value and no client's address is in any of
them.
"""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind

from respram import __version__
from respram.commands.node import Node
from respram.commands.stats import Slow
from respram.server import clock
from respram.server.metrics import Family, Times, look

SEND_S_MAX = 5.0  # for one message, including retries
# A stop waits this long for the last batch: a node stops within five seconds, with or without a collector.
LAST_S_MAX = 1.0
NS_PER_US = 1_000
NS_PER_MS = 1_000_000


class Batch(NamedTuple):
    families: list[Family | Times]
    slow: list[Slow]
    now_ms: int


class Telemetry:
    def __init__(
        self, node: Node, endpoint: str, interval_s: int, loop: asyncio.AbstractEventLoop, log: Callable[[str], None]
    ) -> None:
        self.node = node
        self.interval_s = interval_s
        self.loop = loop
        self.log = log
        self.sender = Sender(resource_of(node), endpoint, node.started_ms)
        self.failing = False
        self._slow_id = node.slow_id  # of the next command to export
        self._turn = threading.Condition()
        self._next: Batch | None = None  # one batch waits while another is being sent
        self._ended = False
        self._thread = threading.Thread(target=self._send_all, name="respram-otlp", daemon=True)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._thread.start()
        self._timer = self.loop.call_later(self.interval_s, self._tick)

    def _tick(self) -> None:
        self.send()
        self._timer = self.loop.call_later(self.interval_s, self._tick)

    def send(self) -> bool:
        """Hands over the present metrics; False if the last batch still waits."""
        with self._turn:
            if self._next is not None:
                return False
            now_ms = clock.now_ms()
            self._next = Batch(look(self.node, now_ms), slow_since(self.node.slow_log, self._slow_id), now_ms)
            self._slow_id = self.node.slow_id
            self._turn.notify()
        return True

    async def close(self) -> None:
        """Sends a last batch, for which the collector has LAST_S_MAX."""
        if self._timer is not None:
            self._timer.cancel()
        if self._thread.is_alive():
            self.send()
            with self._turn:
                self._ended = True
                self._turn.notify()
            await asyncio.to_thread(self._thread.join, LAST_S_MAX)
        self.sender.close()

    # -- the thread -------------------------------------------------------------------------------
    def _send_all(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._next is not None or self._ended)
                batch, self._next = self._next, None
            if batch is None:
                return
            failed = self.sender.send(batch)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self._told, failed)

    def _told(self, failed: str) -> None:
        if bool(failed) != self.failing:
            self.log(f"event=otlp_failed what={failed}" if failed else "event=otlp_sent")
        self.failing = bool(failed)


class Sender:
    """Makes messages of batches and sends them; used by one thread."""

    def __init__(self, resource: Resource, endpoint: str, started_ms: int) -> None:
        self.resource = resource
        self.started_ns = started_ms * NS_PER_MS
        base = endpoint.rstrip("/")
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", timeout=SEND_S_MAX)
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=SEND_S_MAX)
        self._ended = Ended()
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("respram", __version__)

    def send(self, batch: Batch) -> str:
        """Sends a batch, and returns what could not be sent, or an empty text."""
        failed = []
        told = [metric for family in batch.families
                if (metric := self._metric(family, batch.now_ms * NS_PER_MS)) is not None]
        scope = ScopeMetrics(InstrumentationScope("respram", __version__), told, "")
        data = MetricsData([ResourceMetrics(self.resource, [scope], "")])
        if self._metrics.export(data) is not MetricExportResult.SUCCESS:
            failed.append("metrics")
        spans = self._make_spans(batch.slow)
        if spans and self._spans.export(spans) is not SpanExportResult.SUCCESS:
            failed.append("spans")
        return ",".join(failed)

    def close(self) -> None:
        """Stops repeating what is in transit; may be called from any thread."""
        self._metrics.shutdown()
        self._spans.shutdown()  # type: ignore[no-untyped-call]

    def _metric(self, family: Family | Times, now_ns: int) -> Metric | None:
        if not family.rows:
            return None
        if isinstance(family, Times):
            return Metric(family.name, family.help, "s", self._histogram(family, now_ns))
        started_ns = self.started_ns if family.kind == "counter" else 0
        points = [
            NumberDataPoint(dict(zip(family.labels, labels, strict=True)), started_ns, now_ns, value)
            for labels, value in family.rows
        ]
        if family.kind == "counter":
            return Metric(family.name, family.help, "",
                          Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True))
        name = f"{family.name}_info" if family.kind == "info" else family.name
        return Metric(name, family.help, "", Gauge(points))

    def _histogram(self, family: Times, now_ns: int) -> Histogram:
        points = [
            HistogramDataPoint(
                dict(zip(family.labels, labels, strict=True)), self.started_ns, now_ns, sum(counts), total, counts,
                family.bounds_s,
                -math.inf, math.inf,  # minimum and maximum are not recorded
            )
            for labels, counts, total in family.rows
        ]  # fmt: skip
        return Histogram(points, AggregationTemporality.CUMULATIVE)

    def _make_spans(self, slow: Iterable[Slow]) -> list[ReadableSpan]:
        for one in slow:
            name = one.command.decode("ascii", "backslashreplace").replace("|", " ").upper()
            attributes = {"db.system.name": "redis", "db.operation.name": name}
            began_ns = (one.ended_us - one.micros) * NS_PER_US
            span = self._tracer.start_span(name, Context(), SpanKind.SERVER, attributes, start_time=began_ns)
            span.end(one.ended_us * NS_PER_US)
        return self._ended.take()


class Ended(SpanProcessor):
    """Spans that have ended, until they are sent together."""

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None: ...

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

    def take(self) -> list[ReadableSpan]:
        spans, self._spans = self._spans, []
        return spans


def resource_of(node: Node) -> Resource:
    """The resource that sends. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME override it."""
    own = Resource({
        "service.name": "respram", "service.version": __version__, "service.instance.id": f"{node.number:016x}",
        "respram.enclave": node.config.enclave,
    })  # fmt: skip
    return own.merge(OTELResourceDetector().detect())


def slow_since(slow_log: Iterable[Slow], first_id: int) -> list[Slow]:
    """The new entries of the slow log, oldest first; the log itself has the newest first."""
    found: list[Slow] = []
    for one in slow_log:
        if one.id < first_id:
            break
        found.append(one)
    return found[::-1]


def silence() -> None:
    """The exporters tell of each failure in words of their own, and of the collector's; `event=otlp_failed` says it
    once.
    """
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)


def place_of(endpoint: str) -> str:
    """The host of a URL, for the log."""
    return urlsplit(endpoint).netloc
