"""Where a setting comes from, who wins, and the one line that tells what is wrong."""

import re
from dataclasses import MISSING, FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from respram.config.limits import MIB, Limits
from respram.config.machine import memory_bytes
from respram.config.options import OPTIONS, Address, Option, Service
from respram.config.settings import FILE_BYTES_MAX, Config, exposed, load
from respram.errors import ConfigError

SECRET = "open-sesame-" + "x" * 8
# A value for each option that differs from its default and fits all the others' defaults.
OTHER = {
    "bind": "::1,127.0.0.1", "port": "7000", "peer-port": "17000", "join": "10.0.0.1:1,[fd00::1]:2",
    "advertise": "10.0.0.9:3",
    "peer-bind": "127.0.0.2", "network": "green", "tree-root": "yes", "cluster-secret": SECRET,
    "enclave": "blue", "default-ttl": "60", "max-ttl": "7200", "maxmemory": "64mb", "requirepass": SECRET,
    "unprotected": "yes",
    "engine": "pure", "seal-memory": "no", "notify-keyspace-events": "Ex", "log-level": "debug", "log-format": "json",
    "maxclients": "77", "timeout": "5",
    "auth-timeout": "7",
    "tcp-keepalive": "9", "tcp-backlog": "12", "client-query-buffer-limit": "512mb", "proto-max-bulk-len": "8mb",
    "key-size-limit": "2kb",
    "output-buffer-limit": "96mb", "output-soft-limit": "32mb", "output-soft-seconds": "7", "output-stall-seconds": "8",
    "pubsub-output-buffer-limit": "16mb", "pubsub-output-soft-limit": "4mb", "slowlog-log-slower-than": "-1",
    "slowlog-max-len": "3", "tracking-table-max-keys": "11", "multi-commands-limit": "13", "multi-keys-limit": "17",
    "args-limit": "1025",
    "acllog-max-len": "14", "let-go": "del, unlink", "maxmemory-clients": "32mb", "snapshot-interval": "15",
    "aclfile": "/etc/respram/users",
    "peer-queue-limit": "20mb", "joiners-at-once": "4", "alone-after-ms": "5000", "join-wait": "9", "serve-alone": "no",
    "decide": "local", "home-weight": "3", "enclave-size": "5",
    "suspicion-ms": "6000", "isolation-window-ms": "7000",
    "isolation-windows": "4", "tree-trunks": "5", "tree-branches": "6", "tree-leaves": "7", "tree-check-ms": "8000",
    "tree-rebalance-ms": "90000", "tree-better-percent": "11", "tree-better-ms": "12", "tree-better-for-ms": "13000",
    "tree-rest-ms": "14000", "tree-outside-percent": "15", "lua-time-limit": "700",
    "unixsocket": "/run/respram.sock", "script-time-max": "9000", "script-memory-limit": "8388608",
    "metrics-port": "9121",
    "metrics-bind": "127.0.0.3", "otlp-endpoint": "http://collector:4318", "otlp-interval": "60",
    "cluster": "yes", "cluster-announce": "10.0.0.9:6379", "cluster-announce-tls-port": "6380",
}  # fmt: skip
APART = (
    "peer-cert", "peer-key", "peer-ca", "peer-crl",  # all three or none, and not beside a secret
    "tls-port", "tls-cert", "tls-key", "tls-ca", "tls-auth-clients",  # a port needs its files
    "unixsocketperm",  # a mode needs its path
    "snapshot-dir",  # a node alone needs a key file with it
)  # fmt: skip
PLAIN = [option for option in OPTIONS if not option.name.endswith("-file") and option.name not in APART]


def setting(config: Config, option: Option) -> object:
    return getattr(config.limits if option.of_limits else config, option.field)


def complaint(flags: dict[str, str], variables: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags, variables or {})
    line = str(caught.value)
    assert line and "\n" not in line
    return line


def test_tls_is_set_up_wholly_or_not_at_all() -> None:
    files = {"tls-cert": "c", "tls-key": "k", "tls-ca": "a"}
    assert load({"unixsocket": "/s", "unixsocketperm": "0770"}, {}).unixsocketperm == 0o770
    assert "--unixsocket;" in complaint({"unixsocketperm": "770"}) and "octal" in complaint(
        {"unixsocket": "/s", "unixsocketperm": "780"}
    )
    assert "shorter" in complaint({"unixsocket": "/" + "s" * 200})
    config = load({"tls-port": "7001", **files}, {})
    assert (config.tls_port, config.tls_cert, config.tls_auth_clients) == (7001, "c", "yes")
    assert load({"tls-port": "7001", "tls-cert": "c", "tls-key": "k", "tls-auth-clients": "no"}, {}).tls_ca == ""
    assert "--enclave-size" in complaint({"decide": "majority"})
    assert "--tls-ca" in complaint({"tls-port": "7001", "tls-cert": "c", "tls-key": "k"})
    assert "--tls-key" in complaint({"tls-port": "7001", "tls-cert": "c", "tls-ca": "a"})
    assert "--tls-port" in complaint({"tls-cert": "c"})
    assert "another" in complaint({"tls-port": "6379", **files})


def test_every_option_has_another_value_in_these_tests() -> None:
    assert set(OTHER) == {option.name for option in PLAIN}


@pytest.mark.parametrize("option", PLAIN, ids=lambda option: option.name)
def test_each_option_is_a_flag_a_variable_and_a_key_of_the_file(option: Option, tmp_path: Path) -> None:
    text = OTHER[option.name]
    file = tmp_path / "respram.toml"
    file.write_text(f'{option.key} = "{text}"\n')
    by_flag = setting(load({option.name: text}, {}), option)
    assert by_flag == setting(load({}, {option.variable: text}), option)
    assert by_flag == setting(load({"config": str(file)}, {}), option)
    assert by_flag != setting(load({}, {}), option)
    assert option.variable == "RESPRAM_" + option.name.upper().replace("-", "_")


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "respram.toml"
    file.write_text('default_ttl = 30\nmax-ttl = 300\nport = 7001\nbind = ["127.0.0.1", "::1"]\nunprotected = true\n')
    variables = {"RESPRAM_CONFIG": str(file), "RESPRAM_MAX_TTL": "400", "RESPRAM_PORT": "7002", "PORT": "1",
                 "RESPRAM_SERVICE_HOST": "x"}
    config = load({"port": "7003"}, variables)
    assert (config.default_ttl_s, config.max_ttl_s, config.port, config.peer_port) == (30, 400, 7003, 16379)
    assert config.bind == ("127.0.0.1", "::1")
    assert config.unprotected


def test_the_defaults_of_the_options_are_those_of_config_and_limits() -> None:
    config = load({}, {})
    assert replace(config, maxmemory_bytes=0, clients_bytes_max=0) == Config()
    assert config.clients_bytes_max == memory_bytes() // 8
    assert config.maxmemory_bytes == memory_bytes() * 3 // 4
    named = {option.field for option in OPTIONS if not option.of_limits} - {"requirepass_file", "snapshot_key_file"}
    assert named | {"limits", "snapshot_key", "peer_port_given"} == {one.name for one in fields(Config)}
    assert all(one.default is not MISSING for one in fields(Limits))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "65536", "0 to 65535"), ("port", "", "0 to 65535"), ("port", "1_0", "0 to 65535"),
        ("port", "+1", "0 to 65535"),
        ("peer-port", "-1", "0 to 65535"), ("bind", "", "such as 127.0.0.1"), ("bind", "a b;c", "such as 127.0.0.1"),
        ("join", "10.0.0.1", "HOST:PORT"), ("join", "a:1,b", "HOST:PORT"), ("join", "fd00::1:2", "HOST:PORT"),
        ("advertise", "host:0", "HOST:PORT"), ("enclave", "two words", "characters"), ("enclave", "", "characters"),
        ("default-ttl", "0", "1 to"), ("default-ttl", "1.5", "1 to"), ("max-ttl", "99999999999", "1 to 315360000"),
        ("maxmemory", "12", "at least 1mb"), ("maxmemory", "4tb", "at least 1mb"), ("maxmemory", "-1", "at least 1mb"),
        ("engine", "fast", "auto, native, pure"), ("log-level", "loud", "debug, info"),
        ("unprotected", "maybe", "yes or no"),
        ("notify-keyspace-events", "Q", "letters of"), ("requirepass-file", "", "path"), ("maxclients", "0", "1 to"),
        ("proto-max-bulk-len", "1gb", "512mb"), ("output-soft-seconds", "0", "1 to"),
        ("slowlog-log-slower-than", "-2", "-1 to"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_place_and_what_is_expected(
    name: str, text: str, expected: str, tmp_path: Path
) -> None:
    (option,) = [one for one in OPTIONS if one.name == name]
    file = tmp_path / "respram.toml"
    file.write_text(f'{option.key} = "{text}"\n')
    assert re.match(f"--{name} must be .*{re.escape(expected)}", complaint({name: text}))
    assert re.match(f"{option.variable} must be .*{re.escape(expected)}", complaint({}, {option.variable: text}))
    assert re.match(f"{option.key} in {file} must be .*{re.escape(expected)}", complaint({"config": str(file)}))


def test_settings_that_do_not_fit_together_are_refused() -> None:
    assert "--max-ttl 50" in complaint({"default-ttl": "60", "max-ttl": "50"})
    assert "two different ports" in complaint({"port": "7000", "peer-port": "7000"})
    assert "--client-query-buffer-limit" in complaint(
        {"proto-max-bulk-len": "64mb", "client-query-buffer-limit": "32mb"}
    )
    assert "--output-buffer-limit" in complaint({"output-buffer-limit": "1mb"})
    assert "--pubsub-output-soft-limit" in complaint({"pubsub-output-soft-limit": "33mb"})
    assert load({"port": "0", "peer-port": "0"}, {}).port == 0


# -- beyond loopback ------------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "fd00::1", "some.host", "127.0.0.1,0.0.0.0"])
def test_nobody_listens_beyond_loopback_without_a_password_or_saying_so(host: str) -> None:
    line = complaint({"bind": host})
    assert "--unprotected" in line and "RESPRAM_REQUIREPASS" in line
    assert load({"bind": host, "unprotected": "yes"}, {}).unprotected
    assert load({"bind": host}, {"RESPRAM_REQUIREPASS": SECRET}).requirepass == SECRET


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "[::1]"])
def test_loopback_needs_no_password(host: str) -> None:
    assert exposed(load({"bind": host}, {}).bind) == []


# -- secrets --------------------------------------------------------------------------------------
def test_the_password_comes_from_the_first_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET + "\r\nnot this\n")
    assert load({"requirepass-file": str(file)}, {}).requirepass == SECRET
    assert load({}, {"RESPRAM_REQUIREPASS_FILE": str(file)}).requirepass == SECRET
    assert "keep one" in complaint({"requirepass-file": str(file)}, {"RESPRAM_REQUIREPASS": SECRET})
    file.write_text("\n" + SECRET)
    assert "empty first line" in complaint({"requirepass-file": str(file)})
    assert "cannot be read" in complaint({"requirepass-file": str(tmp_path / "none")})


def test_no_complaint_and_no_representation_shows_the_password(tmp_path: Path) -> None:
    long, torn = SECRET * 2000, SECRET + "\udcff"
    password_file, toml = tmp_path / "password", tmp_path / "respram.toml"
    password_file.write_text(long)
    toml.write_text(f'requirepass = ["{SECRET}", 1]\n')
    broken = tmp_path / "broken.toml"
    broken.write_text(f"requirepass = {SECRET}\n")
    lines = [
        complaint({"requirepass": long}), complaint({}, {"RESPRAM_REQUIREPASS": long}),
        complaint({}, {"RESPRAM_REQUIREPASS": torn}),
        complaint({"requirepass-file": str(password_file)}), complaint({"config": str(toml)}),
        complaint({"config": str(broken)}),
        complaint({"requirepass": SECRET, "bind": "0.0.0.0", "port": "1", "peer-port": "1"}),
    ]  # fmt: skip
    config = load({"requirepass": SECRET}, {})
    assert config.requirepass == SECRET
    assert not [line for line in [*lines, repr(config), str(config)] if "open-sesame" in line]


# -- files ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"port = ", "not valid TOML"), (b"prot = 1\n", "did you mean port?"),
        (b"zzzzzzz = 1\n", "unknown key 'zzzzzzz'; take it out"),
        (b"port = 1.5\n", "must be a string"), (b"[port]\na = 1\n", "must be a string"),
        (b"bind = [1]\n", "must be a string"),
        (b"\xff\xfe", "not UTF-8"), (b"#" * (FILE_BYTES_MAX + 1), "longer than 1mb"),
        (b"unprotected = 3\n", "yes or no"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_its_name(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "respram.toml"
    file.write_bytes(content)
    line = complaint({"config": str(file)})
    assert str(file) in line and expected in line


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint({"config": str(tmp_path / "none.toml")})
    assert "cannot be read" in complaint({"config": str(tmp_path)})


def test_a_variable_that_kubernetes_set_is_recognised() -> None:
    assert "enableServiceLinks" in complaint({}, {"RESPRAM_PORT": "tcp://10.0.0.1:6379"})


# -- what others get ------------------------------------------------------------------------------
def test_the_engine_gets_the_settings_in_its_own_units() -> None:
    config = load({"default-ttl": "5", "max-ttl": "50", "maxmemory": "2mb", "proto-max-bulk-len": "3mb"}, {})
    settings = config.engine_settings(7, b"s" * 16, 5)
    assert (settings.node, settings.secret, settings.default_ttl_ms, settings.max_ttl_ms) == (
        7,
        b"s" * 16,
        5000,
        50_000,
    )
    assert settings.seed == 5
    assert (settings.memory_bytes_max, settings.bulk_bytes_max, settings.outbox_bytes_max) == (2 * MIB, 3 * MIB, 0)
    assert config.engine_settings(7, b"s" * 16, 5, outbox_bytes_max=9).outbox_bytes_max == 9


def test_addresses_are_hosts_and_ports() -> None:
    config = load({"join": "a.example:1, [fd00::1]:2", "advertise": "10.0.0.9:3"}, {})
    assert config.join == (Address("a.example", 1), Address("fd00::1", 2))
    assert config.advertise == Address("10.0.0.9", 3)


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().port = 1  # type: ignore[misc]


# -- peers ----------------------------------------------------------------------------------------
CLUSTER = "Zk3-qT8vJx0_LmW4sYb7Rd"


def test_the_cluster_secret_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{CLUSTER}\nolder-{CLUSTER}\n")
    config = load({"cluster-secret-file": str(file)}, {})
    assert config.cluster_secret == f"{CLUSTER}\nolder-{CLUSTER}"
    assert CLUSTER not in repr(config)
    assert "keep one" in complaint({"cluster-secret-file": str(file)}, {"RESPRAM_CLUSTER_SECRET": CLUSTER})
    file.write_text("\n \n")
    assert "respram secret" in complaint({"cluster-secret-file": str(file)})


def test_the_peer_port_is_opened_only_where_somebody_can_come() -> None:
    assert not load({}, {}).has_peers and load({}, {}).may_meet
    assert not load({"requirepass": "p"}, {}).may_meet and not load({"join": "127.0.0.1:1"}, {}).may_meet
    assert load({"requirepass": "p", "peer-port": "16379"}, {}).may_meet
    assert load({"requirepass": "p"}, {"RESPRAM_PEER_PORT": "16379"}).may_meet
    assert load({"join": "127.0.0.1:1"}, {}).has_peers
    assert load({}, {"RESPRAM_CLUSTER_SECRET": CLUSTER}).has_peers
    assert load({"peer-cert": "a", "peer-key": "b", "peer-ca": "c"}, {}).has_peers
    assert load({"peer-cert": "a", "peer-key": "b", "peer-ca": "c", "peer-crl": "d"}, {}).peer_crl == "d"
    assert "--peer-ca" in complaint({"peer-crl": "d"})


def test_without_proof_of_identity_peers_meet_on_loopback_alone() -> None:
    open_to_clients = {"bind": "0.0.0.0", "unprotected": "yes", "join": "127.0.0.1:1"}
    assert load(open_to_clients, {}).peer_hosts == ("127.0.0.1",)
    assert load(open_to_clients, {"RESPRAM_CLUSTER_SECRET": CLUSTER}).peer_hosts == ("0.0.0.0",)
    assert "RESPRAM_CLUSTER_SECRET" in complaint({"join": "127.0.0.1:1", "peer-bind": "0.0.0.0"})
    assert load({"peer-bind": "10.0.0.1"}, {"RESPRAM_CLUSTER_SECRET": CLUSTER}).peer_hosts == ("10.0.0.1",)


def test_certificates_come_in_threes_and_never_beside_a_secret() -> None:
    assert "all three" in complaint({"peer-cert": "a"})
    assert "keep one" in complaint({"peer-cert": "a", "peer-key": "b", "peer-ca": "c", "cluster-secret": CLUSTER})


def test_join_takes_addresses_and_services() -> None:
    config = load({"join": "a.example:1 srv:_respram._tcp.example.org, [::1]:2"}, {})
    assert config.join == (Address("a.example", 1), Service("_respram._tcp.example.org"), Address("::1", 2))
    assert [str(one) for one in config.join] == ["a.example:1", "srv:_respram._tcp.example.org", "[::1]:2"]
    for wrong in ("srv:", "srv:a..b", "srv:" + "a" * 64, "srv:a b"):
        assert "srv:_respram" in complaint({"join": wrong})


def test_snapshots_need_somebody_who_keeps_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text("k" * 43 + "\n")
    alone = load({"snapshot-dir": "/d", "snapshot-key-file": str(file)}, {})
    assert (alone.snapshot_dir, alone.snapshot_key, alone.snapshot_interval_s) == ("/d", "k" * 43, 60)
    assert load({"snapshot-dir": "/d"}, {"RESPRAM_CLUSTER_SECRET": CLUSTER}).snapshot_key == ""
    assert "k" * 43 not in repr(alone)
    assert "--snapshot-key-file" in complaint({"snapshot-dir": "/d"})
    assert "--snapshot-dir" in complaint({"snapshot-key-file": str(file)})
    file.write_text("short\n")
    assert "respram secret" in complaint({"snapshot-dir": "/d", "snapshot-key-file": str(file)})
