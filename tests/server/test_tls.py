"""Clients behind TLS, against a real process: the same answers, certificates checked, exchanged, and bad ones refused.
"""

import contextlib
import datetime
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from respram.config.settings import Config
from respram.errors import ConfigError
from respram.server.tls import TlsSocket, make_context
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running
from tests.ports import reserve

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(folder: Path, name: str, signer: Signer | None = None) -> Signer:
    """Writes `name.crt` and `name.key`; without a signer it is an authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    uses = dict.fromkeys((
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only",
        "decipher_only",
    ), False)  # fmt: skip
    signing, serving = (x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, **uses)
                        for signs in (True, False))
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        # What Python's own contexts ask for from 3.13 on, when they are a client's.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((signer[1] if signer else key).public_key()),
                       critical=False)
        .add_extension(signing if signer is None else serving, critical=True)
        .sign(signer[1] if signer else key, hashes.SHA256())
    )  # fmt: skip
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tls")
    authority = certificate(place, "ca")
    for name in ("server", "client"):
        certificate(place, name, authority)
    certificate(place, "foreign", certificate(place, "other-ca"))
    return place


def options(folder: Path, port: int, auth: str = "no") -> list[str]:
    words = ["--tls-port", str(port), "--tls-cert", str(folder / "server.crt"), "--tls-key", str(folder / "server.key")]
    return [*words, "--tls-ca", str(folder / "ca.crt"), "--tls-auth-clients", auth]


class Secure:
    """A node with a plain and a TLS port."""

    def __init__(self, live: LiveNode, port: int, folder: Path) -> None:
        self.live, self.port, self.folder = live, port, folder

    def connect(self, name: str = "", context: ssl.SSLContext | None = None) -> Wire:
        context = context or ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if name:
            context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        sock = socket.create_connection(("127.0.0.1", self.port), SOON_S)
        try:
            wire = Wire(context.wrap_socket(sock, server_hostname="localhost"))
        except BaseException:
            sock.close()
            raise
        self.live.wires.append(wire)
        return wire


@pytest.fixture(scope="module", params=list(ENGINES))
def secure(request: pytest.FixtureRequest, folder: Path) -> Iterator[Secure]:
    port = reserve()
    with running(*options(folder, port), engine=request.param) as live:
        yield Secure(live, port, folder)


def test_replies_are_the_same_however_the_bytes_are_cut(secure: Secure) -> None:
    batch = request(b"SET", b"k", b"v" * 1000, b"EX", b"9") + request(b"GET", b"k") + b"PING\r\n"
    expected = b"+OK\r\n$1000\r\n" + b"v" * 1000 + b"\r\n+PONG\r\n"
    wire, plain = secure.connect(), secure.live.connect()
    assert plain.ask(batch, len(expected)) == wire.ask(batch, len(expected)) == expected
    for at in range(0, len(batch), 7):
        wire.sock.send(batch[at : at + 7])
    assert wire.take(len(expected)) == expected
    wire.close()


def test_large_values_and_long_pipelines_go_both_ways(secure: Secure) -> None:
    """More than any buffer on the way holds, with the reader late: what the kernel leaves must not be lost or doubled.
    """
    wire = secure.connect()
    value = bytes(range(256)) * (16 << 10)  # 4 MiB
    wire.sock.sendall(request(b"SET", b"big", value, b"EX", b"60"))
    assert wire.take(5) == b"+OK\r\n"
    head = b"$%d\r\n" % len(value)
    wire.sock.sendall(request(b"GET", b"big") * 5 + b"PING\r\n")
    time.sleep(0.3)
    for _ in range(5):
        assert wire.take(len(head) + len(value) + 2) == head + value + b"\r\n"
    assert wire.take(7) == b"+PONG\r\n"
    count = 20_000
    wire.sock.settimeout(SOON_S)
    wire.sock.sendall(b"PING\r\n" * count)
    assert wire.take(7 * count) == b"+PONG\r\n" * count
    wire.close()


def test_a_reader_that_does_not_read_does_not_hold_up_the_others(secure: Secure) -> None:
    wire, other = secure.connect(), secure.connect()
    wire.ask(request(b"SET", b"k", b"x" * 100_000, b"EX", b"60"), 5)
    wire.sock.sendall(request(b"GET", b"k") * 200)
    for _ in range(20):
        assert other.ask(b"PING\r\n", 7) == b"+PONG\r\n"
    head = b"$100000\r\n"
    for _ in range(200):
        assert wire.take(len(head) + 100_002) == head + b"x" * 100_000 + b"\r\n"
    wire.close()
    other.close()


def test_quit_is_answered_and_ends_in_order(secure: Secure) -> None:
    wire = secure.connect()
    wire.sock.sendall(b"QUIT\r\n")
    assert wire.rest() == b"+OK\r\n"  # an end without a goodbye would raise SSLEOFError
    wire.close()


def test_versions_before_1_2_are_refused(secure: Secure) -> None:
    context = ssl.create_default_context(cafile=str(secure.folder / "ca.crt"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secure.connect(context=context)


def test_whoever_speaks_no_tls_is_closed_and_named_once(secure: Secure) -> None:
    for text in (b"PING\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(range(256))):
        wire = Wire(socket.create_connection(("127.0.0.1", secure.port), SOON_S))
        wire.sock.sendall(text)
        assert b"PONG" not in wire.rest()
        wire.close()
    assert secure.connect().ask(b"PING\r\n", 7) == b"+PONG\r\n"
    assert "event=tls_failed reason=" in secure.live.log()


def test_redis_cli_and_redis_py(secure: Secure) -> None:
    ca = str(secure.folder / "ca.crt")
    client = redis.Redis(host="localhost", port=secure.port, ssl=True, ssl_ca_certs=ca)
    with contextlib.closing(client):
        assert client.set("k", b"\0\r\n", ex=9) and client.get("k") == b"\0\r\n"
        pipe = client.pipeline()
        for number in range(1000):
            pipe.set(f"k{number}", number, ex=9)
        assert pipe.execute() == [True] * 1000
    program = shutil.which("redis-cli")
    if program is None:
        pytest.skip("no redis-cli here")
    words = [program, "--tls", "--cacert", ca, "-h", "localhost", "-p", str(secure.port), "PING"]
    assert subprocess.run(words, capture_output=True, timeout=SOON_S, check=True).stdout == b"PONG\n"


@pytest.mark.parametrize(
    ("auth", "name", "welcome"),
    [("yes", "client", True), ("yes", "", False), ("yes", "foreign", False),
     ("optional", "client", True), ("optional", "", True), ("optional", "foreign", False)],
)  # fmt: skip
def test_a_client_needs_the_certificate_that_the_option_says(folder: Path, auth: str, name: str, welcome: bool) -> None:
    port = reserve()
    with running(*options(folder, port, auth)) as live:
        try:
            answered = Secure(live, port, folder).connect(name).ask(b"PING\r\n", 7) == b"+PONG\r\n"
        except (ssl.SSLError, ConnectionError):
            answered = False
        assert answered is welcome


def test_new_certificates_are_taken_on_a_signal_and_wrong_ones_are_not(folder: Path, tmp_path: Path) -> None:
    for name in ("ca.crt", "server.crt", "server.key"):
        shutil.copy(folder / name, tmp_path)
    port = reserve()
    with running(*options(tmp_path, port)) as live:
        secure = Secure(live, port, folder)
        before = secure.connect()
        fresh, _ = certificate(tmp_path, "server", certificate(tmp_path, "new-ca"))
        shown = reload_until(live, port, "event=reloaded")
        assert shown == fresh.serial_number
        assert before.ask(b"PING\r\n", 7) == b"+PONG\r\n", "who was connected stays"
        (tmp_path / "server.crt").write_text("no certificate")
        assert reload_until(live, port, "event=reload_failed") == fresh.serial_number
        assert "BEGIN" not in live.log()


def reload_until(live: LiveNode, port: int, event: str) -> int:
    """The serial number that is shown once the event stands in the log."""
    live.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + SOON_S
    while event not in live.log() and time.monotonic() < end:
        time.sleep(0.02)
    assert event in live.log()
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode()).serial_number


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [({"tls_cert": "nowhere"}, "--tls-cert nowhere cannot be read"), ({"tls_key": "client.key"}, "do not belong"),
     ({"tls_ca": "server.key"}, "holds no certificate")],
)  # fmt: skip
def test_files_that_are_wrong_are_named(folder: Path, wrong: dict[str, str], complaint: str) -> None:
    files = {"tls_cert": "server.crt", "tls_key": "server.key", "tls_ca": "ca.crt"} | wrong
    paths = {field: str(folder / name) if name != "nowhere" else name for field, name in files.items()}
    with pytest.raises(ConfigError, match=complaint):
        make_context(Config(tls_port=1, **paths))  # type: ignore[arg-type]


def test_an_unfinished_handshake_has_its_time(folder: Path) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    context = make_context(
        Config(
            tls_port=1, tls_cert=str(folder / "server.crt"), tls_key=str(folder / "server.key"), tls_auth_clients="no"
        )
    )
    line = TlsSocket(near, context, lambda reason: None)
    assert not line.overdue(line.accepted_ms + 9_000) and line.overdue(line.accepted_ms + 11_000)
    line.close()
    far.close()
