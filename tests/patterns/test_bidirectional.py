"""Two sides that talk at once."""

import pytest

from respram.patterns import Duplex, Sealer, StreamEnded, new_secret
from tests.live import SOON_S
from tests.patterns.conftest import World


def test_both_sides_talk_at_once(world: World) -> None:
    sealer = Sealer(new_secret())
    ada = Duplex(world.client, world.name, "ada", "bob", 600, sealer)
    bob = Duplex(world.another(), world.name, "bob", "ada", 600, sealer)
    outcomes = world.together(
        lambda: ada.send(b"from ada"), lambda: bob.send(b"from bob"),
        lambda: ada.receive(SOON_S), lambda: bob.receive(SOON_S),
    )
    assert outcomes == [0, 0, b"from bob", b"from ada"]


def test_one_side_may_close_and_still_receive(world: World) -> None:
    ada = Duplex(world.client, world.name, "ada", "bob", 600)
    bob = Duplex(world.another(), world.name, "bob", "ada", 600)
    world(ada.close())
    world(bob.send(b"still here"))
    assert world(ada.receive(SOON_S)) == b"still here"
    with pytest.raises(StreamEnded):
        world(bob.receive(SOON_S))
    with pytest.raises(StreamEnded):
        world(ada.send(b"x"))
