"""The parameters that CONFIG GET shows and CONFIG SET changes, as a table.

Three sources: the limits that have an option (`limits.py`, each with its bounds), what the node keeps
besides (TTL policy, memory, password, events), and what is asked by clients and exporters and has one
answer here. A change is made to a `Draft` first, so that CONFIG SET changes all or nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from respram.commands.node import MAJORITY, Node
from respram.commands.notify import format_classes, parse_classes
from respram.config.limits import TTL_S_MAX, Limits, bound_of
from respram.config.settings import exposed
from respram.engine.api import Settings
from respram.integers import parse_int
from respram.record import DATABASES

UNITS = {b"": 1, b"b": 1, b"k": 1000, b"kb": 1 << 10, b"m": 10**6, b"mb": 1 << 20, b"g": 10**9, b"gb": 1 << 30}
MEMORY = re.compile(rb"([0-9]{1,19})([a-zA-Z]{0,2})")
BYTES_MAX = (1 << 62) - 1  # the largest size: a sum of several still fits into 64 bits
PASSWORD_BYTES_MAX = 512  # the same bound as in Redis


class Refused(Exception):
    """Why a value is not taken; CONFIG SET puts the parameter's name before it."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Draft:
    """The changeable part of a node. Its attributes have the names of the node's."""

    limits: Limits
    settings: Settings
    event_flags: int
    password: bytes
    decide: bytes


class Parameter(NamedTuple):
    read: Callable[[Node], bytes]
    write: Callable[[Node, Draft, bytes], None] | None  # None: it cannot be changed at run time


def draft_of(node: Node) -> Draft:
    return Draft(node.limits, node.settings, node.event_flags, node.password, node.decide)


def check(draft: Draft) -> None:
    """What must hold between parameters, whatever the order in which they were given."""
    if draft.settings.default_ttl_ms > draft.settings.max_ttl_ms:
        raise Refused(b"default-ttl must not be longer than max-ttl")


# -- values -------------------------------------------------------------------------------------
def number(text: bytes, least: int, most: int) -> int:
    value = parse_int(text)
    if value is None:
        raise Refused(b"argument couldn't be parsed into an integer")
    return _within(value, least, most)


def memory(text: bytes, least: int, most: int) -> int:
    """Bytes, with Redis's units: `k` is 1,000 and `kb` 1,024."""
    found = MEMORY.fullmatch(text)
    if found is None or found[2].lower() not in UNITS:
        raise Refused(b"argument must be a memory value")
    count = parse_int(found[1].lstrip(b"0") or b"0")
    return _within(None if count is None else count * UNITS[found[2].lower()], least, most)


def _within(value: int | None, least: int, most: int) -> int:
    if value is None or not least <= value <= most:
        raise Refused(b"argument must be between %d and %d inclusive" % (least, most))
    return value


def changed(name: str, value: int) -> dict[str, Any]:
    """Keywords for `_replace`. (Any: a checker cannot know which field a name in a variable means.)"""
    return {name: value}


# -- the three sources --------------------------------------------------------------------------
def _limit(name: str, least: int, most: int) -> Parameter:
    """A limit with an option. What the engine enforces is told to the engine as well."""
    parse = memory if name.endswith("_bytes_max") else number
    setting = {
        "bulk_bytes_max": "bulk_bytes_max", "query_buffer_bytes_max": "query_bytes_max",
        "key_bytes_max": "key_bytes_max",
    }.get(name)  # fmt: skip

    def read(node: Node) -> bytes:
        if setting is not None:  # the smallest limit of all peers counts, whatever this node was given
            return b"%d" % getattr(node.settings, setting)
        return b"%d" % getattr(node.limits, name)

    def write(node: Node, draft: Draft, text: bytes) -> None:
        value = parse(text, least, most)
        draft.limits = replace(draft.limits, **{name: value})
        if setting is not None:
            draft.settings = draft.settings._replace(**changed(setting, value))

    return Parameter(read, write)


def _maxclients() -> Parameter:
    """Only up to what the node started with: file descriptors were asked of the system for so many."""

    def write(node: Node, draft: Draft, text: bytes) -> None:
        most = node.config.limits.clients_max
        draft.limits = replace(draft.limits, clients_max=number(text, 1, most))

    return Parameter(lambda node: b"%d" % node.limits.clients_max, write)


def _seconds(setting: str) -> Parameter:
    def write(node: Node, draft: Draft, text: bytes) -> None:
        value_ms = number(text, 1, TTL_S_MAX) * 1000
        draft.settings = draft.settings._replace(**changed(setting, value_ms))

    return Parameter(lambda node: b"%d" % (getattr(node.settings, setting) // 1000), write)


def _maxmemory(node: Node, draft: Draft, text: bytes) -> None:
    draft.settings = draft.settings._replace(memory_bytes_max=memory(text, 0, BYTES_MAX))


def _events(node: Node, draft: Draft, text: bytes) -> None:
    flags = parse_classes(text)
    if flags is None:
        raise Refused(b"Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
    draft.event_flags = flags


def _decide(node: Node, draft: Draft, text: bytes) -> None:
    if text.lower() == node.decide:
        return
    if text.lower() not in (b"home", b"local"):
        raise Refused(b"argument must be 'home' or 'local'")
    if node.decide == MAJORITY:
        raise Refused(b"it cannot change away from 'majority' while the node runs; restart the node")
    draft.decide = text.lower()


def _password(node: Node, draft: Draft, text: bytes) -> None:
    """An open node may not become one that everybody on the network may use."""
    if len(text) > PASSWORD_BYTES_MAX:
        raise Refused(b"Password is longer than CONFIG_AUTHPASS_MAX_LEN")
    if not text and not node.config.unprotected and exposed(node.config.bind):
        raise Refused(b"without a password a node that listens beyond loopback must be started with --unprotected")
    draft.password = text


OUTPUT_FIELDS = {
    b"normal": ("output_buffer_bytes_max", "output_soft_bytes_max"),
    b"pubsub": ("pubsub_output_bytes_max", "pubsub_output_soft_bytes_max"),
}
FOLLOWERS = (b"slave", b"replica")  # client classes that do not exist here


def _read_output(node: Node) -> bytes:
    limits = node.limits
    return b"normal %d %d %d slave 0 0 0 pubsub %d %d %d" % (
        limits.output_buffer_bytes_max, limits.output_soft_bytes_max, limits.output_soft_s,
        limits.pubsub_output_bytes_max, limits.pubsub_output_soft_bytes_max, limits.output_soft_s,
    )  # fmt: skip


def _write_output(node: Node, draft: Draft, text: bytes) -> None:
    """`class hard soft seconds`, several times over. 0, which is no limit in Redis, is refused."""
    words = text.split()
    if not words or len(words) % 4:
        raise Refused(b"Wrong number of arguments in buffer limit configuration.")
    for at in range(0, len(words), 4):
        name = words[at].lower()
        if name in FOLLOWERS:
            continue
        if name not in OUTPUT_FIELDS:
            raise Refused(b"Invalid client class specified in buffer limit configuration.")
        for field_name, word in zip(OUTPUT_FIELDS[name], words[at + 1 : at + 3], strict=True):
            least, most = _bounds(field_name)
            draft.limits = replace(draft.limits, **{field_name: memory(word, least, most)})
        draft.limits = replace(draft.limits, output_soft_s=number(words[at + 3], *_bounds("output_soft_s")))


def _bounds(name: str) -> tuple[int, int]:
    for one in fields(Limits):
        if one.name == name:
            return bound_of(one).least, bound_of(one).most
    raise KeyError(name)


def _fixed(value: bytes, reason: bytes = b"") -> Parameter:
    """A question that has one answer here. Setting that very answer is no harm; another is refused
    for the reason given. Without a reason it is what Redis calls immutable."""

    def write(node: Node, draft: Draft, text: bytes) -> None:
        if value in (b"yes", b"no") and text.lower() not in (b"yes", b"no"):
            raise Refused(b"argument must be 'yes' or 'no'")
        if text.lower() != value:
            raise Refused(reason)

    return Parameter(lambda node: value, write if reason else None)


NO_DISK = b"no file outlives its data; --snapshot-dir keeps encrypted snapshots that end with it"
NO_EVICTION = b"nothing is evicted: a key leaves when its time to live ends"
ONE_LOOP = b"the pace is the node's own and cannot be set"
UNMEASURED = b"latency events are not measured"

# Fixed when the node started to listen, and when its peers were set up.
STARTED_WITH = (
    b"tcp-backlog",
    *(bound_of(one).option.encode() for one in fields(Limits) if bound_of(one).policy and bound_of(one).option),
)


def _table() -> dict[bytes, Parameter]:
    table = {
        b"maxmemory": Parameter(lambda node: b"%d" % node.settings.memory_bytes_max, _maxmemory),
        b"maxmemory-clients": Parameter(lambda node: b"%d" % node.config.clients_bytes_max, None),
        b"maxmemory-policy": _fixed(b"noeviction", NO_EVICTION),
        b"default-ttl": _seconds("default_ttl_ms"),
        b"max-ttl": _seconds("max_ttl_ms"),
        b"notify-keyspace-events": Parameter(lambda node: format_classes(node.event_flags), _events),
        b"requirepass": Parameter(lambda node: node.password, _password),
        b"client-output-buffer-limit": Parameter(_read_output, _write_output),
        b"bind": Parameter(lambda node: " ".join(node.config.bind).encode(), None),
        b"port": Parameter(lambda node: b"%d" % node.config.port, None),
        b"unixsocket": Parameter(lambda node: node.config.unixsocket.encode(), None),
        b"unixsocketperm": Parameter(lambda node: b"%o" % node.config.unixsocketperm, None),
        b"enclave": Parameter(lambda node: node.config.enclave.encode(), None),
        b"network": Parameter(lambda node: node.config.network.encode(), None),
        b"peer-port": Parameter(lambda node: b"%d" % node.config.peer_port, None),
        b"peer-bind": Parameter(lambda node: " ".join(node.config.peer_hosts).encode(), None),
        b"join": Parameter(lambda node: ",".join(map(str, node.config.join)).encode(), None),
        b"advertise": Parameter(lambda node: str(node.config.advertise or "").encode(), None),
        b"tree-root": Parameter(lambda node: node.config.root.encode(), None),
        b"seal-memory": Parameter(lambda node: b"yes" if node.config.seal_memory else b"no", None),
        b"engine": Parameter(lambda node: node.engine.name.encode(), None),
        b"decide": Parameter(lambda node: node.decide, _decide),
        b"home-weight": Parameter(lambda node: b"%d" % node.config.home_weight, None),
        b"databases": _fixed(b"%d" % DATABASES),
        b"save": _fixed(b"", NO_DISK),
        b"appendonly": _fixed(b"no", NO_DISK),
        b"appendfsync": _fixed(b"no", NO_DISK),
        b"stop-writes-on-bgsave-error": _fixed(b"no", NO_DISK),
        b"dbfilename": _fixed(b""),
        b"dir": _fixed(b""),
        b"cluster": Parameter(lambda node: node.config.cluster.encode(), None),
        b"cluster-enabled": Parameter(lambda node: b"no" if node.config.cluster == "no" else b"yes", None),
        b"cluster-announce": Parameter(lambda node: str(node.config.cluster_announce or "").encode(), None),
        b"cluster-announce-tls-port": Parameter(lambda node: b"%d" % node.config.cluster_announce_tls_port, None),
        b"daemonize": _fixed(b"no"),
        b"tls-port": Parameter(lambda node: b"%d" % node.config.tls_port, None),
        b"io-threads": _fixed(b"1"),
        b"hz": _fixed(b"100", ONE_LOOP),
        b"dynamic-hz": _fixed(b"no", ONE_LOOP),
        b"latency-monitor-threshold": _fixed(b"0", UNMEASURED),
        b"latency-tracking": _fixed(b"no", UNMEASURED),
        b"maxmemory-samples": _fixed(b"0", NO_EVICTION),
        b"lfu-log-factor": _fixed(b"0", NO_EVICTION),
        b"lfu-decay-time": _fixed(b"0", NO_EVICTION),
        b"activedefrag": _fixed(b"no", b"memory is not moved while the node runs"),
    }
    for one in fields(Limits):
        said = bound_of(one)
        if said.option:
            name = said.option.encode()
            table[name] = _limit(one.name, said.least, said.most)
    for name in STARTED_WITH:
        table[name] = Parameter(table[name].read, None)
    table[b"maxclients"] = _maxclients()
    return table


PARAMETERS = _table()
