"""One table of handlers: nothing is served twice, nothing is left out."""

from types import ModuleType

import pytest

from respram.catalog import everything
from respram.commands import keys, strings
from respram.commands.handlers import MODULES, merged
from respram.commands.running import HANDLERS


def test_every_command_has_a_handler_and_every_handler_a_command() -> None:
    """A container has none of its own: it is dispatched to its subcommands. COMMAND alone is both."""
    named = {command.name for command in everything() if not command.subcommands or command.name == b"command"}
    assert named == HANDLERS.keys()


def test_the_table_is_the_sum_of_its_modules() -> None:
    assert len(HANDLERS) == sum(len(getattr(module, "HANDLERS", {})) for module in MODULES)
    assert merged((keys, strings)) == keys.HANDLERS | strings.HANDLERS


def test_a_name_that_is_served_twice_is_found_out() -> None:
    with pytest.raises(AssertionError, match="serves again"):
        merged((keys, keys))


def test_a_module_without_handlers_adds_nothing() -> None:
    assert merged((ModuleType("empty"),)) == {}
