"""What tests start nodes with: a node that is handed over can be reached by each of its ways."""

import contextlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from tests import live


class Slow:
    """A node that the machine interrupts between binding the port of plain clients and binding the others."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: BinaryIO) -> None:
        self.port = int(words[words.index("--port") + 1])
        self.plain = socket.create_server(("127.0.0.1", self.port))
        self.log = Path(f"/proc/self/fd/{log.fileno()}").resolve()
        self.polls = 0

    def poll(self) -> int | None:
        self.polls += 1
        if self.polls == 5:
            self.log.write_text(f"event=listen clients=127.0.0.1:{self.port} tls_clients=127.0.0.1:1 unix_clients=none")
        return None if self.polls < 100 else 1

    def kill(self) -> None:
        self.plain.close()

    def wait(self, timeout: float | None = None) -> int:
        return 1


def test_a_node_with_tls_is_handed_over_when_it_listens_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Forked", Slow)
    monkeypatch.setenv("TESTS_FORK", "yes")
    node = live.start("--tls-port", "1")
    with contextlib.closing(node.process.plain):  # type: ignore[union-attr]
        assert "event=listen" in node.log()
    for wire in node.wires:
        wire.close()
    node.log_path.unlink()
