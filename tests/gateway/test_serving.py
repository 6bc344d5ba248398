"""The process: ports, TLS, signals, slow bodies, many at once."""

import signal
import socket
import subprocess
import time

import httpx
import pytest

from respram.errors import BindError
from respram.gateway.serving import listen
from tests.gateway.faces import LiveGateway, pair, serving
from tests.live import SOON_S, LiveNode
from tests.timing import in_time


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError) as refused:
        listen(("127.0.0.1",), taken.getsockname()[1])
    assert "choose another --port" in str(refused.value)


def test_it_ends_in_time_whatever_is_under_way() -> None:
    with pair() as (_, gateway), gateway.client() as client, client.stream("GET", "/v1/watch") as stream:
        next(stream.iter_lines())
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(SOON_S) == 0
        assert "event=gateway_stopped" in gateway.log() and "Traceback" not in gateway.log()


def test_a_body_that_drips_for_ever_holds_nobody_up(gateway: LiveGateway, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as slow:
        slow.sendall(b"PUT /v1/data/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        began = time.monotonic()
        assert client.put("/v1/data/quick", content=b"1").status_code == 201
        in_time(time.monotonic() - began, 2, "a short body beside one that drips")
    assert client.get("/v1/data/slow").status_code == 404, "what ended early is not stored"


@pytest.mark.parametrize("data", [
    b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"PUT /v1/data/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"PUT /v1/data/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"PUT /v1/data/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"GET /v1/data/%zz%f HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://evil/v1/keys HTTP/1.1\r\nHost: evil\r\n\r\n",
    b"GET //evil/../v1/keys HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
])  # fmt: skip
def test_bytes_that_are_no_request_harm_nobody(data: bytes, gateway: LiveGateway, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as wire:
        wire.settimeout(SOON_S)
        wire.sendall(data)
        wire.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := wire.recv(1 << 16):
            answer += piece
        assert b" 500 " not in answer[:20]
    assert (
        client.get("/v1/health").status_code == 200
        and "Traceback" not in gateway.log()
        and gateway.process.poll() is None
    )


def test_https_where_a_certificate_is_given(node: LiveNode, tmp_path: "object") -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = (f"--tls-cert={tmp_path / 'cert'}", f"--tls-key={tmp_path / 'key'}")
    import ssl

    context = ssl.create_default_context(cafile=str(tmp_path / "cert"))
    with serving(f"redis://127.0.0.1:{node.port}", words=words) as gateway:
        got = httpx.get(f"https://127.0.0.1:{gateway.port}/v1/health", verify=context, trust_env=False)
        assert got.json()["status"] == "healthy"
