"""A payload through a node that learns nothing."""

import pytest

from respram.patterns import ContentMissing, SecureRelay, Tampered, TimedOut, Unreadable, new_secret
from tests.live import SOON_S
from tests.patterns.conftest import World

PLAIN = b"the papers are under the third stone"


@pytest.mark.parametrize("algorithm", ["aes-256-gcm", "chacha20-poly1305"])
def test_the_recipient_reads_it_and_the_node_learns_nothing(world: World, algorithm: str) -> None:
    secret = new_secret()
    relay = SecureRelay(world.client, secret, algorithm=algorithm)
    world(relay.drop(PLAIN, ttl_s=600))
    assert world(SecureRelay(world.another(), secret).pick_up()) == PLAIN
    held = world.raw.get(relay.key)
    assert PLAIN not in held and secret.encode() not in held + relay.key
    assert len(relay.key) == 32 and relay.key != SecureRelay(world.client, secret, "1").key


def test_another_secret_finds_nothing(world: World) -> None:
    world(SecureRelay(world.client, new_secret()).drop(PLAIN, ttl_s=600))
    with pytest.raises(ContentMissing):
        world(SecureRelay(world.client, new_secret()).pick_up())


def test_a_payload_that_the_node_changed_or_moved_is_refused(world: World) -> None:
    secret = new_secret()
    relay, other = SecureRelay(world.client, secret), SecureRelay(world.client, secret, "other")
    world(relay.drop(PLAIN, ttl_s=600))
    held = world.raw.get(relay.key)
    world.raw.set(other.key, held, px=600_000)
    with pytest.raises(Tampered):
        world(other.pick_up())
    world.raw.set(relay.key, held[:-1] + bytes((held[-1] ^ 1,)), px=600_000)
    with pytest.raises(Tampered):
        world(relay.pick_up())
    world.raw.set(relay.key, b"hello", px=600_000)
    with pytest.raises(Unreadable):
        world(relay.pick_up())


def test_waiting_ends_with_the_payload_or_in_time(world: World) -> None:
    relay = SecureRelay(world.client, new_secret())
    with pytest.raises(TimedOut):
        world(relay.wait(0.03, 0.01))
    sender = SecureRelay(world.another(), relay.secret)
    late = world.later(0.03, lambda: sender.drop(PLAIN, ttl_s=600))
    found, _ = world.together(lambda: relay.wait(SOON_S, 0.01), late)
    assert found == PLAIN
