"""A home is killed: what is known about its decisions is said at once."""

import pytest

from tests.engine.conftest import ENGINES
from tests.peers.enclave import enclave, until_ready

FOR_EVER_MS = 3_600_000  # far beyond the patience of the client


@pytest.mark.parametrize("engine", list(ENGINES))
def test_wait_does_not_wait_for_a_home_that_is_gone(engine: str) -> None:
    with enclave(3, engines=(engine,)) as members:
        until_ready(members)
        asked, lost, _ = members
        home_of = {
            asked.client.execute_command("RESPRAM", "HOME", key)[b"address"]: key
            for key in map("key:{}".format, range(60))
        }
        assert len(home_of) == 3
        for key in home_of.values():
            assert asked.client.incr(key) == 1
        lost.kill()
        assert asked.client.execute_command("WAIT", 2, FOR_EVER_MS) < 2
