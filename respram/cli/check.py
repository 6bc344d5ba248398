"""`respram check`: asks a running Redis, or reads a capture of MONITOR, and prints what would be refused here.

Like `ping` it opens a socket of its own, because it must run where no client library is installed.
"""

import importlib.util
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from respram.cli.terminal import coloured, progress
from respram.cli.workload import LINE_BYTES_MAX, Workload, is_clean, of_capture, of_info, report
from respram.errors import ConfigError

CHECK_TIMEOUT_S = 10.0  # for all questions together
ANSWER_BYTES_MAX = 16 << 20  # INFO of a server with very many commands and databases is some hundred kilobytes
DEFAULT_PORT = 6379
LOOK_LINES = 10_000  # lines of a capture between two updates of the progress bar
STYLES = (("refused by design", "bold red"), ("unknown commands", "bold red"), ("refused,", "bold yellow"),
          ("served with", "bold yellow"))  # headings and their style

CHECK_HELP = """respram check: list the commands of a workload on Redis that respram would refuse.

  respram check redis://[[USER]:PASSWORD@]HOST[:PORT]    ask a running Redis for INFO commandstats and keyspace;
                                                         rediss:// uses TLS, and SSL_CERT_FILE names its authority
  respram check --monitor FILE                           read a capture: redis-cli MONITOR > FILE

Nothing is written to the server. The password may also be in RESPRAM_REQUIREPASS. Exit code 0: everything would be
served. 1: something would be refused, or there was no answer. 2: wrong arguments.
"""


def run(
    words: list[str], variables: Mapping[str, str], say: Callable[[str], None], complain: Callable[[str], None]
) -> int:
    """The whole command; `say` and `complain` take lines for standard output and standard error."""
    path, url = _asked(words)
    if path:
        found = _read(path)
    else:
        try:
            found = of_info(_ask_info(url, variables.get("RESPRAM_REQUIREPASS", "")))
        except OSError as error:
            complain(f"respram: no answer from {_place(url)}: {error.strerror or error}")
            return 1
    say = coloured(say, STYLES)
    for line in report(found, has_lua=has_lua()).splitlines():
        say(line)
    return 0 if is_clean(found) else 1


def has_lua() -> bool:
    """Whether what runs scripts is installed here."""
    return all(importlib.util.find_spec(name) is not None for name in ("lupa", "greenlet"))


def _asked(words: list[str]) -> tuple[str, str]:
    """The file or the URL; the other one is empty."""
    path = url = ""
    left = iter(words)
    for word in left:
        if word == "--monitor":
            path = next(left, "")
        elif word.startswith("--monitor="):
            path = word.partition("=")[2]
        elif word.startswith("-") or url:
            raise ConfigError(f"unknown argument {word[:40]!a}; respram check takes a URL, or --monitor FILE")
        else:
            url = word
    if path and url:
        raise ConfigError("give a URL or --monitor FILE, not both")
    if not path and not url:
        raise ConfigError("respram check needs a URL such as redis://127.0.0.1:6379, or --monitor FILE")
    return path, url


# -- a capture ------------------------------------------------------------------------------------
def _read(path: str) -> Workload:
    try:
        found = of_capture(_lines(Path(path)))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if not found.calls:
        raise ConfigError(f"{path} holds no command; make a capture with redis-cli MONITOR > FILE")
    return found


def _lines(path: Path) -> Iterator[bytes]:
    """Lines; one beyond LINE_BYTES_MAX comes in pieces, so that the memory for it is bounded."""
    shown, number = progress(), 0
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if number % LOOK_LINES == 0:
                    shown.show("reading the capture", file.tell(), size, "bytes")
                yield line
    finally:
        shown.close()


# -- a server -------------------------------------------------------------------------------------
def _ask_info(url: str, password: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConfigError("the URL must begin with redis://, or rediss:// for TLS, and name a host")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise ConfigError("the port in the URL must be a number up to 65535") from None
    password = unquote(parts.password or "") or password
    requests = [_request("AUTH", *([unquote(parts.username)] if parts.username else []), password)] if password else []
    requests += [_request("INFO", "commandstats"), _request("INFO", "keyspace")]
    answers = []
    with _connected(parts.hostname, port, parts.scheme == "rediss") as sock:
        deadline = time.monotonic() + CHECK_TIMEOUT_S
        for request in requests:
            sock.sendall(request)
            answers.append(_answer(sock, deadline))
    return "\n".join(answers)


def _connected(host: str, port: int, is_tls: bool) -> socket.socket:
    """A TLS connection requires a certificate that the machine's authorities have signed: a password may follow."""
    sock = socket.create_connection((host, port), CHECK_TIMEOUT_S)
    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host) if is_tls else sock
    except OSError:
        sock.close()
        raise


def _answer(sock: socket.socket, deadline: float) -> str:
    """One reply: a status, or a bulk as a whole. What else comes is an error."""
    data = b""
    while (missing := _missing(data)) > 0:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = sock.recv(min(missing, 1 << 16))
        if not piece:
            raise ConnectionError("the connection was closed")
        data += piece
    return data.decode("utf-8", "replace")


def _missing(data: bytes) -> int:
    """How many bytes the reply still needs at least; a refusal of the server is raised in its own words."""
    head, ended, rest = data.partition(b"\r\n")
    if len(head) > 1_000 or data[:1] not in (b"", b"+", b"-", b"$"):
        raise ConnectionError("the answer is not a Redis reply")
    if not ended:
        return 1
    if head.startswith(b"-"):
        raise ConnectionError(head[1:200].decode("ascii", "backslashreplace"))
    if head.startswith(b"+"):
        return 0
    if not head[1:].isdigit() or len(head) > 9 or int(head[1:]) > ANSWER_BYTES_MAX:
        raise ConnectionError("the answer to INFO is malformed or too long")
    return int(head[1:]) + 2 - len(rest)


def _request(*words: str) -> bytes:
    coded = [word.encode() for word in words]
    return b"*%d\r\n" % len(coded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in coded)


def _place(url: str) -> str:
    """The address without what stands before the @."""
    return urlsplit(url).netloc.rpartition("@")[2]
