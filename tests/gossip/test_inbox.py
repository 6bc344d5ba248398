"""What is heard from where: an enclave's data from its own members only, and nothing from links that are gone."""

from respram.gossip.effects import Hangup
from respram.wire.messages import MESSAGES, Ack, Bye, Digest, Push, Records

from .rig import Bench, member


def test_data_from_another_enclave_ends_the_link() -> None:
    for message in (Push(1, 0, 9, 1, 0, 0, b""), Records(1, 0, 1, 1, b""), Digest(1, bytes(28))):
        bench = Bench()
        bench.meet(1, member(0x200, enclave=b"other"))
        bench.say(1, message)
        assert "another enclave" in bench.hangups()[1]


def test_an_acknowledgement_of_what_was_never_sent_ends_the_link() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.say(1, Ack(1, b""))
    assert 1 in bench.hangups()


def test_messages_for_a_link_that_is_gone_are_nothing() -> None:
    bench = Bench()
    assert bench.core.receive(99, Bye(), bench.now) == []
    assert bench.core.closed(99, bench.now) == []
    assert not [one for one in bench.effects if isinstance(one, Hangup)]


def test_every_message_is_somebodys() -> None:
    assert set(Bench().core.inbox.table) == set(MESSAGES)
