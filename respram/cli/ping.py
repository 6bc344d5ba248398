"""`respram ping`: the health check.
It uses a plain socket, or TLS by the node's own settings, and needs no client library.

If `RESPRAM_PORT` is 0 and `RESPRAM_TLS_PORT` is set, the node has no plain port. `ping` then uses TLS with the node's
own certificate by itself, so a container's check needs no arguments. It trusts a certificate that `--tls-ca` has
signed, and the very certificate in `--tls-cert`. It does not compare host names, because the check runs beside the node
and few certificates name that address.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from respram.config.options import PORT_MAX, read_password, read_whole
from respram.config.settings import read_password_file
from respram.errors import ConfigError

PING_TIMEOUT_S = 3.0  # for a whole ping; a health check must end before its caller gives up
PING_ANSWER_BYTES_MAX = 512  # the longest reply to AUTH or PING that is read
GOOD = (b"+OK", b"+PONG", b"+ready", b"+isolated")

LOADING = b"-LOADING"  # the node is alive and reads its snapshot: do not restart it

PING_FLAGS = {
    "host": True, "port": True, "unixsocket": True,
    "password-file": True, "ready": False, "tls": False, "tls-ca": True, "tls-cert": True, "tls-key": True,
}  # fmt: skip
PING_HELP = """respram ping: exit with 0 if a node answers PONG or says that it is loading its snapshot, else with 1.

  --host HOST             where the node listens (default 127.0.0.1)
  --port PORT             its port for clients (default 6379, or RESPRAM_PORT; with TLS RESPRAM_TLS_PORT)
  --unixsocket PATH       its Unix socket instead (default if RESPRAM_PORT is 0 and RESPRAM_UNIXSOCKET is set)
  --password-file FILE    a file whose first line is the password (default: RESPRAM_REQUIREPASS_FILE)

  --ready                 also fail while the node loads its snapshot, fills up from its peers, or has met none of them

  --tls                   use TLS (default if RESPRAM_PORT is 0 and RESPRAM_TLS_PORT is set)
  --tls-ca FILE           the authority that signed the node's certificate (default: RESPRAM_TLS_CA)
  --tls-cert FILE         the certificate to show; also trusted as the node's own (default: RESPRAM_TLS_CERT)
  --tls-key FILE          the key of that certificate (default: RESPRAM_TLS_KEY)

Without a file, RESPRAM_REQUIREPASS is the password.
"""


class Target(NamedTuple):
    host: str
    port: int
    secure: Callable[[socket.socket], socket.socket] | None  # starts TLS on the socket; None: no TLS
    path: str = ""  # of a Unix socket, which has no host and port


def run_ping(
    flags: Mapping[str, str], variables: Mapping[str, str], say: Callable[[str], None], complain: Callable[[str], None]
) -> int:
    target = _target(flags, variables)
    password = _password(flags, variables)
    requests = [_request(b"AUTH", password.encode())] if password else []
    requests += [_request(b"RESPRAM", b"STATE")] if "ready" in flags else []
    place = target.path or f"{target.host}:{target.port}"
    answer = b""
    try:
        for answer in _ask(target, [*requests, _request(b"PING")]):
            if answer not in GOOD and ("ready" in flags or not answer.startswith(LOADING)):
                complain(f"respram: {place} answered {_first_words(answer)}")
                return 1
    except OSError as error:  # TLS errors too
        complain(f"respram: no PONG from {place}: {getattr(error, 'verify_message', '') or error.strerror or error}")
        return 1
    say("LOADING" if answer.startswith(LOADING) else "PONG")
    return 0


def _target(flags: Mapping[str, str], variables: Mapping[str, str]) -> Target:
    path = flags.get("unixsocket", "" if {"host", "port"} & set(flags) else _only_way_in(variables))
    if path:
        return Target("", 0, None, path)
    tls_port, port = variables.get("RESPRAM_TLS_PORT", ""), variables.get("RESPRAM_PORT", "")
    files = {
        name: flags.get(name, variables.get("RESPRAM_" + name.upper().replace("-", "_"), ""))
        for name in ("tls-ca", "tls-cert", "tls-key")
    }
    named = [name for name in files if name in flags]
    with_tls = "tls" in flags or bool(named) or (bool(tls_port) and port.strip() == "0" and "port" not in flags)
    default = (tls_port if with_tls else port) or "6379"
    try:
        number = read_whole(flags.get("port", default), 1, PORT_MAX)
    except ValueError as error:
        raise ConfigError(f"--port must be {error}") from None
    secure = None
    if with_tls:
        from respram.server.tls import client_context

        context = client_context(files["tls-ca"], files["tls-cert"], files["tls-key"])
        secure = context.wrap_socket
    return Target(flags.get("host", "127.0.0.1"), number, secure)


def _only_way_in(variables: Mapping[str, str]) -> str:
    without_ports = variables.get("RESPRAM_PORT", "").strip() == "0" and not variables.get("RESPRAM_TLS_PORT", "")
    return variables.get("RESPRAM_UNIXSOCKET", "") if without_ports else ""


def _connected(target: Target) -> socket.socket:
    if not target.path:
        return socket.create_connection((target.host, target.port), PING_TIMEOUT_S)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PING_TIMEOUT_S)
    try:
        sock.connect(target.path)
    except OSError:
        sock.close()
        raise
    return sock


def _password(flags: Mapping[str, str], variables: Mapping[str, str]) -> str:
    path = flags.get(
        "password-file", "" if "RESPRAM_REQUIREPASS" in variables else variables.get("RESPRAM_REQUIREPASS_FILE", "")
    )
    if path:
        return read_password_file(path)
    try:
        return read_password(variables.get("RESPRAM_REQUIREPASS", ""))
    except ValueError as error:
        raise ConfigError(f"RESPRAM_REQUIREPASS must be {error}") from None


def _ask(target: Target, requests: list[bytes]) -> list[bytes]:
    """One line of answer for each request, all within PING_TIMEOUT_S."""
    deadline = time.monotonic() + PING_TIMEOUT_S
    answers = []
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(_connected(target))
        if target.secure is not None:
            sock = stack.enter_context(target.secure(sock))
        for request in requests:
            sock.sendall(request)
            line = b""
            while not line.endswith(b"\r\n"):
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = sock.recv(PING_ANSWER_BYTES_MAX)
                if not piece or len(line) > PING_ANSWER_BYTES_MAX:
                    why = "the answer is not a Redis reply" if piece else "the connection was closed"
                    raise ConnectionError(why)
                line += piece
            answers.append(line[:-2])
    return answers


def _request(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def _first_words(answer: bytes) -> str:
    return answer[:80].decode("ascii", "replace")
