"""Where nodes are and who asks: connection strings as redis-py and redis-cli write them, and logins out of HTTP
headers.

`redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS with `?ssl_ca_certs=FILE` and, if the node wants to
see one, `ssl_certfile` and `ssl_keyfile`; `unix://[user:password@]/path?db=0`.
"""

import base64
import binascii
import ssl
from typing import NamedTuple
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from respram.errors import ConfigError

DB_MAX = 15  # a node has sixteen databases
TLS_WORDS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
DEFAULT_USER = b"default"


class Login(NamedTuple):
    user: bytes
    password: bytes


class Target(NamedTuple):
    host: str
    port: int
    path: str  # of a Unix socket, else empty
    db: int
    login: Login | None
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        """The URL without its password, which may be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


def read_url(text: str) -> Target:
    """Parses a URL. Raises ConfigError, without quoting the text, which may contain a password."""
    wrong = ConfigError("--url must be redis://[user:password@]host[:port][/db], rediss://... or unix://...")
    try:
        parts = urlsplit(text.strip())
        port = parts.port or 6379
    except ValueError:
        raise wrong from None
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = asked.keys() - {"db", *TLS_WORDS}
    if parts.scheme not in ("redis", "rediss", "unix") or unknown or parts.scheme != "unix" and not parts.hostname:
        raise wrong
    number = asked.get("db", parts.path.strip("/") if parts.scheme != "unix" else "") or "0"
    if not number.isascii() or not number.isdigit() or int(number[:4]) > DB_MAX:
        raise ConfigError(f"--url must name a database from 0 to {DB_MAX}")
    path = parts.path if parts.scheme == "unix" else ""
    return Target(
        parts.hostname or "",
        port,
        path,
        int(number),
        _login(parts.netloc),
        _tls(asked) if parts.scheme == "rediss" else None,
    )


def _login(netloc: str) -> Login | None:
    before, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, colon, password = before.partition(":")
    return Login(unquote_to_bytes(user) or DEFAULT_USER, unquote_to_bytes(password)) if colon else None


def _tls(asked: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=asked.get("ssl_ca_certs"))
        if "ssl_certfile" in asked:
            context.load_cert_chain(asked["ssl_certfile"], asked.get("ssl_keyfile"))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"--url names certificates that cannot be used: {error.strerror or type(error).__name__}"
        ) from None
    return context


def read_authorization(value: bytes) -> Login | None:
    """Basic, or a bearer token: `USER:PASSWORD`, or a password alone for the user `default`. None where it is neither.
    """
    scheme, _, rest = value.partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"basic":
        try:
            rest = base64.b64decode(rest, validate=True)
        except binascii.Error:
            return None
    elif scheme.lower() != b"bearer":
        return None
    user, colon, password = rest.partition(b":")
    if not rest or b"\0" in rest or scheme.lower() == b"basic" and not colon:
        return None
    return Login(user or DEFAULT_USER, password) if colon else Login(DEFAULT_USER, user)
