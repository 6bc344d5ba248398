"""All handlers by full command name. Merging is all that happens here: a name may be served once."""

from collections.abc import Mapping
from types import ModuleType

from respram.commands import (
    acl,
    admin,
    bits,
    bloom,
    clients,
    cluster,
    cluster_clients,
    config_command,
    connection,
    counters,
    hashes,
    info,
    introspection,
    keys,
    letting_go,
    member_lives,
    pubsub,
    refusals,
    renaming,
    scripts,
    sets,
    slowlog,
    sorted_algebra,
    sorted_ranges,
    sorted_sets,
    strings,
    throttle,
    tracking,
    transactions,
)
from respram.commands.running import HANDLERS, Handler

MODULES = (
    acl, admin, bits, bloom, clients, cluster, cluster_clients, config_command, connection, counters, hashes, info,
    introspection, keys,
    letting_go, member_lives, pubsub, refusals, renaming, scripts, sets, slowlog, sorted_algebra, sorted_ranges,
    sorted_sets, strings, throttle, tracking, transactions,
)  # fmt: skip


def merged(modules: tuple[ModuleType, ...]) -> dict[bytes, Handler]:
    """One table of the modules' HANDLERS; a module without one is skipped."""
    table: dict[bytes, Handler] = {}
    for module in modules:
        served: Mapping[bytes, Handler] = getattr(module, "HANDLERS", {})
        twice = table.keys() & served.keys()
        assert not twice, f"{module.__name__} serves again: {sorted(twice)}"
        table.update(served)
    return table


def fill() -> None:
    """Puts every handler into the table from which commands are run."""
    HANDLERS.update(merged(MODULES))
