"""What `make test` runs of a test that costs much and says the same many times: some of it. The rest is marked slow,
and runs in `make test-slow`, as CI does each time.

A test belongs here only where its cases differ in a seed, or in an engine beneath code that is the same for both.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from tests.engine.conftest import ENGINES


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """All values, of which the first `count` are for `make test`; tuples of them for several parameters."""
    return [each if place < count else _slow(each) for place, each in enumerate(values)]


def _slow(value: Any) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)


def engines() -> list[Any]:
    """All engines, the native one for `make test` where there is one: it is what runs."""
    return first(1, reversed(ENGINES))


def sampled(few: int, many: int, *strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A property with so many examples in `make test`, and with many in `make test-slow`. It takes no fixtures."""

    def decorated(told: Callable[..., None]) -> Any:
        def test(examples: int) -> None:
            settings(max_examples=examples, deadline=None)(given(*strategies)(told))()

        test.__name__, test.__doc__, test.__module__ = told.__name__, told.__doc__, told.__module__
        return pytest.mark.parametrize("examples", first(1, (few, many)))(test)

    return decorated
