"""What `make test` leaves to `make test-slow`: tests that say again what another says, and those that cost most. CI
runs both each time.

Cases of one test are left out where they differ in a seed only, or in an engine beneath code that is the same for both.
`tests/dear.txt` names the dearest of the others, as `make prices` measured them.
"""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from tests.engine.conftest import PURE_ONLY

# Folders whose tests run on both engines in `make test`: what they test is the engines.
ON_BOTH = ("engine", "commands")
REPEATED = (("pure", False),)  # as the `rig` of commands is asked for
LIST = Path(__file__).with_name("dear.txt")


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """All values, of which the first `count` are for `make test`; tuples of them for several parameters."""
    return [each if place < count else _slow(each) for place, each in enumerate(values)]


def _slow(value: Any) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)


def is_repeated(item: pytest.Item) -> bool:
    """Whether the same test runs elsewhere on an engine that says more. Above the engines, the native one is what runs.
    For commands, handlers without fast paths run on the native engine, and the pure engine with its own fast paths.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None or PURE_ONLY:
        return False
    engines = [value for value in callspec.params.values() if value in REPEATED or value == "pure"]
    if not engines:
        return False
    return engines[0] in REPEATED if item.path.parent.name in ON_BOTH else engines[0] == "pure"


@functools.cache
def named() -> frozenset[str]:
    """Tests that cost so much that `make test` leaves them out."""
    return frozenset(line for line in LIST.read_text().splitlines() if not line.startswith("#"))


def sampled(few: int, many: int, *strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A property with so many examples in `make test`, and with many in `make test-slow`. It takes no fixtures."""

    def decorated(told: Callable[..., None]) -> Any:
        def test(examples: int) -> None:
            settings(max_examples=examples, deadline=None)(given(*strategies)(told))()

        test.__name__, test.__doc__, test.__module__ = told.__name__, told.__doc__, told.__module__
        return pytest.mark.parametrize("examples", first(1, (few, many)))(test)

    return decorated
