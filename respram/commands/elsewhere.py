"""Forwards commands to the node that decides about their key, and delivers its replies to the client.

A command *decides* when what it does or answers depends on what is there (catalog/keys.py). Two nodes that both decide
about one key would both say yes; so each slot of the keyspace has one home (gossip/homes.py), and whoever is asked
elsewhere sends the command there: all checks of dispatch are passed first, the rights of the user among them. The
connection waits meanwhile, and so do all commands behind it; plain ones of one key travel together, to each home in one
frame. Others travel with those that follow and are alike, as long as all their keys have one home.

- Several keys: the home of the first decides about all.
- MULTI: the home of the first command that decides; under WATCH, of the first key watched, by the stamps that were seen
  here. With a command in it that is about the connection (SELECT) it runs here.
- Scripts: the home of their first key, with their text and the rights of their user. Without keys they run here.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import NoReturn

from respram.catalog import Command, find
from respram.catalog.keys import decides, keys_of
from respram.commands.acl_rights import describe_rights
from respram.commands.acl_user import User
from respram.commands.blocking import COMMANDS as BLOCKING
from respram.commands.blocking import first_there, sent_on
from respram.commands.invalidation import spend_caching
from respram.commands.letting_go import may_let_go
from respram.commands.node import MAJORITY, Conn, Fence, Suspend, Watched
from respram.commands.peers import Forwarded
from respram.commands.shared_scripts import find_shared
from respram.commands.truth import copied_to
from respram.engine.api import LENGTH_SHIFT, RUN_BYTES_MAX, RUN_COMMANDS_MAX, VERSION_SHIFT, Run
from respram.errors import ClientError
from respram.slots import pack_command, pack_keys, slot_of, unpack_keys
from respram.wire.messages import ALONE, LETS_GO, RUN, TOGETHER

NAME_BYTES_MAX = 256  # of a client's name in a forward
SCRIPTS = {b"eval": b"EVAL", b"evalsha": b"EVAL"}
# commands in a transaction that have no keys and need not run on this node
TRAVELS = frozenset({b"ping", b"echo", b"time", b"publish", b"spublish"})

NOT_NOW = ClientError.saying(b"LOADING the node that decides about this key cannot be asked now; nothing was done")
UNCERTAIN = ClientError.saying(
    b"UNCERTAIN the node that decides about this key was lost before it answered; the command may have run"
)
NO_QUORUM = ClientError.saying(b"NOQUORUM no majority of the nodes can be asked now; nothing was done")
NOT_TOGETHER = ClientError.saying(
    b"NOQUORUM a majority cannot decide a transaction with this command; send the command alone"
)
TOO_MANY = ClientError.saying(
    b"ERR the watched collections are too large to be compared by the node that decides about them"
)
TOO_LONG = ClientError.saying(b"ERR the command is too long to be sent to the node that decides about its key")

# Tries to find a key whose home is a given member: with a thousand members, one key in a thousand fits.
FENCE_TRIES_MAX = 4096
FENCE_AGAIN_MS = 50  # pause before WAIT asks a member again that answered with an error

# Of the watched collections of an EXEC that another node decides about: what both read to compare them, a few ms.
ABROAD_MEMBERS_MAX = 4096
ABROAD_BYTES_MAX = 1 << 20  # of names and values; it is exceeded by one page at most
ABROAD_AT_ONCE = 256
WORD_BITS = 64  # of each of the two numbers of a stamp that travels

Queued = tuple[Command, list[bytes]]


def raise_fences(conn: Conn, wanted: int, patience_ms: int) -> None:
    """For WAIT: asks the nodes that decided for this connection how many peers hold their writes."""
    conn.fences = []
    if conn.node.homes is not None:
        for number in sorted(number for number, holders in conn.decided_at.items() if holders < wanted):
            conn.fences.append(fence := Fence(conn, number))
            _ask(fence, wanted, patience_ms)


def ask_again(conn: Conn, wanted: int, until_ms: int) -> int:
    """Asks those again that answered with an error, after a pause. When the next is due, until_ms at the latest."""
    due_ms = until_ms
    for fence in conn.fences:
        if fence.failed and not fence.again_ms:
            fence.again_ms = conn.now_ms + FENCE_AGAIN_MS
        if fence.failed and fence.again_ms <= conn.now_ms:
            _ask(fence, wanted, until_ms - conn.now_ms)
        if fence.failed:
            due_ms = min(due_ms, fence.again_ms)
    return due_ms


def _ask(fence: Fence, wanted: int, patience_ms: int) -> None:
    conn, number, homes = fence.conn, fence.member, fence.conn.node.homes
    key = next(
        (one for one in map(b"%d".__mod__, range(FENCE_TRIES_MAX)) if homes.home_of(slot_of(one)) == number), None
    ) if homes is not None else None  # fmt: skip
    if homes is None or key is None or homes.is_here(slot_of(key)):
        # It is gone, and nobody can tell whether others hold all of its writes.
        fence.holders, fence.failed = conn.decided_at.pop(number, 0), False
        return
    asked = pack_command([b"WAIT", b"%d" % wanted, b"%d" % max(patience_ms, 1)])
    fence.failed, fence.again_ms = False, 0
    if not homes.forward(
        fence, Forwarded(ALONE, 0, 2, b"", b"", pack_keys([key]), b"", asked, patience_ms, number)
    ):  # too many forwards are open now
        fence.failed, fence.again_ms = True, conn.now_ms + FENCE_AGAIN_MS


def send_elsewhere(conn: Conn, command: Command, argv: list[bytes]) -> None:
    """Forwards the command and raises Suspend if another node decides; the command does not run here again."""
    homes, session = conn.node.homes, conn.session
    if session.decides or not (decides(command, argv) or command.name in SCRIPTS):
        return
    if homes is None:
        if conn.node.decide == MAJORITY:
            raise NO_QUORUM  # this node has met no other node yet
        return
    keys = keys_of(command, argv)
    if not keys or homes.is_here(slot_of(keys[0])):
        return
    patience_ms = conn.node.limits.script_ms_max if command.name in SCRIPTS else 0
    if command.name in BLOCKING:
        if not first_there(conn, keys):
            return  # there is nothing to pop yet: it waits on this node
        argv, patience_ms = sent_on(conn, argv)
    run = conn.node.engine.take_run(session)
    if run is not None:
        if not homes.forward_run(conn, run, deputy_of_run(conn, run)):
            raise NOT_NOW
        conn.node.stats.commands += len(run.order)
        raise Suspend(0)
    if command.name in SCRIPTS:
        text = _text_of(conn, argv)
        if text is None:
            return  # the script is unknown here too, and this node says so
        argv = [b"EVAL", text, *argv[2:]]
    spend_caching(conn, argv)
    rights = rights_of(conn.account) if command.name in SCRIPTS else deputy_of(conn, keys)
    forwarded = Forwarded(
        ALONE, session.db, session.proto, conn.name[:NAME_BYTES_MAX], rights, pack_keys(keys), b"", pack_command(argv),
        patience_ms, copied_to=copied_to([(command, argv)], session.db),
    )  # fmt: skip
    if command.name in BLOCKING or not may_have_company(conn):
        _send(conn, forwarded)
    _send_several(conn, forwarded, keys, command.name in SCRIPTS)


def send_together(conn: Conn, commands: list[Queued]) -> None:
    """Forwards a whole EXEC and raises Suspend, or returns if it is to run here."""
    homes, session = conn.node.homes, conn.session
    if session.decides or homes is None and conn.node.decide != MAJORITY:
        return
    first = _first_decided(conn, commands)
    if first is None:
        return
    if homes is None:
        raise NO_QUORUM
    if homes.is_here(slot_of(first)):
        return
    if not all(command.key_specs or command.name in TRAVELS for command, _ in commands):
        if conn.node.decide == MAJORITY:
            raise NOT_TOGETHER
        return
    if any(stamp is not None and stamp[1] >> WORD_BITS for stamp in conn.watched.values()):
        if is_changed(conn):
            return  # it runs here, and does nothing
        stamps = _stamps_abroad(conn)
        if stamps is None:
            raise TOO_MANY
        conn.watched.update(stamps)
    watching = (key for db, key in conn.watched if db == session.db)
    keys = [first, *watching, *(key for command, argv in commands for key in keys_of(command, argv))]
    watched = b"".join(pack_watched(db, key, stamp) for (db, key), stamp in conn.watched.items())
    forwarded = Forwarded(
        TOGETHER, session.db, session.proto, conn.name[:NAME_BYTES_MAX], rights_of(conn.account),
        pack_keys(list(dict.fromkeys(keys))),
        watched, b"".join(pack_command(argv) for _, argv in commands), copied_to=copied_to(commands, session.db),
    )  # fmt: skip
    _send(conn, forwarded)


def stamp_of(conn: Conn, watched: Watched) -> tuple[int, int] | None:
    """What tells whether a watched key has changed since. Of a collection it is the head's stamp, and above the bits
    of a node's number a version and a number of members: members have stamps of their own.
    """
    entry = conn.node.engine.peek(*watched, conn.now_ms)
    if entry is None:
        return None
    if not entry.kind:
        return entry.clock, entry.node
    return entry.clock, entry.node + (entry.version << VERSION_SHIFT) + (entry.length << LENGTH_SHIFT)


def is_changed(conn: Conn) -> bool:
    if conn.session.has_come:
        return True
    if not conn.watched:
        return False
    if conn.session.decides:  # for a peer, which has sent what is the same on all nodes
        return _stamps_abroad(conn) != conn.watched
    return any(stamp_of(conn, watched) != stamp for watched, stamp in conn.watched.items())


def _stamps_abroad(conn: Conn) -> dict[Watched, tuple[int, int] | None] | None:
    """Stamps that another node can compare with its own. Versions are each node's own, so of a collection it is a sum
    over all members: their names, values and ends. None: there is too much to read.
    """
    engine, stamps = conn.node.engine, dict[Watched, tuple[int, int] | None]()
    members = used_bytes = 0
    for watched in conn.watched:
        entry = engine.peek(*watched, conn.now_ms)
        stamps[watched] = (entry.clock, entry.node) if entry is not None else None
        if entry is None or not entry.kind:
            continue
        members += entry.length
        if members > ABROAD_MEMBERS_MAX:
            return None
        total, cursor = entry.node, 0
        while True:
            page = engine.members(*watched, cursor, ABROAD_AT_ONCE, conn.now_ms)
            for one in page.members:
                used_bytes += len(one.name) + len(one.value)
                packed = pack_command([one.name, one.value, b"%d" % (one.deadline_ms if one.own else 0)])
                total += int.from_bytes(blake2b(packed, digest_size=WORD_BITS // 8).digest(), "little")
            if used_bytes > ABROAD_BYTES_MAX:
                return None
            cursor = page.cursor
            if not cursor:
                break
        stamps[watched] = entry.clock, total % (1 << WORD_BITS)
    return stamps


def _first_decided(conn: Conn, commands: list[Queued]) -> bytes | None:
    """The key whose home decides about the whole transaction."""
    for _, key in conn.watched:
        return key
    for command, argv in commands:
        if decides(command, argv) or command.name in SCRIPTS:
            keys = keys_of(command, argv)
            if keys:
                return keys[0]
    return None


def _send(conn: Conn, forwarded: Forwarded) -> NoReturn:
    node = conn.node
    assert node.homes is not None
    if len(forwarded.commands) > node.settings.bulk_bytes_max + RUN_BYTES_MAX:
        raise TOO_LONG
    if not node.homes.forward(conn, forwarded):
        raise NOT_NOW
    node.engine.take(conn.session)
    node.stats.commands += 1
    raise Suspend(0)


def may_have_company(conn: Conn) -> bool:
    """Whether nothing but rights stands between the commands of this connection and their handlers, and it may
    anything.
    """
    plain = conn.tracking is None and not (conn.skip or conn.silent or conn.hint_due or conn.node.strict
                                           or conn.subscribed)
    return plain and conn.authenticated and conn.account.unrestricted


def _send_several(conn: Conn, first: Forwarded, keys: list[bytes], is_script: bool) -> NoReturn:
    """With those that follow, are of its kind, and whose keys all have the same home. What is none of that ends it, and
    so does whatever dispatch would have a word to say about.
    """
    node, session = conn.node, conn.session
    homes, engine = node.homes, node.engine
    assert homes is not None
    engine.take(session)
    singles, size = [first], len(first.commands)
    home = homes.home_of(slot_of(keys[0]))
    if all(homes.home_of(slot_of(key)) == home for key in keys):
        while len(singles) < RUN_COMMANDS_MAX and (argv := engine.behind(session)) is not None:
            one = _follower(conn, argv, first, home, is_script)
            if one is None or size + len(one.commands) > RUN_BYTES_MAX:
                break
            engine.take_next(session)
            size += len(one.commands)
            singles.append(one)
    if len(singles) == 1:
        _send(conn, first)
    together = replace(
        first, kind=RUN, keys=pack_keys(dict.fromkeys(key for one in singles for key in unpack_keys(one.keys))),
        commands=b"".join(one.commands for one in singles), patience_ms=first.patience_ms * len(singles),
        copied_to=tuple({db for one in singles for db in one.copied_to}),
    )  # fmt: skip
    if not homes.forward_several(conn, together, singles):
        raise NOT_NOW
    node.stats.commands += len(singles)
    raise Suspend(0)


def _follower(conn: Conn, argv: list[bytes], first: Forwarded, home: int, is_script: bool) -> Forwarded | None:
    node = conn.node
    command = find(argv[0].lower(), argv[1] if len(argv) > 1 else b"")
    if (
        command is None
        or command.subcommands
        or not (command.arity == len(argv) or command.arity < 0 and len(argv) >= -command.arity)
    ):
        return None
    if (
        command.name not in conn.account.root.allowed
        or command.name in BLOCKING
        or command.grows
        and node.engine.full()
    ):
        return None
    if (command.name in SCRIPTS) != is_script or not (is_script or decides(command, argv)):
        return None
    keys = keys_of(command, argv)
    assert node.homes is not None
    if not keys or any(node.homes.home_of(slot_of(key)) != home for key in keys):
        return None
    if is_script:
        text = _text_of(conn, argv)
        if text is None:
            return None
        argv = [b"EVAL", text, *argv[2:]]
    elif deputy_of(conn, keys) != first.rights:
        return None
    others = copied_to([(command, argv)], conn.session.db)
    return replace(first, keys=pack_keys(keys), commands=pack_command(argv), copied_to=others)


def _text_of(conn: Conn, argv: list[bytes]) -> bytes | None:
    if argv[0].lower() == b"eval":
        return argv[1]
    scripts, digest = conn.node.scripts, argv[1].lower()
    entry = scripts.cache.find(digest) if scripts is not None else None
    return entry.text if entry is not None else find_shared(conn, digest)


def deputy_of(conn: Conn, keys: Iterable[bytes]) -> bytes:
    """What a command may at its home that dispatch has let pass here: anything, but to end a key by a time that has
    passed the client needs the right to DEL, and only the handler sees the time.
    """
    return LETS_GO if all(may_let_go(conn, key) for key in keys) else b""


def deputy_of_run(conn: Conn, run: Run) -> bytes:
    root = conn.account.root
    if not conn.account.selectors and (b"del" not in root.allowed or root.all_keys):
        return LETS_GO if b"del" in root.allowed else b""
    return deputy_of(conn, (key for group in run.groups for key in unpack_keys(group.keys)))


def rights_of(user: User) -> bytes:
    """The rules of a user's rights, without passwords."""
    selectors = (b"(" + describe_rights(rights) + b")" for rights in user.selectors)
    return b" ".join((describe_rights(user.root), *selectors))


def pack_watched(db: int, key: bytes, stamp: tuple[int, int] | None) -> bytes:
    clock, node = stamp or (0, 0)
    return (
        bytes((db,)) + clock.to_bytes(8, "little") + node.to_bytes(8, "little") + len(key).to_bytes(4, "little") + key
    )
