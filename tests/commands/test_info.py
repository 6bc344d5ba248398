"""INFO: sections, mandatory fields, and numbers that are true."""

from respram import __version__
from respram.commands.info import human, sample

from .rig import Client

SECTIONS = ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules", "Errorstats",
            "Cluster",
            "Keyspace", "Respram"]  # fmt: skip


def text(client: Client, *sections: bytes) -> str:
    """The bulk's content."""
    reply = client(b"INFO", *sections)
    head, body = reply.split(b"\r\n", 1)
    assert head == b"$%d" % (len(body) - 2)
    return body[:-2].decode()


def fields(client: Client, *sections: bytes) -> dict[str, str]:
    lines = [line for line in text(client, *sections).split("\r\n") if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def titles(client: Client, *sections: bytes) -> list[str]:
    return [line[2:] for line in text(client, *sections).split("\r\n") if line.startswith("#")]


def test_sections_come_by_name_in_any_case_and_in_fixed_order(client: Client) -> None:
    assert titles(client) == titles(client, b"default") == SECTIONS
    assert titles(client, b"cluster", b"SERVER", b"nosuch", b"server") == ["Server", "Cluster"]
    everything = titles(client, b"EVERYTHING")
    assert everything == titles(client, b"All")
    assert set(everything) == {*SECTIONS, "Commandstats", "Latencystats"}
    assert text(client, b"nosuch") == ""
    assert text(client, b"cluster") == "# Cluster\r\ncluster_enabled:0\r\n"
    assert "\r\n\r\n# Clients\r\n" in text(client)


def test_it_is_verbatim_text_in_resp3(client: Client) -> None:
    client(b"HELLO", b"3")
    assert client(b"INFO", b"cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_clients_find_the_fields_without_which_they_give_up(client: Client) -> None:
    client(b"SET", b"a", b"1", b"PX", b"5000")
    found = fields(client)
    assert found["redis_version"].startswith("7.2.") and found["respram_version"] == __version__
    expected = {"redis_mode": "standalone", "role": "master", "loading": "0", "cluster_enabled": "0",
                "connected_clients": "1", "tcp_port": "6379", "db0": "keys=1,expires=1,avg_ttl=5000"}  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert int(found["used_memory"]) > 0 and int(found["total_commands_processed"]) >= 1


def test_every_command_is_counted_fast_or_not(client: Client) -> None:
    for _ in range(3):
        client(b"GET", b"a")
    client(b"GET", b"a", b"b")
    client(b"CONFIG", b"GET", b"save")
    stats = text(client, b"commandstats")
    # Only the slow way is timed, at 7 microseconds in virtual time.
    assert (
        "cmdstat_get:calls=3,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0\r\n" in stats
    ) == client.rig.hot
    assert ("cmdstat_get:calls=3,usec=21,usec_per_call=7.00," in stats) == (not client.rig.hot)
    assert "cmdstat_config|get:calls=1,usec=7,usec_per_call=7.00," in stats
    assert fields(client, b"stats")["total_commands_processed"] == "5"  # run, not refused before


def test_hits_misses_and_expirations_are_counted(client: Client) -> None:
    client(b"SET", b"a", b"1", b"PX", b"100")
    client(b"CONFIG", b"RESETSTAT")
    client(b"GET", b"a")
    client(b"GET", b"b")
    client.advance(200)
    found = fields(client, b"stats", b"keyspace")
    assert (found["keyspace_hits"], found["keyspace_misses"], found["expired_keys"]) == ("1", "1", "1")
    assert "db0" not in found


def test_errors_are_counted_by_their_first_word(client: Client) -> None:
    client(b"NOSUCH")
    client(b"INCR", b"a", b"b")
    client(b"DEL", b"a")
    found = fields(client, b"errorstats", b"stats", b"respram")
    assert (found["errorstat_ERR"], found["errorstat_NOPERM"]) == ("count=2", "count=1")
    assert (found["total_error_replies"], found["refused_deletes"]) == ("3", "1")


def test_the_ttl_policy_and_what_it_did_are_shown(client: Client) -> None:
    client(b"SET", b"a", b"1")
    client(b"SET", b"b", b"1", b"EX", b"99999999")
    found = fields(client, b"respram")
    assert (found["default_ttl_s"], found["max_ttl_s"]) == ("3600", "2678400")
    assert (found["ttl_defaulted"], found["ttl_cut"], found["records"]) == ("1", "1", "2")
    assert found["engine"] == client.rig.engine.name


def test_rates_are_what_passed_between_two_samples(client: Client) -> None:
    node = client.rig.node
    sample(node, client.rig.now_ms)
    for _ in range(10):
        client(b"GET", b"a")
    node.stats.net_input_bytes += 4096
    client.advance(2000)
    sample(node, client.rig.now_ms)
    found = fields(client, b"stats")
    assert (found["instantaneous_ops_per_sec"], found["instantaneous_input_kbps"]) == ("5", "2.00")
    client(b"CONFIG", b"RESETSTAT")
    client.advance(1000)
    sample(node, client.rig.now_ms)
    assert int(fields(client, b"stats")["instantaneous_ops_per_sec"]) <= 2


def test_a_sample_ends_a_pause_whose_time_is_over(client: Client) -> None:
    node, engine = client.rig.node, client.rig.engine
    client(b"CLIENT", b"PAUSE", b"500", b"WRITE")
    client.advance(499)
    sample(node, client.rig.now_ms)
    assert not engine.hot_writes
    client.advance(1)
    sample(node, client.rig.now_ms)
    assert engine.hot_writes and node.pause.until_ms == 0


def test_the_peak_of_memory_stays(client: Client) -> None:
    client(b"SET", b"a", b"x" * 10_000, b"PX", b"50")
    peak = fields(client, b"memory")["used_memory_peak"]
    client.advance(100)
    found = fields(client, b"memory")
    assert found["used_memory_peak"] == peak and int(found["used_memory"]) < int(peak) and int(peak) > 10_000


def test_sizes_are_spelt_as_redis_spells_them() -> None:
    sizes = {0: "0B", 1023: "1023B", 1024: "1.00K", 1_839_944: "1.75M", 25_276_510_208: "23.54G", 1 << 41: "2.00T"}
    assert {size: human(size) for size in sizes} == sizes


def test_no_value_and_no_key_is_in_it(client: Client) -> None:
    client(b"SET", b"hidden-key", b"hidden-value")
    client(b"NOSUCH", b"hidden-value")
    client(b"-hidden-value")
    assert "hidden" not in text(client, b"everything")
