"""What a collector is sent, read back from the bytes that arrive at one; and a collector that is slow, wrong or gone.
"""

import asyncio
import contextlib
import http.server
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import respram
from respram.cli.main import main
from respram.commands.stats import Slow
from respram.config.settings import Config
from respram.server import clock
from respram.server import telemetry as telemetry_file
from respram.server.metrics import look
from respram.server.telemetry import Telemetry, place_of, slow_since
from tests.live import SOON_S
from tests.ports import reserve
from tests.server.nodes import make_node

KEY, VALUE = "name-of-a-key", "the-value"


@dataclass
class Collector:
    port: int = 0
    status: int = 200
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)  # set: requests are answered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def numbers(self) -> dict[str, float]:
        """The newest value of each number, by name and labels."""
        found: dict[str, float] = {}
        for path, body in list(self.bodies):
            if path != "/v1/metrics":
                continue
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                assert {one.key for one in resource.resource.attributes} >= {"service.name", "service.instance.id",
                                                                             "respram.enclave"}
                for metric in resource.scope_metrics[0].metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, str(kind)).data_points:
                        name = metric.name + "".join(f",{one.key}={one.value.string_value}" for one in point.attributes)
                        found[name] = point.count if kind == "histogram" else point.as_double or point.as_int
        return found

    def spans(self) -> list[tuple[str, int]]:
        """Names, and how long each took in microseconds."""
        return [
            (span.name, (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000)
            for path, body in list(self.bodies) if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for span in resource.scope_spans[0].spans
        ]  # fmt: skip


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.hold.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.hold.wait(SOON_S)
            made.bodies.append((self.path, body))  # before the answer: who has that looks here
            with contextlib.suppress(OSError):
                self.send_response(made.status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *words: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        made.hold.set()
        server.shutdown()
        thread.join()


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_node_sends_numbers_and_slow_commands_without_keys_or_values(collector: Collector) -> None:
    node = respram.Server(engine="pure", otlp_endpoint=collector.url, otlp_interval=1, slowlog_log_slower_than=0)
    with node as server, server.client() as client:
        client.set(KEY, VALUE, ex=60)
        client.execute_command("OBJECT", "IDLETIME", KEY)
        client.mset({KEY: VALUE})
        until(lambda: collector.numbers().get("respram_keys") == 1, "the numbers did not come")
        until(lambda: "OBJECT IDLETIME" in dict(collector.spans()), "the spans did not come")
        found = collector.numbers()
        assert (
            found["respram_commands,command=set"] == 1
            and found["respram_command_duration_seconds,command=object|idletime"] == 1
        )
        assert any(name.startswith("respram_info,") and "engine=pure" in name for name in found)
        assert all(0 <= took < SOON_S * 1_000_000 for _, took in collector.spans())
        sent = len(collector.spans())
        client.execute_command("OBJECT", "IDLETIME", KEY)
        until(lambda: len(collector.spans()) > sent, "later ones follow")
        assert dict.fromkeys(name for name, _ in collector.spans()).keys() <= {
            "OBJECT IDLETIME", "MSET", "SET", "CLIENT SETINFO", "HELLO", "RESPRAM STATE", "INFO", "QUIT",
            "CLIENT SETNAME", "PING",
        }  # fmt: skip
        assert [name for name, _ in collector.spans()].count("OBJECT IDLETIME") == 2, "each is sent once"
    everything = b"".join(body for _, body in collector.bodies)
    assert KEY.encode() not in everything and VALUE.encode() not in everything and b"127.0.0.1" not in everything


def test_the_numbers_are_those_of_the_page(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every family with a sample, under the same name and with the same value."""
    for bound in ("SEND_S_MAX", "LAST_S_MAX"):  # a busy machine takes longer than a message and a stop may
        monkeypatch.setattr(telemetry_file, bound, SOON_S)

    async def main() -> None:
        node = make_node(Config(engine="pure"), 1, None, lambda line: None)
        node.config = Config(engine="pure", otlp_endpoint=collector.url)
        now_ms = clock.now_ms()
        node.engine.store(0, b"k", b"v", now_ms + 60_000, False, now_ms, b"set")
        families = look(node, now_ms)
        telemetry = Telemetry(node, collector.url, 3600, asyncio.get_running_loop(), lambda line: None)
        telemetry.start()
        await telemetry.close()
        names = {name.partition(",")[0] for name in collector.numbers()}
        assert names == {
            f"{one.name}_info" if getattr(one, "kind", "") == "info" else one.name for one in families if one.rows
        }
        assert collector.numbers()["respram_keys"] == 1

    asyncio.run(main())


def test_a_collector_that_is_gone_or_refuses_is_one_line_and_holds_nothing_up(collector: Collector) -> None:
    lines: list[str] = []

    async def main() -> None:
        node = make_node(Config(engine="pure"), 1, None, lines.append)
        telemetry = Telemetry(node, collector.url, 3600, asyncio.get_running_loop(), lines.append)
        collector.status = 400
        telemetry.start()
        for _ in range(3):
            sent = len(collector.bodies)
            assert telemetry.send()
            async with asyncio.timeout(SOON_S):
                while len(collector.bodies) == sent or telemetry._next is not None:
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(SOON_S):
            while not lines:
                await asyncio.sleep(0.01)
        collector.status = 200
        assert telemetry.send()
        async with asyncio.timeout(SOON_S):
            while len(lines) < 2:
                await asyncio.sleep(0.01)
        await telemetry.close()
        assert lines == ["event=otlp_failed what=metrics", "event=otlp_sent"]

    asyncio.run(main())


def test_a_collector_that_stands_still_costs_one_batch_and_no_stop(collector: Collector) -> None:
    async def main() -> None:
        node = make_node(Config(engine="pure"), 1, None, lambda line: None)
        loop = asyncio.get_running_loop()
        telemetry = Telemetry(node, collector.url, 3600, loop, lambda line: None)
        collector.hold.clear()
        telemetry.start()
        assert telemetry.send()
        async with asyncio.timeout(SOON_S):
            while telemetry._next is not None:  # until the thread has the first in hand
                await asyncio.sleep(0.01)
        assert telemetry.send() and not telemetry.send() and not telemetry.send(), "one waits, the next are left out"
        await asyncio.wait_for(telemetry.close(), SOON_S)
        assert not collector.bodies, "nobody waited for the collector"
        collector.hold.set()

    asyncio.run(main())


def test_a_node_stops_though_its_collector_never_answers() -> None:
    with (
        respram.Server(engine="pure", otlp_endpoint=f"http://127.0.0.1:{reserve()}", otlp_interval=1) as server,
        server.client() as client,
    ):
        client.set(KEY, VALUE, ex=60)


def test_slow_commands_are_told_once_however_the_log_is_cut() -> None:
    def slow(number: int) -> Slow:
        return Slow(number, b"get", 1, 1, [], b"", b"")

    assert [one.id for one in slow_since([slow(3), slow(2), slow(1)], 2)] == [2, 3]
    assert slow_since([], 2) == [] and slow_since([slow(1)], 2) == []
    assert [one.id for one in slow_since([slow(9), slow(8)], 2)] == [8, 9], "what the log dropped is lost"


@pytest.mark.parametrize(
    "url", ["ftp://a", "collector:4318", "http://user:word@collector", "http://a/?b=c", "http://a b", "http://"]
)
def test_an_endpoint_that_is_no_plain_url_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", f"--otlp-endpoint={url}"], {}) == 2
    assert (
        "--otlp-endpoint must be a URL" in capsys.readouterr().err
        and place_of("http://collector:4318/x") == "collector:4318"
    )


def test_without_the_extra_a_node_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "respram.server.telemetry", None)
    assert importlib.util.find_spec("opentelemetry") is not None
    assert main(["serve", "--port=0", "--otlp-endpoint=http://127.0.0.1:4318"], {}) == 2
    assert "pip install 'respram[opentelemetry]'" in capsys.readouterr().err
