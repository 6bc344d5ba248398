"""The page of the snapshots: what was measured stands in it, and a node's facts are read right."""

import time

from benchmarks.snapshots import fill, node, of, page, probe


def test_the_page_shows_what_was_measured() -> None:
    names = ("stop_s", "bytes", "files", "restart_s", "write_s", "write_cpu_s", "bootstrap_s", "bootstrap_bytes",
             "rejoin_s", "rejoin_bytes")
    found = (
        {name: 1_000_000.0 * at for at, name in enumerate(names, 1)}
        | of([1.0, 2.0, 3.0], "idle")
        | of([4.0, 5.0, 6.0], "writing")
    )
    text = page(found, "native", 5)
    assert "| 1000000.0 s |" in text and "2 MB in 3000000 segments" in text and "| 5.00 ms, 6.00 ms, 6.00 ms |" in text
    assert "| 2.00 ms, 3.00 ms, 3.00 ms |" in text and "9000000.0 s, 10.00 MB received" in text


def test_a_node_is_filled_asked_and_probed() -> None:
    with node("pure", None) as one:
        fill(one, 0, 3_000)
        assert one.keys() == 3_000 and one.fact(b"persistence", "snapshot_status") == "off"
        assert len(probe(one, time.monotonic() + 0.2)) > 3
