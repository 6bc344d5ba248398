"""While this node may not know the newest of a key, who decides by it waits for the truth.

A node that joins has not got everything yet, and what it restored may be old. Read as if it were all, a counter begins
at 0 and a held lock is free; and what is then written carries the freshest stamp, and wins on every node. So a command
that reads before it writes (the flags of its keys say so) asks for each of its keys what others know, and a command
that only reads asks for what is missing here. Blind writes need nobody's answer.

`node.truth` is who is asked, while there is somebody to be asked; None: this node knows. Nothing waits for longer than
whoever is asked says: then the answer is LOADING, which clients know and retry, and nothing was changed.
"""

from collections.abc import Iterable, Iterator

from respram.catalog import Command
from respram.catalog.keys import key_positions
from respram.commands.node import Conn, Suspend, Watched
from respram.errors import ClientError
from respram.integers import parse_uint
from respram.record import DATABASES

NOT_KNOWN = ClientError.saying(
    b"LOADING respram is joining its peers or restoring its snapshot, and cannot know this key yet"
)

Queued = tuple[Command, list[bytes]]

COLLECTIONS = frozenset({b"hash", b"set", b"sorted-set"})  # a head alone does not tell which members exist
# Their flags are not those of a write, and they decide by the state of keys.
LOOKING = frozenset({b"watch", b"eval", b"evalsha"})
READS = frozenset({b"RW", b"RO", b"RM", b"insert", b"access", b"delete"})  # flags of a key whose current state matters
CONDITIONS = {  # written blindly, unless one of these words is among the arguments
    b"set": frozenset({b"nx", b"xx", b"get", b"keepttl", b"ifeq", b"ifne", b"ifdeq", b"ifdne"}),
    b"msetex": frozenset({b"nx", b"xx", b"keepttl"}),
}


def await_truth(conn: Conn, commands: Iterable[Queued]) -> None:
    """Raises Suspend until all is known that these commands, which are to run together, decide by; NOT_KNOWN in the
    end.
    """
    truth = conn.node.truth
    if truth is None:
        return
    if not conn.session.retried:
        conn.asked.clear()
    names = list(dict.fromkeys(_names(conn, commands)))
    new = [name for name in names if name not in conn.asked]
    if not names or not new and truth.learnt(conn):
        conn.asked.clear()
        return
    is_over = bool(conn.asked) and conn.now_ms >= conn.asked_until_ms
    wait_ms = 0 if is_over else truth.ask(conn, new or names)
    if not wait_ms:
        conn.asked.clear()
        truth.forget(conn)
        raise NOT_KNOWN
    if not conn.asked:
        conn.asked_until_ms = conn.now_ms + wait_ms
    conn.asked.update(new)
    raise Suspend(conn.asked_until_ms)


def _names(conn: Conn, commands: Iterable[Queued]) -> Iterator[Watched]:
    """Database and key of all that has to be known; under WATCH what is watched, too."""
    engine, db, now_ms = conn.node.engine, conn.session.db, conn.now_ms
    for command, argv in commands:
        if command.name == b"select":
            db = database(argv[1], db)
        elif command.name == b"exec":
            yield from conn.watched
        for position, flags in key_positions(command, argv) or () if command.key_specs else ():
            key, at = argv[position], database_of(command, argv, position, db)
            if command.writes or command.name in LOOKING:
                if _decides(command, argv, flags):
                    yield at, key
            elif command.group in COLLECTIONS or engine.peek(at, key, now_ms) is None:
                yield at, key


def _decides(command: Command, argv: list[bytes], flags: tuple[bytes, ...]) -> bool:
    """Whether what this key holds makes a difference to the command."""
    conditions = CONDITIONS.get(command.name)
    if conditions is not None:
        return not conditions.isdisjoint(word.lower() for word in argv[3:])
    return command.name == b"copy" or not READS.isdisjoint(flags)


def database_of(command: Command, argv: list[bytes], position: int, db: int) -> int:
    """COPY may write into another database than the connection's."""
    if command.name == b"copy" and position == 2:
        words = [word.lower() for word in argv[3:]]
        if b"db" in words[:-1]:
            return database(argv[3 + words.index(b"db") + 1], db)
    return db


def copied_to(commands: Iterable[tuple[Command, list[bytes]]], db: int) -> tuple[int, ...]:
    """The other databases that these commands copy into."""
    return tuple({database_of(command, argv, 2, db) for command, argv in commands} - {db})


def database(word: bytes, db: int) -> int:
    """The command itself refuses what is none."""
    number = parse_uint(word)
    return number if number is not None and number < DATABASES else db
