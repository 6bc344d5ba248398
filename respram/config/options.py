"""Every option of `respram serve` as one row: its name, its unit, its default, its reading, and why.

The flags, the `RESPRAM_...` variables, the keys of the TOML file, `--help` and the reference in
`docs/operating.md` all come from this table. A reader function takes the text and returns the value, or
raises ValueError with a phrase that completes "X must be ...": the phrase may not quote the text, since
some texts are secrets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import NamedTuple

from respram.catalog import COMMANDS, find
from respram.config.limits import GIB, KIB, MIB, TTL_S_MAX, Limits, bound_of
from respram.integers import parse_int
from respram.slots import WEIGHT_MAX

PORT_MAX = 65_535  # the highest TCP port
MEMORY_BYTES_MIN = MIB  # a smaller number is a wrong unit
PASSWORD_BYTES_MAX = 16 * KIB  # the longest argument that an unauthenticated client may send
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9:._%-]{1,253}")
SERVICE = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
COLLECTOR = re.compile(r"https?://[A-Za-z0-9:._\[\]-]{1,253}(/[A-Za-z0-9._/-]{0,253})?")
SIZE_UNITS = {"": 1, "b": 1, "k": 1000, "kb": KIB, "m": 1000**2, "mb": MIB, "g": 1000**3, "gb": GIB}  # as in Redis
# units by the end of a limit's name
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "percent": "percent"}
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
EVENT_LETTERS = frozenset("KEg$lshzxetdnmA")
AUTO = -1  # maxmemory: computed when the node starts


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Service(NamedTuple):
    """A name whose SRV records say where the peers are."""

    name: str

    def __str__(self) -> str:
        return f"srv:{self.name}"


@dataclass(frozen=True, slots=True)
class Option:
    name: str  # without dashes; the variable and the TOML key are derived from it
    field: str  # the field of Config, or of Limits
    metavar: str  # shown after the flag in --help; empty: the flag takes no value
    unit: str
    default: str  # as a user would write it
    why: str
    read: Callable[[str], object]
    secret: bool = False
    of_limits: bool = False

    @property
    def variable(self) -> str:
        return "RESPRAM_" + self.name.upper().replace("-", "_")

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")


# -- readers --------------------------------------------------------------------------------------
def read_whole(text: str, least: int, most: int) -> int:
    value = parse_int(text.strip().encode())
    if value is None or not least <= value <= most:
        raise ValueError(f"a whole number from {least} to {most}")
    return value


def read_size(text: str, least: int, most: int) -> int:
    """Bytes, with Redis's units: `100mb` is 100 times 1024 times 1024, `100m` is a million times 100."""
    found = re.fullmatch(r"([0-9]{1,18})([a-z]{0,2})", text.strip().lower())
    number = parse_int(found[1].encode()) if found else None
    scale = SIZE_UNITS.get(found[2]) if found else None
    if number is None or scale is None or not least <= number * scale <= most:
        raise ValueError(f"a size such as 512mb or 4gb, from {spell_size(least)} to {spell_size(most)}")
    return number * scale


def read_memory(text: str) -> int:
    if text.strip().lower() == "auto":
        return AUTO
    try:
        value = read_size(text, 0, 1 << 60)
    except ValueError:
        value = -1
    if value and value < MEMORY_BYTES_MIN:
        raise ValueError("auto, 0 for no limit, or a size of at least 1mb such as 512mb or 4gb")
    return value


def read_mode(text: str) -> int:
    digits = text.strip()
    if not re.fullmatch(r"0?[0-7]{3}", digits):
        raise ValueError("three octal digits such as 770")
    high, middle, low = map("01234567".index, digits[-3:])
    return high << 6 | middle << 3 | low


def read_hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip("[]") for host in re.split(r"[,\s]+", text.strip()) if host)
    if not hosts or not all(HOST.fullmatch(host) for host in hosts):
        raise ValueError("one or more addresses such as 127.0.0.1 or ::1, separated by commas")
    return hosts


def read_address(text: str) -> Address:
    """`HOST:PORT`, with brackets around an IPv6 host."""
    host, colon, digits = text.strip().rpartition(":")
    port = parse_int(digits.encode())
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    plain = HOST.fullmatch(host) and (":" not in host or bracketed)
    if not colon or not plain or port is None or not 0 < port <= PORT_MAX:
        raise ValueError("HOST:PORT such as 10.0.0.7:16379 or [fd00::7]:16379")
    return Address(host, port)


def read_optional_hosts(text: str) -> tuple[str, ...]:
    return read_hosts(text) if text.strip() else ()


def read_optional_address(text: str) -> Address | None:
    return read_address(text) if text.strip() else None


def read_join(text: str) -> tuple[Address | Service, ...]:
    return tuple(_read_entry(one) for one in re.split(r"[,\s]+", text.strip()) if one)


def _read_entry(text: str) -> Address | Service:
    if text.startswith("srv:") and SERVICE.fullmatch(text[4:]):
        return Service(text[4:])
    try:
        return read_address(text)
    except ValueError as error:
        raise ValueError(f"{error}, or srv:_respram._tcp.example.org; several separated by commas") from None


def read_name(text: str) -> str:
    if not NAME.fullmatch(text.strip()):
        raise ValueError("1 to 64 of the characters A-Z a-z 0-9 . _ -, the first a letter or digit")
    return text.strip()


def read_choice(text: str, choices: tuple[str, ...]) -> str:
    choice = text.strip().lower()
    if choice not in choices:
        raise ValueError("one of " + ", ".join(choices))
    return choice


def read_yes(text: str) -> bool:
    word = text.strip().lower()
    if word not in YES + NO:
        raise ValueError("yes or no")
    return word in YES


def read_let_go(text: str) -> tuple[str, ...]:
    """`all` means every command that lets go; SHUTDOWN has to be named."""
    names = dict.fromkeys(word.lower() for word in re.split(r"[,\s]+", text.strip()) if word)
    if "all" in names:
        names = names | dict.fromkeys(LETTING_GO)
        del names["all"]
    for name in names:
        if not (command := find(name.encode(), b"")) or not command.by_name:
            raise ValueError(f"commands of {', '.join(LETTING_GO)}, or all, separated by commas")
    return tuple(names)


def read_events(text: str) -> str:
    if not set(text.strip()) <= EVENT_LETTERS:
        raise ValueError("letters of " + "".join(sorted(EVENT_LETTERS)) + " as in Redis")
    return text.strip()


def read_password(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("valid UTF-8") from None
    if size > PASSWORD_BYTES_MAX:
        raise ValueError(f"at most {PASSWORD_BYTES_MAX} bytes long: no client could send it")
    return text


def read_collector(text: str) -> str:
    """A URL without a login, which the log would show: a collector's secrets are headers (OTEL_EXPORTER_OTLP_HEADERS).
    """
    if text and not COLLECTOR.fullmatch(text.strip()):
        raise ValueError("a URL such as http://127.0.0.1:4318, without a login or a query")
    return text.strip()


def read_path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("a path")
    return text


def spell_size(size: int) -> str:
    for unit, scale in (("gb", GIB), ("mb", MIB), ("kb", KIB)):
        if size and size % scale == 0:
            return f"{size // scale}{unit}"
    return str(size)


# -- the table ------------------------------------------------------------------------------------
PORT = partial(read_whole, least=0, most=PORT_MAX)
SECONDS = partial(read_whole, least=1, most=TTL_S_MAX)
ENGINES = ("auto", "native", "pure")
ROOTS = ("auto", "yes", "no")
LETTING_GO = tuple(sorted(command.name.decode() for command in COMMANDS.values() if command.by_name and command.writes))
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")


def _limit_options() -> list[Option]:
    """The bounds of limits.py that an operator may move; the unit is the end of their names."""
    made = []
    for one in fields(Limits):
        said = bound_of(one)
        if not said.option:
            continue
        size = one.name.endswith("_bytes_max")
        unit = "bytes" if size else UNITS.get(one.name.removesuffix("_max").rpartition("_")[2], "count")
        metavar = "SIZE" if size else unit.upper()
        read = partial(read_size if size else read_whole, least=said.least, most=said.most)
        start = getattr(Limits(), one.name)
        default = spell_size(start) if size else str(start)
        made.append(Option(said.option, one.name, metavar, unit, default, said.why, read, of_limits=True))
    return made


OPTIONS: tuple[Option, ...] = (
    Option("bind", "bind", "HOST", "addresses", "127.0.0.1",
           "Addresses on which the node listens for clients, separated by commas.",
           read_hosts),
    Option("port", "port", "PORT", "port", "6379",
           "Port for clients. 0 picks any free port, which the log names; with --tls-port or --unixsocket, 0 opens "
           "none.", PORT),
    Option("unixsocket", "unixsocket", "PATH", "path", "",
           "A Unix socket for clients, beside the ports. With --port 0 and no TLS port it is the only way in.",
           read_path),
    Option("unixsocketperm", "unixsocketperm", "MODE", "mode", "",
           "Permissions of the Unix socket in octal, such as 770. By default the umask decides.",
           read_mode),
    Option("tls-port", "tls_port", "PORT", "port", "",
           "Port for clients that speak TLS 1.2 or later, beside the plain port.", PORT),
    Option("tls-cert", "tls_cert", "FILE", "path", "",
           "The certificate that the node shows to clients, in PEM form. SIGHUP reloads it.",
           read_path),
    Option("tls-key", "tls_key", "FILE", "path", "", "The key of that certificate, not encrypted.", read_path),
    Option("tls-ca", "tls_ca", "FILE", "path", "",
           "The authority that must have signed a client's certificate.", read_path),
    Option("tls-auth-clients", "tls_auth_clients", "yes|no|optional", "choice", "yes",
           "Whether a client needs a certificate. With optional, a certificate is checked only if the client sends "
           "one.",
           partial(read_choice, choices=("yes", "no", "optional"))),
    Option("peer-port", "peer_port", "PORT", "port", "16379",
           "Port for other nodes. Without a cluster secret it listens on loopback only, and with a password only if "
           "this option is given.", PORT),
    Option("peer-bind", "peer_bind", "HOST", "addresses", "",
           "Addresses on which the node listens for peers. Default: those of --bind, or loopback without a cluster "
           "secret.",
           read_optional_hosts),
    Option("join", "join", "HOST:PORT", "addresses", "",
           "Peers to join, or srv:NAME for SRV records, separated by commas. Names are resolved repeatedly.",
           read_join),
    Option("serve-alone", "serve_alone", "yes|no", "choice", "yes",
           "Whether a node that reached no peer of --join serves alone after --join-wait.",
           partial(read_choice, choices=("yes", "no"))),
    Option("decide", "decide", "home|local|majority", "choice", "home",
           "Which node decides about a key: its home for all nodes, each node locally, or its home with a "
           "majority of the nodes.",
           partial(read_choice, choices=("home", "local", "majority"))),
    Option("home-weight", "home_weight", "N", "number", "1",
           "How many shares of the keys this node decides about; every node has 1 by default.",
           partial(read_whole, least=1, most=WEIGHT_MAX)),
    Option("enclave-size", "enclave_size", "NUMBER", "count", "0",
           "How many nodes the enclave has; needed by --decide majority, and the same on all nodes.",
           partial(read_whole, least=0, most=63)),
    Option("cluster", "cluster", "no|yes|strict", "choice", "no",
           "Whether the node answers clients of Redis Cluster. With strict it also redirects them to a slot's home.",
           partial(read_choice, choices=("no", "yes", "strict"))),
    Option("cluster-announce", "cluster_announce", "HOST:PORT", "address", "",
           "Where cluster clients reach this node, if that is not where it listens.",
           read_optional_address),
    Option("cluster-announce-tls-port", "cluster_announce_tls_port", "PORT", "port", "",
           "The TLS port at that host. Default: --tls-port.",
           PORT),
    Option("advertise", "advertise", "HOST:PORT", "address", "",
           "Where peers reach this node, if that is not where it listens.",
           read_optional_address),
    Option("enclave", "enclave", "NAME", "name", "default",
           "Nodes of one enclave hold the same keys. Nodes of different enclaves share only the topology.",
           read_name),
    Option("network", "network", "NAME", "name", "respram",
           "Name of the network. Nodes of another network are refused.", read_name),
    Option("tree-root", "root", "|".join(ROOTS), "choice", "auto",
           "Whether this node is a root of the tree. With auto it is one if --join is empty or names this "
           "node.", partial(read_choice, choices=ROOTS)),
    Option("cluster-secret", "cluster_secret", "SECRET", "text", "",
           "The secret that nodes share and prove to each other; `respram secret` makes one. Other users of the "
           "machine can read flags: prefer the variable or the file.", read_password, secret=True),
    Option("cluster-secret-file", "cluster_secret_file", "FILE", "path", "",
           "A file with the secret. A second line is a secret that peers may use as well.",
           read_path),
    Option("peer-cert", "peer_cert", "FILE", "path", "",
           "Certificate of this node for its peers, in PEM form, instead of a secret.",
           read_path),
    Option("peer-key", "peer_key", "FILE", "path", "", "The key of that certificate, not encrypted.", read_path),
    Option("peer-crl", "peer_crl", "FILE", "path", "",
           "A revocation list signed by that authority. A node whose certificate is on it is refused. SIGHUP reloads "
           "it.",
           read_path),
    Option("peer-ca", "peer_ca", "FILE", "path", "",
           "The authority that signs the certificates of peers. It must sign nothing else.", read_path),
    Option("metrics-port", "metrics_port", "PORT", "port", "",
           "Port for /metrics, /livez and /readyz over HTTP. By default there is none.", PORT),
    Option("metrics-bind", "metrics_bind", "HOST", "addresses", "127.0.0.1",
           "Addresses on which the metrics port listens.", read_hosts),
    Option("otlp-endpoint", "otlp_endpoint", "URL", "text", "",
           "An OpenTelemetry collector, which gets the same metrics, and slow commands as spans.", read_collector),
    Option("otlp-interval", "otlp_interval_s", "SECONDS", "seconds", "15",
           "Time between two exports to the collector.",
           partial(read_whole, least=1, most=3600)),
    Option("default-ttl", "default_ttl_s", "SECONDS", "seconds", "3600", "TTL of a key whose writer names none.",
           SECONDS),
    Option("max-ttl", "max_ttl_s", "SECONDS", "seconds", "2678400",
           "Longest TTL of a key (31 days). A longer one is cut to it and counted.",
           SECONDS),
    Option("maxmemory", "maxmemory_bytes", "SIZE", "bytes", "auto",
           "Memory for records. When it is full, writes are refused and nothing is evicted. auto: three quarters of "
           "what the machine or container may use; 0: no limit.", read_memory),
    Option("maxmemory-clients", "clients_bytes_max", "SIZE", "bytes", "auto",
           "Memory for the unread input, queued commands and unsent replies of all clients together. When it is "
           "full, the client that holds most is disconnected. auto: an eighth of what the machine or container may "
           "use; 0: no limit.", read_memory),
    Option("requirepass", "requirepass", "PASSWORD", "text", "",
           "The password for AUTH. Other users of the machine can read flags: prefer the variable or the "
           "file.", read_password, secret=True),
    Option("requirepass-file", "requirepass_file", "FILE", "path", "", "A file whose first line is the password.",
           read_path),
    Option("aclfile", "aclfile", "FILE", "path", "",
           "A file of users in Redis's format. ACL SAVE writes it, ACL LOAD reloads it.",
           read_path),
    Option("let-go", "let_go", "COMMANDS", "commands", "",
           "Commands with which the default user may delete keys, separated by commas (del, unlink, getdel, delex, "
           "delifeq, rename and so on, or all). Other users need a rule of their own, such as +del.", read_let_go),
    Option("unprotected", "unprotected", "", "yes or no", "no", "Allow --bind beyond loopback without a password.",
           read_yes),
    Option("snapshot-dir", "snapshot_dir", "DIR", "path", "",
           "Directory for encrypted snapshots, from which the node restarts.",
           read_path),
    Option("snapshot-interval", "snapshot_interval_s", "SECONDS", "seconds", "60",
           "Time between two snapshots. Each writes the segments that have "
           "changed.", partial(read_whole, least=1, most=86_400)),
    Option("snapshot-key-file", "snapshot_key_file", "FILE", "path", "",
           "A file with a secret that encrypts the keys of the snapshots. With it a node can restart without peers.",
           read_path),
    Option("engine", "engine", "|".join(ENGINES), "choice", "auto",
           "The engine. auto takes the native one where it is built.",
           partial(read_choice, choices=ENGINES)),
    Option("seal-memory", "seal_memory", "yes|no", "choice", "yes",
           "Whether values are kept in memory as AES-256-CTR ciphertext only, and core dumps are off.",
           read_yes),
    Option("notify-keyspace-events", "notify_keyspace_events", "LETTERS", "letters", "",
           "Which keyspace events are published, as in Redis.",
           read_events),
    Option("log-level", "log_level", "|".join(LOG_LEVELS), "choice", "info",
           "The least severe level that is logged to standard error.",
           partial(read_choice, choices=LOG_LEVELS)),
    Option("log-format", "log_format", "|".join(LOG_FORMATS), "choice", "text",
           "Lines of key=value, or one JSON object a line.",
           partial(read_choice, choices=LOG_FORMATS)),
    *_limit_options(),
)  # fmt: skip

BY_NAME = {option.name: option for option in OPTIONS}
