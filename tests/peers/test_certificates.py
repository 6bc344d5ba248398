"""Nodes with an operator's certificates: a number goes with the name in one, and renewing it changes neither."""

import os
import signal
from pathlib import Path

import pytest

from respram.gossip.identity import belongs_to
from respram.server.secret import OwnCertificates, trust_by_certificates
from tests.peers.enclave import Member, enclave, until, until_linked, until_ready
from tests.peers.test_expulsion import Authority
from tests.peers.test_identity import greeted


def replaced(authority: Authority, number: int, name: str) -> None:
    """As what renews certificates does it: both files, a moment one after the other."""
    authority.words(number, name)


def numbers_of(members: list[Member]) -> list[int]:
    return [int(member.client.info("respram")["node_number"], 16) for member in members]


@pytest.mark.timeout(300)
def test_a_number_goes_with_a_name_and_outlives_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with enclave(3, secret="", each=lambda number: authority.words(number, f"node {number}")) as members:
        until_ready(members)
        numbers = numbers_of(members)
        assert len({belongs_to(number) for number in numbers} - {0}) == 3
        words = dict(zip(*[iter(authority.words(9, "node 2"))] * 2, strict=True))
        two = trust_by_certificates(OwnCertificates(words["--peer-cert"], words["--peer-key"], words["--peer-ca"]))
        assert b"number of another's certificate" in greeted(members[0], two, numbers[1])

        replaced(authority, 0, "node 0")
        node = members[0].node
        assert node is not None
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "event=peer_reloaded what=certificates" in members[0].log(), "it was not taken")
        members[1].stop()
        members[1].start()  # what it is shown now is the new key
        until_linked(members)
        assert numbers_of(members)[0] == numbers[0]
        told = sum(member.log().count("number_of_another") for member in members)
        assert told == 1, "that was the stranger"

        replaced(authority, 0, "somebody else")
        os.kill(node.process.pid, signal.SIGHUP)
        until(lambda: "event=peer_reload_failed" in members[0].log(), "another name was taken")
        until_linked(members)
