"""Knocks: who knows the key is told from everybody else, once, and for a while only."""

import contextlib
import random
import ssl
import string
from pathlib import Path

from respram.server import knock
from respram.server.knock import KNOCK_MS_MAX, KNOCKS_MAX, Knocks
from respram.server.secret import trust_by_certificates, trust_by_secret
from tests.secrets import secret_of
from tests.server.test_secret import own_pki

NOW_MS = 1_800_000_000_000
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NONCE = b"n" * knock.NONCE_BYTES


def hello(context: ssl.SSLContext, name: str) -> bytes:
    """The first bytes of a client of TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        side.do_handshake()
    return outgoing.read()


def said(name: str) -> bytes:
    return b"before" + name.encode() + b"behind"


def test_who_knows_the_key_is_believed_once() -> None:
    knocks, mine = Knocks(), said(knock.make(KEY, NOW_MS, NONCE))
    assert not knocks.is_good((OTHER_KEY,), mine, NOW_MS) and not knocks.is_good((), mine, NOW_MS)
    assert knocks.is_good((OTHER_KEY, KEY), mine, NOW_MS)
    assert not knocks.is_good((KEY,), mine, NOW_MS), "somebody has recorded it"
    assert knocks.is_good((KEY,), said(knock.make(KEY, NOW_MS, NONCE[1:] + b"2")), NOW_MS)


def test_a_knock_ages() -> None:
    for past_ms, is_good in ((KNOCK_MS_MAX, True), (KNOCK_MS_MAX + 1, False)):
        for now_ms in (NOW_MS - past_ms, NOW_MS + past_ms):
            assert Knocks().is_good((KEY,), said(knock.make(KEY, NOW_MS, NONCE)), now_ms) is is_good


def test_no_other_spelling_counts_and_nothing_that_anybody_says_raises() -> None:
    """Whoever has recorded a knock may spell it otherwise: the bits behind its end are free."""
    chance, knocks, name = random.Random(1), Knocks(), knock.make(KEY, NOW_MS, NONCE)
    assert knocks.is_good((KEY,), said(name), NOW_MS)
    label, rest = name[: knock.CHARS], name[knock.CHARS :]
    assert len(label) <= 63 and rest == knock.SUFFIX.decode()
    letters = string.ascii_lowercase + string.digits + "-=."
    for _ in range(2000):
        at = chance.randrange(knock.CHARS)
        for wrong in (label[:at] + chance.choice(letters) + label[at + 1 :], label[:at] + label[at + 1 :]):
            assert not knocks.is_good((KEY,), said(wrong + rest), NOW_MS), wrong
    for raw in (b"", knock.SUFFIX, knock.SUFFIX * 600, b"\xff" * 52 + knock.SUFFIX, b"a" * 52 + knock.SUFFIX):
        assert not knocks.is_good((KEY,), raw, NOW_MS)


def test_what_is_remembered_is_bounded() -> None:
    knocks = Knocks()
    for number in range(KNOCKS_MAX + 3):
        assert knocks.is_good((KEY,), said(knock.make(KEY, NOW_MS, number.to_bytes(10, "big"))), NOW_MS)
    assert len(knocks.heard) == KNOCKS_MAX
    later_ms = NOW_MS + KNOCK_MS_MAX + 1
    assert knocks.is_good((KEY,), said(knock.make(KEY, later_ms, NONCE)), later_ms) and len(knocks.heard) == 1


def test_it_is_in_the_first_record_of_tls_under_either_secret_of_a_rotation() -> None:
    old, new = secret_of("old"), secret_of("new")
    before, between, other = trust_by_secret((old,)), trust_by_secret((new, old)), trust_by_secret((secret_of("x"),))
    first = hello(before.dialling, knock.make(before.knocks[0], NOW_MS, NONCE))
    assert first[0] == 0x16 and len(first) == 5 + int.from_bytes(first[3:5], "big")
    assert Knocks().is_good(between.knocks, first, NOW_MS) and not Knocks().is_good(other.knocks, first, NOW_MS)
    assert before.knocks == between.knocks[1:] and len({*between.knocks, *other.knocks}) == 3


def test_with_certificates_of_an_operator_it_is_made_of_the_authority_s(tmp_path: Path) -> None:
    ours, theirs = (trust_by_certificates(own_pki(tmp_path, name)) for name in ("ours", "theirs"))
    first = hello(ours.dialling, knock.make(ours.knocks[0], NOW_MS, NONCE))
    assert not Knocks().is_good(theirs.knocks, first, NOW_MS) and Knocks().is_good(ours.knocks, first, NOW_MS)
