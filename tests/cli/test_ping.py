"""`respram ping`: when it says that a node lives, and in how many words that it does not."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from respram.cli.main import main
from tests.live import SOON_S, running
from tests.ports import reserve
from tests.server.test_tls import certificate, options

Run = Callable[..., tuple[int, str, str]]
SECRET = "open-sesame"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, **variables: str) -> tuple[int, str, str]:
        code = main(words, variables)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server of one connection that answers each request with the next of the answers, then hangs up."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON_S)

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(SOON_S)
                for answer in answers:
                    heard.append(sock.recv(1000))
                    sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield str(listener.getsockname()[1]), heard
        thread.join(SOON_S)


def test_ping_exits_0_when_pong_comes(run: Run) -> None:
    with answering(b"+PONG\r\n") as (port, heard):
        assert run("ping", "--port", port) == (0, "PONG\n", "")
    assert heard == [b"*1\r\n$4\r\nPING\r\n"]


def test_ping_authenticates_with_the_variable_or_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    sources: list[tuple[list[str], dict[str, str]]] = [
        (["--password-file", str(file)], {"RESPRAM_REQUIREPASS": "another"}), ([], {"RESPRAM_REQUIREPASS": SECRET}),
        ([], {"RESPRAM_REQUIREPASS_FILE": str(file)}),
    ]  # fmt: skip
    for words, variables in sources:
        with answering(b"+OK\r\n", b"+PONG\r\n") as (port, heard):
            assert run("ping", *words, RESPRAM_PORT=port, **variables)[:2] == (0, "PONG\n")
        assert heard[0] == b"*2\r\n$4\r\nAUTH\r\n$11\r\nopen-sesame\r\n"


@pytest.mark.parametrize("answer", [b"-NOAUTH Authentication required.\r\n", b"", b"x" * 2000, b"+PO"])
def test_ping_exits_1_with_one_line_when_something_else_comes(run: Run, answer: bytes) -> None:
    with answering(answer) as (port, _):
        code, out, err = run("ping", "--port", port)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"respram: [^\n]+\n", err)


def test_a_node_that_loads_its_snapshot_is_alive_and_not_ready(run: Run) -> None:
    with answering(b"-LOADING Redis is loading the dataset in memory\r\n") as (port, _):
        assert run("ping", "--port", port)[:2] == (0, "LOADING\n")
    with answering(b"+loading\r\n", b"-LOADING Redis is loading the dataset in memory\r\n") as (port, _):
        assert run("ping", "--port", port, "--ready")[0] == 1


def test_ping_exits_1_when_nobody_listens(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    code, _, err = run("ping", "--port", port)
    assert code == 1
    assert f"127.0.0.1:{port}" in err


def test_ping_gives_up_on_a_node_that_answers_too_slowly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respram.cli.ping.PING_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, nobody answers
        code, _, err = run("ping", "--port", str(listener.getsockname()[1]))
    assert code == 1
    assert "timed out" in err


# -- over TLS ---------------------------------------------------------------------------------------
def test_ping_speaks_tls_to_a_node_that_speaks_nothing_else(run: Run, tmp_path: Path) -> None:
    authority = certificate(tmp_path, "ca")
    certificate(tmp_path, "server", authority)
    certificate(tmp_path, "foreign", certificate(tmp_path, "other-ca"))
    port = str(reserve())
    own = {"RESPRAM_PORT": "0", "RESPRAM_TLS_PORT": port}
    own |= {"RESPRAM_TLS_CERT": str(tmp_path / "server.crt"), "RESPRAM_TLS_KEY": str(tmp_path / "server.key")}
    files = [
        f"--tls-{what}={tmp_path / name}"
        for what, name in (("ca", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
    ]
    with running(*options(tmp_path, int(port), "yes"), env={"RESPRAM_REQUIREPASS": SECRET}):
        assert run("ping", RESPRAM_REQUIREPASS=SECRET, **own) == (0, "PONG\n", ""), (
            "a container's check says nothing more"
        )
        assert run("ping", "--ready", "--port", port, *files, RESPRAM_REQUIREPASS=SECRET)[:2] == (0, "PONG\n")
        for words in (["--tls"], [f"--tls-ca={tmp_path / 'other-ca.crt'}"], [], files[:1]):
            code, out, err = run("ping", "--port", port, *words, RESPRAM_REQUIREPASS=SECRET)
            assert (code, out) == (1, "") and re.fullmatch(r"respram: [^\n]+\n", err), (words, err)
            assert SECRET not in err


def test_ping_says_which_file_of_tls_is_wrong(run: Run, tmp_path: Path) -> None:
    certificate(tmp_path, "one")
    certificate(tmp_path, "two")
    (tmp_path / "empty").write_text("")
    for words, why in (
        ([f"--tls-ca={tmp_path / 'missing'}"], "--tls-ca"),
        ([f"--tls-ca={tmp_path / 'empty'}"], "holds no certificate"),
        ([f"--tls-cert={tmp_path / 'one.crt'}", f"--tls-key={tmp_path / 'two.key'}"], "do not belong together"),
        ([f"--tls-cert={tmp_path / 'one.crt'}", f"--tls-key={tmp_path / 'missing'}"], "--tls-key"),
    ):
        code, _, err = run("ping", *words)
        assert code == 2 and why in err and err.count("\n") == 1


def test_a_node_behind_a_unix_socket_alone_is_found(run: Run, tmp_path: Path) -> None:
    """With port 0 there is no other way in: the health check finds it by the node's own variables, and it goes with the
    node.
    """
    path = tmp_path / "node.sock"
    with running("--unixsocket", str(path), "--unixsocketperm", "700"):
        end = time.monotonic() + SOON_S
        # the node answers on its port a moment before
        while run("ping", "--unixsocket", str(path))[0] and time.monotonic() < end:
            time.sleep(0.02)
        assert path.stat().st_mode & 0o777 == 0o700
        assert run("ping", "--unixsocket", str(path)) == (0, "PONG\n", "")
        assert run("ping", RESPRAM_PORT="0", RESPRAM_UNIXSOCKET=str(path)) == (0, "PONG\n", "")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(SOON_S)
            sock.connect(str(path))
            sock.sendall(b"CLIENT INFO\r\nCONFIG GET unixsocket\r\nPING\r\n")
            heard = b""
            while not heard.endswith(b"+PONG\r\n"):
                heard += sock.recv(4096)
            assert b"addr=%b:0 " % str(path).encode() in heard and b"laddr=%b:0 " % str(path).encode() in heard
            assert b"unixsocket\r\n$%d\r\n%b\r\n" % (len(str(path)), str(path).encode()) in heard
    assert not path.exists()
    code, _, err = run("ping", "--unixsocket", str(path))
    assert code == 1 and str(path) in err
