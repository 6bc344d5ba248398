"""The cache of scripts is bounded, and what is used stays."""

import pytest

from respram.errors import ClientError
from respram.scripting.cache import ENTRY_BYTES, Cache, Cached, digest_of, read_header


def ignored(digest: bytes, entry: Cached) -> None:
    """Nobody else knows of the scripts."""


def entry(text: bytes) -> Cached:
    return read_header(text)


def test_the_one_that_was_used_longest_ago_makes_room() -> None:
    cache = Cache(3, 1 << 20, ignored)
    for name in (b"a", b"b", b"c"):
        cache.add(name, entry(name))
    assert cache.find(b"a") is not None
    cache.add(b"d", entry(b"d"))
    assert list(cache) == [b"c", b"a", b"d"]


def test_bytes_are_counted_and_bounded() -> None:
    cache = Cache(100, 3 * (ENTRY_BYTES + 10), ignored)
    for number in range(10):
        cache.add(b"%d" % number, entry(b"x" * 10))
    assert len(cache) == 3
    assert cache.bytes == 3 * (ENTRY_BYTES + 10)
    cache.add(b"9", entry(b"x" * 10))
    assert cache.bytes == 3 * (ENTRY_BYTES + 10)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_one_that_is_too_large_for_all_is_kept_alone() -> None:
    cache = Cache(100, 100, ignored)
    cache.add(b"small", entry(b"x"))
    cache.add(b"large", entry(b"x" * 1000))
    assert list(cache) == [b"large"]


def test_the_first_line_says_what_a_script_may() -> None:
    assert entry(b"return 1").flags is None
    assert entry(b"return 1").writes and not entry(b"return 1").grows
    quiet = entry(b"#!lua flags=no-writes,allow-oom\nreturn 1")
    assert not quiet.writes and not quiet.grows
    assert quiet.text[quiet.body_at :] == b"\nreturn 1"
    assert entry(b"#!lua\nreturn 1").grows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"#!lua", b"Invalid script shebang"),
        (b"#!php\n", b"Unexpected engine in script shebang: #!php"),
        (b"#!lua flags=bogus\n", b"Unexpected flag in script shebang: bogus"),
        (b"#!lua name=x\n", b"Unknown lua shebang option: name=x"),
    ],
)
def test_a_wrong_first_line_is_refused_in_redis_words(text: bytes, said: bytes) -> None:
    with pytest.raises(ClientError) as raised:
        entry(text)
    assert raised.value.text == b"ERR " + said


def test_the_digest_is_sha1() -> None:
    assert digest_of(b"return 1") == b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
