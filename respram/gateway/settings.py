"""The settings of `respram gateway` and `respram mcp`: flags, and variables named after them (--allow-host:
RESPRAM_GATEWAY_ALLOW_HOST).
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from respram.config.options import PORT_MAX, read_choice, read_hosts, read_path, read_size, read_whole, read_yes
from respram.errors import ConfigError
from respram.gateway.guard import Rules
from respram.gateway.target import Target, read_url

URL = "redis://127.0.0.1:6379"
HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
ORIGIN = re.compile(r"https?://[A-Za-z0-9._:\[\]-]{1,253}")
BODY_BYTES_MAX = 512 << 20  # the limit of a node
URLS_MAX = 64  # nodes that a gateway may switch between


class Word(NamedTuple):
    name: str
    metavar: str  # empty: the flag takes no value
    default: str
    why: str
    read: Callable[[str], object]

    @property
    def variable(self) -> str:
        return "RESPRAM_GATEWAY_" + self.name.upper().replace("-", "_")


def _names(text: str) -> frozenset[str]:
    names = frozenset(one.lower() for one in re.split(r"[,\s]+", text.strip()) if one)
    if not all(HOST_NAME.fullmatch(one) for one in names):
        raise ValueError("names such as store.example.org, separated by commas")
    return names


def _origins(text: str) -> frozenset[str]:
    found = frozenset(one.lower().rstrip("/") for one in re.split(r"[,\s]+", text.strip()) if one)
    if not all(one == "*" or ORIGIN.fullmatch(one) for one in found):
        raise ValueError("origins such as https://app.example.org, separated by commas, or *")
    return found


def _whole(least: int, most: int) -> Callable[[str], int]:
    return lambda text: read_whole(text, least, most)


WORDS = (
    Word("bind", "HOST", "127.0.0.1", "Addresses on which the gateway listens, separated by commas.", read_hosts),
    Word("port", "PORT", "8080", "Port of the gateway. 0 picks any free port, which the log "
                                 "names.", _whole(0, PORT_MAX)),
    Word("unprotected", "", "no", "Allow requests without a login on addresses beyond loopback. They get the rights "
                                  "of --url.", read_yes),
    Word("allow-host", "NAME", "", "Names that the header Host may have besides addresses and localhost, separated "
                                   "by commas.", _names),
    Word("allow-origin", "ORIGIN", "", "Origins whose pages may send requests, separated by commas; * for all.",
         _origins),
    Word("max-body", "SIZE", "16mb", "Largest value that a request may "
                                     "carry.", lambda text: read_size(text, 1, BODY_BYTES_MAX)),
    Word("max-bodies", "SIZE", "256mb", "Bytes of all values in transit at once. When it is full, requests are "
                                        "answered 503 with Retry-After.",
         lambda text: read_size(text, 1, 1 << 40)),
    Word("max-connections", "COUNT", "5000", "Open connections, watchers included.", _whole(1, 100_000)),
    Word("quorum", "majority|none", "majority", "Whether a write waits until most nodes of the enclave hold it.",
         lambda text: read_choice(text, ("majority", "none"))),
    Word("write-timeout", "SECONDS", "5", "How long a write waits for the quorum. After that the answer is "
                                          "202.", _whole(1, 60)),
    Word("tls-cert", "FILE", "", "A certificate in PEM form. With it the gateway speaks HTTPS instead of "
                                 "HTTP.", read_path),
    Word("tls-key", "FILE", "", "The key of that certificate.", read_path),
)  # fmt: skip
FLAGS = {"url": True, "url-file": True, "lifeline": False} | {word.name: bool(word.metavar) for word in WORDS}


@dataclass(frozen=True, slots=True)
class Settings:
    targets: tuple[Target, ...]
    hosts: tuple[str, ...]
    port: int
    rules: Rules
    body_bytes_max: int
    bodies_bytes_max: int
    connections_max: int
    quorum: bool
    write_timeout_s: float
    tls_cert: str
    tls_key: str
    lifeline: bool  # ends when its standard input closes, that is with its parent


def help_text() -> str:
    rows = [
        (
            "--url URL",
            URL,
            "A node: redis://[user:password@]host:port/db, rediss://, unix://. Repeat it to name nodes to fall back "
            "on.",
        ),
        ("--url-file FILE", "none", "A file of such URLs, one a line. Other users of the machine can read flags, but "
                                    "not the file."),
    ]
    rows += [(f"--{word.name} {word.metavar}".rstrip(), word.default or "none", word.why) for word in WORDS]
    return "".join(f"  {flag:<24}  {default:<24}  {why}\n" for flag, default, why in rows)


HELP = f"""respram gateway: HTTP, MCP and a live page in front of one or several nodes. docs/gateway.md explains it.

Each option is also a variable (--port: RESPRAM_GATEWAY_PORT); the URLs are in RESPRAM_URL, separated by spaces.

  option                    default                   meaning
{help_text()}"""
MCP_HELP = f"""respram mcp: the tools of the gateway for an agent, on standard input and output.

  --url URL         a node (default {URL}, or RESPRAM_URL); repeat it for others to fall back on
  --url-file FILE   a file of such URLs, one a line

What it may do is what the URL's user may do.
"""


def load(words: Mapping[str, str], urls: Sequence[str], variables: Mapping[str, str]) -> Settings:
    """Reads the settings. Raises ConfigError."""
    read: dict[str, object] = {}
    for word in WORDS:
        text, place = words.get(word.name), f"--{word.name}"
        if text is None:
            text, place = variables.get(word.variable, word.default), word.variable
        try:
            read[word.name] = word.read(text) if text or word.default else ""
        except ValueError as error:
            raise ConfigError(f"{place} must be {error}") from None
    hosts: tuple[str, ...] = read["bind"]  # type: ignore[assignment]
    beyond = not all(host.startswith("127.") or host in ("::1", "localhost") for host in hosts)
    anonymous = not beyond or bool(read["unprotected"])
    rules = Rules(read["allow-host"] or frozenset(), read["allow-origin"] or frozenset(), anonymous)  # type: ignore[arg-type]
    if bool(read["tls-cert"]) != bool(read["tls-key"]):
        raise ConfigError("--tls-cert and --tls-key belong together")
    return Settings(
        read_targets(words, urls, variables), hosts, read["port"], rules, read["max-body"], read["max-bodies"],  # type: ignore[arg-type]
        read["max-connections"], read["quorum"] == "majority", float(read["write-timeout"]), str(read["tls-cert"]),  # type: ignore[arg-type]
        str(read["tls-key"]), "lifeline" in words,
    )  # fmt: skip


def read_targets(words: Mapping[str, str], urls: Sequence[str], variables: Mapping[str, str]) -> tuple[Target, ...]:
    given = list(urls)
    if "url-file" in words:
        given += _lines(words["url-file"])
    if not given:
        given = variables.get("RESPRAM_URL", "").split() or [URL]
    if len(given) > URLS_MAX:
        raise ConfigError(f"--url may be given at most {URLS_MAX} times")
    return tuple(read_url(one) for one in given)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(1 << 16)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--url-file {os.path.basename(path)!a} cannot be read: {getattr(error, 'strerror', None) or 'no text'}"
        ) from None
    return text.split()
