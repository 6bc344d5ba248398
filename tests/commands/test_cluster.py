"""CLUSTER: disabled, said as Redis says it."""

import pytest

from .rig import Client, Reference


@pytest.mark.parametrize("line", ["CLUSTER", "CLUSTER INFO", "CLUSTER SLOTS", "CLUSTER NODES", "CLUSTER KEYSLOT a",
                                  "ASKING", "READONLY", "READWRITE"])  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    words = line.encode().split()
    assert client(*words) == reference(*words)
