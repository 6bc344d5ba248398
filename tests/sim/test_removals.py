"""Where a majority decides, it has accepted who was taken out of a collection before the client is answered."""

import pytest

from respram.gossip.core import Core
from respram.gossip.effects import Effect, Serve
from respram.gossip.forwarding import ANSWERED
from respram.record import SET
from respram.sim.world import Node
from respram.wire.messages import DONE

from .test_lengthening import KEY, Enclave

NAME, OTHER = b"member", b"another"
LIFE_MS = 600_000


class Sets(Enclave):
    def serve(self, node: Node, serve: Serve) -> None:
        now = self.world.time_of(node)
        assert node.replica.may_run(serve.who, serve.forward.number, now)
        if serve.forward.commands.startswith(b"add"):
            node.engine.found(0, KEY, SET, now.wall_ms + LIFE_MS, False, now.wall_ms)
            for name in (NAME, OTHER):
                node.engine.put_member(0, KEY, name, b"", None, now.wall_ms)
        else:
            assert node.engine.let_go_member(0, KEY, NAME, now.wall_ms)
        self.world.carry(node, node.replica.served(serve.who, serve.forward, DONE, b"", now))
        self.world.touch(node)

    def who_has(self, name: bytes) -> int:
        nodes = self.world.nodes
        return sum(node.engine.member(0, KEY, name, self.world.time_of(node).wall_ms) is not None for node in nodes)


def no_push(core: Core, payload: bytes, now: object) -> list[Effect]:
    return []


@pytest.mark.parametrize("seed", range(3))
def test_a_majority_knows_who_was_taken_out(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    enclave = Sets(seed)
    monkeypatch.setattr(Core, "wrote", no_push)  # gossip is slow: only what is accepted is there
    home = enclave.home()
    assert enclave.decide(home, b"add", b"", 0)[0] == ANSWERED
    assert enclave.who_has(NAME) >= 2
    assert enclave.decide(home, b"rem", b"", 0)[0] == ANSWERED
    assert enclave.who_has(NAME) <= 1 and enclave.who_has(OTHER) >= 2
