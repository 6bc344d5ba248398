"""Glob patterns: against what a real server finds, and against patterns made to explode."""

import random
import time

from respram.glob import GLOB_BYTES_MAX, glob_match

from .rig import Client, Reference

ALPHABET = [b"a", b"b", b"c", b"-", b"*", b"**", b"?", b"[", b"]", b"^", b"\\", b"[a-c]", b"[^b]", b"[c-a]", b"[\\]]"]
SEED, ROUNDS = 20260921, 1500


def test_patterns_find_what_they_say() -> None:
    for pattern, text, expected in (
        (b"*", b"anything\n", True),
        (b"h?llo", b"hello", True),
        (b"h?llo", b"hllo", False),
        (b"h[ae]llo", b"hallo", True),
        (b"h[^e]llo", b"hello", False),
        (b"h[a-b]llo", b"hbllo", True),
        (b"\\*", b"*", True),
        (b"\\*", b"x", False),
        (b"a*c*e", b"abcde", True),
        (b"a*c*e", b"abcdef", False),
        (b"ab*ba", b"aba", False),
        (b"*aab", b"aaab", True),
        (b"", b"", True),
        (b"*", b"", False),
    ):
        assert glob_match(pattern, text) is expected, (pattern, text)


def test_a_pattern_full_of_stars_does_not_explode() -> None:
    started = time.process_time()
    assert not glob_match(b"a*" * 200 + b"b", b"a" * 5000)
    assert not glob_match(b"*a" * 2000 + b"b", b"a" * 5000)
    assert time.process_time() - started < 5.0  # of this process alone; tried one by one they take hours


def test_a_pattern_beyond_the_limit_matches_nothing() -> None:
    assert glob_match(b"a" * GLOB_BYTES_MAX, b"a" * GLOB_BYTES_MAX)
    assert not glob_match(b"a" * (GLOB_BYTES_MAX + 1), b"a" * (GLOB_BYTES_MAX + 1))


def test_random_patterns_match_as_in_redis(reference: Reference) -> None:
    source = random.Random(SEED)
    texts = sorted(
        {
            b"".join(source.choices([b"a", b"b", b"c", b"]", b"-", b"*", b"\\"], k=source.randrange(6)))
            for _ in range(150)
        }
    )
    reference(b"FLUSHALL")
    reference(b"MSET", *(word for text in texts for word in (text, b"v")))
    hits = 0
    for _ in range(ROUNDS):
        pattern = b"".join(source.choices(ALPHABET, k=source.randrange(1, 7)))
        if pattern == b"*":
            continue  # KEYS does not match it, it lists everything
        found = sorted(reference(b"KEYS", pattern).split(b"\r\n")[2::2])
        hits += len(found)
        assert found == [text for text in texts if glob_match(pattern, text)], (SEED, pattern)
    assert hits > ROUNDS


def test_keys_and_scan_use_it(client: Client) -> None:
    client(b"MSET", b"one", b"1", b"two", b"2", b"three", b"3")
    assert sorted(client(b"KEYS", b"t*").split(b"\r\n")[2::2]) == [b"three", b"two"]
    assert sorted(client(b"SCAN", b"0", b"MATCH", b"?[nw][eo]").split(b"\r\n")[5::2]) == [b"one", b"two"]
