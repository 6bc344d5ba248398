"""HELP, of every command that has it."""

import pytest

from respram.commands.running import HANDLERS

from .rig import Client

CONTAINERS = sorted(name.partition(b"|")[0] for name in HANDLERS if name.endswith(b"|help"))


def test_every_container_that_clients_know_has_its_help() -> None:
    assert CONTAINERS == [
        b"acl", b"client", b"cluster", b"command", b"config", b"latency", b"memory", b"module", b"object", b"pubsub",
        b"respram",
        b"script", b"slowlog",
    ]  # fmt: skip


# (CLUSTER is off unless --cluster says otherwise: then its help is off too, as Redis has it.)
@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != b"cluster"], ids=bytes.decode)
def test_help_begins_with_its_command_and_ends_with_itself(client: Client, name: bytes) -> None:
    count, *lines = client(name, b"HELP").removesuffix(b"\r\n").split(b"\r\n")
    assert count == b"*%d" % len(lines)
    assert lines[0].startswith(b"+%b <subcommand> " % name.upper())
    assert lines[-2:] == [b"+HELP", lines[-1]] and lines[-1].startswith(b"+    ")
    assert client(name, b"HELP", b"x").startswith(b"-ERR")
