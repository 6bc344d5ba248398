"""From flags, variables and a TOML file to one frozen Config.

Flags win over `RESPRAM_...` variables, those over the file, the file over the defaults. Whatever is wrong
becomes a ConfigError of one line that names the place it came from and what is expected there; a
secret is never quoted. What the options are stands in `options.py`; here is who wins, and what must
fit together.
"""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from respram.config.limits import Limits
from respram.config.machine import memory_bytes
from respram.config.options import AUTO, BY_NAME, OPTIONS, Address, Option, Service, read_password, spell_size
from respram.engine.api import Settings
from respram.errors import ConfigError

FILE_BYTES_MAX = 1 << 20  # of a configuration or password file: a larger file is a wrong one
OPEN_TO_OTHERS = 0o027  # permission bits that must not be set: the group may only read, and others have no access
SNAPSHOT_KEY_CHARS_MIN = 40  # what `respram secret` prints has 43
SHOWN_CHARS_MAX = 40  # of a wrong setting, as quoted in its error
CLIENTS_SHARE = 8  # one part in this many of the memory is for the input and output of all clients
MEMORY_SHARE = (3, 4)  # share of the usable memory for data; the rest is for buffers, the interpreter and the kernel
UNIX_PATH_BYTES_MAX = 107  # the kernel's limit for the path of a Unix socket


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a node. The defaults are those of the options, so tests can make one from nothing."""

    bind: tuple[str, ...] = ("127.0.0.1",)
    port: int = 6379
    peer_port: int = 16379
    peer_port_given: bool = False  # given by the operator, who then wants it open
    peer_bind: tuple[str, ...] = ()  # as given; `peer_hosts` resolves it
    join: tuple[Address | Service, ...] = ()
    serve_alone: str = "yes"
    decide: str = "home"
    home_weight: int = 1
    enclave_size: int = 0
    advertise: Address | None = None
    cluster: str = "no"
    cluster_announce: Address | None = None
    cluster_announce_tls_port: int = 0
    enclave: str = "default"
    network: str = "respram"
    root: str = "auto"
    cluster_secret: str = field(default="", repr=False)
    cluster_secret_file: str = ""  # read again on SIGHUP
    peer_cert: str = ""
    peer_key: str = ""
    peer_ca: str = ""
    peer_crl: str = ""
    default_ttl_s: int = 3600
    max_ttl_s: int = 2_678_400
    maxmemory_bytes: int = 0  # resolved; 0: no limit
    clients_bytes_max: int = 0  # resolved; 0: no limit
    requirepass: str = field(default="", repr=False)
    let_go: tuple[str, ...] = ()  # commands that are granted to the default user by name
    unprotected: bool = False
    aclfile: str = ""
    unixsocket: str = ""
    unixsocketperm: int = 0  # 0: as the umask sets it
    tls_port: int = 0
    metrics_port: int | None = None
    metrics_bind: tuple[str, ...] = ("127.0.0.1",)
    otlp_endpoint: str = ""
    otlp_interval_s: int = 15
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    tls_auth_clients: str = "yes"
    snapshot_dir: str = ""
    snapshot_interval_s: int = 60
    snapshot_key: str = field(default="", repr=False)
    engine: str = "auto"
    seal_memory: bool = True
    notify_keyspace_events: str = ""
    log_level: str = "info"
    log_format: str = "text"
    limits: Limits = field(default_factory=Limits)

    @property
    def trusted(self) -> bool:
        """Whether peers prove to each other who they are. Without that they may meet on one machine only."""
        return bool(self.cluster_secret or self.peer_cert)

    @property
    def has_peers(self) -> bool:
        """Whether it is to have peers from its start: then it keeps digests and an outbox from its first record on."""
        return bool(self.join or self.trusted)

    @property
    def may_meet(self) -> bool:
        """Whether a node that starts alone listens for a first peer, on loopback. Beside a password only where it was
        asked for: whoever may join unproven sees all records."""
        return not self.has_peers and (self.peer_port_given or not (self.requirepass or self.aclfile))

    @property
    def peer_hosts(self) -> tuple[str, ...]:
        return self.peer_bind or (self.bind if self.trusted else ("127.0.0.1",))

    @property
    def backlog(self) -> int:
        return self.limits.backlog

    def engine_settings(self, node: int, secret: bytes, seed: int, *, outbox_bytes_max: int = 0) -> Settings:
        """What an engine is made with. An outbox is asked for only by who will drain it."""
        limits = self.limits
        return Settings(
            node=node,
            secret=secret,
            seed=seed,
            default_ttl_ms=self.default_ttl_s * 1000,
            max_ttl_ms=self.max_ttl_s * 1000,
            memory_bytes_max=self.maxmemory_bytes,
            bulk_bytes_max=limits.bulk_bytes_max,
            key_bytes_max=limits.key_bytes_max,
            args_max=limits.args_max,
            inline_bytes_max=limits.inline_bytes_max,
            query_bytes_max=limits.query_buffer_bytes_max,
            clock_offset_ms_max=limits.clock_offset_ms_max,
            feed_commands_max=limits.feed_commands_max,
            feed_reply_bytes_max=limits.feed_reply_bytes_max,
            outbox_bytes_max=outbox_bytes_max,
            counters=self.decide != "majority",
        )


def load(flags: Mapping[str, str], variables: Mapping[str, str]) -> Config:
    """The settings of a node from its flags (by name, without dashes) and its environment."""
    path = flags.get("config", variables.get("RESPRAM_CONFIG", ""))
    given = _from_file(path) if path else {}
    for option in OPTIONS:
        if option.variable in variables:
            given[option.name] = _read(option, variables[option.variable], option.variable)
    for name, text in flags.items():
        if name != "config":
            given[name] = _read(BY_NAME[name], text, f"--{name}")
    return _fit(_assemble(given))


def exposed(bind: tuple[str, ...]) -> list[str]:
    """Those of the addresses that others than this machine can reach. An unknown name counts as one."""
    return [host for host in bind if not _is_loopback(host)]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -- reading --------------------------------------------------------------------------------------
def _read(option: Option, text: str, place: str) -> object:
    try:
        return option.read(text)
    except ValueError as error:
        shown = "" if option.secret else f", not {_shorten(text)}"
        hint = ""
        if text.startswith("tcp://"):  # Kubernetes sets RESPRAM_PORT for a service that is named respram
            hint = "; a Kubernetes service of this name sets the variable: use enableServiceLinks: false"
        raise ConfigError(f"{place} must be {error}{shown}{hint}") from None


def _shorten(text: str) -> str:
    shown = text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "..."
    return ascii(shown)


def _from_file(path: str) -> dict[str, object]:
    content = _slurp(path, "the configuration file")
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {_without_quotes(error)}") from None
    keys = {option.key: option for option in OPTIONS}
    given = {}
    for key, value in table.items():
        option = keys.get(key.replace("-", "_"))
        if option is None:
            near = difflib.get_close_matches(key, keys, n=1)
            raise ConfigError(
                f"{path}: unknown key {_shorten(key)}; "
                + (f"did you mean {near[0]}?" if near else "take it out, or see --help")
            )
        given[option.name] = _read(option, _text(option, value, path), f"{option.key} in {path}")
    return given


def _text(option: Option, value: object, path: str) -> str:
    """A TOML value as a flag would have it: a list becomes commas, a boolean yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    raise ConfigError(f"{option.key} in {path} must be a string, a whole number, yes or no, or a list of strings")


def _without_quotes(error: tomllib.TOMLDecodeError) -> str:
    """The parser's complaint without the text that it may quote: that could be the password."""
    message = str(error)
    return message[message.rfind("(at ") :].strip("()") if "(at " in message else "it cannot be read"


def _slurp(path: str, what: str, others_may_look: bool = True) -> str:
    try:
        mode = Path(path).stat().st_mode & 0o777
        with Path(path).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}") from None
    if mode & OPEN_TO_OTHERS and not others_may_look:
        raise ConfigError(
            f"{what} {path} is open to others (mode {mode:04o}); chmod 600 it, or 440 with a group of the node's own"
        )
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{what} {path} is longer than {spell_size(FILE_BYTES_MAX)}; name the right file")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{what} {path} is not UTF-8 text; name the right file") from None


def read_password_file(path: str) -> str:
    """The first line of the file. An empty one is a mistake, not a node without a password."""
    first = _slurp(path, "the password file").partition("\n")[0].rstrip("\r")
    if not first:
        raise ConfigError(f"the password file {path} has an empty first line; write the password there")
    try:
        return read_password(first)
    except ValueError as error:
        raise ConfigError(f"the password in {path} must be {error}") from None


def read_cluster_secret(path: str) -> str:
    """Reads one secret, or two on lines of their own; the node proves itself with the first."""
    secret = _slurp(path, "the cluster secret file").strip()
    if not secret:
        raise ConfigError(f"the cluster secret file {path} is empty; make a secret with `respram secret`")
    return secret


# -- fitting together -----------------------------------------------------------------------------
def _assemble(given: dict[str, object]) -> Config:
    settings: dict[str, object] = {}
    limits: dict[str, object] = {}
    for option in OPTIONS:
        value = given[option.name] if option.name in given else option.read(option.default) if option.default else None
        if value is not None:
            (limits if option.of_limits else settings)[option.field] = value
    path = settings.pop("requirepass_file", None)
    if path is not None:
        if settings.get("requirepass"):
            raise ConfigError("requirepass and requirepass-file are both set; keep one of them")
        settings["requirepass"] = read_password_file(str(path))
    path = settings.get("cluster_secret_file")
    if path is not None:
        if settings.get("cluster_secret"):
            raise ConfigError("cluster-secret and cluster-secret-file are both set; keep one of them")
        settings["cluster_secret"] = read_cluster_secret(str(path))
    path = settings.pop("snapshot_key_file", None)
    if path is not None:
        settings["snapshot_key"] = read_snapshot_key(str(path))
    if settings["maxmemory_bytes"] == AUTO:
        settings["maxmemory_bytes"] = memory_bytes() * MEMORY_SHARE[0] // MEMORY_SHARE[1]
    if settings["clients_bytes_max"] == AUTO:
        settings["clients_bytes_max"] = memory_bytes() // CLIENTS_SHARE
    settings["peer_port_given"] = "peer-port" in given
    return replace(Config(), **settings, limits=replace(Limits(), **limits))  # type: ignore[arg-type]


def _fit_tls(config: Config) -> None:
    """What is encrypted must be wholly set up: half of it could look as if it were."""
    given = {"--tls-cert": config.tls_cert, "--tls-key": config.tls_key, "--tls-ca": config.tls_ca}
    if not config.tls_port:
        for name, path in given.items():
            if path:
                raise ConfigError(f"{name} is given without --tls-port; give the port, or leave the file out")
        return
    for name in ("--tls-cert", "--tls-key"):
        if not given[name]:
            raise ConfigError(f"--tls-port needs {name}; name the file")
    if config.tls_auth_clients != "no" and not config.tls_ca:
        raise ConfigError("--tls-port needs --tls-ca to check clients' certificates; name the file, or set "
                          "--tls-auth-clients no")
    if config.tls_port in (config.port, config.peer_port):
        raise ConfigError(f"--tls-port {config.tls_port} is taken by --port or --peer-port; choose another one")


def _fit_unix_socket(config: Config) -> None:
    if config.unixsocketperm and not config.unixsocket:
        raise ConfigError("--unixsocketperm is given without --unixsocket; give the path, or leave it out")
    if len(os.fsencode(config.unixsocket)) > UNIX_PATH_BYTES_MAX:
        raise ConfigError(f"--unixsocket: the path may have at most {UNIX_PATH_BYTES_MAX} bytes; choose a shorter one")


def _fit(config: Config) -> Config:
    """Settings that are right alone and wrong together."""
    limits = config.limits
    if config.default_ttl_s > config.max_ttl_s:
        raise ConfigError(
            f"--default-ttl {config.default_ttl_s} is longer than --max-ttl {config.max_ttl_s}; lower it or raise "
            "--max-ttl"
        )
    if config.port and config.port == config.peer_port and (config.has_peers or config.peer_port_given):
        raise ConfigError(f"--port and --peer-port are both {config.port}; choose two different ports")
    if limits.bulk_bytes_max > limits.query_buffer_bytes_max:
        raise ConfigError(
            "--proto-max-bulk-len is larger than --client-query-buffer-limit; lower the first or raise the second"
        )
    for soft, hard in (("output_soft_bytes_max", "output_buffer_bytes_max"),
                       ("pubsub_output_soft_bytes_max", "pubsub_output_bytes_max")):  # fmt: skip
        if getattr(limits, soft) > getattr(limits, hard):
            names = {one.field: one.name for one in OPTIONS}
            raise ConfigError(f"--{names[soft]} is larger than --{names[hard]}; lower the first or raise the second")
    _fit_peers(config)
    _fit_snapshots(config)
    open_hosts = exposed(config.bind)
    _fit_unix_socket(config)
    _fit_tls(config)
    # A users file is checked when it is read: it must not leave the user `default` open then.
    if open_hosts and not config.requirepass and not config.unprotected and not config.aclfile:
        raise ConfigError(
            f"--bind {open_hosts[0]} lets other machines in without a password; set RESPRAM_REQUIREPASS or "
            "--requirepass-file, or set --unprotected"
        )
    return config


def read_snapshot_key(path: str) -> str:
    key = _slurp(path, "the snapshot key file", others_may_look=False).strip()
    if len(key) < SNAPSHOT_KEY_CHARS_MIN:
        raise ConfigError(
            f"the snapshot key file {path} must hold {SNAPSHOT_KEY_CHARS_MIN} random characters or more; `respram "
            "secret` prints them"
        )
    return key


def _fit_snapshots(config: Config) -> None:
    if config.snapshot_key and not config.snapshot_dir:
        raise ConfigError(
            "--snapshot-key-file is given without --snapshot-dir; name the directory, or leave the file out"
        )
    if config.snapshot_dir and not config.has_peers and not config.snapshot_key:
        raise ConfigError(
            "--snapshot-dir of a node without peers needs --snapshot-key-file: no peer would hold the keys while it is "
            "down"
        )


def _fit_peers(config: Config) -> None:
    if config.decide == "majority" and not config.enclave_size:
        raise ConfigError("--decide majority needs --enclave-size: the number of nodes, the same on all of them")
    given = [bool(one) for one in (config.peer_cert, config.peer_key, config.peer_ca)]
    if any(given) and not all(given):
        raise ConfigError("--peer-cert, --peer-key and --peer-ca belong together; give all three or none")
    if config.peer_crl and not config.peer_ca:
        raise ConfigError(
            "--peer-crl is given without --peer-ca: with a shared secret, a node can only be expelled by changing the "
            "secret"
        )
    if config.peer_cert and config.cluster_secret:
        raise ConfigError("a cluster secret and --peer-cert are both set; keep one of them")
    open_hosts = exposed(config.peer_hosts)
    if open_hosts and not config.trusted:
        raise ConfigError(
            f"--peer-bind {open_hosts[0]} lets other machines in as peers without a cluster secret; set "
            "RESPRAM_CLUSTER_SECRET or --cluster-secret-file"
        )
