"""Error replies that more than one command gives, worded as Redis words them.

Constants, functions that put a command's name into a sentence, and HELP. A text that a single
command gives stands beside that command. Clients match these: a changed letter is a defect.
"""

from collections.abc import Callable

from respram.commands.node import Conn
from respram.commands.reply import Reply, Simple
from respram.errors import ClientError

LOGGED_NAME_BYTES_MAX = 64  # of a client name or a user in a log line
REDIS_VERSION = b"7.2.4"  # the version that clients see; `respram_version` in INFO is ours

SYNTAX = ClientError.saying(b"ERR syntax error")
NOT_AN_INTEGER = ClientError.saying(b"ERR value is not an integer or out of range")
WRONG_TYPE = ClientError.saying(b"WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_A_FLOAT = ClientError.saying(b"ERR value is not a valid float")
INVALID_CURSOR = ClientError.saying(b"ERR invalid cursor")
OFFSET = ClientError.saying(b"ERR offset is out of range")
TOO_LONG = ClientError.saying(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)")
DB_RANGE = ClientError.saying(b"ERR DB index is out of range")
NO_CLUSTER = ClientError.saying(b"ERR This instance has cluster support disabled")
UNBLOCKED = ClientError.saying(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
SAME_OBJECT = ClientError.saying(b"ERR source and destination objects are the same")


def wrong_arity(name: bytes) -> ClientError:
    """`name` is the full one: `get`, or `client|setname`."""
    return ClientError(b"ERR wrong number of arguments for '%b' command" % name)


def invalid_expire(name: bytes) -> ClientError:
    return ClientError(b"ERR invalid expire time in '%b' command" % name)


def unknown_subcommand(container: bytes, spelt: bytes) -> ClientError:
    """What Redis says to a subcommand, or to a mix of its arguments, that the container lacks."""
    return ClientError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP."
        % (spelt[:128].translate(ONE_LINE), container.upper())
    )


# A line break in an error text would end the reply early, so Redis replaces it with blanks.
ONE_LINE = bytes(32 if byte in (10, 13) else byte for byte in range(256))


def shown(text: bytes, bytes_max: int = LOGGED_NAME_BYTES_MAX) -> str:
    """A client's own words in a line of the log: cut, quoted, and without anything that ends the line."""
    return repr(text[:bytes_max].decode("ascii", "backslashreplace"))


def help_of(lines: tuple[bytes, ...]) -> Callable[[Conn, list[bytes]], Reply]:
    """A handler for HELP of a command with subcommands: each line a simple string, as in Redis. The texts stand
    beside their commands."""

    def answer(conn: Conn, argv: list[bytes]) -> Reply:
        return [Simple(line) for line in lines]

    return answer
