"""INFO: the node in numbers, in the sections and under the names that Redis gives them.

Fields that have no counterpart here are left out rather than made up, except for the few that clients
read before they do anything (`loading`, `role`, `cluster_enabled`...). What only respram has is in a
section of its own. `sample` is called once a second by whoever keeps the node's time.
"""

import platform
import re
from collections.abc import Callable, Iterable

from respram import __version__
from respram.commands.acl_user import DEFAULT as USER
from respram.commands.census import census
from respram.commands.cluster import replicas, spell
from respram.commands.node import Conn, Node
from respram.commands.notify import end_pause
from respram.commands.peers import PeerFacts
from respram.commands.refusals import sum_up
from respram.commands.reply import Reply, Verbatim
from respram.commands.scripts import facts as script_facts
from respram.commands.texts import REDIS_VERSION
from respram.record import DATABASES

Field = tuple[str, object]
Section = Callable[[Node, int], list[Field]]

GAUGES = frozenset(  # gauges: CONFIG RESETSTAT does not subtract from them
    {"stubs", "stub_bytes", "records", "record_overhead_bytes", "late_last_at_ms", "late_last_by_ms"}
)
TOP_SHOWN = 8  # names in a field that lists the most frequent ones
TOP_NAME_BYTES_MAX = 40  # bytes of each name in such a field
BIG_UNITS = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def info(conn: Conn, argv: list[bytes]) -> Reply:
    names = [argument.lower() for argument in argv[1:]]
    return Verbatim(render(conn.node, names, conn.now_ms))


def render(node: Node, names: Iterable[bytes], now_ms: int) -> bytes:
    """The sections asked for, in the table's order, each once; unknown ones are passed over."""
    wanted: set[bytes] = set()
    for name in names or (b"default",):
        if name == b"default":
            wanted |= DEFAULT
        elif name in (b"all", b"everything"):
            wanted |= SECTIONS.keys()
        else:
            wanted.add(name)
    parts = []
    for name, (title, section) in SECTIONS.items():
        if name in wanted:
            lines = [f"# {title}", *(f"{field}:{value}" for field, value in section(node, now_ms))]
            parts.append("".join(f"{line}\r\n" for line in lines))
    return "\r\n".join(parts).encode()


def sample(node: Node, now_ms: int) -> None:
    """Once a second: rates since the last call, the peak of memory, the end of a pause."""
    rates, stats = node.rates, node.stats
    commands = total_commands(node)
    passed_s = (now_ms - rates.at_ms) / 1000
    if rates.at_ms and passed_s > 0:
        rates.commands_per_s = max(commands - rates.commands, 0) / passed_s
        rates.input_bytes_per_s = max(stats.net_input_bytes - rates.input_bytes, 0) / passed_s
        rates.output_bytes_per_s = max(stats.net_output_bytes - rates.output_bytes, 0) / passed_s
    rates.at_ms = now_ms
    rates.commands = commands
    rates.input_bytes, rates.output_bytes = stats.net_input_bytes, stats.net_output_bytes
    used_bytes(node)
    if node.pause.is_over(now_ms):
        end_pause(node)
    sum_up(node, now_ms)


def counters(node: Node) -> dict[str, int]:
    """The engine's counters since the start or the last CONFIG RESETSTAT."""
    before = node.counters_before
    return {
        name: count if name in GAUGES else count - before.get(name, 0) for name, count in node.engine.counters().items()
    }


def errors_of(node: Node) -> dict[bytes, int]:
    """Error replies by their first word; the engine counts those of scripts that it ran."""
    errors, own = dict(node.stats.errors), counters(node).get("script_errors", 0)
    if own:
        errors[b"ERR"] = errors.get(b"ERR", 0) + own
    return errors


def total_commands(node: Node) -> int:
    hot = sum(count for name, count in counters(node).items() if name.startswith("hot_"))
    return node.stats.commands + hot


def used_bytes(node: Node) -> int:
    """Memory in use now, and on the way the highest that was ever seen."""
    used = node.engine.used_bytes()
    node.rates.used_bytes_peak = max(node.rates.used_bytes_peak, used)
    return used


def human(size: int) -> str:
    for unit, letter in BIG_UNITS:
        if size >= unit:
            return f"{size / unit:.2f}{letter}"
    return f"{size}B"


# -- sections -----------------------------------------------------------------------------------
def _server(node: Node, now_ms: int) -> list[Field]:
    uptime_s = max(now_ms - node.started_ms, 0) // 1000
    return [
        ("redis_version", REDIS_VERSION.decode()),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", "0"),
        ("redis_mode", "standalone" if node.config.cluster == "no" else "cluster"),
        ("respram_version", __version__),
        ("os", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("arch_bits", 64),
        ("process_id", node.pid),
        ("run_id", node.run_id.decode()),
        ("tcp_port", node.config.port),
        ("server_time_usec", node.wall_us()),
        ("uptime_in_seconds", uptime_s),
        ("uptime_in_days", uptime_s // 86_400),
        ("hz", 100),
        ("configured_hz", 100),
        ("executable", ""),
        ("config_file", ""),
    ]


def _clients(node: Node, now_ms: int) -> list[Field]:
    found = census(node)
    return [
        ("connected_clients", len(node.clients)),
        ("cluster_connections", 0),
        ("maxclients", node.limits.clients_max),
        ("client_recent_max_input_buffer", found.input_bytes_most),
        ("client_recent_max_output_buffer", found.output_bytes_most),
        ("blocked_clients", found.blocked),
        ("tracking_clients", len(node.trackers)),
        ("pubsub_clients", found.subscribed),
        ("clients_in_timeout_table", 0),
    ]


def _memory(node: Node, now_ms: int) -> list[Field]:
    usage, used = node.usage(), used_bytes(node)
    rss, peak = int(usage.get("rss_bytes", 0)), node.rates.used_bytes_peak
    limit = node.settings.memory_bytes_max
    scripts, texts, lua = script_facts(node)
    waiting = census(node).input_bytes + census(node).output_bytes
    fields: list[Field] = [
        ("used_memory", used),
        ("used_memory_human", human(used)),
        ("used_memory_rss", rss),
        ("used_memory_rss_human", human(rss)),
        ("used_memory_peak", peak),
        ("used_memory_peak_human", human(peak)),
        ("used_memory_peak_perc", f"{100 * used / peak if peak else 0:.2f}%"),
        ("used_memory_dataset", used),
        ("used_memory_dataset_perc", "100.00%"),
        ("used_memory_lua", lua),
        ("used_memory_vm_eval", lua),
        ("used_memory_scripts_eval", texts),
        ("number_of_cached_scripts", scripts),
        ("maxmemory", limit),
        ("maxmemory_human", human(limit)),
        ("maxmemory_policy", "noeviction"),
        ("mem_fragmentation_ratio", f"{rss / used if used else 0:.2f}"),
        ("mem_fragmentation_bytes", rss - used if used else 0),
        ("mem_clients_normal", waiting),
        ("mem_allocator", "libc"),
    ]
    if "system_bytes" in usage:
        total = int(usage["system_bytes"])
        fields += [("total_system_memory", total), ("total_system_memory_human", human(total))]
    return fields


def _persistence(node: Node, now_ms: int) -> list[Field]:
    """Redis's rows tell monitoring that nothing failed; what there is to tell of snapshots follows."""
    return [
        ("loading", int(node.loading)),
        ("async_loading", 0),
        ("rdb_changes_since_last_save", 0),
        ("rdb_bgsave_in_progress", 0),
        ("rdb_last_save_time", node.started_ms // 1000),
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", -1),
        ("rdb_current_bgsave_time_sec", -1),
        ("aof_enabled", 0),
        ("aof_rewrite_in_progress", 0),
        ("aof_rewrite_scheduled", 0),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_last_write_status", "ok"),
        *(node.snapshots.facts() if node.snapshots is not None else [("snapshot_status", "off")]),
    ]


def _stats(node: Node, now_ms: int) -> list[Field]:
    stats, rates, counts = node.stats, node.rates, counters(node)
    return [
        ("total_connections_received", stats.connections),
        ("total_commands_processed", total_commands(node)),
        ("instantaneous_ops_per_sec", round(rates.commands_per_s)),
        ("total_net_input_bytes", stats.net_input_bytes),
        ("total_net_output_bytes", stats.net_output_bytes),
        ("instantaneous_input_kbps", f"{rates.input_bytes_per_s / 1024:.2f}"),
        ("instantaneous_output_kbps", f"{rates.output_bytes_per_s / 1024:.2f}"),
        ("rejected_connections", stats.rejected_connections),
        ("sync_full", 0),
        ("sync_partial_ok", 0),
        ("sync_partial_err", 0),
        ("expired_keys", counts.get("expired", 0)),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", 0),
        ("evicted_keys", 0),
        ("evicted_clients", stats.evicted_clients),
        ("keyspace_hits", counts.get("hits", 0)),
        ("keyspace_misses", counts.get("misses", 0)),
        ("pubsub_channels", len(node.channels)),
        ("pubsub_patterns", len(node.patterns)),
        ("pubsubshard_channels", len(node.shard_channels)),
        ("pubsub_messages_waiting", len(node.broadcasts.waiting)),
        ("pubsub_messages_dropped", stats.messages_dropped),
        ("latest_fork_usec", 0),
        ("total_forks", 0),
        ("tracking_total_keys", len(node.tracked)),
        ("tracking_total_items", sum(map(len, node.tracked.values()))),
        ("tracking_total_prefixes", len(node.prefixes)),
        ("total_error_replies", sum(errors_of(node).values())),
        ("client_query_buffer_limit_disconnections", stats.query_limit_disconnections),
        ("client_output_buffer_limit_disconnections", stats.output_limit_disconnections),
        ("acl_access_denied_auth", stats.auth_failures),
        ("acl_access_denied_cmd", stats.denied.get(b"command", 0)),
        ("acl_access_denied_key", stats.denied.get(b"key", 0)),
        ("acl_access_denied_channel", stats.denied.get(b"channel", 0)),
    ]


def _replication(node: Node, now_ms: int) -> list[Field]:
    """Peers are equals: to a client each node is a master, and those it has links to look like its replicas."""
    peers = node.peers
    slaves = [
        (
            f"slave{number}",
            f"ip={one.host.decode()},port={one.port},state=online,"
            f"offset={peers.last_number() if peers else 0},lag={one.lag_ms // 1000}",
        )
        for number, one in enumerate(replicas(node))
    ]
    return [
        ("role", "master"),
        ("connected_slaves", len(slaves)),
        *slaves,
        ("master_failover_state", "no-failover"),
        ("master_replid", node.run_id.decode()),
        ("master_replid2", "0" * 40),
        ("master_repl_offset", peers.last_number() if peers is not None else 0),
        ("second_repl_offset", -1),
        ("repl_backlog_active", 0),
        ("repl_backlog_size", 0),
        ("repl_backlog_first_byte_offset", 0),
        ("repl_backlog_histlen", 0),
        *(peers.facts() if peers is not None else ()),
        *((f"peer{number}", _peer_line(one)) for number, one in enumerate(peers.linked() if peers is not None else ())),
    ]


def _peer_line(one: PeerFacts) -> str:
    return (
        f"node={one.number:016x},address={spell(one.host, one.port).decode()},"
        f"enclave={ascii(one.enclave.decode('latin-1'))[1:-1]},"
        f"role={one.role.decode()},state={one.state.decode()},rtt_us={one.rtt_us},lag_ms={one.lag_ms},"
        f"queue_bytes={one.queue_bytes},heard_ms={one.heard_ms}"
    )


def _cpu(node: Node, now_ms: int) -> list[Field]:
    usage = node.usage()
    return [
        ("used_cpu_sys", f"{usage.get('cpu_sys_s', 0.0):.6f}"),
        ("used_cpu_user", f"{usage.get('cpu_user_s', 0.0):.6f}"),
        ("used_cpu_sys_children", "0.000000"),
        ("used_cpu_user_children", "0.000000"),
    ]


def _modules(node: Node, now_ms: int) -> list[Field]:
    return []


def _commandstats(node: Node, now_ms: int) -> list[Field]:
    """Cold commands are timed; the engine counts its hot ones and does not time them, so their
    microseconds are those of the calls that came the long way."""
    calls = {name.removeprefix("hot_"): count for name, count in counters(node).items() if name.startswith("hot_")}
    by_command = node.stats.by_command
    lines: list[Field] = []
    for name in sorted({*(one.decode() for one in by_command), *(one for one, count in calls.items() if count)}):
        stat = by_command.get(name.encode())
        timed = stat.calls if stat else 0
        usec, rejected, failed = (stat.micros, stat.rejected, stat.failed) if stat else (0, 0, 0)
        per_call = usec / timed if timed else 0.0
        line = f"calls={timed + calls.get(name, 0)},usec={usec},usec_per_call={per_call:.2f}"
        lines.append((f"cmdstat_{name}", f"{line},rejected_calls={rejected},failed_calls={failed}"))
    return lines


def _errorstats(node: Node, now_ms: int) -> list[Field]:
    return [
        (f"errorstat_{word.decode('ascii', 'backslashreplace')}", f"count={count}")
        for word, count in sorted(errors_of(node).items())
    ]


def _latencystats(node: Node, now_ms: int) -> list[Field]:
    """Percentiles are not measured: an empty section says so better than zeros would."""
    return []


def _cluster(node: Node, now_ms: int) -> list[Field]:
    return [("cluster_enabled", int(node.config.cluster != "no"))]


def _keyspace(node: Node, now_ms: int) -> list[Field]:
    fields: list[Field] = []
    for db in range(DATABASES):
        keys = node.engine.count(db, now_ms)
        if keys:
            average_ms = node.engine.ttl_average_ms(db, now_ms)
            fields.append((f"db{db}", f"keys={keys},expires={keys},avg_ttl={average_ms}"))
    return fields


def _respram(node: Node, now_ms: int) -> list[Field]:
    stats, counts = node.stats, counters(node)
    return [
        ("respram_version", __version__),
        ("engine", node.engine.name),
        ("memory_sealed", int(node.config.seal_memory)),
        ("cipher", node.engine.cipher),
        ("loop_tasks", int(node.usage().get("tasks", 0))),
        ("open_descriptors", int(node.usage().get("descriptors", 0))),
        ("hot_reads", int(node.engine.hot_reads)),
        ("hot_writes", int(node.engine.hot_writes)),
        ("enclave", node.config.enclave),
        ("node_number", f"{node.number:016x}"),
        ("default_ttl_s", node.settings.default_ttl_ms // 1000),
        ("max_ttl_s", node.settings.max_ttl_ms // 1000),
        ("records", counts.get("records", 0)),
        ("stubs", counts.get("stubs", 0)),
        ("stub_bytes", counts.get("stub_bytes", 0)),
        ("forgotten_values", counts.get("expired", 0)),
        ("forgotten_bytes", counts.get("wiped_bytes", 0)),
        ("forgotten_late_last_at_ms", counts.get("late_last_at_ms", 0)),
        ("forgotten_late_last_by_ms", counts.get("late_last_by_ms", 0)),
        ("writes", counts.get("writes", 0)),
        ("ttl_defaulted", stats.ttl_defaulted + counts.get("defaulted", 0)),
        ("ttl_defaulted_by_client_name", _top(_defaulted(node))),
        ("ttl_cut", stats.ttl_cut),
        ("let_go", ",".join(sorted(name.decode() for name in node.users[USER].by_name)) or "nobody"),
        ("users_by_name", sum(bool(user.by_name) for user in node.users.values())),
        ("refused_deletes", stats.refused_deletes),
        ("refused_others", stats.refused_others),
        ("refused_by_command", _top(stats.refusals.by_command())),
        ("refused_by_client_name", _top(stats.refusals.by_client_name())),
        ("protocol_errors", stats.protocol_errors),
        ("idle_disconnections", stats.idle_disconnections),
        ("unproven_disconnections", stats.unproven_disconnections),
    ]


def _defaulted(node: Node) -> dict[bytes, int]:
    census(node)  # the counts of who names no TTL with it
    return dict(sorted(node.stats.defaulted_by_name.items(), key=lambda item: -item[1]))


def _top(sums: dict[bytes, int]) -> str:
    """`del=12,evalsha=3`: the most frequent ones, by names that cannot end the field."""
    most = list(sums.items())[:TOP_SHOWN]
    return ",".join(f"{_harmless(name)}={times}" for name, times in most)


def _harmless(name: bytes) -> str:
    text = name[:TOP_NAME_BYTES_MAX].decode("ascii", "backslashreplace")
    return re.sub(r"[^A-Za-z0-9_.|()-]", "_", text) or "unnamed"


SECTIONS: dict[bytes, tuple[str, Section]] = {
    b"server": ("Server", _server),
    b"clients": ("Clients", _clients),
    b"memory": ("Memory", _memory),
    b"persistence": ("Persistence", _persistence),
    b"stats": ("Stats", _stats),
    b"replication": ("Replication", _replication),
    b"cpu": ("CPU", _cpu),
    b"modules": ("Modules", _modules),
    b"commandstats": ("Commandstats", _commandstats),
    b"errorstats": ("Errorstats", _errorstats),
    b"latencystats": ("Latencystats", _latencystats),
    b"cluster": ("Cluster", _cluster),
    b"keyspace": ("Keyspace", _keyspace),
    b"respram": ("Respram", _respram),
}
DEFAULT = SECTIONS.keys() - {b"commandstats", b"latencystats"}

HANDLERS = {b"info": info}
