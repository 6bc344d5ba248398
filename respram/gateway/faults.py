"""The errors between a gateway and its nodes, by whose fault they are. Each becomes one HTTP status and one MCP error.

No text here repeats what a client sent: a node's error may quote an argument, so only its first word is kept.
"""

WORDS_MAX = 40  # characters shown of a node's error code


class NodesGone(Exception):
    """No node answers, or the one that was asked ended before it answered: whether a write counted is unknown."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent  # the node may have executed it


class Busy(Exception):
    """A bound of the gateway is reached: more may be asked later."""


class Refusal(Exception):
    """A node's error reply. hiredis makes one of every `-` line."""

    def __init__(self, text: str | bytes) -> None:
        words = text if isinstance(text, str) else text.decode("ascii", "replace")
        super().__init__(words)
        self.word = words.partition(" ")[0][:WORDS_MAX]


class WrongLogin(Exception):
    """The node knows no such user, or the password is wrong."""


class BadRequest(Exception):
    """The client's request cannot be understood; the text says what is expected."""
