"""The exceptions: their kinds and their texts."""

import inspect

from respram.patterns import errors


def test_every_error_is_a_pattern_error_and_says_in_its_docstring_what_it_means() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 20
    for kind in kinds:
        assert issubclass(kind, errors.PatternError) and kind.__doc__


def test_errors_can_be_caught_by_the_kind_that_python_has_for_them() -> None:
    for kind, parent in (
        (errors.StoreAway, ConnectionError), (errors.TimedOut, TimeoutError), (errors.ValueTooLarge, ValueError),
        (errors.ContentMissing, LookupError), (errors.NotJson, TypeError), (errors.StreamEnded, EOFError),
    ):  # fmt: skip
        assert issubclass(kind, parent)


def test_errors_that_carry_facts_say_them() -> None:
    locked = errors.ResourceLocked("invoice-17", "agent-a", 1.5)
    assert (locked.locked_by, locked.remaining_s) == ("agent-a", 1.5) and "'agent-a' for at most 1.500 s" in str(locked)
    expired = errors.ChunkExpired("camera", 7)
    assert (expired.stream, expired.seq) == ("camera", 7) and "chunk 7" in str(expired)
