"""CONFIG: what the node is set to, and changing it while it runs.

CONFIG SET changes all that it names or nothing. What it changes lasts until the node stops: the file
and the environment that the node was started with belong to whoever wrote them.
"""

from collections.abc import Iterator

from respram.commands.acl_user import DEFAULT
from respram.commands.invalidation import trim as trim_tracked
from respram.commands.node import Conn, Node
from respram.commands.notify import observe
from respram.commands.parameters import PARAMETERS, Draft, Refused, check, draft_of
from respram.commands.reply import BREATH, OK, Breath, Each, Reply
from respram.commands.slowlog import trim as trim_slow
from respram.commands.stats import Stats
from respram.commands.texts import ONE_LINE, SYNTAX, help_of
from respram.errors import ClientError
from respram.glob import glob_match

WILD = frozenset(b"*?[")
NO_REWRITE = ClientError.saying(
    b"NOPERM 'config|rewrite' is refused by design: "
    b"a node never writes its settings; change its flags, RESPRAM_... variables or TOML file"
)

HELP = (
    b"CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"GET <pattern> [<pattern> ...]",
    b"    The parameters whose names match, with their values.",
    b"SET <parameter> <value> [<parameter> <value> ...]",
    b"    Changes parameters until the node stops: all of them or none.",
    b"RESETSTAT",
    b"    Sets the counters of INFO to zero.",
    b"REWRITE",
    b"    Refused: a node never writes its settings.",
    b"HELP",
    b"    Shows this text.",
)


def config_get(conn: Conn, argv: list[bytes]) -> Reply:
    """A name without wildcards comes back as it was spelt, as in Redis."""
    return Each(_parameters(conn, argv[2:]), b"%")


def _parameters(conn: Conn, patterns: list[bytes]) -> Iterator[Reply | Breath]:
    seen: set[bytes] = set()
    for pattern in patterns:
        folded = pattern.lower()
        wild = not WILD.isdisjoint(pattern)
        names = [name for name in PARAMETERS if glob_match(folded, name)] if wild else [folded]
        for name in names:
            if name in PARAMETERS and name not in seen:
                seen.add(name)
                yield name if wild else pattern
                yield PARAMETERS[name].read(conn.node)
        yield BREATH


def config_set(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) % 2:
        raise SYNTAX
    node = conn.node
    draft = draft_of(node)
    pairs = list(zip(argv[2::2], argv[3::2], strict=True))
    for spelt, _ in pairs:
        if spelt.lower() not in PARAMETERS:
            raise ClientError(
                b"ERR Unknown option or number of arguments for CONFIG SET - '%b'" % spelt[:128].translate(ONE_LINE)
            )
    seen: set[bytes] = set()
    for spelt, _ in pairs:
        name = spelt.lower()
        write = PARAMETERS[name].write
        if write is None:
            raise _failed(name, b"can't set immutable config")
        if name in seen:
            raise _failed(name, b"duplicate parameter")
        seen.add(name)
    spelt = pairs[0][0]
    try:
        for spelt, text in pairs:
            write = PARAMETERS[spelt.lower()].write
            assert write is not None
            write(node, draft, text)
        check(draft)
    except Refused as refused:
        raise _failed(spelt.lower(), refused.reason) from None
    _apply(node, draft)
    return OK


def _failed(name: bytes, reason: bytes) -> ClientError:
    return ClientError(b"ERR CONFIG SET failed (possibly related to argument '%b') - %b" % (name, reason))


def _apply(node: Node, draft: Draft) -> None:
    """Applies values that were checked: nothing here can fail any more."""
    if node.limits != draft.limits:
        node.limits = draft.limits
        for conn in node.clients.values():
            conn.settle()
    node.event_flags = draft.event_flags
    if draft.settings != node.settings:
        node.settings = draft.settings
        node.engine.configure(draft.settings)
        if node.peers is not None:
            node.peers.limits_changed()
    if draft.decide != node.decide:
        node.decide = draft.decide
        if node.peers is not None:
            node.peers.decide_anew()
    if draft.password != node.password:
        node.password = draft.password
        default = node.users[DEFAULT]
        if default.open:  # not on the default user's password alone: that user may be disabled
            for other in node.clients.values():
                if other.account is default:
                    other.authenticated = True
                    other.settle()
    trim_slow(node)
    trim_tracked(node)
    observe(node)


def config_resetstat(conn: Conn, argv: list[bytes]) -> Reply:
    """The engine's own counters never go back: what they were now is subtracted from then on."""
    node = conn.node
    node.stats = Stats()
    node.counters_before = node.engine.counters()
    node.rates.commands = node.rates.input_bytes = node.rates.output_bytes = 0
    return OK


def config_rewrite(conn: Conn, argv: list[bytes]) -> Reply:
    raise NO_REWRITE


HANDLERS = {
    b"config|get": config_get,
    b"config|set": config_set,
    b"config|resetstat": config_resetstat,
    b"config|rewrite": config_rewrite,
    b"config|help": help_of(HELP),
}
