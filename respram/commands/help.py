"""HELP of the commands that have subcommands: one handler for all of them. The texts stand beside their commands."""

from collections.abc import Callable

from respram.commands.conn import Conn
from respram.commands.reply import Reply, Simple


def help_of(lines: tuple[bytes, ...]) -> Callable[[Conn, list[bytes]], Reply]:
    """A handler that answers the lines, each as a simple string as in Redis."""

    def answer(conn: Conn, argv: list[bytes]) -> Reply:
        return [Simple(line) for line in lines]

    return answer
