"""Nodes of one enclave whose settings differ: the smaller limit holds, both logs warn, and nothing stands on one node alone."""

import pytest

from tests.engine.conftest import ENGINES
from tests.peers.enclave import enclave, until, until_equal, until_ready

DAY_S = 86_400


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_one_node_may_not_keep_so_long_are_cut_on_all(engine: str) -> None:
    """They were refused there for ever, with retries without end, and an overwritten value stood on one node alone."""
    words = ("--default-ttl", "600", "--join-wait", "0", "--alone-after-ms", "100")
    with enclave(2, *words, engines=(engine,), each=lambda number: ("--max-ttl", str(2 * DAY_S if number else 3600))) as members:
        strict, lax = members
        strict.stop()
        lax.stop()
        lax.start()  # it has never met the other
        until_ready([lax])
        for number in range(200):
            lax.client.set(f"long:{number}", "v", ex=DAY_S)
        lax.client.set("overwritten", "old", ex=DAY_S)
        strict.start()
        until_ready(members)
        until(lambda: strict.client.dbsize() == 201, "the values were refused")
        until_equal(members, 201)
        for member in members:
            assert 0 < member.client.ttl("long:7") <= 3600, "cut on both"
            assert member.client.get("long:7") == b"v"
            assert any("event=unequal_settings" in line and " WARNING " in line and "setting=max-ttl" in line for line in member.log().splitlines())
            assert member.info()["records_refused"] == 0
        assert lax.client.config_get("max-ttl") == {"max-ttl": "3600"}
        lax.client.set("overwritten", "new", ex=DAY_S)
        until(lambda: strict.client.get("overwritten") == b"new", "the overwrite was refused")
        assert 0 < lax.client.ttl("overwritten") <= 3600
